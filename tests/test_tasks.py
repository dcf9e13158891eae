"""What the loop is told about an objective: the loss it logs is Hugging Face's."""

import numpy as np
import pytest
import tiny
import tiny_runs
import torch
from torch import nn

from companion.errors import CourseError
from companion.objectives import causal, masked, spans
from companion.pretraining import build, loop
from companion.pretraining.recipe import OBJECTIVES, Masking
from companion.pretraining.tasks import TASKS
from companion.tokenization import train_bpe, train_wordpiece

# Their model's own loss is the one that is logged; "masked_order" has two heads and tests of its own.
BASE = {"masked_order": "masked", "masked_next": "masked"}  # a tiny recipe of another objective
ONE_HEAD = [name for name in TASKS if name not in BASE]


def begun(objective: str):
    """Recipe, model and rows of a tiny run, without its loop."""
    recipe = tiny_runs.recipe(objective=objective)
    train = train_bpe if recipe.model.tokenizer == "bpe" else train_wordpiece
    task = TASKS[objective]
    tokenizer = task.prepare(train(tiny.texts(200), recipe.model.vocabulary), recipe)
    rows = task.pack(tiny.texts(60, 1), tokenizer, recipe.text.row_length)
    model, _ = build.model(recipe, build.Material(rows, rows, tokenizer, None, None))
    return recipe, task, model.eval(), tokenizer, rows


def test_every_objective_of_a_recipe_is_known():
    assert set(TASKS) == set(OBJECTIVES)


@pytest.mark.parametrize("objective", ONE_HEAD)
def test_the_loss_is_that_of_transformers(objective):
    recipe, task, model, tokenizer, rows = begun(objective)
    batch = task.collator(recipe, tokenizer)(rows[:8], 3)
    with torch.no_grad():
        ours, theirs = task.loss(model, batch), model(**batch).loss
        logits, targets = task.predictions(model, batch)
    assert abs(ours - theirs) < 1e-5
    assert abs(nn.functional.cross_entropy(logits, targets) - theirs) < 1e-5


@pytest.mark.parametrize("objective", ONE_HEAD)
def test_the_evaluation_is_the_mean_over_all_positions(objective):
    recipe, task, model, tokenizer, rows = begun(objective)
    judge = task.judge(recipe, tokenizer)
    result = loop.evaluate(model, judge, rows[:10], size=4, task=task)
    total = right = count = 0.0
    for number, some in enumerate((rows[:4], rows[4:8], rows[8:10])):
        batch = judge(some, number)
        with torch.no_grad():
            out = model(**batch)
        targets = batch["labels"]
        logits = out.logits
        if objective == "causal":
            logits, targets = logits[:, :-1], targets[:, 1:]
        where = targets != masked.IGNORE
        total += out.loss.item() * int(where.sum())
        right += int((logits.argmax(-1) == targets)[where].sum())
        count += int(where.sum())
    assert result["positions"] == count
    assert result["loss"] == pytest.approx(total / count, abs=1e-5)
    assert result["accuracy"] == pytest.approx(right / count)


def tensors(collator, rows):
    return {name: tensor for name, tensor in collator(rows, 0).items()}


def equal(one, two):
    return one.keys() == two.keys() and all(
        one[name].shape == two[name].shape and torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("objective", sorted(TASKS))
def test_validation_does_not_depend_on_the_corruption_of_training(objective):
    recipe = tiny_runs.recipe(objective=BASE.get(objective, objective))
    recipe.objective, task = objective, TASKS[objective]
    train = train_bpe if recipe.model.tokenizer == "bpe" else train_wordpiece
    tokenizer = task.prepare(train(tiny.texts(200), recipe.model.vocabulary), recipe)
    rows = task.pack(tiny.texts(60, 1), tokenizer, recipe.text.row_length)[:8]
    before = [tensors(make(recipe, tokenizer), rows) for make in (task.judge, task.collator)]
    for change in ({"share": 0.4}, {"hidden": 0.0}, {"random": 0.2}, {"whole_words": True}):
        recipe.masking = Masking(**change)
        assert equal(before[0], tensors(task.judge(recipe, tokenizer), rows))
        if objective.startswith("masked"):
            assert not equal(before[1], tensors(task.collator(recipe, tokenizer), rows))
    recipe.spans.share, recipe.spans.mean = 0.4, 6.0
    assert equal(before[0], tensors(task.judge(recipe, tokenizer), rows))
    if objective == "spans":
        assert not equal(before[1], tensors(task.collator(recipe, tokenizer), rows))


def test_a_causal_model_is_judged_as_it_is_trained():
    recipe, task, _, tokenizer, rows = begun("causal")
    for isolate in (False, True):
        recipe.causal.isolate = isolate
        judged, trained = (tensors(make(recipe, tokenizer), rows[:4])
                           for make in (task.judge, task.collator))
        assert equal(judged, trained) and ("attention_mask" in judged) == isolate


def test_the_models_know_their_special_tokens():
    _, _, gpt, bpe, _ = begun("causal")
    assert gpt.config.eos_token_id == gpt.config.bos_token_id == bpe.eos_token_id
    assert gpt.config.pad_token_id == bpe.pad_token_id != bpe.eos_token_id
    _, _, t5, wordpiece, _ = begun("spans")
    assert t5.config.decoder_start_token_id == t5.config.pad_token_id == wordpiece.pad_token_id
    assert wordpiece.eos_token == "[SEP]"


def test_there_are_sentinels_enough_and_no_more():
    recipe, task, _, tokenizer, rows = begun("spans")
    assert len(spans.sentinels(tokenizer)) == 2  # rows of 16: one span, and the end
    recipe.text.row_length, recipe.spans.share, recipe.spans.mean = 128, 0.3, 2.0
    tokenizer = task.prepare(tiny.wordpiece(), recipe)
    long = task.pack(tiny.texts(200, 1), tokenizer, 128)
    assert len(spans.sentinels(tokenizer)) == round(round(0.3 * 128) / 2) + 1
    task.collator(recipe, tokenizer)(long[:4], 0)
    recipe.spans.share = 0.01  # the yardstick of validation needs more than the training
    task.judge(recipe, task.prepare(tiny.wordpiece(), recipe))(long[:4], 0)


def test_a_model_of_another_family_is_refused():
    recipe = tiny_runs.recipe(objective="causal")
    recipe.model.kind = "t5"
    tokenizer = TASKS["causal"].prepare(tiny.wordpiece(), recipe)
    rows = causal.pack(tiny.texts(60), tokenizer, 16)
    with pytest.raises(CourseError, match="'t5' is no kind of model for the objective causal: use"):
        build.model(recipe, build.Material(rows, rows, tokenizer, None, None))


# --- rows of span corruption --------------------------------------------------------------


def test_rows_of_span_corruption_are_the_stream_cut_without_overlap():
    tokenizer = TASKS["spans"].prepare(tiny.wordpiece(), tiny_runs.recipe(objective="spans"))
    texts = tiny.texts(30)
    stream = [i for text in texts
              for i in (tokenizer.eos_token_id, *tokenizer(text, add_special_tokens=False).input_ids)]
    rows = spans.pack([*texts[:7], "", *texts[7:]], tokenizer, 16)
    assert rows.dtype == np.uint16 and rows.shape == (len(stream) // 16, 16)
    assert rows.ravel().tolist() == stream[: rows.size]
    for length in (0, len(stream) + 1):
        with pytest.raises(CourseError, match="do not fill one row|length is 0: a row needs"):
            spans.pack(texts, tokenizer, length)
