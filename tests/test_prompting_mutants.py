"""Prompting broken in one place at a time: a test must fail."""

from unittest.mock import patch

import pytest
import test_calibration
import test_prompt_classifier as prompts
import test_template
import test_verbalizer
import torch

from companion.prompting import (
    calibration,
    classifier,
    last_layer,
    projection,
    template,
    verbalizer,
)

RIGHT = {"project": projection.project, "pad": classifier.pad,
         "word_logits": projection.word_logits, "word_tokens": verbalizer.word_tokens,
         "inside": template._inside, "masks": template._masks, "last": last_layer._last,
         "contextual": calibration.contextual, "median": calibration.median}


def slow_way(family="bert"):
    prompts.test_predictions_are_those_of_the_slow_way(
        family, "{text} Because it was {mask}.", "logsumexp")


def several_tokens():
    prompts.test_words_of_several_tokens(
        "roberta", {"pos": ["great", "very good"], "neg": ["awful", "the bad river"]})


def bias_forgotten(head, states, rows):
    name = projection.decoder_of(head)
    decoder = head.get_submodule(name)
    few = {f"{name}.weight": decoder.weight[rows],
           f"{name}.bias": torch.zeros(len(rows))}
    return projection.functional_call(head, few, (states,))


def first_rows(head, states, rows):
    return RIGHT["project"](head, states, torch.arange(len(rows)))


def padding_seen(rows, padding):
    return RIGHT["pad"](rows, padding)[0], None


def padding_seen_in_the_last_layer(layer, states, seen, masks):
    return RIGHT["last"](layer, states, None, masks)


def asked_at_the_first_position(layer, states, seen, masks):
    return RIGHT["last"](layer, states, seen, masks * 0)


def never_normalised(*given, normalised=False):
    return RIGHT["word_logits"](*given)


def without_the_space(tokenizer, word, before):
    return tuple(tokenizer.backend_tokenizer.encode(word, add_special_tokens=False).ids)


def nothing_left_of_the_text(encoding, text, start, end):
    return RIGHT["inside"](encoding, text, start, len(text))


def every_mask(encoding, spans, mask_id):
    return RIGHT["masks"](encoding, [], mask_id)


def other_sign(name):
    return lambda *given: -RIGHT[name](*given)


def mean_logarithm(scores):
    return scores.log_softmax(-1).mean(0).neg()


def cut_test():
    test_template.test_only_the_text_is_cut_and_the_cut_is_counted("bert")


MUTANTS = [
    (projection, "project", bias_forgotten, slow_way),
    (projection, "project", first_rows, slow_way),
    (classifier, "pad", padding_seen, slow_way),
    (last_layer, "_last", padding_seen_in_the_last_layer, slow_way),
    (last_layer, "_last", asked_at_the_first_position, slow_way),
    (classifier, "word_logits", never_normalised, several_tokens),
    (verbalizer, "word_tokens", without_the_space, lambda: slow_way("roberta") or
     test_verbalizer.test_words_are_looked_up_as_they_stand_after_a_space("roberta", "Ġ{}")),
    (template, "_inside", nothing_left_of_the_text, cut_test),
    (template, "_masks", every_mask,
     test_template.test_a_mask_in_a_content_free_text_is_none_of_the_templates),
    (calibration, "contextual", other_sign("contextual"),
     test_calibration.test_contextual_makes_the_content_free_answer_uniform),
    (calibration, "contextual", mean_logarithm,
     test_calibration.test_contextual_makes_the_content_free_answer_uniform),
    (calibration, "median", other_sign("median"),
     test_calibration.test_median_gives_each_label_its_share_of_the_texts),
    (verbalizer, "AGGREGATIONS", {**verbalizer.AGGREGATIONS,
                                  "logsumexp": lambda scores: scores.mean(-1)},
     lambda: test_verbalizer.test_aggregation()),
]


@pytest.mark.parametrize("place, name, broken, test", MUTANTS)
def test_a_broken_copy_is_caught(place, name, broken, test):
    with patch.object(place, name, broken), pytest.raises(BaseException) as problem:
        test()
    assert not isinstance(problem.value, (KeyboardInterrupt, SystemExit))
