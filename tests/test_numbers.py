"""No figure in the prose without a cell of its section that asserts or prints it."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import pages, working_copy
from tools.number_rules import figures, unbacked

# Figures of others or of a definition, reviewed by hand: (page, "section: figure") -> source.
REVIEWED = {
    ("masked_lm", "Exercises: 10 %"): "the rule that the exercise asks for: Devlin et al., 2019, 3.1",
    ("data_card", "Lengths: 128 tokens"): "row_length of the recipe bert-mini-en",
}


def test_the_reviewed_list_stays_short():
    assert len(REVIEWED) <= 20


@pytest.mark.parametrize("page", pages.names())
def test_every_figure_has_its_cell(page):
    found = set(unbacked(working_copy.shipped(page)[0]))
    known = {figure for name, figure in REVIEWED if name == page}
    assert found == known, "assert the figure in a cell of its section, or print it there"


def book(text, code="1", printed=""):
    outputs = [new_output("stream", text=printed)] if printed else []
    return new_notebook(cells=[new_markdown_cell("# Title\n\nIt takes 40 minutes.\n\n## Part\n\n"
                                                 + text), new_code_cell(code, outputs=outputs)])


@pytest.mark.parametrize("text", ["accuracy is 71 %", "It is 71% now.", "**71 %** of all",
                                  "- 71 % become others", "from 70.5 to 71 percent"])
def test_a_figure_without_a_cell_is_found(text):
    assert unbacked(book(text))[-1].startswith("Part: 71 ")


@pytest.mark.parametrize(("code", "printed"), [
    ("assert share == 0.71", ""), ("assert round(share * 100) == 71", ""), ("1", "share 0.71\n"),
    ("1", "71.0 of 100")])
def test_a_figure_with_its_cell_passes(code, printed):
    assert unbacked(book("accuracy is 71 %", code, printed)) == []


@pytest.mark.parametrize(("code", "printed"), [
    ("share = 0.71", ""), ("# assert 0.71", ""), ("# NBVAL_IGNORE_OUTPUT\nprint(s)", "0.71"),
    ("assert share > 0.7", ""), ("1", "0.717"), ("1", "171")])
def test_a_number_that_is_not_checked_does_not_back_a_figure(code, printed):
    assert unbacked(book("accuracy is 71 %", code, printed)) == ["Part: 71 %"]


def test_a_cell_of_another_section_does_not_back_a_figure():
    notebook = book("accuracy is 71 %")
    notebook.cells += [new_markdown_cell("## Other"), new_code_cell("assert share == 0.71")]
    assert unbacked(notebook) == ["Part: 71 %"]


def test_reading_times_of_the_opening_need_no_cell():
    assert unbacked(book("nothing")) == []
    assert unbacked(book("It takes 40 minutes.")) == ["Part: 40 minutes"]


@pytest.mark.parametrize("text", ["`share = 15 %`", "$x = 15 %$", "the rule (A et al., 2019, 15 %)",
                                  "[a link](x.html#15 %)", "chapter 3", "layer12 heads", "2019"])
def test_code_formulas_citations_and_names_are_no_figures(text):
    assert figures(text) == []


def test_thousands_are_one_number():
    assert figures("1,234.5 MB and 12,000 entries") == [("1234.5", "MB"), ("12000", "entries")]
