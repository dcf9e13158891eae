"""Templates: what the model reads, what is cut, what is refused."""

import math

import pandas as pd
import pytest
import tiny
import tiny_prompts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CanineTokenizer

from companion.errors import CourseError
from companion.prompting import Template

TOKENIZERS = {name: make() for name, make in tiny_prompts.TOKENIZERS.items()}
PATTERNS = ["{text} Because it was {mask}.", "{mask}: {text}", "It is {mask}{mask}. {text}",
            "{text}{mask}", "({text}) is {{{mask}}}", "All in all, {mask} ... {text} {mask}!"]
LIMIT = 24
pieces = st.lists(st.sampled_from([*" ".join(tiny.texts(5)).split(), "Ω", "ü", "🙂", "x" * 9]),
                  min_size=1, max_size=30).map(" ".join)
spaced = st.builds(lambda a, text, b: a + text + b, st.sampled_from(["", " ", "\n"]), pieces,
                   st.sampled_from(["", " ", "  "]))


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("family", TOKENIZERS)
@settings(max_examples=40, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), text=spaced)
def test_untruncated_ids_are_the_tokenizers_own(family, pattern, text):
    tokenizer = TOKENIZERS[family]
    found = Template(pattern).encode(tokenizer, [text], 10_000)
    written = pattern.format(text=text, mask=tokenizer.mask_token)
    assert found.ids == [tokenizer(written)["input_ids"]] and found.truncated == [0]
    at = [i for i, token in enumerate(found.ids[0]) if token == tokenizer.mask_token_id]
    assert found.masks == [at] and len(at) == pattern.count("{mask}")


@pytest.mark.parametrize("family", TOKENIZERS)
@settings(max_examples=40, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), text=spaced, cut=st.sampled_from(["end", "beginning"]))
# Long texts are rare among those drawn, and only they are cut.
@example(pattern=PATTERNS[0], text="a small dog remembers seven apples . " * 6, cut="end")
@example(pattern=PATTERNS[1], text="a small dog remembers seven apples . " * 6, cut="beginning")
def test_only_the_text_is_cut_and_the_cut_is_counted(family, pattern, text, cut):
    tokenizer = TOKENIZERS[family]
    whole = Template(pattern, cut=cut).encode(tokenizer, [text], 10_000)
    short = Template(pattern, cut=cut).encode(tokenizer, [text], LIMIT)
    ids, was = short.ids[0], whole.ids[0]
    assert len(ids) + short.truncated[0] == len(was)
    assert len(ids) == min(LIMIT, len(was))
    assert [ids[i] for i in short.masks[0]] == [tokenizer.mask_token_id] * pattern.count("{mask}")
    gone = short.truncated[0]
    if gone:  # one run of tokens is missing, and nothing of what stands around the text
        same = [a == b for a, b in zip(ids, was)]
        start = same.index(False) if False in same else len(ids)
        assert any(was[:at] + was[at + gone:] == ids for at in range(start + 1))
        bare = Template(pattern).encode(tokenizer, [""], 100, content_free=True).ids[0]
        letters = "".join(tokenizer.convert_ids_to_tokens(bare)).replace("▁", "").replace("Ġ", "")
        rest = iter("".join(tokenizer.convert_ids_to_tokens(ids)))
        assert all(letter in rest for letter in letters)  # the template is still there, in order


def test_the_end_or_the_beginning_is_cut():
    tokenizer = TOKENIZERS["bert"]
    text = "the teacher watches the river . a small dog remembers seven apples ."
    for cut, kept in [("end", "the teacher watches"), ("beginning", "seven apples .")]:
        found = Template("{text} it was {mask} .", cut=cut).encode(tokenizer, [text], 9)
        assert tokenizer.decode(found.ids[0]) == f"[CLS] {kept} it was [MASK]. [SEP]".replace(
            "apples .", "apples.")
        assert found.truncated == [len(text.split()) - 3]
        assert found.masks == [[6]]


def test_another_slot_can_be_shortened():
    tokenizer = TOKENIZERS["bert"]
    entry = {"first": "the old gardener", "second": "seven apples in the morning"}
    found = Template("{first} ? {mask} , {second}", shorten="second").encode(
        tokenizer, [entry], 9)
    assert tokenizer.decode(found.ids[0]) == "[CLS] the old gardener [UNK] [MASK], seven [SEP]"
    refused("leaves no room for it: shorten", lambda: Template(
        "{first} ? {mask} , {second}", shorten="second").encode(tokenizer, [entry], 8))


def test_several_masks_in_one_place_and_chinese_characters():
    tokenizer = tiny_prompts.chinese()
    found = Template("{text}味道{mask}。").encode(tokenizer, ["这本书很好。"], 64, masks=2)
    assert tokenizer.decode(found.ids[0]).split() == [
        "[CLS]", *"这本书很好。味道", "[MASK]", "[MASK]", "。", "[SEP]"]
    assert found.masks == [[9, 10]]
    short = Template("{text}味道{mask}。").encode(tokenizer, ["这本书很好。"], 9)
    assert "".join(tokenizer.convert_ids_to_tokens(short.ids[0])[1:-1]) == "这本书味道[MASK]。"


def test_a_mask_in_a_content_free_text_is_none_of_the_templates():
    for tokenizer in TOKENIZERS.values():
        for pattern, which in [("{text} it was {mask}.", -1), ("{mask}: {text}", 0)]:
            found = Template(pattern).encode(tokenizer, [tokenizer.mask_token], 64,
                                             content_free=True)
            at = [i for i, token in enumerate(found.ids[0]) if token == tokenizer.mask_token_id]
            assert len(at) == 2 and found.masks == [[at[which]]]


def test_templates_to_read():
    template = Template("{text} Because it was [MASK].")
    assert template.fill("Fine.") == "Fine. Because it was [MASK]."
    assert template.slots == ("text",) and template.places == 1
    assert repr(template) == "Template('{text} Because it was [MASK].')"
    assert Template("{{{text}}} {mask}").fill("a") == "{a} [MASK]"
    assert Template("It is a type of {mask}.").encode(TOKENIZERS["bert"], [{}], 64).masks == [[-3 +
        len(TOKENIZERS["bert"]("It is a type of [MASK].")["input_ids"])]]


@pytest.mark.parametrize("match, arguments", [
    ("has no mask: write {mask}", ("{text} It was good.",)),
    ("has no mask", ("",)),
    ("brace without its pair: write {{", ("{text} {mask",)),
    ("brace without its pair", ("{text} }{mask}",)),
    ("slot without a plain name: write", ("{} {mask}",)),
    ("slot without a plain name", ("{text!r} {mask}",)),
    ("slot without a plain name", ("{text:>9} {mask}",)),
    ("slot without a plain name", ("{a.b} {mask}",)),
    ("is of type list: give a str", (["{mask}"],)),
    ("no slot 'span' to shorten: use one of text", ("{text} {mask}", "span")),
    ("no slot 'span' to shorten: use one of none", ("{mask}", "span")),
    ("stands in the template twice: shorten another", ("{text} {text} {mask}",)),
    ('cut is \'middle\': use "end"', ("{text} {mask}", None, "middle")),
])
def test_templates_that_are_none_are_refused(match, arguments):
    refused(match, lambda: Template(*arguments))


TWO = "{text} {span} is a {mask}."


@pytest.mark.parametrize("match, pattern, inputs", [
    ("there are no texts: give at least one", "{text} {mask}", []),
    (r"this is one text: give a list of texts, such as \[text\]", "{text} {mask}", "good"),
    ("texts is a dict: give a list", "{text} {mask}", {"text": "good"}),
    ("text 1, slot 'text', is empty: leave it out", "{text} {mask}", ["good", " \n"]),
    ("text 0, slot 'span', is empty", TWO, [{"text": "a", "span": ""}]),
    ("text 0, slot 'text', holds the special token .MASK.: take it", "{text} {mask}",
     ["a [MASK] b"]),
    ("holds the special token .SEP.: take it", "{text} {mask}", ["a [SEP] b"]),
    ("has 2 slots, not one: give a dictionary with the slots .text, span", TWO, ["a"]),
    ("has 0 slots, not one: give", "It was {mask}.", ["a"]),
    ("has the slots text: this template wants text, span", TWO, [{"text": "a"}]),
    ("has the slots text, spam: this", TWO, [{"text": "a", "spam": "b"}]),
    (r"texts\[0\] is of type int: give a str", "{text} {mask}", [3]),
    (r"texts\[0\] is NaN, an empty cell of a table", "{text} {mask}", pd.Series([math.nan])),
    (r"texts\[0\]\['text'\] is of type NoneType: give a str", "{text} {mask}", [{"text": None}]),
    (r"texts\[1\] is no valid Unicode \(it holds half", "{text} {mask}", ["a", "a \ud83d"]),
    *(("text 1, slot 'text', is empty: leave it out", "{text} {mask}", ["a", blank])
      for blank in ("\0", "\ufffd \ufffd", "\u200b\u200d\ufeff", "\t\u2028")),
    ("text 1 has no token: leave it out", "{text} {mask}", ["a", "\u0301"]),
    ("texts is a table .DataFrame.: give one of its columns", "{text} {mask}",
     pd.DataFrame({"text": ["a"], "label": [0]})),
    ("leaves no room for it: shorten the template", "the " * 20 + "{text} {mask}", ["a"]),
    ("leaves no room for it", "the " * 17 + "{text} {mask}", ["a"]),
    ("make another mask together: put spaces", "[{text}] {mask}", ["MASK"]),
])
def test_inputs_that_cannot_be_used_are_refused(match, pattern, inputs):
    refused(match, lambda: Template(pattern).encode(TOKENIZERS["bert"], inputs, 20))


def test_what_is_no_text_is_refused_without_a_tokenizer_too():
    refused(r"entry\['text'\] is of type NoneType: give a str",
            lambda: Template("{text} {mask}").fill({"text": None}))
    refused("texts is a NoneType: give a list",
            lambda: Template("{text} {mask}").encode(TOKENIZERS["bert"], None, 20))


def test_slow_tokenizers_are_refused():
    slow = CanineTokenizer()
    slow.mask_token = "[MASK]"
    refused("CanineTokenizer is a slow tokenizer: use a fast tokenizer",
            lambda: Template("{text} {mask}").encode(slow, ["a"], 30))


def test_masks_that_do_not_fit_and_tokenizers_without_them_are_refused():
    template = Template("{text} {mask}{mask}")
    refused("2 masks were asked for, but the template has 2 places",
            lambda: template.encode(TOKENIZERS["bert"], ["a"], 64, masks=2))
    refused("0 masks were asked for",
            lambda: template.encode(TOKENIZERS["bert"], ["a"], 64, masks=0))
    tokenizer = tiny.wordpiece()
    tokenizer.mask_token = None
    refused("no mask token: use one of a masked LM",
            lambda: template.encode(tokenizer, ["a"], 64))
