"""The classifier against the slow way: one text, the whole model, the whole vocabulary."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import tiny
import tiny_prompts
import torch
from test_template import refused
from transformers import BertModel, DistilBertConfig, DistilBertForMaskedLM, pipeline

from companion.filling import fill
from companion.objectives.lengths import longest
from companion.prompting import (
    Ensemble,
    HeadClassifier,
    PromptClassifier,
    Prompting,
    Template,
    Verbalizer,
)

PAIRS = {name: tiny_prompts.pair(name) for name in tiny_prompts.TOKENIZERS}
TEXTS = [text[: 12 + 9 * (i % 7)] for i, text in enumerate(tiny.texts(23))]
TEMPLATE, WORDS = Template("{text} Because it was {mask}."), tiny_prompts.WORDS
BF16 = 0.15  # bf16 has 8 bits: logits of this size (up to 10) are off by a few hundredths


def classifier(family="bert", template=TEMPLATE, words=WORDS, settings=None, **more):
    model, tokenizer = PAIRS[family]
    return PromptClassifier(model, template, Verbalizer(words, **(settings or {})),
                            tokenizer=tokenizer, **more)


@torch.no_grad()
def slowly(model, tokenizer, template, verbalizer, texts):
    """Log-probabilities of the words (texts, words), with nothing but transformers."""
    rows = []
    for text in texts:
        row = []
        for ids in verbalizer.tokens(tokenizer):
            gap = tokenizer.mask_token * (1 if template.places > 1 else len(ids))
            written = template.pattern.replace("{mask}", gap).replace("{text}", text)
            batch = tokenizer(written, return_tensors="pt")
            at = batch["input_ids"][0] == tokenizer.mask_token_id
            found = model(**batch).logits[0][at].log_softmax(-1)
            row.append(found[torch.arange(len(ids)), torch.tensor(ids)].mean())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def border(scores):
    """A bias for two labels that lies in the widest gap, far from every text."""
    order = (scores[:, 1] - scores[:, 0]).sort().values
    gap = order.diff().argmax()
    middle = order[gap : gap + 2].mean()
    return torch.stack([middle / 2, -middle / 2])


@pytest.mark.parametrize("family", PAIRS)
@pytest.mark.parametrize("pattern", ["{text} Because it was {mask}.", "It was {mask} : {text}"])
@pytest.mark.parametrize("aggregation", ["logsumexp", "mean", "max"])
def test_predictions_are_those_of_the_slow_way(family, pattern, aggregation):
    model, tokenizer = PAIRS[family]
    fast = classifier(family, Template(pattern), settings={"aggregation": aggregation}, tokens=64)
    slow = fast.verbalizer.aggregate(slowly(model, tokenizer, fast.template, fast.verbalizer,
                                            TEXTS))
    torch.testing.assert_close(fast.predict_proba(TEXTS), slow.softmax(1), atol=2e-5, rtol=1e-4)
    fast.bias = border(slow)  # with it both labels are predicted
    assert fast.predict(TEXTS) == [fast.labels[i] for i in (slow + fast.bias).argmax(1)]
    assert len(set(fast.predict(TEXTS))) == 2


@pytest.mark.parametrize("family", PAIRS)
def test_scores_are_those_of_the_fill_mask_pipeline(family):
    model, tokenizer = PAIRS[family]
    fast = classifier(family)
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    ids = [token for token, in fast.verbalizer.tokens(tokenizer)]
    theirs = []
    for found in pipe([TEMPLATE.fill(text, tokenizer.mask_token) for text in TEXTS],
                      targets=tokenizer.convert_ids_to_tokens(ids)):
        by_id = {entry["token"]: entry["score"] for entry in found}
        theirs.append([by_id[i] for i in ids])
    theirs = torch.tensor(theirs)
    ours = fast.word_scores(TEXTS).softmax(1)  # equal up to what the other words take
    torch.testing.assert_close(ours, theirs / theirs.sum(1, keepdim=True), atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("family", PAIRS)
@pytest.mark.parametrize("words", [
    {"pos": ["great", "very good"], "neg": ["awful", "the bad river"]},  # 1, 2 and 3 tokens
    {"pos": ["great good"], "neg": ["very bad"]},  # all of one length: no normaliser needed
])
def test_words_of_several_tokens(family, words):
    if family == "bert":
        words = {label: [word.replace("very", "the") for word in entry]
                 for label, entry in words.items()}
    model, tokenizer = PAIRS[family]
    fast = classifier(family, words=words, settings={"several_tokens": True}, tokens=100)
    slow = fast.verbalizer.aggregate(slowly(model, tokenizer, TEMPLATE, fast.verbalizer, TEXTS))
    torch.testing.assert_close(fast.predict_proba(TEXTS), slow.softmax(1), atol=2e-5, rtol=1e-4)


def test_as_many_masks_as_tokens_can_be_written_out():
    words, settings = {"a": "the bad", "b": "the good"}, {"several_tokens": True}
    short, long = (classifier(template=Template(pattern), words=words, settings=settings)
                   for pattern in ("{text} it was {mask}.", "{text} it was {mask}{mask}."))
    torch.testing.assert_close(short.scores(TEXTS), long.scores(TEXTS))


def test_other_heads_run_as_a_whole():
    tokenizer = PAIRS["bert"][1]
    torch.manual_seed(0)
    model = DistilBertForMaskedLM(DistilBertConfig(
        vocab_size=len(tokenizer), dim=16, n_layers=1, n_heads=2, hidden_dim=32,
        max_position_embeddings=64, initializer_range=0.3)).eval()
    fast = PromptClassifier(model, TEMPLATE, Verbalizer(WORDS), tokenizer=tokenizer)
    slow = slowly(model, tokenizer, TEMPLATE, fast.verbalizer, TEXTS)
    torch.testing.assert_close(fast.word_scores(TEXTS).softmax(1), slow.softmax(1),
                               atol=2e-5, rtol=1e-4)


def test_attention_of_another_kind_gives_the_same():
    model, tokenizer = PAIRS["bert"]
    config = deepcopy(model.config)  # what is built from a configuration writes into it
    other = type(model)._from_config(config, attn_implementation="eager").eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        PromptClassifier(other, TEMPLATE, Verbalizer(WORDS), tokenizer=tokenizer).scores(TEXTS),
        classifier().scores(TEXTS), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", PAIRS)
def test_bf16_is_within_its_tolerance(family):
    exact, half = classifier(family), classifier(family, precision="bf16")
    difference = (exact.scores(TEXTS) - half.scores(TEXTS)).abs().max()
    assert 0 < difference < BF16
    assert half.scores(TEXTS).dtype == torch.float32


def test_bf16_follows_a_model_that_is_trained_in_between():
    half = classifier(precision="bf16")
    before = half.scores(TEXTS)
    with torch.no_grad():
        bias = half.model.get_output_embeddings().bias
        bias.add_(torch.linspace(-3, 3, len(bias)))
    assert (half.scores(TEXTS) - before).abs().max() > 0.1
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}


def test_order_and_company_do_not_matter():
    fast = classifier(tokens=50)
    scores = fast.scores(TEXTS)
    torch.testing.assert_close(fast.scores(TEXTS[::-1]), scores.flip(0), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(fast.scores(TEXTS[4:5]), scores[4:5], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", PAIRS)
def test_long_texts_fill_the_model_and_are_counted(family):
    model, tokenizer = PAIRS[family]
    fast = classifier(family)
    assert fast.max_length == (64 - tokenizer.pad_token_id - 1 if family == "roberta" else
                               64 if family == "albert" else longest(model, tokenizer))
    texts = [TEXTS[0], " ".join(tiny.texts(20))]
    result = fast.evaluate(texts, ["pos", "neg"])
    assert result["count"] == 2 and result["truncated"] == 1
    assert fast.truncated[0] == 0 and fast.truncated[1] > 50
    two = classifier(family, words={"a": "great good", "b": "bad"},
                     settings={"several_tokens": True})
    two.scores(texts)
    assert two.truncated == [0, fast.truncated[1] + 1]  # a second mask needs a place


def test_evaluate():
    fast = classifier()
    predicted = fast.predict(TEXTS)
    assert fast.evaluate(TEXTS, predicted) == {"accuracy": 1.0, "count": 23, "truncated": 0,
                                               "unknown": 0.0}
    other = ["pos" if predicted[0] == "neg" else "neg", *predicted[1:]]
    assert fast.evaluate(TEXTS, other)["accuracy"] == pytest.approx(22 / 23)
    numbered = classifier(words={1: ["great"], 0: ["bad"]})
    assert numbered.evaluate(TEXTS, numbered.predict(TEXTS))["accuracy"] == 1


FORMS = {
    "a pair": lambda place: ((PAIRS["bert"]), None),
    "a folder": lambda place: (place, None),
    "a folder's name": lambda place: (str(place), str(place)),
    "a model and a name": lambda place: (PAIRS["bert"][0], place),
}


@pytest.mark.parametrize("form", FORMS)
def test_names_and_pairs_texts_and_dictionaries(form, tmp_path):
    for part in PAIRS["bert"]:
        part.save_pretrained(tmp_path)
    model, tokenizer = FORMS[form](tmp_path)
    found = PromptClassifier(model, TEMPLATE.pattern, WORDS, tokenizer=tokenizer)
    torch.testing.assert_close(found.scores(TEXTS), classifier().scores(TEXTS))
    head = HeadClassifier(model, [0, 1], tokenizer=tokenizer)
    torch.testing.assert_close(head.scores(TEXTS), HeadClassifier(
        PAIRS["bert"][0], np.arange(2), tokenizer=PAIRS["bert"][1]).scores(TEXTS))
    assert head.labels == (0, 1)


@pytest.mark.parametrize("texts", [["☃ ☃ ☃ good", "good ☃", "good film"]])
def test_what_the_tokenizer_does_not_know_is_counted(texts):
    """Special tokens and the template do not count; one line warns above a third."""
    model, tokenizer = PAIRS["bert"]
    fast, head = classifier(), HeadClassifier(model, [0, 1], tokenizer=tokenizer)
    shares = [ids.count(tokenizer.unk_token_id) / len(ids) for ids in
              tokenizer(texts, add_special_tokens=False)["input_ids"]]
    assert shares[:2] == [0.75, 0.5]
    for one in (fast, head, Ensemble([fast, fast])):
        with pytest.warns(UserWarning, match="2 of 3 texts .* .up to 75% of the tokens") as seen:
            result = one.evaluate(texts, [one.labels[0]] * 3)
        assert "\n" not in str(seen[0].message)
        assert one.unknown == shares and result["unknown"] == pytest.approx(sum(shares) / 3)
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        Prompting(model, tokenizer).prompt_pred("☃ ☃ ☃ [MASK]")
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        fill(model, tokenizer, "☃ ☃ ☃ [MASK]")


# --- calibration and ensembles ------------------------------------------------------------


def test_calibration():
    fast = classifier()
    raw = fast.scores(TEXTS)
    half = fast.calibrate("median", TEXTS).predict(TEXTS)
    assert abs(half.count("pos") - 11.5) <= 1
    mean = fast.calibrate("prior", TEXTS, [0.3, 0.7]).predict_proba(TEXTS).mean(0)
    torch.testing.assert_close(mean, torch.tensor([0.3, 0.7]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fast.scores(TEXTS, calibrated=False), raw)
    torch.testing.assert_close(fast.calibrate("none").scores(TEXTS), raw)


@pytest.mark.parametrize("family", PAIRS)
def test_contextual_calibration_reads_content_free_inputs(family):
    model, tokenizer = PAIRS[family]
    fast = classifier(family).calibrate("contextual")
    free = ["N/A", "", tokenizer.mask_token]
    found = fast.verbalizer.aggregate(fast.word_scores(free, content_free=True)).softmax(1).mean(0)
    torch.testing.assert_close(fast.bias, -found.log())
    only = fast.calibrate("contextual", ["N/A"])
    torch.testing.assert_close(only.predict_proba(["N/A"]), torch.full((1, 2), 0.5))
    two = classifier(family, Template("{text} {span} is {mask}.")).calibrate("contextual")
    assert two.bias.shape == (2,)


def test_generators_are_read_once_for_all_members():
    both = Ensemble([classifier(), classifier(template=Template("It was {mask} : {text}"))])
    listed = both.calibrate("median", TEXTS).scores(TEXTS)
    both.calibrate("median", (text for text in TEXTS))
    assert torch.equal(both.scores(text for text in TEXTS), listed)
    assert torch.equal(both.members[0].scores(t for t in TEXTS), both.members[0].scores(TEXTS))


def test_ensembles():
    members = [classifier(), classifier(template=Template("It was {mask} : {text}"))]
    both = Ensemble(members).calibrate("median", TEXTS)
    mean = sum(member.scores(TEXTS).log_softmax(1) for member in members) / 2
    torch.testing.assert_close(both.scores(TEXTS), mean)
    assert both.predict(TEXTS) == [both.labels[i] for i in mean.argmax(1)]
    assert both.evaluate([*TEXTS, " ".join(tiny.texts(20))], ["pos"] * 24)["truncated"] == 1
    alone = Ensemble([classifier()])
    torch.testing.assert_close(alone.predict_proba(TEXTS), classifier().predict_proba(TEXTS))


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("match, call", [
    ("unknown precision 'fp8': use one of fp32", lambda: classifier(precision="fp8")),
    ("template has 2 masks, but label words have 1 tokens: write one",
     lambda: classifier(template=Template("{text} {mask}{mask}"))),
    ("does not know '☃'", lambda: classifier(words={"a": "☃", "b": "bad"})),
    ("there are no texts: give", lambda: classifier().scores([])),
    ("this is one text: give a list", lambda: classifier().predict("good")),
    ("this is one text: give a list", lambda: classifier().evaluate("abc", ["pos"] * 3)),
    ("this is one text: give a list", lambda: classifier().calibrate("contextual", "N/A")),
    ("texts is a dict: give a list",
     lambda: classifier().calibrate("contextual", {"text": "N/A"})),
    (r"texts\[0\]\['text'\] is of type NoneType: give a str",
     lambda: classifier().calibrate("contextual", [{"text": None}])),
    ("texts is a NoneType: give a list", lambda: classifier().predict(None)),
    ("texts is a int: give a list", lambda: classifier().predict(3)),
    ("labels is a NoneType: give a list", lambda: classifier().evaluate(["a"], None)),
    ("labels is a str: give a list", lambda: classifier(words={"p": "good", "n": "bad"}).evaluate(
        ["a", "b"], "pn")),
    ("this is one text: give a list", lambda: Ensemble([classifier()]).scores("good")),
    ("prior is a float: give a list", lambda: classifier().calibrate("prior", ["a"], 0.5)),
    ("text 1, slot 'text', is empty", lambda: classifier().predict(["good", ""])),
    ("texts is a table .DataFrame.: give one of its columns, such as table..text..",
     lambda: classifier().predict(pd.DataFrame({"text": ["a"] * 3, "label": [0] * 3}))),
    ("texts is a set", lambda: classifier().predict({"a"})),
    (r"texts\[0\] is no valid Unicode", lambda: classifier().predict(["a \ud83d"])),
    ("the label list is none of", lambda: classifier().evaluate(["a"], [["pos"]])),
    ("tokens is 0: give at least 1", lambda: classifier(tokens=0)),
    ("template is of type int: give a str", lambda: classifier(template=3)),
    ("the model is of type Linear: give a model of", lambda: PromptClassifier(
        torch.nn.Linear(1, 1), TEMPLATE, WORDS, tokenizer=PAIRS["bert"][1])),
    ("the name of the model is of type int: give", lambda: PromptClassifier(3, TEMPLATE, WORDS)),
    ("a model object needs its tokenizer", lambda: PromptClassifier(
        PAIRS["bert"][0], TEMPLATE, WORDS)),
    ("the tokenizer is of type int: give", lambda: PromptClassifier(
        PAIRS["bert"][0], TEMPLATE, WORDS, tokenizer=3)),
    ("members is a PromptClassifier: give a list", lambda: Ensemble(classifier())),
    ("2 texts and 1 labels: give one label", lambda: classifier().evaluate(["a", "b"], ["pos"])),
    ("label 1 is none of 'pos', 'neg': use",
     lambda: classifier().evaluate(["a", "b"], [1, 0])),
    ("label 2 is none of 1, 0: use",
     lambda: classifier(words={1: "good", 0: "bad"}).evaluate(["a"], [2])),
    ("unknown calibration 'magic': use none", lambda: classifier().calibrate("magic")),
    ("calibration by prior needs unlabelled texts: give texts=",
     lambda: classifier().calibrate("prior")),
    ("calibration by median needs", lambda: classifier().calibrate("median")),
    ("no slot, so it has no content to take away: calibrate",
     lambda: classifier(template=Template("It was {mask}.")).calibrate("contextual")),
    ("the ensemble is empty: give", lambda: Ensemble([])),
    ("other labels or another order of them: use", lambda: Ensemble([
        classifier(), classifier(words={"neg": "bad", "pos": "good"})])),
])
def test_bad_input_is_refused(match, call):
    refused(match, call)


def test_models_that_cannot_answer_are_refused():
    model, tokenizer = PAIRS["bert"]
    headless = BertModel(model.config).eval()
    arguments = TEMPLATE, Verbalizer(WORDS)
    refused("has no masked-LM head: load it with AutoModelForMaskedLM",
            lambda: PromptClassifier(headless, *arguments, tokenizer=tokenizer))
    refused("in training mode, .*: call model.eval", lambda: PromptClassifier(
        tiny.model(vocabulary=len(tokenizer)).train(), *arguments, tokenizer=tokenizer))
    refused("leaves no room for it: shorten", lambda: classifier(
        template=Template("the " * 70 + "{text} {mask}")).predict(["good"]))
