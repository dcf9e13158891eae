"""The tagger against transformers, against brute force, and on any text at all."""

import itertools
import json
import re
import shutil

import numpy as np
import pytest
import tiny_ner
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    AlbertForTokenClassification,
    AutoModelForTokenClassification,
    XLMRobertaConfig,
    XLMRobertaModel,
    pipeline,
)
from transformers.activations import NewGELUActivation

from companion import checkpoints, storage
from companion.entity import Entity, Example
from companion.errors import CourseError
from companion.ner import decoding, rows, schemes, storing
from companion.ner.batching import IGNORE
from companion.ner.network import Gelu, Network, chains
from companion.ner.tagger import AlbertTagger

TEXTS = [e.text for e in tiny_ner.examples(12, seed=3)]
KINDS = [dict(task=t, head=h) for t in ("linear", "bilstm") for h in ("softmax", "crf")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("encoder")


@pytest.fixture(scope="module")
def taggers(folder):
    return {(k["task"], k["head"]): tiny_ner.tagger(folder, **k) for k in KINDS}


def one_line(problem) -> str:
    assert "\n" not in str(problem.value)
    return str(problem.value)


def batch_of(tagger, count=6):
    made = tagger.rows(tiny_ner.examples(count, seed=5))
    return made.batch(np.arange(len(made)))


# --- against transformers -------------------------------------------------------------------

@pytest.mark.parametrize("family", ["albert", "bert"])
def test_saved_softmax_tagger_has_equal_logits_and_loss_in_transformers(family, tmp_path):
    tiny_ner.encoder(tmp_path / "encoder", family)
    tagger = AlbertTagger.new(tmp_path / "encoder")
    tagger.save(tmp_path / "saved")
    theirs = AutoModelForTokenClassification.from_pretrained(tmp_path / "saved").eval()
    assert type(theirs).__name__.lower().startswith(family)
    assert theirs.config.id2label == dict(enumerate(tagger.labels))
    batch = batch_of(tagger)
    with torch.inference_mode():
        out = theirs(**batch)
        states = tagger.network.states(batch["input_ids"], batch["attention_mask"])
        ours = tagger.network.emissions(states, batch["attention_mask"])
        loss = tagger.network(batch)
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(ours[real], out.logits[real], atol=1e-6, rtol=1e-5)
    assert loss.item() == pytest.approx(out.loss.item(), abs=1e-6)


def test_plain_albert_class_reads_the_folder_without_a_word(tmp_path, folder):
    tagger = tiny_ner.tagger(folder)
    tagger.save(tmp_path / "saved")
    _, report = AlbertForTokenClassification.from_pretrained(tmp_path / "saved",
                                                             output_loading_info=True)
    assert not any(report.values())


def test_fast_activation_is_the_same_function(tmp_path):
    tiny_ner.encoder(tmp_path, hidden_act="gelu_new")
    plain, _ = checkpoints.load(tmp_path, kind="encoder")
    ids = torch.tensor([[2, 6, 7, 8, 3]])
    with torch.inference_mode():
        theirs = plain(input_ids=ids).last_hidden_state
        ours = AlbertTagger.new(tmp_path).network.states(ids)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_activation_is_that_of_transformers_in_every_mode():
    x = torch.linspace(-8, 8, 4001)
    theirs = NewGELUActivation()(x)
    torch.testing.assert_close(Gelu()(x.requires_grad_()), theirs, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(Gelu()(x), theirs, atol=1e-5, rtol=1e-5)
    exact = torch.nn.functional.gelu(x)
    assert (exact - theirs).abs().max() < 5e-4


def test_entities_are_those_of_the_pipeline(taggers, tmp_path):
    tagger = taggers["linear", "softmax"]
    tagger.save(tmp_path / "saved")
    theirs = pipeline("token-classification", str(tmp_path / "saved"),
                      aggregation_strategy="simple")
    found = tagger.predict(TEXTS)
    assert sum(map(len, found)) > 5
    for ours, other in zip(found, theirs(TEXTS), strict=True):
        assert [(e.start, e.end, e.type) for e in ours] == [
            (o["start"], o["end"], o["entity_group"]) for o in other]


# --- which positions count ------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_but_labelled_positions_counts(taggers, kind):
    """Padding and special tokens: neither their ids behind the mask nor more of them matter."""
    tagger = taggers[kind["task"], kind["head"]]
    batch = batch_of(tagger)
    before = tagger.network(batch).item()
    counted = batch["labels"] != IGNORE
    assert (counted.sum(1) == batch["attention_mask"].sum(1) - 2).all()
    other = {name: tensor.clone() for name, tensor in batch.items()}
    other["input_ids"][batch["attention_mask"] == 0] = 7
    wider = {"input_ids": 7, "attention_mask": 0, "labels": IGNORE}
    other = {n: torch.cat([t, torch.full((len(t), 5), wider[n])], 1) for n, t in other.items()}
    assert tagger.network(other).item() == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_gradient_reaches_scores_that_do_not_count(taggers, kind):
    tagger = taggers[kind["task"], kind["head"]]
    batch, seen = batch_of(tagger), []
    network = tagger.network
    original = network.emissions
    network.emissions = lambda *a: seen.append(original(*a).detach().requires_grad_()) or seen[0]
    try:
        network(batch).backward()
    finally:
        del network.emissions
    at = seen[0].grad.abs().sum(-1) > 0
    assert not at[batch["labels"] == IGNORE].any() and at[batch["labels"] != IGNORE].all()


def test_chains_move_what_counts_to_the_left():
    labels = torch.tensor([[IGNORE, 4, IGNORE, 5], [IGNORE, IGNORE, 6, IGNORE]])
    emissions = torch.arange(8.0).view(2, 4, 1)
    moved, found, counted = chains(emissions, labels)
    assert moved[..., 0].tolist() == [[1, 3], [6, 4]]
    assert found.tolist() == [[4, 5], [6, 0]] and counted.tolist() == [[True, True], [True, False]]


def test_chains_leave_out_rows_without_labels():
    emissions = torch.ones(2, 3, 1, requires_grad=True)
    moved, found, _ = chains(emissions, torch.tensor([[IGNORE] * 3, [IGNORE, 2, IGNORE]]))
    assert moved.shape == (1, 1, 1) and found.tolist() == [[2]]
    moved, found, counted = chains(emissions, torch.full((2, 3), IGNORE))
    assert moved.shape[0] == found.shape[0] == counted.shape[0] == 0
    moved.sum().backward()  # the loss of a batch of nothing has a gradient: zero


def test_longest_row_of_a_roberta_leaves_out_the_positions_below_its_padding(tmp_path):
    """RoBERTa and its relatives number positions from the padding id on."""
    tiny_ner.encoder(tmp_path)
    tokenizer = AlbertTagger.new(tmp_path).tokenizer
    model = XLMRobertaModel(XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, pad_token_id=tokenizer.pad_token_id))
    names = schemes.labels(["PER"])
    tagger = AlbertTagger(Network(model, names), tokenizer, names)
    assert tagger.longest == 32 - tokenizer.pad_token_id - 1
    text = "王明来到北京" * 20
    for found in tagger.predict([text]):  # rows of this length do not run out of positions
        assert all(text[e.start : e.end] == e.text for e in found)


@pytest.mark.parametrize("scheme", ["IO", "BIO", "BIOES"])
def test_a_crf_trains_on_entities_that_windows_cut(folder, scheme):
    tiny_ner.encoder(folder)
    tagger = AlbertTagger.new(folder, head="crf", scheme=scheme)
    names, room = tagger.labels, tagger.longest - 2
    legal = schemes.legal(names, scheme)
    plain, dropped = AlbertTagger.new(folder, scheme=scheme), 0
    for lead in range(room):  # the entities meet the edges of the windows in every way
        text = "，" * lead + "王明明明来到北京市" * (3 * room // 9)
        found = [Entity(m.start(), m.end(), kind)
                 for kind, word in [("PER", "王明明明"), ("LOC", "北京市")]
                 for m in re.finditer(word, text)]
        example = Example(text, tuple(sorted(found)))
        made = tagger.rows([example])
        assert len(made) > 2
        loss = tagger.network(made.batch(np.arange(len(made))))
        assert torch.isfinite(loss)
        for ours, every in zip(made.labels, plain.rows([example]).labels):
            chain = [x for x in ours if x != IGNORE]
            assert legal.start[chain[0]] and legal.end[chain[-1]]
            gone = [b for a, b in zip(ours, every) if a != b]
            assert "O" not in [names[x] for x in gone] and len(gone) <= 2 * 3
            dropped += len(gone)
    assert bool(dropped) == (scheme != "IO")


# --- windows, scores, any text --------------------------------------------------------------

def test_batches_do_not_change_the_scores(taggers, monkeypatch):
    tagger = taggers["bilstm", "crf"]
    together = tagger.predict(TEXTS)
    alone = [tagger.predict([text])[0] for text in TEXTS]
    assert together == alone
    for a, b in zip(sum(together, []), sum(alone, [])):
        assert a.score == pytest.approx(b.score, abs=1e-5)


def test_score_is_the_probability_of_the_labels_over_all_sequences(taggers):
    crf = taggers["linear", "crf"].network.crf
    names = taggers["linear", "crf"].labels
    scores = torch.randn(4, len(names), generator=torch.Generator().manual_seed(2)) * 2
    best, alone, after = decoding._chains(scores.numpy(), np.array([0, 4]), crf)
    legal = schemes.legal(names)
    total = dict.fromkeys([(a, b) for a in range(4) for b in range(a + 1, 5)], 0.0)
    everything = 0.0
    for tags in itertools.product(range(len(names)), repeat=4):
        steps = zip(tags, tags[1:])
        if not legal.start[tags[0]] or not all(legal.between[a, b] for a, b in steps):
            continue
        weight = crf.score(scores[None], torch.tensor([tags])).exp().item()
        everything += weight
        for a, b in total:
            total[a, b] += weight * (list(tags[a:b]) == best[a:b].tolist())
    for (a, b), weight in total.items():
        ours = np.exp(alone[a] + after[a + 1 : b].sum())
        assert ours == pytest.approx(weight / everything, rel=1e-4)


def test_softmax_score_is_the_product_over_the_tokens(taggers):
    tagger = taggers["linear", "softmax"]
    made = rows.build(TEXTS, tagger.tokenizer, tagger.longest)
    scores = torch.from_numpy(rows.emissions(tagger.network, made)).softmax(-1).amax(-1)
    for i, found in enumerate(tagger.decode(made)):
        starts = made.texts[i].offsets[:, 0]
        for e in found:
            inside = np.flatnonzero((starts >= e.start) & (starts < e.end)) + made.bounds[i]
            assert e.score == pytest.approx(scores[inside].prod().item(), rel=1e-4)


ALPHABET = st.one_of(
    st.characters(),
    st.sampled_from("王明北京上海１９９８vcd 😀👩‍👩‍👧\u200b\u200d\ufeff\x1b\n㎏é"))


@pytest.mark.filterwarnings("ignore:.*mostly unknown")
@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(ALPHABET, max_size=90), max_size=4),
       kind=st.sampled_from(KINDS))
def test_offsets_slice_back_for_any_text(taggers, texts, kind):
    tagger = taggers[kind["task"], kind["head"]]
    found = tagger.predict(texts)
    assert len(found) == len(texts)
    for text, entities in zip(texts, found):
        at = 0
        for e in entities:
            assert at <= e.start < e.end <= len(text) and text[e.start : e.end] == e.text
            assert 0 < e.score <= 1.0001 and e.type in ("PER", "LOC", "ORG")
            at = e.end


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_ten_thousand_characters_and_none(taggers, kind):
    text = "王明来到北京，看了1998年的😀展览。" * 500
    found, nothing, spaces = taggers[kind["task"], kind["head"]].predict([text, "", " \u200b"])
    assert len(text) > 9000 and nothing == spaces == []
    assert found[-1].end > len(text) - 40  # nothing was cut off
    assert all(text[e.start : e.end] == e.text for e in found)


def test_no_texts_and_one_text(taggers):
    tagger = taggers["linear", "softmax"]
    assert tagger.predict([]) == []
    with pytest.raises(CourseError, match="give a list"):
        tagger.predict("北京")


# --- saving -----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_saved_and_read_again_it_says_the_same(taggers, kind, tmp_path):
    tagger = taggers[kind["task"], kind["head"]]
    tagger.save(tmp_path / "saved")
    again = AlbertTagger.from_pretrained(tmp_path / "saved")
    assert again.predict(TEXTS) == tagger.predict(TEXTS)
    ours, theirs = tagger.network.state_dict(), again.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.network.settings == tagger.network.settings
    assert not (tmp_path / "saved.partial").exists()


def test_baseline_from_scratch_is_saved_too(tmp_path):
    tagger = AlbertTagger.from_scratch(tiny_ner.tokenizer(), width=8)
    tagger.save(tmp_path / "saved")
    again = AlbertTagger.from_pretrained(tmp_path / "saved")
    assert again.predict(TEXTS) == tagger.predict(TEXTS)
    assert torch.equal(again.network.encoder.table.weight, tagger.network.encoder.table.weight)


def test_half_precision_halves_the_file_and_is_read_as_float32(taggers, tmp_path):
    tagger = taggers["linear", "crf"]
    for half in (False, True):
        tagger.save(tmp_path / str(half), half=half)
    size = [(tmp_path / str(h) / "model.safetensors").stat().st_size for h in (False, True)]
    assert size[1] < 0.7 * size[0]
    again = AlbertTagger.from_pretrained(tmp_path / "True")
    assert {p.dtype for p in again.network.parameters()} == {torch.float32}
    assert {p.dtype for p in tagger.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("file", ["model.safetensors", "tagger.safetensors", "tagger.json",
                                  "tokenizer.json", "config.json"])
def test_damaged_folder_is_refused_by_name(taggers, tmp_path, file):
    taggers["linear", "crf"].save(tmp_path / "saved")
    data = bytearray((tmp_path / "saved" / file).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "saved" / file).write_bytes(data)
    with pytest.raises(CourseError) as problem:
        AlbertTagger.from_pretrained(tmp_path / "saved")
    assert file in one_line(problem) and "damaged" in one_line(problem)


def test_a_kill_while_saving_leaves_the_old_folder(taggers, tmp_path, monkeypatch):
    tagger = taggers["linear", "crf"]
    tagger.save(tmp_path / "saved")
    monkeypatch.setattr(storing, "save_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tagger.save(tmp_path / "saved")
    storage.verify(tmp_path / "saved")
    assert AlbertTagger.from_pretrained(tmp_path / "saved").predict(TEXTS) == tagger.predict(TEXTS)


def test_a_model_that_transformers_saved_is_read(taggers, tmp_path):
    tagger = taggers["linear", "softmax"]
    tagger.save(tmp_path / "saved")
    model = AlbertForTokenClassification.from_pretrained(tmp_path / "saved")
    model.save_pretrained(tmp_path / "theirs")
    tagger.tokenizer.save_pretrained(tmp_path / "theirs")
    again = AlbertTagger.from_pretrained(tmp_path / "theirs")
    assert again.predict(TEXTS) == tagger.predict(TEXTS) and again.scheme == "BIO"


def test_labels_of_no_scheme_are_refused(taggers, tmp_path):
    tagger = taggers["linear", "softmax"]
    tagger.save(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(7)}
    theirs = shutil.copytree(tmp_path / "saved", tmp_path / "theirs",
                             ignore=shutil.ignore_patterns("tagger.json", "sha256.json"))
    (theirs / "config.json").write_text(json.dumps(config))
    with pytest.raises(CourseError) as problem:
        AlbertTagger.from_pretrained(theirs)
    assert "LABEL_0" in one_line(problem)


def test_unknown_parts_are_named(folder):
    for wrong in (dict(task="tree"), dict(head="hard")):
        with pytest.raises(CourseError, match="use linear or bilstm, and softmax or crf"):
            AlbertTagger.new(folder, **wrong)


# --- encoders ---------------------------------------------------------------------------------

def chinese_albert(folder):
    """As many Chinese ALBERTs on the Hub: model type albert, BERT's vocab.txt, nothing else."""
    tiny_ner.encoder(folder)
    tokens = sorted(tiny_ner.tokenizer().get_vocab().items(), key=lambda pair: pair[1])
    (folder / "vocab.txt").write_text("".join(f"{t}\n" for t, _ in tokens), encoding="utf8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    return folder


def test_albert_with_the_vocabulary_of_bert_is_read_with_its_tokenizer(tmp_path):
    _, tokenizer = checkpoints.load(chinese_albert(tmp_path), kind="encoder")
    ours = tiny_ner.tokenizer()
    assert [tokenizer(t)["input_ids"] for t in TEXTS] == [ours(t)["input_ids"] for t in TEXTS]
    tagger = AlbertTagger.new(tmp_path)
    tagger.save(tmp_path / "saved")
    again = AlbertTagger.from_pretrained(tmp_path / "saved")
    assert again.tokenizer(TEXTS)["input_ids"] == ours(TEXTS)["input_ids"]


def test_albert_without_any_vocabulary_is_refused(tmp_path):
    (chinese_albert(tmp_path) / "vocab.txt").unlink()
    with pytest.raises(CourseError) as problem:
        checkpoints.load(tmp_path, kind="encoder")
    assert "vocab.txt" in one_line(problem)


def test_random_weights_are_others_than_the_checkpoint_and_follow_the_seed(folder):
    def table(**arguments):
        return AlbertTagger.new(folder, **arguments).network.encoder.get_input_embeddings().weight

    trained = table()
    assert torch.equal(trained, table(seed=5))
    assert not torch.equal(trained, table(pretrained=False))
    assert torch.equal(table(pretrained=False, seed=5), table(pretrained=False, seed=5))
    assert not torch.equal(table(pretrained=False, seed=5), table(pretrained=False, seed=6))


def test_network_of_a_frozen_encoder_trains_the_rest_only(folder):
    network = AlbertTagger.new(folder, task="bilstm", head="crf", frozen=True).network
    assert isinstance(network, Network)
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {"rnn", "classifier", "crf"}
    assert not network.train().encoder.training and network.rnn.training
