"""`Prompting`: every call and shape of the article, right inside, and bad input refused."""

import copy
import inspect

import pytest
import tiny
import tiny_article as small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoTokenizer, BertForSequenceClassification

from companion import checkpoints
from companion.errors import CourseError
from companion.prompting import Prompting
from companion.prompting.literal import LiteralPrompting
from companion.prompting.verbalizer import vocabulary_words

ASKED = f"{small.PRAISE} {small.PROMPT}"


@pytest.fixture(scope="module")
def asked():
    """One object for the tests that change no weight."""
    return small.prompting()


@pytest.fixture
def fresh():
    return small.prompting()


def oracle(prompting, text):
    """Log-probabilities at the mask by the whole Hugging Face model, one text at a time."""
    ids = prompting.tokenizer(text.replace("[MASK]", prompting.tokenizer.mask_token),
                              return_tensors="pt")["input_ids"]
    place = ids[0].tolist().index(prompting.tokenizer.mask_token_id)
    with torch.no_grad():
        return prompting.model(input_ids=ids).logits[0, place].log_softmax(-1)


def weights(prompting):
    return copy.deepcopy(prompting.model.state_dict())


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


# --- the article's names ------------------------------------------------------------------

@pytest.mark.parametrize("name", ["__init__", "prompt_pred", "compute_tokens_prob", "fine_tune"])
def test_every_call_of_the_article_works_here(name):
    """The same arguments in the same order with the same defaults; new ones by keyword only."""
    theirs, ours = (list(inspect.signature(getattr(kind, name)).parameters.values())
                    for kind in (LiteralPrompting, Prompting))
    assert [p.name for p in ours[:len(theirs)]] == [p.name for p in theirs]
    if name == "fine_tune":
        assert [p.default for p in ours[:len(theirs)]] == [p.default for p in theirs]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs):])


# --- prompt_pred --------------------------------------------------------------------------

def test_prompt_pred_ranks_the_whole_vocabulary(asked):
    ranked = asked.prompt_pred(ASKED)
    assert [token for token, _ in ranked] != sorted(asked.tokenizer.get_vocab())
    assert {token for token, _ in ranked} == set(asked.tokenizer.get_vocab())
    values = torch.stack([value for _, value in ranked])
    assert all(value.shape == () and value.dtype == torch.float32 for _, value in ranked)
    assert (values[:-1] >= values[1:]).all() and not values.requires_grad
    assert values.sum().item() == pytest.approx(1, abs=1e-5)


def test_prompt_pred_agrees_with_hugging_face(asked):
    chances = oracle(asked, ASKED).exp()
    for token, value in asked.prompt_pred(ASKED):
        place = asked.tokenizer.convert_tokens_to_ids(token)
        assert value.item() == pytest.approx(chances[place].item(), rel=1e-4)


def test_scores_dict_holds_the_latest_text(asked):
    for text in (ASKED, f"{small.BLAME} {small.PROMPT}"):
        ranked = asked.prompt_pred(text)
        assert asked.scores_dict == dict(ranked) and len(asked.scores_dict) == len(ranked)


# --- compute_tokens_prob ------------------------------------------------------------------

LISTS = st.lists(st.sampled_from("great good amazing bad awful terrible".split()), min_size=2,
                 unique=True)


@given(words=LISTS, cut=st.integers(1, 5), text=st.sampled_from([small.PRAISE, small.BLAME]))
@settings(deadline=None, max_examples=30)
def test_compute_tokens_prob_is_the_share_of_mean_probabilities(asked, words, cut, text):
    first, second = words[:cut], words[cut:]
    if not second:
        first, second = words[:-1], words[-1:]
    text = f"{text} {small.PROMPT}"
    got = asked.compute_tokens_prob(text, first, second)
    chances = oracle(asked, text).exp()
    means = torch.stack([
        chances[asked.tokenizer.convert_tokens_to_ids(part)].mean() for part in (first, second)])
    assert got.shape == (2,) and got.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.allclose(got, means / means.sum(), atol=1e-5)
    swapped = asked.compute_tokens_prob(text, second, first)
    assert torch.allclose(swapped, got.flip(0), atol=1e-6)


def test_a_longer_list_of_equal_words_changes_nothing(asked):
    """A list of words with equal probability counts as much as one of them."""
    decoder = asked.model.cls.predictions.decoder
    before = decoder.bias.detach().clone(), decoder.weight.detach().clone()
    ids = asked.tokenizer.convert_tokens_to_ids(small.BAD)
    try:
        with torch.no_grad():
            decoder.bias[ids], decoder.weight[ids] = 0.1, decoder.weight[ids[0]].clone()
        alone = asked.compute_tokens_prob(ASKED, small.GOOD, small.BAD[:1])
        together = asked.compute_tokens_prob(ASKED, small.GOOD, small.BAD)
        assert torch.allclose(alone, together, atol=1e-5)
    finally:
        with torch.no_grad():
            decoder.bias.copy_(before[0])
            decoder.weight.copy_(before[1])


def test_log_odds_of_many_texts_are_those_of_one_by_one(asked):
    texts = [f"{text} {small.PROMPT}" for text in (small.PRAISE, small.BLAME, "a a a a a film")]
    odds = asked.log_odds(texts, small.GOOD, small.BAD)
    singles = [asked.compute_tokens_prob(text, small.GOOD, small.BAD) for text in texts]
    assert odds.shape == (3,)
    assert torch.allclose(torch.stack([odds, -odds], 1).sigmoid(), torch.stack(singles), atol=1e-5)


def test_the_border_is_where_both_lists_are_equal(asked):
    odds = asked.log_odds([ASKED], small.GOOD, small.BAD).item()
    got = asked.compute_tokens_prob(ASKED, small.GOOD, small.BAD, border=odds)
    assert got.tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


# --- what can be loaded -------------------------------------------------------------------

def test_a_folder_gives_the_same_as_the_objects(asked, tmp_path):
    loaded = Prompting(model=str(small.folder(tmp_path)))
    lists = small.GOOD, small.BAD
    assert torch.allclose(loaded.compute_tokens_prob(ASKED, *lists),
                          asked.compute_tokens_prob(ASKED, *lists), atol=1e-6)


def test_the_tokenizer_argument_is_used(tmp_path):
    place, other = small.folder(tmp_path), tiny.wordpiece()
    assert Prompting(place, other).tokenizer is other
    other.save_pretrained(tmp_path / "other")
    assert Prompting(place, str(tmp_path / "other")).tokenizer.get_vocab() == other.get_vocab()


def test_a_course_checkpoint_by_its_name():
    prompting = Prompting(model="bert-mini-en")
    text = "I really like the film a lot. Because it was [MASK]."
    assert torch.allclose(torch.stack([prompting.scores_dict[token] for token, _ in
                                       prompting.prompt_pred(text)][:5]).log(),
                          oracle(prompting, text).sort(descending=True).values[:5], atol=1e-4)
    assert checkpoints.COURSE and prompting.max_length == 512


@pytest.mark.parametrize("family", ["roberta", "albert"])
def test_other_mask_tokens_and_word_boundaries(family):
    tokenizer = {"roberta": tiny.byte_bpe, "albert": tiny.sentencepiece}[family]()
    torch.manual_seed(1)
    model = tiny.model(family, len(tokenizer), initializer_range=0.3,
                       pad_token_id=tokenizer.pad_token_id)
    prompting = Prompting(model, tokenizer)
    first, second = [word for word in vocabulary_words(tokenizer) if len(word) > 1][:2]
    text = "the win [MASK] ."
    chances = oracle(prompting, text).exp()
    ids = [tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][-1]
           for word in (first, second)]
    got = prompting.compute_tokens_prob(text, [first], [second])
    assert torch.allclose(got, chances[ids] / chances[ids].sum(), atol=1e-5)
    assert len(prompting.prompt_pred(text)) == len(tokenizer)
    losses = prompting.fine_tune(["the win", "a win"], [1, 0], goodToken=first, badToken=second)
    assert len(losses) == 5


# --- bad input ----------------------------------------------------------------------------

TEXTS = {"": "empty", "  ": "empty", "a film": "no mask", "a [MASK] film was [MASK].": "2 masks",
         "film " * 60 + small.PROMPT: "the model reads 48"}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_that_cannot_be_asked(asked, text):
    before = asked.scores_dict
    for call in (asked.prompt_pred, lambda t: asked.compute_tokens_prob(t, ["good"], ["bad"])):
        with pytest.raises(CourseError, match=TEXTS[text]) as caught:
            call(text)
        assert "\n" not in str(caught.value) and asked.scores_dict is before


@pytest.mark.parametrize(("lists", "message"), [
    ((["amazin"], ["bad"]), "amazin"), ((["good"], ["awfull"]), "awfull"),
    ((["good"], []), "no words"), (([], ["bad"]), "no words"), ((["good"], ["good"]), "keep it"),
    ((["good", "good"], ["bad"]), "keep it"), (([""], ["bad"]), "empty"), (([3], ["bad"]), "str"),
    ((["\u2603"], ["bad"]), "does not know")])
def test_words_that_cannot_be_label_words(asked, lists, message):
    with pytest.raises(CourseError, match=message) as caught:
        asked.compute_tokens_prob(ASKED, *lists)
    assert "\n" not in str(caught.value)


def test_a_misspelled_word_gets_the_right_one_named(asked):
    with pytest.raises(CourseError, match="amazing") as caught:
        asked.compute_tokens_prob(ASKED, ["amazin"], ["bad"])
    assert "several_tokens" not in str(caught.value)  # an option that this class does not have


def test_one_word_may_stand_without_a_list(asked):
    assert torch.equal(asked.compute_tokens_prob(ASKED, "good", ["bad", "awful"]),
                       asked.compute_tokens_prob(ASKED, ["good"], ["bad", "awful"]))


@pytest.mark.parametrize(("texts", "message"), [([], "no texts"), ("a film", "one text")])
def test_batches_that_are_none(asked, texts, message):
    for call in (lambda: asked.log_odds(texts, ["good"], ["bad"]), lambda: asked.predict(texts),
                 lambda: asked.fine_tune(texts, [])):
        with pytest.raises(CourseError, match=message):
            call()


def _unfit(kind):
    tokenizer = small.tokenizer()
    model = small.model(len(tokenizer))
    if kind == "alone":
        return model, None
    if kind == "training":
        return model.train(), tokenizer
    if kind == "small":
        return tiny.model(vocabulary=20), tokenizer
    if kind == "no mask":
        tokenizer.mask_token = None
        return model, tokenizer
    return BertForSequenceClassification(model.config).eval(), tokenizer


@pytest.mark.parametrize(("kind", "message"), [
    ("alone", "needs its tokenizer"), ("training", "training mode"), ("small", "entries"),
    ("no mask", "no mask token"), ("classifier", "no masked-LM head")])
def test_models_that_cannot_be_asked(kind, message):
    with pytest.raises(CourseError, match=message) as caught:
        Prompting(*_unfit(kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [("./nowhere",), ("bert-mini-en", "./nowhere")])
def test_names_that_lead_nowhere(arguments):
    with pytest.raises(CourseError, match="nowhere") as caught:
        Prompting(*arguments)
    assert "\n" not in str(caught.value)


def test_folders_without_the_files_of_a_tokenizer_are_refused(tmp_path):
    """transformers makes a tokenizer of nothing but special tokens of them."""
    whole = small.prompting()
    whole.model.save_pretrained(tmp_path)
    for empty, message in ((str(tmp_path), "has no vocabulary: put the files"),
                           (AutoTokenizer.from_pretrained(tmp_path), "has no words, so its files")):
        with pytest.raises(CourseError, match=message) as caught:
            Prompting(whole.model, empty)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_models_of_less_than_float32_are_asked_but_not_tuned(kind):
    prompting = small.prompting()
    prompting.model.to(kind)
    assert prompting.predict(small.SENTENCES)
    before = weights(prompting)
    with pytest.raises(CourseError, match=r"too coarse to be tuned: call model.float\(\)"):
        prompting.fine_tune(small.SENTENCES, small.LABELS)
    assert same(before, weights(prompting))


def test_a_last_step_that_ruins_the_weights_is_undone():
    """Every loss is a number, so the weights themselves must be looked at."""
    class Ruins(Prompting):
        def _step(self, optimizer, loss):
            super()._step(optimizer, loss)
            with torch.no_grad():
                next(self.model.parameters())[0, 0] = float("nan")

    prompting = small.prompting(Ruins)
    before = weights(prompting)
    with pytest.raises(CourseError, match="weights that are no numbers: lower the learning rate"):
        prompting.fine_tune(small.SENTENCES, small.LABELS, epochs=1)
    assert same(before, weights(prompting)) and not prompting.model.training


@pytest.mark.parametrize("act, message", [
    (lambda p: p.compute_tokens_prob(ASKED, None, ["bad"]), "token_list1 is of type NoneType: give a"),
    (lambda p: p.compute_tokens_prob(ASKED, ["good"], 3), "token_list2 is of type int: give a str"),
    (lambda p: p.log_odds(None, ["good"], ["bad"]), "texts is a NoneType: give a list"),
    (lambda p: p.predict(None), "sentences is a NoneType: give a list"),
    (lambda p: p.predict([small.PRAISE], "9"), "max_length is of type str: give a whole number"),
])
def test_what_is_no_list_is_refused(asked, act, message):
    with pytest.raises(CourseError, match=message) as caught:
        act(asked)
    assert "\n" not in str(caught.value)


BAD_TUNING = {
    "no list of sentences": (dict(sentences=None), "sentences is a NoneType: give a list"),
    "no list of labels": (dict(labels=None), "labels is a NoneType: give a list"),
    "labels in rows": (dict(labels=torch.tensor(small.LABELS)[:, None]), "is not 0 or 1: give"),
    "half an epoch": (dict(epochs=1.5), "epochs is 1.5: give a whole number"),
    "half a sentence": (dict(batch_size=1.5), "batch_size is 1.5: give a whole number"),
    "a rate in words": (dict(learning_rate="1e-3"), "learning_rate is of type str: give a number"),
    "a warm-up that is none": (dict(warmup=None), "warmup is of type NoneType: give a number"),
    "no seed": (dict(seed=None), "seed is of type NoneType: give a whole number"),
    "labels 1 and 2": (dict(labels=[1, 2] * 4), "not 0 or 1"),
    "labels as words": (dict(labels=["0", "1"] * 4), "not 0 or 1"),
    "no label": (dict(labels=[None] * 8), "not 0 or 1"),
    "labels missing": (dict(labels=[1, 0]), "8 sentences and 2 labels"),
    "empty batch": (dict(sentences=[], labels=[]), "no texts"),
    "empty sentence": (dict(sentences=["", *small.SENTENCES[1:]]), "empty"),
    "no mask": (dict(prompt="since it was good."), r"one \[MASK\]"),
    "two masks": (dict(prompt="[MASK] or [MASK]"), r"one \[MASK\]"),
    "mask in a sentence": (dict(sentences=["a [MASK]", *small.SENTENCES[1:]]), "special token"),
    "too long": (dict(sentences=["film " * 60, *small.SENTENCES[1:]]), "more than the model"),
    "unknown word": (dict(goodToken="amazin"), "amazin"),
    "the same word": (dict(badToken="good"), "keep it"),
    "no epoch": (dict(epochs=0), "epochs is out of range: use"), "no batch": (dict(batch_size=0), "batch_size"),
    "no rate": (dict(learning_rate=0.0), "learning_rate"), "warm-up": (dict(warmup=1.0), "warmup"),
}


@pytest.mark.parametrize("case", BAD_TUNING)
def test_bad_tuning_is_refused_and_changes_nothing(asked, case):
    given, message = BAD_TUNING[case]
    before, settings_before = weights(asked), (asked.prompt, asked.goodToken, asked.badToken)
    with pytest.raises(CourseError, match=message) as caught:
        asked.fine_tune(**{"sentences": small.SENTENCES, "labels": small.LABELS, **given})
    assert "\n" not in str(caught.value) and same(before, weights(asked))
    assert settings_before == (asked.prompt, asked.goodToken, asked.badToken)
    assert not asked.model.training


@pytest.mark.parametrize("problem", [float("nan"), KeyboardInterrupt()])
def test_a_run_that_breaks_off_leaves_the_model_as_it_was(problem):
    class Breaks(Prompting):
        steps = 0

        def _loss(self, logits, targets):
            self.steps += 1
            if self.steps < 3:
                return super()._loss(logits, targets)
            if isinstance(problem, BaseException):
                raise problem
            return logits.sum() * problem

    prompting = small.prompting(Breaks)
    before = weights(prompting)
    expected = KeyboardInterrupt if isinstance(problem, BaseException) else CourseError
    with pytest.raises(expected):
        prompting.fine_tune(small.SENTENCES, small.LABELS, batch_size=2)
    assert prompting.steps == 3 and same(before, weights(prompting))
    assert not prompting.model.training


# --- fine_tune ----------------------------------------------------------------------------

def test_tuning_learns_and_returns_a_loss_for_each_step(fresh):
    losses = fresh.fine_tune(small.SENTENCES, small.LABELS, epochs=25, batch_size=3,
                             learning_rate=1e-2)
    assert len(losses) == 25 * 3 and all(isinstance(loss, float) for loss in losses)
    assert sum(losses[-3:]) < sum(losses[:3]) / 2
    assert fresh.predict(small.SENTENCES) == small.LABELS
    assert not fresh.model.training


def test_label_1_means_the_good_token(fresh):
    fresh.fine_tune(small.SENTENCES, small.LABELS, epochs=25, learning_rate=1e-2)
    asked = [fresh.compute_tokens_prob(f"{text} {fresh.prompt}", [fresh.goodToken],
                                       [fresh.badToken])[0].item()
             for text in (small.PRAISE, small.BLAME)]
    assert asked[0] > 0.5 > asked[1]


def test_the_prompt_and_words_of_the_training_are_asked(fresh):
    fresh.fine_tune(small.SENTENCES, small.LABELS, prompt="it was [MASK].", goodToken="great",
                    badToken="awful")
    assert (fresh.prompt, fresh.goodToken, fresh.badToken) == ("it was [MASK].", "great", "awful")
    odds = fresh.log_odds([f"{text} it was [MASK]." for text in small.SENTENCES], ["great"],
                          ["awful"])
    assert fresh.predict(small.SENTENCES) == (odds > 0).int().tolist()


def test_the_first_loss_is_the_cross_entropy_over_the_two_words():
    prompting = small.prompting(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    odds = prompting.log_odds([f"{text} {prompting.prompt}" for text in small.SENTENCES],
                              ["good"], ["bad"])
    expected = functional.binary_cross_entropy_with_logits(odds, torch.tensor(small.LABELS).float())
    first, *_ = prompting.fine_tune(small.SENTENCES, small.LABELS)
    assert first == pytest.approx(expected.item(), rel=1e-4)


def test_one_seed_one_result_and_the_global_generator_is_left_alone():
    results = []
    for seed in (3, 3, 4):
        prompting = small.prompting()
        torch.manual_seed(20)
        before = torch.get_rng_state()
        results.append(prompting.fine_tune(small.SENTENCES, small.LABELS, batch_size=2, seed=seed))
        assert torch.equal(before, torch.get_rng_state())
    assert results[0] == results[1] != results[2]


def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    class Reads(Prompting):
        def _word_logits(self, encoded, *rest):
            self.read = [*getattr(self, "read", []), *map(tuple, encoded.ids)]
            return super()._word_logits(encoded, *rest)

    texts = [" ".join(["film"] * (n + 1)) for n in range(8)]
    orders = []
    for seed in (3, 3, 4):
        prompting = small.prompting(Reads, layers=1)
        prompting.fine_tune(texts, small.LABELS, epochs=2, batch_size=1, seed=seed)
        orders.append([len(ids) for ids in prompting.read])
    first, second = orders[0][:8], orders[0][8:]
    assert first != second and sorted(first) == sorted(second) not in (first, second)
    assert orders[0] == orders[1] != orders[2]


def test_equally_probable_words_give_1(fresh):
    """"At least as probable", as ``predict`` says."""
    with torch.no_grad():
        for parameter in fresh.model.cls.parameters():
            parameter.zero_()
    assert fresh.predict([small.PRAISE, small.BLAME]) == [1, 1]


def test_a_sentence_is_cut_only_when_asked_and_counted(asked):
    long = "film " * 60
    with pytest.raises(CourseError, match="max_length"):
        asked.predict([long])
    asked.predict([small.PRAISE, long], max_length=20)
    kept = 20 - len(asked.tokenizer(f" {asked.prompt}")["input_ids"])
    assert asked.truncated == [0, 60 - kept]


@given(count=st.integers(1, 9), size=st.integers(1, 10))
@settings(deadline=None, max_examples=12)
def test_every_sentence_is_read_once_in_an_epoch(count, size):
    class Counts(Prompting):
        def _loss(self, logits, targets):
            self.seen = [*getattr(self, "seen", []), len(targets)]
            return super()._loss(logits, targets)

    prompting = small.prompting(Counts, layers=1)
    prompting.fine_tune(small.SENTENCES[:1] * count, [1] * count, epochs=2, batch_size=size)
    assert sum(prompting.seen) == 2 * count and max(prompting.seen) <= size
