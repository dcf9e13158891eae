"""The exercises of the chapter "Sequence to sequence"."""

from __future__ import annotations

from functools import cache

import torch

from companion.exercises import spans_hints as hints
from companion.exercises.old import Case, Exercise


def _corrupt_cases() -> list[Case]:
    """Worked out by hand. The second text has spans at both ends, the third one token often.

    The sentinels fall, as those of T5 do, and are more than are needed.
    """
    marks = [99, 98, 97, 96, 95]
    return [
        Case({"ids": [11, 12, 13, 14, 15, 16, 17, 18], "spans": [(2, 4), (6, 7)],
              "sentinels": marks},
             ([11, 12, 99, 15, 16, 98, 18], [99, 13, 14, 98, 17, 97])),
        Case({"ids": [11, 12, 13, 14, 15], "spans": [(0, 1), (2, 5)], "sentinels": marks},
             ([99, 12, 98], [99, 11, 98, 13, 14, 15, 97])),
        Case({"ids": [7, 7, 7, 8, 7, 7], "spans": [(1, 2), (3, 5)], "sentinels": marks},
             ([7, 99, 7, 98, 7], [99, 7, 98, 8, 7, 97])),
        Case({"ids": [11, 12], "spans": [], "sentinels": marks}, ([11, 12], [99])),
    ]


def _shift_cases() -> list[Case]:
    """By hand with a start that is not the padding, then T5's own shift."""
    labels = torch.tensor([[11, 12, 13, 3], [14, 3, -100, -100]])
    right = torch.tensor([[1, 11, 12, 13], [1, 14, 3, 0]])
    return [Case({"labels": labels, "start": 1, "pad": 0}, right), _library_shift_case()]


@cache
def _library_shift_case() -> Case:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=20, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=2,
                      pad_token_id=0, decoder_start_token_id=0)
    with torch.random.fork_rng(devices=[]):
        model = T5ForConditionalGeneration(config)
    labels = torch.tensor([[5, 6, 7, 8, 1], [9, 9, 1, -100, -100], [1, -100, -100, -100, -100]])
    right = model.prepare_decoder_input_ids_from_labels(labels)
    return Case({"labels": labels, "start": 0, "pad": 0}, right)


def _mask_cases() -> list[Case]:
    """A prefix of three in a row of five by hand; then a causal mask, and one that hides nothing."""
    by_hand = torch.tensor([[1, 1, 1, 0, 0],
                            [1, 1, 1, 0, 0],
                            [1, 1, 1, 0, 0],
                            [1, 1, 1, 1, 0],
                            [1, 1, 1, 1, 1]]).bool()
    return [Case({"prefix": 3, "length": 5}, by_hand),
            Case({"prefix": 0, "length": 4}, torch.ones(4, 4).tril().bool()),
            Case({"prefix": 6, "length": 6}, torch.ones(6, 6).bool())]


def _cost_cases() -> list[Case]:
    """Rows as `SpanCorruption` makes them; the first worked out by hand.

    100 tokens: 15 taken, in 5 spans. Inputs 85 + 5 + eos, targets 15 + 5 + 1 + eos.
    In 512 tokens both counts are rounded up, in 128 both are rounded down.
    """
    return [Case({"length": 100, "share": 0.15, "mean": 3.0}, (91, 22)),
            Case({"length": 512, "share": 0.15, "mean": 3.0}, (462, 105)),
            Case({"length": 128, "share": 0.15, "mean": 3.0}, (116, 27)),
            Case({"length": 40, "share": 0.5, "mean": 4.0}, (26, 27)),
            Case({"length": 6, "share": 0.05, "mean": 3.0}, (7, 4))]


def _precision_cases() -> list[Case]:
    """Counts of sacrebleu, and at the end the example of the BLEU paper (section 2.1)."""
    the = {"answer": "the the the the the the the",
           "reference": "the cat is on the mat", "size": 1}
    return [*_library_precision_cases(), Case(the, 2 / 7)]


@cache
def _library_precision_cases() -> tuple[Case, ...]:
    from sacrebleu.metrics import BLEU

    cases = []
    for answer, reference, size in [
        ("the film is very very very good", "it is a very good film", 1),
        ("this film is a very good film", "it is a very good film and a very good story", 2),
        ("good film a is this", "this is a good film", 1),
        ("good film a is this", "this is a good film", 2),
        ("a very good film", "it is a very good film", 3),
    ]:
        score = BLEU(tokenize="none").corpus_score([answer], [[reference]])
        right = score.counts[size - 1] / score.totals[size - 1]
        cases.append(Case({"answer": answer, "reference": reference, "size": size}, right))
    return tuple(cases)


def _next_cases() -> list[Case]:
    """By hand: a word that is given twice may be written twice."""
    words = ["bad", "very", "film", "very", "a"]
    return [Case({"words": words, "written": ["a", "very"]}, ["bad", "film", "very"]),
            Case({"words": words, "written": ["very", "a", "very"]}, ["bad", "film"]),
            Case({"words": words, "written": []}, ["a", "bad", "film", "very"]),
            Case({"words": words, "written": ["a", "very", "very", "bad", "film"]}, ["</s>"])]


EXERCISES = (
    Exercise(
        id="spans-corrupt", function="corrupt", results=("inputs", "targets"),
        success="inputs and targets are those of span corruption.",
        cases=_corrupt_cases, hint=hints.corrupt),
    Exercise(
        id="spans-shift", function="decoder_inputs", results=("the decoder's inputs",),
        success="the decoder reads what T5's decoder reads.",
        cases=_shift_cases, hint=hints.shift),
    Exercise(
        id="spans-prefix-mask", function="prefix_mask", results=("the mask",),
        success="the prefix sees all of itself, the rest sees what is to its left.",
        cases=_mask_cases, hint=hints.mask),
    Exercise(
        id="spans-cost", function="widths", results=("inputs", "targets"),
        success="this is what the encoder reads and what the decoder writes.",
        cases=_cost_cases, hint=hints.cost),
    Exercise(
        id="spans-precision", function="clipped_precision", results=("the precision",),
        success="your counts are those of sacrebleu.",
        cases=_precision_cases, hint=hints.precision),
    Exercise(
        id="spans-next", function="next_words", results=("the words",),
        success="only the words that are left may come next.",
        cases=_next_cases, hint=hints.following),
)
