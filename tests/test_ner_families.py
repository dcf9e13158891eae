"""A tagger on every family of encoders, and what may be handed to it."""

import json
import shutil
import warnings
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
import tiny_families
import tiny_models
import tiny_ner
import torch
import transformers

from companion import checkpoints
from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.ner import decoding, schemes
from companion.ner.tagger import AlbertTagger
from companion.ner.training import Run, Settings, train

POSITIONS = 43  # RoBERTa and XLM-R read two fewer; neither number is a multiple of 8
QUICK = Settings(epochs=1, size=4, precision="no")
DATA = tiny_ner.examples(12, seed=3)
TEXTS = [x.text for x in DATA]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("families")
    return {name: tiny_models.folder(name, place / name, positions=POSITIONS)
            for name in tiny_models.FAMILIES}


def finding(tagger):
    """Each label is the best one somewhere, so that an untrained tagger finds something."""
    network = tagger.network.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        network.classifier.weight.normal_()
        ids = torch.randint(10, 90, (9, 9))
        scores = network.emissions(network.states(ids), torch.ones_like(ids))
        network.classifier.bias -= scores.mean((0, 1))
    return tagger


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_every_family_is_trained_saved_and_read_again(folders, family, tmp_path):
    tagger = finding(AlbertTagger.new(folders[family]))
    with torch.inference_mode():  # the encoder's states are those of transformers
        plain, tokenizer = checkpoints.load(folders[family], kind="encoder")
        ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
        torch.testing.assert_close(tagger.network.states(ids), plain(ids).last_hidden_state,
                                   atol=1e-4, rtol=1e-4)
    before = {n: t.clone() for n, t in tagger.network.state_dict().items()}
    train(tagger, DATA, DATA[:4], QUICK, progress=False)
    changed = [n for n, t in tagger.network.state_dict().items() if not torch.equal(t, before[n])]
    assert any(n.startswith("encoder") for n in changed) and "classifier.weight" in changed
    finding(tagger).save(tmp_path / "saved")
    again = AlbertTagger.from_pretrained(tmp_path / "saved")
    found = tagger.predict(TEXTS)
    assert sum(map(len, found)) > 5 and again.predict(TEXTS) == found
    for text, entities in zip(TEXTS, found, strict=True):
        assert all(e.text == e.text.strip() == text[e.start : e.end] for e in entities)
    with torch.inference_mode():
        if family == "modernbert":  # its own class has more layers, so transformers has no place
            assert not isinstance(checkpoints.load(tmp_path / "saved", kind="encoder")[0],
                                  transformers.ModernBertForTokenClassification)
        else:
            model = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "saved")
            states = tagger.network.states(ids)
            torch.testing.assert_close(
                model.eval()(ids).logits, tagger.network.emissions(states, torch.ones_like(ids)),
                atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_a_gold_label_stands_on_what_carries_it(folders, family):
    """Written as tags and read back, each entity is itself: with blanks, and without."""
    tagger = AlbertTagger.new(folders[family])
    data = [*DATA, Example("北京 上海看了", (Entity(0, 2, "LOC"), Entity(3, 5, "LOC")))]
    made = tagger.rows(data)
    scores = np.zeros((int(made.bounds[-1]), len(tagger.labels)), np.float32)
    for columns, place, row in zip(made.columns, made.place, made.labels, strict=True):
        scores[place + np.arange(len(columns)), np.array(row)[columns]] = 9
    found = decoding.entities(scores, made, tagger.labels, tagger.scheme)
    whole = [(a, b) for x, a, b in zip(made.texts, found, data, strict=True)
             if not any(np.isin(x.offsets.ravel(), [i]).sum() == 0
                        for e in b.entities for i in (e.start, e.end))]
    assert len(whole) > 1 and all(a == list(b.entities) for a, b in whole)


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
@pytest.mark.parametrize("task", ["linear", "bilstm"])
def test_rows_are_never_longer_than_the_model(folders, family, task):
    tagger = AlbertTagger.new(folders[family], task=task, frozen=task == "bilstm")
    room = POSITIONS - 2 * (family in ("roberta", "xlm-r"))
    assert tagger.longest == room
    for length in range(room - 6, room + 3):
        assert len(tagger.predict(["王" * length, "北京"])) == 2
    long = [Example("王明" * room, (Entity(0, 2, "PER"),)), DATA[0]]
    widths = [tagger.rows(long).batch(np.arange(2))["input_ids"].shape[1]]
    assert max(widths) == room
    train(tagger, long, long, QUICK, progress=False)


# --- containers -------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    return tiny_ner.tagger(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("kind", [
    tuple, pd.Series, lambda items: (one for one in items),
    lambda items: pd.Series(items, index=[7] * len(items)),
    lambda items: np.fromiter(items, object, len(items))], ids="tuple Series generator index array".split())
def test_any_container_will_do(tagger, kind):
    found = tagger.predict(TEXTS)
    assert tagger.predict(kind(TEXTS)) == found == tagger.predict(np.array(TEXTS))
    examples = [Example(x.text, kind(x.entities)) for x in DATA]
    assert examples == DATA
    ours, theirs = tagger.rows(kind(DATA)), tagger.rows(DATA)
    assert ours.labels == theirs.labels and ours.ids == theirs.ids


@pytest.mark.parametrize("wrong, cause", [
    (pd.DataFrame({"text": ["北京"]}), "table"), ({"a": "b"}, "a dict"), (None, "NoneType"),
    (3, "int"), ({"北京"}, "a set"), ("北京", "str|one text"), ([3], "type int: give a"),
    ([None], "type NoneType"), ([float("nan")], "NaN|type float"), ([("北京", [])], "type tuple")],
    ids=str)
def test_what_is_no_list_is_refused_in_one_line(tagger, wrong, cause):
    for door in (tagger.predict, tagger.rows, lambda w: train(tagger, w, DATA, QUICK)):
        with pytest.raises(CourseError, match=cause) as problem:
            door(wrong)
        assert "\n" not in str(problem.value)


def test_empty_texts_have_no_entities_and_teach_nothing(tagger):
    assert tagger.predict(["", " \n", "\u3000"]) == [[], [], []] and tagger.unknown == [0.0] * 3
    for empty in ("", " \t\r\n"):
        with pytest.raises(CourseError, match="sentence 1 is empty: leave it out"):
            tagger.rows([DATA[0], Example(empty, ())])


# --- what the tagger says ---------------------------------------------------------------------

def test_share_of_unknown_tokens(tagger):
    with pytest.warns(UserWarning, match=r"1 of 2 texts.*up to 50% of the tokens") as said:
        tagger.predict(["王明龘龘", "王明来到北京"])
    assert said[0].filename == __file__ and "\n" not in str(said[0].message)
    assert tagger.unknown == [0.5, 0.0]
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        tagger.rows([Example("龘" * 90, ())])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tagger.predict(["王明龘", *["王明来到北京"] * 19])  # a third is no more than a third
        tagger.predict(["龘", *["王明来到北京"] * 20])  # a rare name among many texts is no sign
    assert tagger.unknown[0] == 1.0


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["encoder.embeddings.word_embeddings.weight", "classifier.bias"])
def test_nan_is_no_answer(tmp_path, head, value, part):
    broken = tiny_ner.tagger(tmp_path, head=head)
    with torch.no_grad():
        broken.network.get_parameter(part).view(-1)[-1 if part.endswith("bias") else slice(None)] \
            = value
    with pytest.raises(CourseError, match="NaN or infinity") as problem:
        broken.predict(["王明来到北京"])
    assert "\n" not in str(problem.value)
    assert broken.predict([""]) == [[]]


# --- settings ---------------------------------------------------------------------------------

@pytest.mark.parametrize("wrong, cure", [
    (dict(rate=-1), "rate is -1: give 0 or more"),
    (dict(head_rate=float("nan")), "head_rate is nan: give a number"),
    (dict(rate=float("inf")), "rate is inf: give a number"),
    (dict(size=1.5), "size is 1.5: give a whole number"), (dict(size=0), "size is 0: give at least"),
    (dict(epochs=True), "epochs is True: give a whole"), (dict(epochs=0), "epochs is 0: give at"),
    (dict(patience=0), "patience is 0"), (dict(warmup=1.1), "warmup is 1.1: give a share"),
    (dict(layer_decay=-0.1), "layer_decay is -0.1: give a share"), (dict(clip=0), "clip is 0"),
    (dict(weight_decay=-1e-9), "weight_decay is -1e-09"), (dict(seed=-1), "seed is -1"),
    (dict(seed=2**32), "seed is 4294967296"), (dict(rate="1e-3"), "rate is of type str"),
    (dict(precision="fp16"), "precision is 'fp16': give one of auto, no, bf16"),
    (dict(precision=None), "precision is of type NoneType")], ids=str)
def test_settings_that_no_training_can_use_are_refused(wrong, cure):
    with pytest.raises(CourseError, match=cure) as problem:
        Settings(**wrong)
    assert "\n" not in str(problem.value)


def test_numbers_of_numpy_are_numbers():
    made = Settings(epochs=np.int64(3), rate=np.float32(0.25), clip=np.float64(2))
    assert made == Settings(epochs=3, rate=0.25, clip=2.0)
    assert {type(value) for value in astuple(made)} == {int, float, str}


def test_one_process_trains_in_any_order_of_precisions(folders):
    seen = []
    for precision in ("no", "bf16", "no"):
        made = AlbertTagger.new(folders["bert"], seed=1)
        run = Run(made, made.rows(DATA), made.rows(DATA),
                  Settings(epochs=2, size=4, precision=precision))
        run.go(progress=False)
        seen.append([entry["loss"] for entry in run.log])
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize("wrong", [dict(seed=-1), dict(seed=2**70), dict(width=0), dict(seed=0.5),
                                   dict(types=[]), dict(types=None), dict(types=[3]),
                                   dict(scheme="BMES"), dict(frozen="yes"), dict(head=[1])], ids=str)
def test_a_tagger_that_cannot_be_is_refused_in_one_line(folders, wrong):
    for make in (lambda: AlbertTagger.new(folders["bert"], task="bilstm", **wrong),):
        with pytest.raises(CourseError) as problem:
            make()
        assert "\n" not in str(problem.value)


def test_a_decoder_tags_and_a_model_of_two_parts_is_refused(tmp_path):
    for kind in ("causal", "spans"):
        for part in tiny_families.model(kind):
            part.save_pretrained(tmp_path / kind)
    made = finding(AlbertTagger.new(tmp_path / "causal"))
    made.save(tmp_path / "saved")
    text = "the teacher watches a small dog ."
    found = made.predict([text])
    assert found[0] and AlbertTagger.from_pretrained(tmp_path / "saved").predict([text]) == found
    with pytest.raises(CourseError, match="spans has a decoder.*use a model of one part"):
        AlbertTagger.new(tmp_path / "spans")


# --- taggers of others ------------------------------------------------------------------------

FOREIGN = {
    "BIO": ("O B-PER I-PER B-LOC I-LOC B-ORG I-ORG", {}),
    "extra first": ("[PAD] B-PER I-PER O X B-LOC I-LOC", {}),
    "BMES": ("O B-PER M-PER E-PER S-PER B-LOC M-LOC E-LOC S-LOC", {"M": "I"}),
    "BILOU": ("B-PER I-PER L-PER U-PER O B-LOC I-LOC L-LOC U-LOC [CLS] [SEP]", {"L": "E", "U": "S"}),
    "IO": ("I-PER I-LOC O", {}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_labels_of_others_are_read(folders, name, tmp_path):
    labels, letters = FOREIGN[name][0].split(), FOREIGN[name][1]
    torch.manual_seed(3)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        folders["bert"], num_labels=len(labels), id2label=dict(enumerate(labels)))
    torch.nn.init.normal_(model.classifier.weight)
    with torch.no_grad():  # so that each label is the best somewhere
        ids = torch.randint(10, 90, (9, 9))
        model.classifier.bias -= model.eval()(ids).logits.mean((0, 1))
    model.save_pretrained(tmp_path / "theirs")
    for file in folders["bert"].glob("*token*"):
        shutil.copy(file, tmp_path / "theirs")
    tagger = AlbertTagger.from_pretrained(tmp_path / "theirs")
    assert tagger.scheme == {"BMES": "BIOES", "BILOU": "BIOES", "IO": "IO"}.get(name, "BIO")
    seen, right = set(), []
    for encoded in tagger.rows([Example(text, ()) for text in TEXTS]).texts:
        with torch.inference_mode():
            best = model.eval()(torch.tensor(encoded.rows)).logits[0, 1:-1].argmax(-1).tolist()
        tags = [labels[i] if "-" in labels[i] else "O" for i in best]
        tags = [letters.get(tag[0], tag[0]) + tag[1:] for tag in tags]
        right.append([Entity(*encoded.offsets[[e.start, e.end - 1], [0, 1]].tolist(), e.type)
                      for e in schemes.from_tags(tags, tagger.scheme)])
        seen |= set(best)
    assert len(seen) > 2 and tagger.predict(TEXTS) == right
    # It is trained on, saved and read as one of ours; what stands for no word is never taught.
    made = tagger.rows([Example("王明来", (Entity(0, 2, "PER"),))])
    named = [tagger.labels[i] for i in made.labels[0] if i >= 0]
    assert named == schemes.to_tags([Entity(0, 2, "PER")], 3, tagger.scheme)
    tagger.save(tmp_path / "saved")
    assert AlbertTagger.from_pretrained(tmp_path / "saved").predict(TEXTS) == tagger.predict(TEXTS)


@pytest.mark.parametrize("labels", ["PER LOC O", "b-per i-per O", "B_PER I_PER O", "B-PER I-PER",
                                    "LABEL_0 LABEL_1 LABEL_2"])
def test_other_labels_are_refused_in_one_line(folders, labels, tmp_path):
    names = labels.split()
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        folders["bert"], num_labels=len(names), id2label=dict(enumerate(names)))
    model.save_pretrained(tmp_path)
    for file in folders["bert"].glob("*token*"):
        shutil.copy(file, tmp_path)
    with pytest.raises(CourseError, match=f"has the labels {names[0]}.*BMES, BILOU") as problem:
        AlbertTagger.from_pretrained(tmp_path)
    assert "\n" not in str(problem.value)


def test_a_model_with_more_layers_on_its_encoder_is_refused(folders, tmp_path):
    """Its answers would be others than its own."""
    shutil.copytree(folders["modernbert"], tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    model = transformers.ModernBertForTokenClassification.from_pretrained(
        tmp_path / "theirs", id2label={0: "O", 1: "B-PER", 2: "I-PER"})
    assert config["model_type"] == "modernbert"
    model.save_pretrained(tmp_path / "theirs")
    with pytest.raises(CourseError, match="more than one layer.*AlbertTagger.new"):
        AlbertTagger.from_pretrained(tmp_path / "theirs")
