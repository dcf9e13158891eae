"""Filling gaps: the length that a model reads, where it runs, refusals."""

import pytest
import tiny
import tiny_prompts
import torch

from companion import filling
from companion.errors import CourseError
from companion.filling import fill
from companion.objectives.lengths import longest, positions, refuse_longer


@pytest.mark.parametrize("family, most", [("bert", 64), ("albert", 64), ("roberta", 62)])
def test_a_text_may_be_as_long_as_the_model_reads(family, most):
    """RoBERTa numbers its positions from its padding id on, here 1: it has two fewer."""
    model, tokenizer = tiny_prompts.pair(family)
    assert longest(model, tokenizer) == positions(model) == most
    text = "[MASK]" + " great" * (most - 3)
    assert len(tokenizer(text.replace("[MASK]", tokenizer.mask_token))["input_ids"]) == most
    assert len(fill(model, tokenizer, text)) == 1
    with pytest.raises(CourseError, match=f"{most + 1} tokens, the model reads {most}: shorten"):
        fill(model, tokenizer, text + " great")


def test_the_tokenizer_may_set_a_shorter_length():
    model, tokenizer = tiny_prompts.pair("bert")
    tokenizer.model_max_length = 9
    assert longest(model, tokenizer) == 9 and positions(model) == 64
    refuse_longer(model, 64)
    with pytest.raises(CourseError, match="length is 65, but the model has 64 positions: give"):
        refuse_longer(model, 65)


def test_a_model_without_positions_sets_no_limit():
    class Config:
        pass

    model, tokenizer = torch.nn.Linear(1, 1), tiny.wordpiece()
    model.config = Config()
    assert positions(model) is None and longest(model, tokenizer) == tokenizer.model_max_length
    refuse_longer(model, 10**6)


def test_the_ids_go_where_the_model_is(monkeypatch):
    model, tokenizer = tiny_prompts.pair("bert")
    seen = []

    def logits(model, ids, where):
        seen.append(ids.device)
        return torch.zeros(1, len(tokenizer))

    monkeypatch.setattr(filling, "masked_logits", logits)
    fill(model.to("meta"), tokenizer, "it was [MASK] .")
    assert seen == [torch.device("meta")]


@pytest.mark.parametrize("match, arguments", [
    ("text is of type NoneType: give a str", (None,)),
    ("text is of type list: give a str", (["it was [MASK]"],)),
    ("text has no gap: write", ("it was",)),
    ("top is 0: give 1 to", ("it was [MASK]", 0)),
    ("top is 100000: give 1 to", ("it was [MASK]", 10**5)),
    ("top is 2.0: give a whole number", ("it was [MASK]", 2.0)),
    ("text is no valid Unicode .it holds half a character", ("a \ud83d [MASK]",)),
])
def test_what_cannot_be_filled_is_refused(match, arguments):
    model, tokenizer = tiny_prompts.pair("bert")
    with pytest.raises(CourseError, match=match) as problem:
        fill(model, tokenizer, *arguments)
    assert "\n" not in str(problem.value)
    assert len(fill(model, tokenizer, "it was [MASK]", len(tokenizer))[0]) == len(tokenizer)


def test_what_is_no_model_is_refused():
    model, tokenizer = tiny_prompts.pair("bert")
    for given, match in ((((model, tokenizer), tokenizer), "model is of type tuple: give a"),
                         ((model, None), "tokenizer is of type NoneType: give a")):
        with pytest.raises(CourseError, match=match):
            fill(*given, "it was [MASK]")
