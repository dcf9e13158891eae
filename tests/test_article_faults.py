"""Each fault of the article's code: what is right holds for `Prompting` and fails for it.

Every property is a function that is true of right code. The repaired class must have it, the
literal one must not, and neither must the right code with that one fault put in.
"""

import copy

import pytest
import tiny
import tiny_article as small
import torch

from companion.errors import CourseError
from companion.prompting import Prompting, faults, literal
from companion.prompting.literal import LiteralPrompting

ASKED = f"{small.PRAISE} {small.PROMPT}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return small.folder(tmp_path_factory.mktemp("article"))


@pytest.fixture
def repaired(place):
    return Prompting(place)


@pytest.fixture
def article(place, monkeypatch):
    found = LiteralPrompting(place)
    monkeypatch.setattr(literal, "tokenizer", found.tokenizer, raising=False)
    return found


def raised(call, *arguments):
    """The exception of a call, or None."""
    try:
        call(*arguments)
    except Exception as problem:  # noqa: BLE001 (whatever the article's code runs into)
        return problem
    return None


def watched(prompting, monkeypatch, sentences=small.SENTENCES, labels=small.LABELS, **settings):
    """Fine-tune and write down what each optimiser step was: rate, gradient, ids read."""
    steps, read = [], []
    original = torch.optim.AdamW.step

    def step(self, *arguments):
        gradient = next(p for name, p in prompting.model.named_parameters() if "query" in name).grad
        steps.append({"rate": self.param_groups[0]["lr"], "gradient": gradient.clone()})
        return original(self, *arguments)

    def reads(_, positional, named):
        read.append((positional[0] if positional else named["input_ids"]).clone())

    hook = prompting.model.base_model.register_forward_pre_hook(reads, with_kwargs=True)
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    prompting.fine_tune(sentences, labels, **settings)
    hook.remove()
    monkeypatch.setattr(torch.optim.AdamW, "step", original)
    return steps, read


# --- 1 to 3: asking -----------------------------------------------------------------------

def test_1_the_tokenizer_that_is_given_is_used(place):
    other = tiny.wordpiece()
    assert Prompting(place, other).tokenizer is other
    assert LiteralPrompting(place, other).tokenizer is not other


def shift_changes_answers(prompting) -> bool:
    """Adding one number to *all* logits changes no probability, so it may change no answer."""
    def ask():
        return prompting.compute_tokens_prob(ASKED, small.GOOD, small.BAD)

    before = ask()
    with torch.no_grad():
        prompting.model.cls.predictions.decoder.bias += 3.0
    return not torch.allclose(before, ask(), atol=1e-4)


def test_2_lists_of_two_and_three_words_are_comparable(repaired, article):
    assert not shift_changes_answers(repaired)
    assert shift_changes_answers(article)


def test_2_the_literal_answer_is_a_softmax_of_sums_of_logits(article):
    got = article.compute_tokens_prob(ASKED, small.GOOD, small.BAD)
    logits = dict(article.prompt_pred(ASKED))
    sums = torch.stack([sum(logits[w] for w in words) for words in (small.GOOD, small.BAD)])
    assert torch.allclose(got, sums.softmax(0), atol=1e-6)


def test_3_a_word_that_does_not_exist_is_refused_and_not_counted_as_0(repaired, article):
    known, misspelt = ["great", "good"], ["great", "good", "amazin"]
    assert isinstance(raised(repaired.compute_tokens_prob, ASKED, misspelt, ["bad"]), CourseError)
    assert torch.equal(article.compute_tokens_prob(ASKED, known, ["bad"]),
                       article.compute_tokens_prob(ASKED, misspelt, ["bad"]))


def test_3_nothing_but_unknown_words_still_gets_an_answer(repaired, article):
    got = article.compute_tokens_prob(ASKED, ["amazin"], ["awfull"])
    assert got.tolist() == [0.5, 0.5]
    assert isinstance(raised(repaired.compute_tokens_prob, ASKED, ["amazin"], ["awfull"]),
                      CourseError)


# --- 4 to 11: tuning ----------------------------------------------------------------------

def test_4_a_step_follows_a_batch_and_not_each_sentence(repaired, article, monkeypatch):
    right, _ = watched(repaired, monkeypatch, epochs=1)
    wrong, _ = watched(article, monkeypatch)
    assert (len(right), len(wrong)) == (1, len(small.SENTENCES))


def test_5_the_steps_are_small_and_their_rate_rises_and_falls(repaired, article, monkeypatch):
    right, _ = watched(repaired, monkeypatch, batch_size=2, warmup=0.2)
    wrong, _ = watched(article, monkeypatch)
    rates = [step["rate"] for step in right]
    assert max(rates) <= 1e-4 and rates[0] < max(rates) > rates[-1]
    assert {step["rate"] for step in wrong} == {1e-3}


def gradients_are_fresh(prompting, monkeypatch) -> bool:
    """Without learning, the same sentence gives the same gradient at every step."""
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a: None)
    settings = {} if isinstance(prompting, LiteralPrompting) else {"batch_size": 1, "epochs": 1}
    steps, _ = watched(prompting, monkeypatch, [small.PRAISE] * 3, [1] * 3, **settings)
    first, *rest = [step["gradient"] for step in steps]
    return all(torch.allclose(first, other, rtol=1e-3, atol=1e-9) for other in rest)


def without_dropout(kind):
    return small.prompting(kind, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def test_6_gradients_are_cleared_before_each_step(article, monkeypatch):
    assert gradients_are_fresh(without_dropout(Prompting), monkeypatch)
    assert not gradients_are_fresh(article, monkeypatch)
    assert not gradients_are_fresh(without_dropout(faults.NoZeroGrad), monkeypatch)


def has_special_tokens(prompting, monkeypatch) -> bool:
    _, read = watched(prompting, monkeypatch)
    tokenizer = prompting.tokenizer
    return all((ids[:, 0] == tokenizer.cls_token_id).all()
               and (ids == tokenizer.sep_token_id).any(1).all() for ids in read)


def test_7_the_model_is_tuned_on_rows_with_special_tokens(repaired, article, monkeypatch):
    assert has_special_tokens(repaired, monkeypatch)
    assert not has_special_tokens(article, monkeypatch)
    assert not has_special_tokens(small.prompting(faults.NoSpecialTokens), monkeypatch)


def confident_and_wrong(prompting, monkeypatch) -> float:
    """Size of the first gradient when the model is sure of the wrong word, against unsure."""
    pair = prompting.tokenizer.convert_tokens_to_ids(["good", "bad"])
    sizes = []
    for push in (0.0, 60.0):
        start = copy.deepcopy(prompting.model.state_dict())
        with torch.no_grad():
            prompting.model.cls.predictions.decoder.bias[pair[0]] += push  # sure of "good"
        steps, _ = watched(prompting, monkeypatch, [small.BLAME], [badness(prompting)])
        sizes.append(steps[0]["gradient"].norm().item())
        prompting.model.load_state_dict(start)
        prompting.model.zero_grad()
    return sizes[1] / sizes[0]


def badness(prompting) -> int:
    """The label of "bad": 1 in the article, 0 here."""
    return 1 if isinstance(prompting, LiteralPrompting) else 0


def test_8_a_wrong_answer_given_with_confidence_is_corrected(article, monkeypatch):
    """After a second softmax the gradient vanishes just where the model is most wrong."""
    assert confident_and_wrong(without_dropout(Prompting), monkeypatch) > 0.5
    assert confident_and_wrong(article, monkeypatch) < 1e-3
    assert confident_and_wrong(without_dropout(faults.DoubleSoftmax), monkeypatch) < 1e-3


def odds(prompting, text, prompt):
    return prompting.compute_tokens_prob(f"{text} {prompt}", ["good"], ["bad"])[0].item()


def learns_that_1_is_good(prompting, **settings) -> bool:
    prompt = "Since it was [MASK]."
    before = odds(prompting, small.PRAISE, prompt)
    prompting.fine_tune([small.PRAISE] * 4, [1] * 4, **settings)
    return odds(prompting, small.PRAISE, prompt) > before


def test_9_label_1_means_good_as_in_the_data_sets(repaired, article):
    assert learns_that_1_is_good(repaired, learning_rate=1e-3)
    assert not learns_that_1_is_good(article)
    assert not learns_that_1_is_good(small.prompting(faults.ZeroIsGood), learning_rate=1e-3)


def test_10_the_prompt_of_the_training_is_the_one_that_is_asked(repaired, article):
    repaired.fine_tune(small.SENTENCES, small.LABELS, prompt="it was [MASK].")
    assert repaired.prompt == "it was [MASK]."
    spoilt = small.prompting(faults.OtherPrompt)
    spoilt.fine_tune(small.SENTENCES, small.LABELS, prompt="it was [MASK].")
    assert spoilt.prompt != "it was [MASK]."
    article.fine_tune(small.SENTENCES, small.LABELS, prompt="it was [MASK].")
    assert not hasattr(article, "prompt")  # nothing remembers it, nothing can ask with it


def test_11_no_global_of_the_notebook_is_read(repaired, place, monkeypatch):
    monkeypatch.delattr(literal, "tokenizer", raising=False)
    assert isinstance(raised(LiteralPrompting(place).fine_tune, ["a film"], [1]), NameError)
    assert raised(repaired.fine_tune, ["a film"], [1]) is None


def test_11_a_tokenizer_from_elsewhere_is_read_without_a_word(article, monkeypatch):
    monkeypatch.setattr(literal, "tokenizer", tiny.wordpiece(60))
    _, read = watched(article, monkeypatch)
    right = article.tokenizer(f"{small.PRAISE} Since it was [MASK].")["input_ids"][1:-1]
    assert read[0][0].tolist() != right


def test_the_foreign_tokenizer_of_the_benchmark_is_used_for_training_only(monkeypatch):
    monkeypatch.setattr(faults.ForeignTokenizer, "foreign", tiny.wordpiece(100))
    spoilt, right = small.prompting(faults.ForeignTokenizer), small.prompting()
    own = spoilt.tokenizer
    _, read = watched(spoilt, monkeypatch, goodToken="a", badToken="the", epochs=1)
    _, reference = watched(right, monkeypatch, goodToken="a", badToken="the", epochs=1)
    assert spoilt.tokenizer is own
    assert read[0].shape != reference[0].shape or not torch.equal(read[0], reference[0])


# --- what else the literal code is --------------------------------------------------------

def test_literal_prompt_pred_gives_raw_logits_best_first(article):
    ranked = article.prompt_pred(ASKED)
    ids = article.tokenizer(ASKED, return_tensors="pt")["input_ids"]
    place = ids[0].tolist().index(article.tokenizer.mask_token_id)
    with torch.no_grad():
        logits = article.model(ids).logits[0, place]
    assert len(ranked) == len(article.tokenizer) and article.scores_dict == dict(ranked)
    for token, value in ranked:
        assert value == logits[article.tokenizer.convert_tokens_to_ids(token)]
    assert article.model.dtype == torch.float32


def test_both_classes_rank_alike(repaired, article):
    assert [token for token, _ in repaired.prompt_pred(ASKED)] == [
        token for token, _ in article.prompt_pred(ASKED)]


@pytest.mark.parametrize("name", faults.FAULTS)
def test_every_fault_changes_the_tuning_or_the_question(name, monkeypatch):
    """A fault that did nothing would be measured as harmless."""
    monkeypatch.setattr(faults.ForeignTokenizer, "foreign", tiny.wordpiece(100))
    right, wrong = small.prompting(), small.prompting(faults.FAULTS[name])
    given = dict(batch_size=2, goodToken="a", badToken="the")
    for prompting in (right, wrong):
        prompting.fine_tune(small.SENTENCES, small.LABELS, **given)
    texts = [f"{text} {p}" for text in small.SENTENCES for p in [right.prompt]]
    other = [f"{text} {p}" for text in small.SENTENCES for p in [wrong.prompt]]
    assert not torch.allclose(right.log_odds(texts, ["a"], ["the"]),
                              wrong.log_odds(other, ["a"], ["the"]), atol=1e-6)
