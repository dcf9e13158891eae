"""Verbalizers: label words, their tokens, aggregation, refusals."""

import pytest
import tiny_prompts
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_template import refused
from transformers import CanineTokenizer

from companion.prompting import Verbalizer
from companion.prompting.verbalizer import vocabulary_words, word_tokens

TOKENIZERS = {name: make() for name, make in tiny_prompts.TOKENIZERS.items()}
some_words = st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=10, unique=True)


@pytest.mark.parametrize("family, form", [("bert", "{}"), ("roberta", "Ġ{}"), ("albert", "▁{}")])
def test_words_are_looked_up_as_they_stand_after_a_space(family, form):
    tokenizer = TOKENIZERS[family]
    found = Verbalizer(tiny_prompts.WORDS).tokens(tokenizer)
    assert [tokenizer.convert_ids_to_tokens(list(ids)) for ids in found] == [
        [form.format(word)] for word in ("great", "good", "awful", "bad")]
    words = vocabulary_words(tokenizer)
    assert all(word_tokens(tokenizer, word) == (words[word],) for word in ("great", "teacher"))


def test_words_of_several_tokens():
    tokenizer = tiny_prompts.chinese()
    found = Verbalizer({"好": ["满意", "好"], "差": ["差"]}, several_tokens=True).tokens(tokenizer)
    assert [tokenizer.convert_ids_to_tokens(list(ids)) for ids in found] == [
        ["满", "意"], ["好"], ["差"]]


@given(some_words, st.data())
def test_the_inverted_dictionary_says_the_same(words, data):
    labels = data.draw(st.lists(st.sampled_from("xyz"), min_size=len(words), max_size=len(words)))
    labels[:2] = ["x", "y"]
    inverted = dict(zip(words, labels))
    found = Verbalizer.from_words(inverted, aggregation="max")
    assert {word: label for label, word in found.pairs} == inverted
    assert found.aggregation == "max" and set(found.labels) == set(labels)
    assert Verbalizer(found.words).pairs == found.pairs


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_aggregation(first, second, seed):
    words = {"a": list("pqrs"[:first]), "b": list("wxyz"[:second])}
    scores = torch.randn(5, first + second, generator=torch.Generator().manual_seed(seed))
    parts = scores[:, :first], scores[:, first:]
    ways = {"logsumexp": lambda part: part.exp().sum(1).log(),
            "mean": lambda part: part.sum(1) / part.shape[1],
            "max": lambda part: part.max(1).values}
    for name, way in ways.items():
        found = Verbalizer(words, name).aggregate(scores)
        torch.testing.assert_close(found, torch.stack([way(part) for part in parts], 1))
        # A constant for each text changes no difference: logits do in place of log-probabilities.
        moved = Verbalizer(words, name).aggregate(scores + 3)
        torch.testing.assert_close(moved, found + 3)


@pytest.mark.parametrize("match, arguments", [
    ("fewer than two labels: give a dictionary", ({"a": ["x"]},)),
    ("fewer than two labels", ({},)),
    ("words is of type list: give a dictionary", (["a", "b"],)),
    ("label 'b' has no words: give at least one", ({"a": ["x"], "b": []},)),
    ("label 'b' has a word that is empty: give", ({"a": ["x"], "b": [" "]},)),
    ("label 'b' has a word that is empty: give", ({"a": ["x"], "b": "\u200b"},)),
    (r"words\['b'\]\[0\] is of type int: give a str", ({"a": ["x"], "b": [3]},)),
    (r"words\['b'\]\[0\] is no valid Unicode", ({"a": ["x"], "b": ["\ud83d"]},)),
    (r"words\['b'\] is of type NoneType: give a str", ({"a": ["x"], "b": None},)),
    (r"words\['b'\] is of type int: give a str", ({"a": ["x"], "b": 3},)),
    ("'x' stands under 'a' and under 'b': keep it once", ({"a": ["x"], "b": ["y", "x"]},)),
    ("'x' stands twice under 'a': keep", ({"a": ["x", "x "], "b": ["y"]},)),
    ("unknown aggregation 'sum': use one of logsumexp, mean, max", ({"a": "x", "b": "y"}, "sum")),
])
def test_verbalizers_that_are_none_are_refused(match, arguments):
    refused(match, lambda: Verbalizer(*arguments))


@pytest.mark.parametrize("given", [["great"], None, {"pos": ["great"], "neg": ["bad"]}])
def test_what_is_no_inverted_dictionary_is_refused(given):
    refused(": give a dictionary", lambda: Verbalizer.from_words(given))


def test_slow_tokenizers_are_refused():
    refused("CanineTokenizer is a slow tokenizer: use a fast tokenizer",
            lambda: word_tokens(CanineTokenizer(), "good"))


@pytest.mark.parametrize("match, words, settings", [
    (r"'grreat' is \d+ tokens \(.+\): words near it in the vocabulary are great", "grreat", {}),
    (r"'very odd' is \d+ tokens .*, or allow several_tokens=True", "very odd", {}),
    ("does not know '☃': use another word", "☃", {}),
    ("does not know '☃'", "☃", {"several_tokens": True}),
    (r"'\[MASK\]' has the special token \[MASK\]: give a word", "[MASK]", {}),
    (r"'\[PAD\]' has the special token", "[PAD]", {}),
    ("'Good' stands under 'x' and under 'y'", "Good", {}),
])
def test_words_that_the_vocabulary_does_not_have_are_refused(match, words, settings):
    refused(match, lambda: Verbalizer({"x": "good", "y": words}, **settings).tokens(
        TOKENIZERS["bert"]))
