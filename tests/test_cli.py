"""The command line: what it prints, its exit codes, and one-line errors."""

import os
import subprocess
import sys

import pytest
import torch

from companion import checkpoints, doctor
from companion.__main__ import _texts_last, main
from companion.errors import CourseError
from companion.filling import fill


@pytest.fixture(scope="module")
def loaded():
    return checkpoints.load("bert-mini-en")


def error_of(capsys) -> str:
    """The one line on standard error."""
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and printed.startswith("error: ")
    return printed


def test_fill_agrees_with_the_pipeline(loaded):
    from transformers import pipeline

    model, tokenizer = loaded
    text = "The [MASK] was long, but the acting was [MASK]."
    theirs = pipeline("fill-mask", model=model, tokenizer=tokenizer)(text, top_k=3)
    for ours, gap in zip(fill(model, tokenizer, text, 3), theirs, strict=True):
        assert [token for token, _ in ours] == [a["token_str"] for a in gap]
        assert [p for _, p in ours] == pytest.approx([a["score"] for a in gap], abs=1e-5)


def test_a_warning_is_one_line(capsys):
    assert main(["fill-mask", "王明来到[MASK]。"]) == 0
    printed = capsys.readouterr().err
    assert printed.startswith("warning: 1 of 1 texts") and printed.count("\n") == 1


def test_bytes_that_are_no_text(capsys):
    """Python keeps a byte of an argument that it cannot decode as half a character."""
    assert main(["fill-mask", "\udcff [MASK]"]) == 1
    assert "no valid Unicode (it holds half a character)" in error_of(capsys)


def test_probabilities_of_all_tokens_sum_to_one(loaded):
    model, tokenizer = loaded
    (all_of_them,) = fill(model, tokenizer, "It was [MASK].", len(tokenizer))
    assert sum(p for _, p in all_of_them) == pytest.approx(1, abs=1e-4)


def test_fill_mask_prints_one_line_a_token(capsys):
    assert main(["fill-mask", "The film was [MASK].", "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    probabilities = [float(line.split()[0]) for line in lines]
    assert probabilities == sorted(probabilities, reverse=True) and 0 < probabilities[0] < 1


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["fill-mask", "no gap here"], "write [MASK]"),
        (["fill-mask", "long " * 600 + "[MASK]"], "shorten the text"),
        (["fill-mask", "[MASK]", "--top", "0"], "give 1 or more"),
        (["fill-mask", "[MASK]", "--model", "./nothing"], "check the path"),
        (["pretrain", "no-such-recipe"], "bert-mini-en"),
        (["pretrain", "bert-mini-en", "--out", "{tmp}/runs/x"], "--text FOLDER"),
        (["pretrain", "bert-mini-en", "--out", "{tmp}/file"], "is a file: name a folder"),
        (["pack", "bert-mini-en", "--out", "{tmp}/file"], "is a file: name a folder"),
        (["pretrain", "bert-mini-cn"], "one of: bert-mini-en, "),
        (["fill-mask", "\udcff [MASK]"], "no valid Unicode"),
        (["ner", "\udcff"], "no valid Unicode"),
        (["ner", "x", "--html", "{tmp}/file"], "name another file"),
        (["fill-mask", "[MASK]", "--model", "albert-mini-cn"], "did you mean albert-mini-zh"),
        (["fill-mask", "[MASK]", "--model", "gpt-mini-en"], "fills no gap (its kind: causal): name"),
        (["ner", "x", "--model", "bert-mini-en"], "is no tagger: use albert-ner-zh"),
        (["pretrain", "bert-mini-en", "--out", "{tmp}", "--text", "{tmp}"], "add it"),
    ],
)
def test_problems_are_one_line_and_exit_code_1(arguments, cure, capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    assert main([a.replace("{tmp}", str(tmp_path)) for a in arguments]) == 1
    assert cure in error_of(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("arguments, code, said", [
    ("fill-mask [MASK] --top 9000 | head -n 1", 141, ""),
    ("doctor > /dev/full", 1, "error: the output cannot be written (No space left on device)"),
    ("ner 北京 >&-", 0, ""), ("ner 北京 >&- 2>&-", 0, ""),
])
def test_an_output_that_nobody_takes_is_no_traceback(arguments, code, said):
    command = f"set -o pipefail; {sys.executable} -m companion {arguments}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code and done.stderr.startswith(said)
    assert done.stderr.count("\n") == bool(said)


def test_a_terminal_without_chinese_gets_numbers():
    done = subprocess.run([sys.executable, "-m", "companion", "ner", "-北京"], text=True,
                          capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith(r"-[\u5317\u4eac LOC]")


@pytest.mark.parametrize("given, read", [
    (["ner", "-北京"], ["ner", "--", "-北京"]),
    (["ner", "--北京", "--html", "x"], ["ner", "--html", "x", "--", "--北京"]),
    (["fill-mask", "-[MASK]", "--top", "3"], ["fill-mask", "--top", "3", "--", "-[MASK]"]),
    (["ner", "--html", "x", "北京", "-"], ["ner", "--html", "x", "北京", "-"]),
    (["ner", "--", "-北京"], ["ner", "--", "-北京"]), (["--help"], ["--help"]),
    (["fill-mask", "-1 [MASK]"], ["fill-mask", "-1 [MASK]"]),
])
def test_a_text_may_begin_with_a_hyphen(given, read):
    assert _texts_last(given) == read


def test_wrong_usage_is_exit_code_2(capsys):
    for arguments in ([], ["no-such-command"], ["fill-mask"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    capsys.readouterr()


def test_help_needs_no_torch():
    code = ("import sys; sys.argv = ['companion', '--help']\n"
            "import runpy\n"
            "try: runpy.run_module('companion', run_name='__main__')\n"
            "except SystemExit as stop: assert not stop.code\n"
            "assert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("pretrain", "fill-mask", "doctor"):
        assert command in done.stdout


def test_doctor_is_content_here(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "FAIL" not in printed
    for word in ("torch " + torch.__version__, "bert-mini-en", "snownlp", "bf16"):
        assert word in printed


def test_doctor_reports_a_damaged_checkpoint(capsys, monkeypatch):
    def damaged(name, kind):
        raise CourseError("bert-mini-en/model.safetensors is damaged: restore it")

    monkeypatch.setattr(checkpoints, "load", damaged)
    assert doctor.report() == 1
    printed = capsys.readouterr().out
    assert "FAIL" in printed and "restore it" in printed and f"{len(checkpoints.COURSE)} to mend" in printed


def test_doctor_reports_an_old_version(capsys, monkeypatch):
    real = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version",
                        lambda name: "0.0.1" if name == "tokenizers" else real(name))
    assert any(state == doctor.FAIL and "tokenizers" in what and "pip install" in cure
               for state, what, cure in doctor.versions())


def test_ctrl_c_says_that_the_run_goes_on(capsys, monkeypatch, tmp_path):
    import companion.pretraining

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(companion.pretraining, "pretrain", stopped)
    assert main(["pretrain", "bert-mini-en", "--out", str(tmp_path)]) == 130
    assert "goes on from the last saved state" in capsys.readouterr().err
