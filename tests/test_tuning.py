"""Prompt tuning, soft prompts and head fine-tuning: the loss, what changes, the same bits."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import CanineTokenizer, PreTrainedTokenizerFast

from companion.errors import CourseError
from companion.prompting import PromptClassifier, Template, Verbalizer
from companion.prompting import heads as heads_module
from companion.prompting import training as training_module
from companion.prompting import tuning as tune_module
from companion.prompting.heads import HeadClassifier, head_tuning
from companion.prompting.soft import SoftWords
from companion.prompting.training import Budget, batch_of
from companion.prompting.tuning import PARTS, Examples, tune

TOKENIZER = tiny.wordpiece(400)
ONE = {"in": ["house", "window"], "out": ["river", "story"]}  # one token each
SEVERAL = {"in": ["house", "windows"], "out": ["rivers", "story"]}  # one token or two
INSIDE = ["the teacher paints the window .", "a small dog watches the broken window .",
          "my brother paints the window .", "her neighbour watches the window ."]
OUTSIDE = ["the teacher paints the river .", "a small dog watches the river every winter .",
           "my brother paints the river .", "her neighbour watches the river ."]
TEXTS, LABELS = INSIDE + OUTSIDE, ["in"] * 4 + ["out"] * 4
QUICK = Budget(steps=4, size=3, rate=1e-2, seed=5, precision="no")


def model(family="bert", tokenizer=TOKENIZER, dropout=0.0):
    torch.manual_seed(3)
    return tiny.model(family, len(tokenizer), initializer_range=0.3, hidden_dropout_prob=dropout,
                      attention_probs_dropout_prob=dropout)


def prompts(words=ONE, made=None, pattern="{text} it was a {mask} .", tokenizer=TOKENIZER,
            **how):
    return PromptClassifier(made or model(), Template(pattern),
                            Verbalizer(words, several_tokens=True, **how), tokenizer=tokenizer)


def head(made=None, **how):
    return HeadClassifier(made or model(), ("in", "out"), tokenizer=TOKENIZER, **how)


def weights(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def changed(before, module):
    return {name for name, value in module.named_parameters() if name not in before
            or not torch.equal(value, before[name])}


# --- the loss -------------------------------------------------------------------------------

def slow_loss(classifier, texts, labels):
    """Text by text, the whole vocabulary, one pass for each label word."""
    losses = []
    for text, label in zip(texts, labels):
        scores = []
        for words in classifier.verbalizer.words.values():
            found = [slow_word(classifier, text, word) for word in words]
            scores.append(together(classifier, found))
        scores = torch.stack(scores) + classifier.bias
        losses.append(-scores.log_softmax(0)[list(classifier.labels).index(label)])
    return torch.stack(losses).mean()


def together(classifier, found):
    found = torch.stack(found)
    return found.mean() if classifier.verbalizer.aggregation == "mean" else found.logsumexp(0)


def slow_word(classifier, text, word):
    tokenizer = classifier.tokenizer
    pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
    filled = classifier.template.pattern.format(text=text, mask="[MASK]" * len(pieces))
    ids = tokenizer(filled, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        chances = classifier.model(input_ids=ids).logits[0].log_softmax(-1)
    places = (ids[0] == tokenizer.mask_token_id).nonzero().squeeze(1)
    return torch.stack([chances[place, piece] for place, piece in zip(places, pieces)]).mean()


@pytest.mark.parametrize("words", [ONE, SEVERAL], ids=["one token", "several"])
@pytest.mark.parametrize("aggregation", ["mean", "logsumexp"])
def test_loss_is_cross_entropy_over_label_words_the_slow_way(words, aggregation):
    classifier = prompts(words, aggregation=aggregation)
    classifier.bias = torch.tensor([0.3, -0.3])
    batch = [6, 1, 4]
    fast = Examples(classifier, TEXTS, LABELS).loss(batch)
    slow = slow_loss(classifier, [TEXTS[i] for i in batch], [LABELS[i] for i in batch])
    assert fast.requires_grad and fast.item() == pytest.approx(slow.item(), abs=1e-5)


def test_scores_in_training_are_those_of_the_classifier():
    classifier = prompts(SEVERAL).calibrate("prior", TEXTS)
    with torch.no_grad():
        ours = Examples(classifier, TEXTS, LABELS).scores(range(8))
    assert torch.allclose(ours, classifier.scores(TEXTS), atol=1e-5)


def test_a_word_that_stands_for_no_label_does_not_count():
    """The loss stays when logits of all other words change."""
    classifier = prompts()
    examples = Examples(classifier, TEXTS, LABELS)
    before = examples.loss(range(8)).item()
    used = {i for ids in examples.words for i in ids}
    bias = classifier.model.cls.predictions.decoder.bias
    bias.data[[i for i in range(len(bias)) if i not in used]] += 3.0
    assert examples.loss(range(8)).item() == pytest.approx(before, abs=1e-6)


def test_loss_of_the_first_step_is_that_of_the_untrained_model():
    """Without dropout: nothing starts at random, and the batch is the one that is announced."""
    classifier = prompts()
    batch = batch_of(0, 8, QUICK)
    slow = slow_loss(classifier, [TEXTS[i] for i in batch], [LABELS[i] for i in batch]).item()
    for part in PARTS:
        assert tune(classifier, TEXTS, LABELS, QUICK, part)[1][0] == pytest.approx(slow, abs=1e-5)


def test_loss_of_head_tuning_is_cross_entropy():
    start = head(seed=5)
    _, losses = head_tuning(start, TEXTS, LABELS, QUICK, dropout=0.0)
    batch = batch_of(0, 8, QUICK)
    targets = torch.tensor([start.labels.index(LABELS[i]) for i in batch])
    slow = cross_entropy(start.scores([TEXTS[i] for i in batch]), targets)
    assert losses[0] == pytest.approx(slow.item(), abs=1e-5)


# --- what changes ---------------------------------------------------------------------------

def test_all_weights_learn():
    classifier = prompts()
    before = weights(classifier.model)
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK, "all")
    # Unused: positions and segments that do not occur count as used, because decay moves them.
    assert changed(before, tuned.model) == set(before)


@pytest.mark.parametrize("family, prefix", [("bert", "cls."), ("albert", "predictions."),
                                            ("roberta", "lm_head.")])
def test_head_alone_leaves_the_encoder_and_its_table(family, prefix):
    tokenizer = TOKENIZER
    classifier = prompts(made=model(family))
    before = weights(classifier.model)
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK, "head")
    moved = changed(before, tuned.model)
    assert moved and all(name.startswith(prefix) for name in moved)
    assert not any("decoder.weight" in name for name in moved), tokenizer
    assert torch.equal(tuned.model.get_input_embeddings().weight,
                       classifier.model.get_input_embeddings().weight)


def test_prompt_alone_leaves_the_model():
    classifier = prompts()
    before = weights(classifier.model)
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK, "prompt")
    after = {name.replace("word_embeddings.words.", "word_embeddings."): value
             for name, value in tuned.model.named_parameters()}
    moved = {name for name in after if name not in before
             or not torch.equal(after[name], before[name])}
    assert len(moved) == 1 and moved.pop().endswith("soft")
    soft = tuned.model.get_input_embeddings().soft
    rows = TOKENIZER("it was a .", add_special_tokens=False)["input_ids"]
    assert soft.shape == (len(rows), 16)
    start = classifier.model.get_input_embeddings().weight[rows]
    assert (soft - start).abs().amax(1).min() > 0  # every vector has moved


@pytest.mark.parametrize("part", PARTS)
def test_the_given_model_is_not_modified(part):
    classifier = prompts()
    before, bias = weights(classifier.model), classifier.bias
    scores = classifier.scores(TEXTS)
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK, part)
    assert not changed(before, classifier.model) and classifier.bias is bias
    assert torch.equal(scores, classifier.scores(TEXTS))
    assert not torch.equal(scores, tuned.scores(TEXTS))
    for parameter in [*classifier.model.parameters(), *tuned.model.parameters()]:
        assert parameter.requires_grad and parameter.grad is None
    assert not classifier.model.training and not tuned.model.training


def test_in_place_trains_the_given_model_to_the_same_weights():
    copied, _ = tune(prompts(), TEXTS, LABELS, QUICK)
    given_model = model()
    tuned, _ = tune(prompts(made=given_model), TEXTS, LABELS, QUICK, in_place=True)
    assert tuned.model is given_model
    assert not changed(weights(copied.model), given_model)


def test_head_tuning_moves_encoder_and_head_of_a_copy():
    start = head()
    before, linear = weights(start.model), weights(start.head)
    tuned, _ = head_tuning(start, TEXTS, LABELS, QUICK)
    assert not changed(before, start.model) and not changed(linear, start.head)
    moved = changed(before, tuned.model)
    assert {name for name in before if name.startswith("bert.")} == moved
    assert changed(linear, tuned.head) == set(linear)
    same, _ = head_tuning(start, TEXTS, LABELS, QUICK, in_place=True)
    assert same is start and not changed(weights(tuned.model), start.model)


# --- the same bits, and settings that matter ------------------------------------------------

DROPPING = model(dropout=0.1)


def learners():
    yield from ((part, lambda budget, part=part: tune(
        prompts(made=DROPPING), TEXTS, LABELS, budget, part)) for part in PARTS)
    yield "fine", lambda budget: head_tuning(head(DROPPING), TEXTS, LABELS, budget)


@pytest.mark.parametrize("learn", [l for _, l in learners()], ids=[n for n, _ in learners()])
def test_same_seed_same_weights_another_seed_others(learn):
    torch.manual_seed(1)
    one, first = learn(QUICK)
    torch.manual_seed(2)
    torch.rand(7)  # another state of the global generator
    state = torch.get_rng_state()
    two, second = learn(QUICK)
    assert torch.equal(state, torch.get_rng_state())
    assert first == second and not changed(weights(one.model), two.model)
    three, _ = learn(replace(QUICK, seed=6))
    assert changed(weights(one.model), three.model)


@pytest.mark.parametrize("change", [{"steps": 5}, {"size": 2}, {"rate": 1e-3}, {"warmup": 1.0},
                                    {"decay": 0.5}, {"precision": "bf16"}])
def test_every_setting_changes_the_result(change):
    budget = replace(QUICK, warmup=0.5)
    one, _ = tune(prompts(), TEXTS, LABELS, budget)
    other, _ = tune(prompts(), TEXTS, LABELS, replace(budget, **change))
    assert changed(weights(one.model), other.model)


def test_decay_is_for_tables_alone():
    budget = replace(QUICK, steps=1, warmup=0, decay=0)
    one, _ = tune(prompts(), TEXTS, LABELS, budget)
    other, _ = tune(prompts(), TEXTS, LABELS, replace(budget, decay=0.5))
    tables = {name for name, value in one.model.named_parameters() if value.ndim > 1}
    assert changed(weights(one.model), other.model) == tables < set(weights(one.model))


def test_dropout_stands_before_the_linear_layer():
    """The model here has none of its own."""
    with_it, without = (head_tuning(head(), TEXTS, LABELS, QUICK, dropout=share)[1][0]
                        for share in (0.5, 0.0))
    assert with_it != without


def test_generators_are_as_good_as_lists():
    for learn, start in ((tune, prompts()), (head_tuning, head())):
        _, one = learn(start, TEXTS, LABELS, QUICK)
        _, two = learn(start, (text for text in TEXTS), (label for label in LABELS), QUICK)
        assert one == two
    assert torch.equal(head().scores(text for text in TEXTS), head().scores(TEXTS))
    assert HeadClassifier(model(), iter(("in", "out")), tokenizer=TOKENIZER).labels == ("in", "out")


def test_fresh_rate_is_for_the_linear_layer_alone():
    one, _ = head_tuning(head(), TEXTS, LABELS, replace(QUICK, steps=1, warmup=0))
    other, _ = head_tuning(head(), TEXTS, LABELS, replace(QUICK, steps=1, warmup=0,
                                                          fresh_rate=1e-3))
    assert not changed(weights(one.model), other.model)
    assert changed(weights(one.head), other.head) == {"weight", "bias"}


@given(count=st.integers(1, 20), size=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_batches_use_every_example_before_any_again(count, size, seed):
    budget = Budget(size=size, seed=seed)
    order = [i for step in range(2 * count) for i in batch_of(step, count, budget)]
    assert all(len(batch_of(step, count, budget)) == min(size, count) for step in range(5))
    for start in range(0, len(order) - count + 1, count):
        assert sorted(order[start:start + count]) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    budget = Budget(size=30)
    assert batch_of(0, 30, budget) != batch_of(1, 30, budget)
    assert batch_of(0, 30, budget) != batch_of(0, 30, replace(budget, seed=1))


# --- learning -------------------------------------------------------------------------------

@pytest.mark.parametrize("part, rate", [("all", 1e-2), ("head", 5e-2), ("prompt", 1.0)])
def test_a_separable_toy_is_learned(part, rate):
    tuned, losses = tune(prompts(), TEXTS, LABELS,
                         Budget(steps=60, size=8, rate=rate, precision="no"), part)
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert tuned.evaluate(TEXTS, LABELS)["accuracy"] >= (0.75 if part == "prompt" else 1)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_head_learns_the_toy_too(pooling):
    tuned, losses = head_tuning(head(pooling=pooling), TEXTS, LABELS,
                                Budget(steps=60, size=8, rate=1e-2, precision="no"))
    assert losses[0] == pytest.approx(math.log(2), abs=0.2)
    assert tuned.evaluate(TEXTS, LABELS)["accuracy"] == 1
    assert torch.allclose(tuned.predict_proba(TEXTS).sum(1), torch.ones(8))


# --- soft prompts ---------------------------------------------------------------------------

@pytest.mark.parametrize("family, tokenizer", [
    ("bert", tiny.wordpiece()), ("roberta", tiny.byte_bpe()), ("albert", tiny.sentencepiece())])
@pytest.mark.parametrize("pattern", ["{text} it was a {mask} .", "the {mask} story : {text}"])
def test_before_training_a_soft_prompt_is_the_template(family, tokenizer, pattern):
    made = model(family, tokenizer)
    classifier = prompts({0: ["window", "win"], 1: ["river", "bro"]}, made, pattern, tokenizer)
    still, _ = tune(classifier, TEXTS, [0, 1] * 4, replace(QUICK, steps=1, rate=1e-30), "prompt")
    assert isinstance(still.model.get_input_embeddings(), SoftWords)
    assert torch.allclose(still.scores(TEXTS), classifier.scores(TEXTS), atol=1e-5)


def test_soft_words_are_in_the_template_only():
    """The text has words of the template, too: they keep their vectors."""
    tuned, _ = tune(prompts(), TEXTS, LABELS, QUICK, "prompt")
    row = tuned.template.encode(TOKENIZER, ["it was a window ."], 64).ids[0]
    own = TOKENIZER("it was a window .", add_special_tokens=False)["input_ids"]
    assert row[1:1 + len(own)] == own
    assert [i - len(TOKENIZER) for i in row if i >= len(TOKENIZER)] == list(
        range(len(tuned.model.get_input_embeddings().soft)))


def joining():
    """Byte-level BPE that writes "!." as one token."""
    tokenizer = tiny.byte_bpe()
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["model"]["vocab"]["!."] = len(tokenizer)
    state["model"]["merges"].append(["!", "."])
    backend = Tokenizer.from_str(json.dumps(state))
    special = {name: getattr(tokenizer, name) for name in (
        "cls_token", "pad_token", "sep_token", "unk_token", "mask_token")}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def test_a_text_that_grows_together_with_a_soft_prompt_is_refused():
    tokenizer = joining()
    made = model("roberta", tokenizer)
    classifier = prompts({0: ["window", "win"], 1: ["river", "bro"]}, made,
                         "{text}. it was a {mask} .", tokenizer)
    still, _ = tune(classifier, TEXTS, [0, 1] * 4, replace(QUICK, steps=1, rate=1e-30), "prompt")
    assert torch.allclose(still.scores(["the river"]), classifier.scores(["the river"]), atol=1e-5)
    with pytest.raises(CourseError, match="text 1 changes the tokens .*: put a space between"):
        still.scores(["the river", "the river!"])
    assert still.template.encode(tokenizer, ["the river! a"], 64)  # no touch, no refusal


def test_a_long_text_is_cut_and_soft_words_stay():
    classifier = prompts()
    classifier.max_length = 16
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK, "prompt")
    row = tuned.template.encode(TOKENIZER, [" ".join(TEXTS)], 16)
    assert len(row.ids[0]) == 16 and row.truncated[0] > 0
    assert sum(i >= len(TOKENIZER) for i in row.ids[0]) == len(
        tuned.model.get_input_embeddings().soft)


# --- rows of the head -----------------------------------------------------------------------

def test_head_vectors_are_those_of_one_text_alone():
    start = head()
    for text, vector in zip(TEXTS, start.features(TEXTS)):
        ids = TOKENIZER(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = start.model.bert(input_ids=ids).last_hidden_state[0]
        assert torch.allclose(vector, states.mean(0), atol=1e-5)


@pytest.mark.parametrize("cut", ["end", "beginning"])
def test_a_cut_of_the_head_is_counted(cut):
    start = head(cut=cut)
    start.max_length = 7
    (row,) = start.encode([TEXTS[1]])
    whole = TOKENIZER(TEXTS[1])["input_ids"]
    inner = whole[1:6] if cut == "end" else whole[-6:-1]
    assert row == [whole[0], *inner, whole[-1]] and start.truncated == [len(whole) - 7]
    assert start.evaluate([TEXTS[1]], ["in"])["truncated"] == 1


# --- refusals -------------------------------------------------------------------------------

@pytest.mark.parametrize("match, call", [
    ("there are no texts: give", lambda: tune(prompts(), [], [])),
    ("8 texts but 7 labels: give", lambda: tune(prompts(), TEXTS, LABELS[1:])),
    ("this is one text: give", lambda: tune(prompts(), TEXTS[0], ["in"])),
    ("label 'up' is none of 'in', 'out': use", lambda: tune(prompts(), TEXTS[:1], ["up"])),
    ("is empty: leave it out", lambda: tune(prompts(), ["  "], ["in"])),
    ("part is 'body': give one of all, head, prompt",
     lambda: tune(prompts(), TEXTS, LABELS, part="body")),
    ("changes the form of the model: leave",
     lambda: tune(prompts(), TEXTS, LABELS, part="prompt", in_place=True)),
    ("loss is nan at step 2: lower", lambda: tune(prompts(), TEXTS, LABELS,
                                                  replace(QUICK, rate=1e30, warmup=0))),
    ("has no word of its own: add", lambda: tune(prompts(pattern="{text} {mask}"), TEXTS, LABELS,
                                                 part="prompt")),
    ("one text and one mask: tune", lambda: tune(
        prompts(pattern="{a} it {mask} {b}"), [{"a": "the", "b": "dog"}], ["in"], part="prompt")),
    ("grows together with its text: put a space", lambda: tune(
        prompts(pattern="{text}fter it was a {mask} ."), TEXTS, LABELS, part="prompt")),
    ("texts is a NoneType: give", lambda: tune(prompts(), None, LABELS)),
    ("labels is a NoneType: give", lambda: tune(prompts(), TEXTS, None)),
    ("labels is a str: give", lambda: tune(prompts(), TEXTS[:2], "in")),
    ("texts is a dict: give a list", lambda: tune(prompts(), {"text": "a dog"}, ["in"])),
    ("texts is a NoneType: give", lambda: head_tuning(head(), None, LABELS)),
    ("dropout is 1: give a share", lambda: head_tuning(head(), TEXTS, LABELS, dropout=1)),
    ("this is one text: give", lambda: head().predict("a dog")),
    ("texts is a NoneType: give", lambda: head().predict(None)),
    ("labels is a NoneType: give", lambda: HeadClassifier(model(), None, tokenizer=TOKENIZER)),
    ("in training mode, .*: call model.eval", lambda: head(model().train())),
    ("pooling is 'max': give", lambda: head(pooling="max")),
    ('cut is \'End\': use "end"', lambda: head(cut="End")),
    ("CanineTokenizer is a slow tokenizer: use a fast tokenizer", lambda: HeadClassifier(
        model(), ("in", "out"), tokenizer=CanineTokenizer()).encode(["a"])),
    ("steps is 2.5: give", lambda: Budget(steps=2.5)),
    ("steps is of type NoneType: give", lambda: Budget(steps=None)),
    ("size is 1.5: give", lambda: Budget(size=1.5)),
    ("rate is of type NoneType: give", lambda: Budget(rate=None)),
    ("rate is of type str: give", lambda: Budget(rate="1e-3")),
    ("warmup is of type NoneType: give", lambda: Budget(warmup=None)),
    ("decay is -1: give", lambda: Budget(decay=-1)),
    ("decay is nan: give", lambda: Budget(decay=math.nan)),
    ("seed is -1: give", lambda: Budget(seed=-1)),
    ("seed is 1.5: give", lambda: Budget(seed=1.5)),
    ("has a soft prompt already: begin", lambda: tune(
        tune(prompts(), TEXTS, LABELS, QUICK, "prompt")[0], TEXTS, LABELS, QUICK, "prompt")),
    ("there are no texts: give", lambda: head_tuning(head(), [], [])),
    ("label 'up' is none of", lambda: head_tuning(head(), TEXTS[:1], ["up"])),
    ("text 0 has no token: leave", lambda: head().predict(["\u0301"])),
    ("text 0 is empty: leave", lambda: head().predict(["\u200b\0"])),
    ("text 1 is empty: leave", lambda: head_tuning(head(), ["a dog", " "], LABELS[:2])),
    ("fewer than two labels: give",
     lambda: HeadClassifier(model(), ["in"], tokenizer=TOKENIZER)),
    ("unknown precision 'half': use",
     lambda: HeadClassifier(model(), ["in", "out"], tokenizer=TOKENIZER, precision="half")),
    ("steps is 0: give", lambda: Budget(steps=0)),
    ("size is 0: give", lambda: Budget(size=0)),
    ("rate is 0: give", lambda: Budget(rate=0)),
    ("fresh_rate is nan: give", lambda: Budget(fresh_rate=math.nan)),
    ("warmup is 2: give", lambda: Budget(warmup=2)),
    ("precision is 'half': give", lambda: Budget(precision="half")),
])
def test_what_cannot_be_used_is_refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("steps, match", [
    (4, "loss is nan at step 2: lower"), (1, "weights that are no numbers: lower the rate")])
def test_after_a_loss_that_is_not_finite_the_model_is_usable_again(steps, match):
    made = model()
    before, broken = weights(made), replace(QUICK, steps=steps, rate=1e39, warmup=0)
    with pytest.raises(CourseError, match=match):
        tune(prompts(made=made), TEXTS, LABELS, broken, in_place=True)
    assert not made.training and all(p.requires_grad for p in made.parameters())
    assert not changed(before, made)
    start = head()
    before, linear = weights(start.model), weights(start.head)
    with pytest.raises(CourseError, match=match):
        head_tuning(start, TEXTS, LABELS, broken, in_place=True)
    assert not changed(before, start.model) and not changed(linear, start.head)


# --- broken copies --------------------------------------------------------------------------

def everything(model, part):
    """Broken: every part trains all weights."""
    return list(model.parameters())


def with_the_table(model, part):
    """Broken: the table of the embeddings is trained with the head."""
    return list(model.cls.parameters())


def first_places(step, count, budget):
    """Broken: every batch is the same one."""
    return list(range(min(budget.size, count)))


def without_bias(self, batch):
    """Broken: the calibration is forgotten in training."""
    return SCORES(self, batch) - self.classifier.bias


def flipped(self, batch):
    """Broken: the loss of another label order."""
    return cross_entropy(self.scores(batch).flip(-1), self.targets[list(batch)])


def shared(thing, *_):
    """Broken: no copy."""
    return thing


SCORES = Examples.scores
BROKEN = [
    (tune_module, "wanted", everything, lambda:
        test_head_alone_leaves_the_encoder_and_its_table("bert", "cls.")),
    (tune_module, "wanted", everything, test_prompt_alone_leaves_the_model),
    (tune_module, "wanted", with_the_table, lambda:
        test_head_alone_leaves_the_encoder_and_its_table("bert", "cls.")),
    (training_module, "batch_of", first_places,
     test_loss_of_the_first_step_is_that_of_the_untrained_model),
    (Examples, "scores", without_bias, test_scores_in_training_are_those_of_the_classifier),
    (Examples, "loss", flipped, lambda:
        test_loss_is_cross_entropy_over_label_words_the_slow_way(ONE, "mean")),
    (tune_module.copy, "deepcopy", shared, lambda: test_the_given_model_is_not_modified("all")),
    (heads_module.copy, "deepcopy", shared, test_head_tuning_moves_encoder_and_head_of_a_copy),
]


@pytest.mark.parametrize("place, name, broken, test", BROKEN, ids=[b[2].__doc__ for b in BROKEN])
def test_a_broken_copy_is_caught(place, name, broken, test, monkeypatch):
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(AssertionError):
        test()


def test_a_classifier_can_be_copied():
    """`tune` copies the classifier flatly: nothing of the copy may reach the original."""
    classifier = prompts()
    tuned, _ = tune(classifier, TEXTS, LABELS, QUICK)
    tuned.calibrate("median", TEXTS)
    assert not classifier.bias.any() and copy.copy(classifier).labels == classifier.labels
