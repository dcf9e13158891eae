"""Abilities: the three kinds answer the same question, and see what they may see."""

import numpy as np
import pytest
import tiny
import tiny_families as families
import torch

from companion import abilities
from companion.errors import CourseError
from companion.families import encoder_of, framed, kind_of, logits, ordinary
from companion.ngrams import KneserNey
from companion.objectives import spans
from companion.objectives.causal import CausalLM
from companion.objectives.masked import IGNORE
from companion.tokenization import encode

EACH = pytest.mark.parametrize("kind", families.KINDS)


@pytest.fixture(scope="module")
def loaded():
    return {kind: families.model(kind) for kind in families.KINDS}


@pytest.fixture(scope="module")
def rows():
    """Ten rows of 20 ordinary tokens."""
    ids = [row[:20] for row in encode(families.tokenizer(), tiny.texts(10))]
    return torch.tensor(ids)


# --- one interface ------------------------------------------------------------------------


@EACH
def test_kinds_are_told_apart(loaded, kind):
    assert kind_of(loaded[kind][0]) == kind


def test_a_model_without_a_head_is_refused(loaded):
    with pytest.raises(CourseError, match="of another kind: give"):
        kind_of(loaded["masked"][0].base_model)


@EACH
def test_frame_is_that_of_training(loaded, kind):
    _, tokenizer = loaded[kind]
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    expected = {"masked": [cls, 7, 8, sep], "causal": [sep, 7, 8], "spans": [sep, 7, 8, sep]}
    assert framed(kind, tokenizer, torch.tensor([[7, 8]])).tolist() == [expected[kind]]


@EACH
def test_special_tokens_are_no_answer(loaded, rows, kind):
    model, tokenizer = loaded[kind]
    found = logits(model, tokenizer, rows[:, :8], rows[:, 9:])
    banned = torch.isinf(found).all(0).nonzero().flatten().tolist()
    assert len(banned) == 5 + 4 * (kind == "spans")
    assert set(tokenizer.all_special_ids) <= set(banned)
    assert torch.isfinite(found[:, ordinary(tokenizer, found.shape[1])]).all()


def test_the_three_choose_among_the_same_tokens(loaded):
    allowed = [ordinary(t, len(t)).nonzero().flatten().tolist() for _, t in loaded.values()]
    assert allowed[0] == allowed[1] == allowed[2]


@EACH
def test_only_a_causal_model_does_not_see_the_right_side(loaded, rows, kind):
    model, tokenizer = loaded[kind]
    changed = rows.clone()
    changed[:, 12] = torch.where(rows[:, 12] == 50, 51, 50)
    one, two = (logits(model, tokenizer, r[:, :8], r[:, 9:]) for r in (rows, changed))
    assert torch.equal(one, two) == (kind == "causal")


@EACH
def test_all_see_the_left_side(loaded, rows, kind):
    model, tokenizer = loaded[kind]
    changed = rows.clone()
    changed[:, 2] = torch.where(rows[:, 2] == 50, 51, 50)
    one, two = (logits(model, tokenizer, r[:, :8], r[:, 9:]) for r in (rows, changed))
    assert not torch.allclose(one, two)


@EACH
def test_dropout_is_off_and_the_mode_stays(rows, kind):
    model, tokenizer = families.model(kind)
    model.train()
    one, two = (logits(model, tokenizer, rows[:, :8]) for _ in range(2))
    assert torch.equal(one, two) and model.training


def test_masked_answers_as_the_whole_model(loaded, rows):
    model, tokenizer = loaded["masked"]
    ids = framed("masked", tokenizer, rows)
    ids[:, 9] = tokenizer.mask_token_id  # place 8 of the text
    with torch.inference_mode():
        theirs = model(ids).logits[:, 9]
    ours = logits(model, tokenizer, rows[:, :8], rows[:, 9:])
    allowed = ordinary(tokenizer, ours.shape[1])
    assert torch.allclose(ours[:, allowed], theirs[:, allowed], atol=1e-5)


def test_causal_answers_as_in_training(loaded, rows):
    model, tokenizer = loaded["causal"]
    batch = CausalLM(tokenizer)(framed("causal", tokenizer, rows))
    with torch.inference_mode():
        theirs = model(batch["input_ids"]).logits[:, 8]  # what comes after 8 tokens of text
    ours = logits(model, tokenizer, rows[:, :8])
    allowed = ordinary(tokenizer, ours.shape[1])
    assert torch.allclose(ours[:, allowed], theirs[:, allowed], atol=1e-5)
    assert (batch["labels"][:, 9] == rows[:, 8]).all()


def test_spans_answer_as_in_training(loaded, rows):
    """The batch of span corruption with one span of one token, and its second label."""
    model, tokenizer = loaded["spans"]
    marks, eos = spans.sentinels(tokenizer), tokenizer.eos_token_id
    pairs = [spans.encode([eos, *row], [(9, 10)], marks) for row in rows.tolist()]
    batch = {"input_ids": torch.tensor([[*inputs, eos] for inputs, _ in pairs]),
             "labels": torch.tensor([[*targets, eos] for _, targets in pairs])}
    with torch.inference_mode():
        theirs = spans.logits(model, batch)[:, 1]
    assert (batch["labels"][:, 1] == rows[:, 8]).all() and (batch["labels"] != IGNORE).all()
    ours = logits(model, tokenizer, rows[:, :8], rows[:, 9:])
    allowed = ordinary(tokenizer, ours.shape[1])
    assert torch.allclose(ours[:, allowed], theirs[:, allowed], atol=1e-5)


# --- classification -----------------------------------------------------------------------


@EACH
def test_features_do_not_depend_on_the_batch(loaded, kind):
    model, tokenizer = loaded[kind]
    texts = ["the teacher", *tiny.texts(5), "a small dog watches the river ."]
    one, two = (abilities.features(model, tokenizer, texts, 30, batch) for batch in (1, 4))
    assert one.shape == (7, 16) and np.allclose(one, two, atol=1e-5)
    assert len(np.unique(one.round(4), axis=0)) == 7


@EACH
def test_features_are_the_mean_over_the_text_alone(loaded, kind):
    model, tokenizer = loaded[kind]
    ids = torch.tensor([tokenizer("the old gardener", add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        states = encoder_of(model)(framed(kind, tokenizer, ids)).last_hidden_state
    expected = states[0, 1 : ids.shape[1] + 1].mean(0)
    found = abilities.features(model, tokenizer, ["the old gardener"])
    assert np.allclose(found[0], expected, atol=1e-5)


@EACH
def test_features_read_the_first_tokens_only(loaded, kind):
    model, tokenizer = loaded[kind]
    begin = "the teacher watches the river ."
    count = len(tokenizer(begin, add_special_tokens=False)["input_ids"])
    texts = [begin, begin + " my brother forgets it ."]
    found = abilities.features(model, tokenizer, texts, count)
    assert np.allclose(found[0], found[1], atol=1e-6)
    assert not np.allclose(*abilities.features(model, tokenizer, texts, count + 1))


def test_texts_that_are_cut_are_counted():
    made = families.tokenizer()
    rows, longer = abilities.first_tokens(made, ["the dog", *tiny.texts(3)], 10)
    assert longer == 3 and [len(row) for row in rows[1:]] == [10, 10, 10]


@pytest.mark.parametrize(("texts", "length"), [([], 5), (["the dog", ""], 5), (["the dog"], 0)])
def test_nothing_to_read_is_refused(texts, length):
    with pytest.raises(CourseError, match="nothing to read: give texts"):
        abilities.first_tokens(families.tokenizer(), texts, length)


# --- fill-in ------------------------------------------------------------------------------


@EACH
def test_rank_and_loss_of_the_hidden_token(loaded, rows, kind):
    model, tokenizer = loaded[kind]
    ranks, nats = abilities.fill_in(model, tokenizer, rows, 8, batch=3)
    shares = logits(model, tokenizer, rows[:, :8], rows[:, 9:]).softmax(1)
    order = shares.argsort(1, descending=True)
    for row, best, rank, loss, share in zip(rows, order, ranks, nats, shares):
        assert best[rank] == row[8] and loss == pytest.approx(-share[row[8]].log().item(), abs=1e-4)
    assert len(set(ranks.tolist())) > 1


@EACH
def test_the_hidden_token_is_hidden(loaded, rows, kind):
    """All tokens at the place: the sum of their probabilities is 1."""
    model, tokenizer = loaded[kind]
    answers = ordinary(tokenizer, len(tokenizer)).nonzero().flatten()
    each = rows[:1].repeat(len(answers), 1)
    each[:, 8] = answers
    ranks, nats = abilities.fill_in(model, tokenizer, each, 8)
    assert np.exp(-nats).sum() == pytest.approx(1, abs=1e-4)
    assert sorted(ranks.tolist()) == list(range(len(answers)))


def test_equal_probabilities_are_no_right_answer(rows):
    model, tokenizer = families.model("causal")
    torch.nn.init.zeros_(model.lm_head.weight)
    ranks, nats = abilities.fill_in(model, tokenizer, rows, 8)
    size = len(tokenizer) - 5
    assert (ranks == (size - 1) // 2).all() and np.allclose(nats, np.log(size))


@pytest.mark.parametrize("at", [-1, 0, 19, 20])
def test_a_place_without_both_sides_is_refused(loaded, rows, at):
    with pytest.raises(CourseError, match="give a place inside"):
        abilities.fill_in(*loaded["masked"], rows, at)


def test_a_hidden_special_token_is_refused(loaded, rows):
    special = rows.clone()
    special[4, 8] = 1
    with pytest.raises(CourseError, match="leave its row out"):
        abilities.fill_in(*loaded["masked"], special, 8)


# --- generation ---------------------------------------------------------------------------


@EACH
def test_continuations_are_ordinary_and_repeatable(loaded, rows, kind):
    model, tokenizer = loaded[kind]
    one, two = (abilities.continuations(model, tokenizer, rows[:, :6], 9) for _ in range(2))
    other = abilities.continuations(model, tokenizer, rows[:, :6], 9, seed=1)
    assert one.shape == (10, 9) and (one == two).all() and (one != other).any()
    assert ordinary(tokenizer, len(tokenizer))[torch.from_numpy(one)].all()


def peaked(model):
    """The same model with scores so far apart that drawing is taking the best."""
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight * 1e4)  # untied from the input embeddings
    return model


def test_causal_continues_as_generate(rows):
    model, tokenizer = families.model("causal")
    model = peaked(model)
    ids = framed("causal", tokenizer, rows[:, :6])
    theirs = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                            max_new_tokens=9, suppress_tokens=sorted(tokenizer.all_special_ids),
                            pad_token_id=0)
    ours = abilities.continuations(model, tokenizer, rows[:, :6], 9)
    assert (torch.from_numpy(ours) == theirs[:, ids.shape[1]:]).all()


def test_spans_continue_as_generate(rows):
    model, tokenizer = families.model("spans")
    model = peaked(model)
    marks = spans.sentinels(tokenizer)
    text = torch.cat([rows[:, :6], rows.new_full((10, 1), marks[0])], 1)
    begin = torch.tensor([[0, marks[0]]]).expand(10, -1)
    banned = [*tokenizer.all_special_ids, *marks]
    theirs = model.generate(framed("spans", tokenizer, text), decoder_input_ids=begin,
                            do_sample=False, max_new_tokens=9, suppress_tokens=banned)
    ours = abilities.continuations(model, tokenizer, rows[:, :6], 9)
    assert (torch.from_numpy(ours) == theirs[:, 2:]).all()


def test_masked_continues_gap_by_gap(rows):
    model, tokenizer = families.model("masked")
    model = peaked(model)
    ours = torch.from_numpy(abilities.continuations(model, tokenizer, rows[:, :6], 4))
    for i in range(4):
        text = torch.cat([rows[:, :6], ours[:, :i]], 1)
        assert (logits(model, tokenizer, text).argmax(1) == ours[:, i]).all()


def test_draws_follow_the_probabilities():
    model, tokenizer = families.model("causal")
    prompt = torch.tensor([[9, 10, 11]])
    drawn = abilities.continuations(model, tokenizer, prompt.repeat(4000, 1), 1)[:, 0]
    shares = logits(model, tokenizer, prompt)[0].softmax(0)
    counted = np.bincount(drawn, minlength=len(tokenizer)) / 4000
    assert np.abs(counted - shares.numpy()).max() < 0.03  # four standard errors
    assert shares.max() < 0.9


def test_bits_are_those_of_the_continuation_alone():
    documents = [[3, 7, 8, 9, 7, 8, 10], [3, 7, 8, 9, 10, 10]]
    ngrams = KneserNey.fit(documents, 12)
    whole = -ngrams.log_probs([3, 7, 8, 9, 10]) / np.log(2)
    assert abilities.bits(ngrams, [[7, 8]], [[9, 10]]) == pytest.approx(whole[2:].mean())
    assert abilities.bits(ngrams, [[7, 8]], [[11, 11]]) > abilities.bits(ngrams, [[7, 8]], [[9, 7]])


def test_repeated_tokens():
    assert abilities.repeated([[1, 2, 3, 4]]) == 0
    assert abilities.repeated([[5, 5, 5, 5], [1, 2, 1, 2]]) == pytest.approx((0.75 + 0.5) / 2)
