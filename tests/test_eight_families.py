"""Every function that takes a masked LM, over eight families, against the whole model."""

import copy

import numpy as np
import pytest
import tiny_families
import tiny_models
import torch
from transformers import BertForPreTraining, BertForTokenClassification

from companion import retrieval
from companion.__main__ import main
from companion.abilities import fill_in
from companion.errors import CourseError
from companion.filling import fill
from companion.objectives import causal, masked, masked_order, pairs
from companion.objectives.contrastive import embed
from companion.pretraining.loop import evaluate
from companion.prompting import (
    Budget,
    HeadClassifier,
    PromptClassifier,
    Prompting,
    Template,
    Verbalizer,
    head_tuning,
    tune,
)
from companion.prompting.entities import EntityFinder
from companion.prompting.verbalizer import word_tokens
from companion.prompting.word_choice import log_probabilities, plain_words

WORDS = {"pos": ["great", "good"], "neg": ["awful", "bad"]}
TEXTS = ["the teacher paints the window .", "a small dog", "seven apples after the rain ."]
TEMPLATE = Template("{text} Because it was {mask}.")
family = pytest.mark.parametrize("family", tiny_models.FAMILIES)


@torch.no_grad()
def at_mask(model, tokenizer, text: str) -> torch.Tensor:
    """Log-probabilities at each mask, (masks, vocabulary), with nothing but transformers."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    return model(input_ids=ids).logits[ids == tokenizer.mask_token_id].log_softmax(-1)


def classifier(family: str, template=TEMPLATE, words=WORDS, **settings) -> PromptClassifier:
    model, tokenizer = tiny_models.pair(family)
    return PromptClassifier(model, template, Verbalizer(words), tokenizer=tokenizer, **settings)


@family
def test_fill(family):
    model, tokenizer = tiny_models.pair(family)
    answers = fill(model, tokenizer, "the teacher [MASK] the [MASK] .", 3)
    text = f"the teacher {tokenizer.mask_token} the {tokenizer.mask_token} ."
    best = at_mask(model, tokenizer, text).exp().topk(3)
    assert [[p for _, p in row] for row in answers] == pytest.approx(best.values.numpy(), abs=1e-5)
    assert [[token for token, _ in row] for row in answers] == [
        [tokenizer.decode([i]).strip() for i in row] for row in best.indices.tolist()]


@family
def test_prompt_classifier(family):
    model, tokenizer = tiny_models.pair(family)
    found = classifier(family, tokens=32)
    ids = [i for i, in found.verbalizer.tokens(tokenizer)]
    for text, scores in zip(TEXTS, found.scores(TEXTS)):
        words = at_mask(model, tokenizer, f"{text} Because it was {tokenizer.mask_token}.")[0, ids]
        slow = torch.stack([words[:2].logsumexp(0), words[2:].logsumexp(0)])
        torch.testing.assert_close(scores.softmax(0), slow.softmax(0), atol=2e-5, rtol=1e-4)


@family
def test_command_line(family, tmp_path, capsys):
    place = tiny_models.folder(family, tmp_path)
    assert main(["fill-mask", "seven [MASK] .", "--model", str(place), "--top", "2"]) == 0
    (answer,) = fill(*tiny_models.pair(family), "seven [MASK] .", 2)
    shown = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split() for line in shown] == [[f"{p:.3f}", *word.split()] for word, p in answer]


@family
def test_prompting(family):
    model, tokenizer = tiny_models.pair(family)
    asked = Prompting(model, tokenizer)
    scores = at_mask(model, tokenizer, f"it was {tokenizer.mask_token} .")[0].exp()
    for (token, found), best in zip(asked.prompt_pred("it was [MASK] ."), scores.sort().values.flip(0)):
        assert found.item() == pytest.approx(best.item(), rel=1e-3, abs=1e-6)
        assert scores[tokenizer.convert_tokens_to_ids(token)].item() == pytest.approx(
            found.item(), rel=1e-3, abs=1e-6)
    asked = Prompting(copy.deepcopy(model), tokenizer)
    asked.fine_tune(TEXTS[:2] * 2, [1, 0] * 2, "It was [MASK].", epochs=25, learning_rate=1e-2)
    assert asked.predict(TEXTS[:2]) == [1, 0]


@family
def test_words_of_the_vocabulary(family):
    """With padding in the batch, in the order of the texts."""
    model, tokenizer = tiny_models.pair(family)
    rows = list(range(6, 12))
    found = log_probabilities(model, tokenizer, TEMPLATE, TEXTS, rows, "fp32", tokens=64)
    for text, scores in zip(TEXTS, found):
        slow = at_mask(model, tokenizer, f"{text} Because it was {tokenizer.mask_token}.")[0, rows]
        torch.testing.assert_close(scores, slow, atol=1e-4, rtol=1e-4)


@family
def test_entities(family):
    model, tokenizer = tiny_models.pair(family)
    words = Verbalizer({"PER": "dog", "LOC": "window", "O": "river"})
    finder = EntityFinder(PromptClassifier(model, Template("{text} {span} was {mask}."), words,
                                           tokenizer=tokenizer), longest=1, only="all")
    text = "the small dog"
    ids = [i for i, in words.tokens(tokenizer)]
    for span in finder.scores([text])[0]:
        asked = f"{text} {text[span.start : span.end]} was {tokenizer.mask_token}."
        person, place, none = at_mask(model, tokenizer, asked)[0, ids].tolist()
        assert span.score == pytest.approx(max(person, place) - none, abs=1e-4)
        assert span.type == ("PER" if person > place else "LOC")


CHINESE = Verbalizer({"pos": ["好"], "neg": ["差"]})


@family
@pytest.mark.parametrize("pattern, begins", [
    ("{text}，很{mask}。", False), ("{text}{mask}", False), ("好{mask}：{text}", False),
    ("{mask}！{text}", True), ("{text} 很 {mask}。", True)])
def test_chinese_words_are_the_pieces_at_the_gap(family, pattern, begins):
    """Without the mark where there is no space; with it after one, if there is such a piece."""
    model, tokenizer = tiny_models.pair(family)
    template = Template(pattern)
    found = [i for i, in CHINESE.tokens(tokenizer, template.before)]
    assert [tokenizer.decode([i]) for i in found] == ["好", "差"]
    assert tokenizer.convert_ids_to_tokens(found[0]).startswith("▁") == (
        begins and "▁好" in tokenizer.get_vocab())
    one = PromptClassifier(model, template, CHINESE, tokenizer=tokenizer)
    words = at_mask(model, tokenizer, pattern.replace("{text}", "味道").replace(
        "{mask}", tokenizer.mask_token))[0, found]
    torch.testing.assert_close(one.predict_proba(["味道"])[0], words.softmax(0), atol=1e-5, rtol=1e-4)


@family
def test_chinese_words_in_prompting(family):
    """Texts with and without a space before the gap in one call; each as its own."""
    model, tokenizer = tiny_models.pair(family)
    asked, texts = Prompting(model, tokenizer), ["味道，很[MASK]。", "it is [MASK] 。", "[MASK]！味道"]
    odds = asked.log_odds(texts, ["好"], ["差"])
    for text, value in zip(texts, odds):
        ids = [i for i, in CHINESE.tokens(tokenizer, text[: text.index("[MASK]")])]
        scores = at_mask(model, tokenizer, text.replace("[MASK]", tokenizer.mask_token))[0, ids]
        assert value.item() == pytest.approx((scores[0] - scores[1]).item(), abs=1e-5)
    asked.prompt, asked.goodToken, asked.badToken = "很[MASK]。", "好", "差"
    ids = [i for i, in CHINESE.tokens(tokenizer, "很")]
    scores = at_mask(model, tokenizer, f"味道 很{tokenizer.mask_token}。")[0, ids]
    assert asked.predict(["味道"]) == [int(scores[0] >= scores[1])]


@family
def test_chinese_words_to_choose_from(family):
    _, tokenizer = tiny_models.pair(family)
    words = plain_words(tokenizer, "很", chinese=True)
    assert {"好", "差"} <= set(words)
    assert all((i,) == word_tokens(tokenizer, word, "很") for word, i in words.items())


@family
def test_loss_of_padded_rows(family):
    """Equal to the loss of the whole model, and to that of the same rows without padding."""
    model, tokenizer = tiny_models.pair(family)
    rows = np.array([tokenizer(text)["input_ids"][:6] for text in TEXTS[::2]])
    padded = np.pad(rows, ((0, 0), (0, 20)), constant_values=tokenizer.pad_token_id)
    collator = masked.MaskedLM(tokenizer, share=0.5)
    with torch.no_grad():
        losses = [masked.loss(model, collator(part)) for part in (rows, padded)]
        whole = model(**collator(padded)).loss
    assert losses == pytest.approx([whole.item()] * 2, abs=1e-5)
    found = [evaluate(model, collator, part) for part in (rows, padded)]
    assert found[1] == pytest.approx(found[0], abs=1e-5)
    assert found[0]["loss"] == pytest.approx(whole.item(), abs=1e-5)


@family
@pytest.mark.parametrize("part", ["all", "head", "prompt"])
def test_tuning_changes_its_part_alone(family, part):
    before = classifier(family)
    budget = Budget(steps=2, size=2, rate=1e-2, precision="no")
    after, _ = tune(before, TEXTS[:2], ["pos", "neg"], budget, part)
    encoder = {id(p) for p in before.model.base_model.parameters()}
    old = dict(before.model.named_parameters())
    changed = {name for name, p in after.model.named_parameters()
               if name in old and not torch.equal(p, old[name])}
    head = {name for name, p in old.items() if id(p) not in encoder}
    table = [m.model.get_input_embeddings().weight for m in (before, after)]
    assert head and changed & head == (head if part != "prompt" else set())
    assert (changed > head) == (part == "all") != torch.equal(*table)


@family
def test_vectors_of_padded_rows(family):
    model, tokenizer = tiny_models.pair(family)
    rows = [tokenizer(text, return_tensors="pt")["input_ids"] for text in TEXTS]
    with torch.no_grad():
        alone = torch.cat([model.base_model(row).last_hidden_state.mean(1) for row in rows])
    head = HeadClassifier(model, [0, 1], tokenizer=tokenizer)
    for found in (head.features(TEXTS), retrieval.encode(model, tokenizer, TEXTS)):
        torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-4)
    budget = Budget(steps=20, size=2, rate=1e-3, fresh_rate=0.1, precision="no")
    tuned, _ = head_tuning(head, TEXTS[:2], [0, 1], budget)
    assert tuned.predict(TEXTS[:2]) == [0, 1]


@family
def test_fill_in(family):
    """The rank of the hidden token among ordinary ones, by the whole model."""
    model, tokenizer = tiny_models.pair(family)
    rows = np.array([tokenizer(text, add_special_tokens=False)["input_ids"][:3] for text in TEXTS])
    ranks, nats = fill_in(model, tokenizer, rows, 1)
    for row, rank, loss in zip(rows.tolist(), ranks, nats):
        ids = [tokenizer.cls_token_id, row[0], tokenizer.mask_token_id, row[2], tokenizer.sep_token_id]
        with torch.no_grad():
            scores = model(torch.tensor([ids])).logits[0, 2]
        scores[tokenizer.all_special_ids] = -torch.inf
        assert rank == (scores > scores[row[1]]).sum()
        assert loss == pytest.approx(-scores.log_softmax(0)[row[1]].item(), abs=1e-4)


# --- what no model can answer -------------------------------------------------------------

LOST = "the model answers with NaN or infinity: its weights are damaged"
LONG = "length is 65, but the model has 64 positions: give at most 64"
NAMES = Verbalizer({"PER": "teacher", "O": "river"})
DOORS = {
    "fill": lambda m, t: fill(m, t, "it was [MASK] ."),
    "PromptClassifier": lambda m, t: PromptClassifier(
        m, TEMPLATE, Verbalizer(WORDS), tokenizer=t).predict(TEXTS),
    "HeadClassifier": lambda m, t: HeadClassifier(m, [0, 1], tokenizer=t).predict(TEXTS),
    "prompt_pred": lambda m, t: Prompting(m, t).prompt_pred("it was [MASK] ."),
    "Prompting.predict": lambda m, t: Prompting(m, t).predict(TEXTS),
    "compute_tokens_prob": lambda m, t: Prompting(m, t).compute_tokens_prob(
        "it was [MASK] .", ["good"], ["bad"]),
    "EntityFinder": lambda m, t: EntityFinder(PromptClassifier(
        m, Template("{text} {span} is {mask}."), NAMES, tokenizer=t)).predict(["The River"]),
    "log_probabilities": lambda m, t: log_probabilities(m, t, TEMPLATE, TEXTS, [7, 8]),
    "retrieval.encode": lambda m, t: retrieval.encode(m, t, TEXTS),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_weights_are_no_answer(door, value):
    model, tokenizer = tiny_models.pair("bert")
    model = copy.deepcopy(model)
    model.bert.encoder.layer[-1].output.LayerNorm.weight.data[3] = value
    with pytest.raises(CourseError, match=LOST) as problem:
        DOORS[door](model, tokenizer)
    assert "\n" not in str(problem.value)


BATCH = {"input_ids": torch.full((2, 65), 7), "labels": torch.ones(2, 65).long()}


@pytest.mark.parametrize("call", [
    lambda m, t: masked.loss(m, masked.MaskedLM(t)(np.full((2, 65), 7))),
    lambda m, t: evaluate(m, masked.MaskedLM(t), np.full((2, 65), 7)),
    lambda m, t: retrieval.encode(m, t, ["good " * 99], length=65),
    lambda m, t: embed(m, torch.full((2, 65), 7)),
    lambda m, t: causal.token_losses(tiny_families.model("causal")[0], [[3] * 65], 65, 32),
    lambda m, t: pairs.pair_logits(BertForPreTraining(m.config), input_ids=torch.full((2, 65), 7)),
    lambda m, t: pairs.order_loss(BertForTokenClassification(m.config), BATCH),
    lambda m, t: masked_order.loss(BertForPreTraining(m.config), BATCH | {"order": BATCH["labels"][0]}),
])
def test_rows_longer_than_the_model(call):
    with pytest.raises(CourseError, match=LONG):
        call(*tiny_models.pair("bert"))
