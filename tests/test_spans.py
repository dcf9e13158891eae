"""Properties of span corruption and of the prefix LM.

Each property is a function ``check_*()`` of ``companion.objectives.spans`` as it is.
tests/test_spans_mutants.py breaks the module and expects the same functions to fail.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_causal import QUICK, close, gpt, logits_of, make_tokenizer, random_ids, refused
from torch.nn.functional import pad
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

from companion.errors import CourseError
from companion.objectives import causal, spans
from companion.objectives.masked import IGNORE
from companion.objectives.spans import PrefixLM, SpanCorruption

PLAIN = make_tokenizer()
TOKENIZER = spans.with_sentinels(PLAIN, 40)
EOS, PAD, VOCABULARY = TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, len(TOKENIZER)
MARKS = spans.sentinels(TOKENIZER)
SIGMAS = 5  # a right implementation is outside with a probability below one in a million


def t5(**config):
    torch.manual_seed(1)
    return T5ForConditionalGeneration(T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=PAD,
        **config,
    )).eval()


def decoder_alone(attention="sdpa"):
    """As ``gpt``, with embeddings for the sentinels."""
    torch.manual_seed(1)
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=2, n_head=2,
        initializer_range=0.3, attn_implementation=attention,
    )).eval()


def rows_with_padding():
    rows = random_ids(4, 40)
    for row, tokens in enumerate([40, 23, 1, 12]):
        rows[row, tokens:] = PAD
    return rows


# --- one text -----------------------------------------------------------------------------

texts = st.lists(st.integers(2, MARKS[0] - 1), max_size=60)  # pad (1) apart, any id


@st.composite
def texts_with_spans(draw):
    """Any text and any spans in it, also touching ones."""
    ids = draw(texts)
    edges = draw(st.lists(st.integers(0, len(ids)), max_size=20, unique=True).map(sorted))
    return ids, list(zip(edges[::2], edges[1::2]))


@QUICK
@given(texts_with_spans())
def check_decode_undoes_encode(case):
    ids, places = case
    inputs, targets = spans.encode(ids, places, MARKS)
    taken = sum(end - begin for begin, end in places)
    assert len(inputs) == len(ids) - taken + len(places)
    assert len(targets) == taken + len(places) + 1
    # Nothing is told twice: what was taken out stands in the targets alone.
    kept = [ids[i] for i in range(len(ids)) if not any(a <= i < b for a, b in places)]
    assert [token for token in inputs if token not in MARKS] == kept
    assert [token for token in inputs if token in MARKS] == MARKS[: len(places)]
    assert spans.decode(inputs, targets, MARKS) == ids


@QUICK
@given(texts, st.data())
def check_sentinels_in_the_text_are_refused(ids, data):
    ids.insert(data.draw(st.integers(0, len(ids))), data.draw(st.sampled_from(MARKS)))
    try:
        spans.encode(ids, [(0, 1)], MARKS)
    except CourseError as problem:
        assert "holds the sentinel" in str(problem)
    else:
        raise AssertionError("a text with a sentinel was accepted")


@QUICK
@given(st.integers(1, 100), st.integers(0, 10_000), st.data())
def check_spans_are_drawn_as_asked(count, seed, data):
    noise = data.draw(st.integers(1, count))
    number = data.draw(st.integers(1, min(noise, count - noise + 1)))
    generator = torch.Generator().manual_seed(seed)
    drawn = spans.draw_spans(count, noise, number, generator)
    assert len(drawn) == number
    assert sum(end - begin for begin, end in drawn) == noise
    assert all(begin < end for begin, end in drawn)
    assert all(a[1] < b[0] for a, b in zip(drawn, drawn[1:]))  # never touching
    assert drawn[0][0] >= 0 and drawn[-1][1] <= count


def check_all_ways_are_equally_probable():
    """Of 7 tokens, 3 in 2 spans: 2 ways to cut 3, C(5, 2) ways to place."""
    generator, trials, seen = torch.Generator().manual_seed(0), 4000, {}
    for _ in range(trials):
        drawn = tuple(spans.draw_spans(7, 3, 2, generator))
        seen[drawn] = seen.get(drawn, 0) + 1
    ways = 2 * math.comb(5, 2)
    assert len(seen) == ways
    sigma = math.sqrt(trials / ways * (1 - 1 / ways))
    assert all(abs(count - trials / ways) < SIGMAS * sigma for count in seen.values())


# --- span corruption ----------------------------------------------------------------------


def check_collator_is_invertible():
    rows = rows_with_padding()
    rows[0, 7] = EOS  # also where documents are packed
    for number in range(5):
        make = SpanCorruption(TOKENIZER)
        batch = make(rows, number)
        for row, inputs, labels in zip(rows, batch["input_ids"], batch["labels"]):
            assert make.restore(inputs, labels) == row[row != PAD].tolist()


def check_share_and_mean_length():
    """The share is exact, the mean within the bound that the class states."""
    for share, mean, length in [(0.15, 3, 128), (0.15, 3, 40), (0.5, 3, 64), (0.3, 1.0, 50)]:
        tokenizer = spans.with_sentinels(PLAIN, 64)
        batch = SpanCorruption(tokenizer, share=share, mean=mean)(random_ids(6, length))
        marks = torch.tensor(spans.sentinels(tokenizer))
        taken = (~torch.isin(batch["labels"], marks) & (batch["labels"] != EOS)).sum(1)
        number = torch.isin(batch["input_ids"], marks).sum(1)
        assert (taken == round(share * length)).all()
        assert (abs(taken / number - mean) <= mean / (2 * number) + 1e-6).all()


def check_shapes_are_fixed():
    make = SpanCorruption(TOKENIZER)
    for length in (12, 40, 100):
        inputs, targets = make.widths(length)
        for number in range(4):
            batch = make(random_ids(3, length, seed=number), number)
            assert set(batch) == {"input_ids", "labels"}  # no padding, so no mask
            assert batch["input_ids"].shape == (3, inputs)
            assert batch["labels"].shape == (3, targets)
            assert not (batch["input_ids"] == PAD).any() and (batch["labels"] != IGNORE).all()
    padded = make(rows_with_padding()[1:])  # without the row that has no padding
    assert padded["input_ids"].shape == padded["attention_mask"].shape == (3, make.widths(40)[0])
    assert padded["labels"].shape == (3, make.widths(40)[1])


def check_both_sides_end_with_eos():
    batch = SpanCorruption(TOKENIZER)(rows_with_padding())
    for rows, filler in [(batch["input_ids"], PAD), (batch["labels"], IGNORE)]:
        for row in rows:
            assert row[row != filler][-1] == EOS
            assert (row[row != filler] == EOS).sum() == 1


def check_spans_are_dynamic():
    rows, make = random_ids(8, 40), SpanCorruption(TOKENIZER)
    first, again, other = (make(rows, number) for number in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["labels"], other["labels"])
    assert not torch.equal(first["labels"], SpanCorruption(TOKENIZER, seed=1)(rows, 4)["labels"])
    same = make(rows[:1].expand(8, -1))["labels"]
    assert len({tuple(row) for row in same.tolist()}) > 1  # every row has its own


def check_rows_are_not_modified():
    for make in (SpanCorruption(TOKENIZER), PrefixLM(TOKENIZER)):
        for rows in (random_ids(3, 40), random_ids(3, 40).numpy().astype(np.uint16)):
            before = rows.copy() if isinstance(rows, np.ndarray) else rows.clone()
            make(rows)["input_ids"].add_(1)
            assert (rows == before).all()


# --- the loss of an encoder-decoder -------------------------------------------------------


def check_equal_to_transformers():
    model = t5()
    for rows in (random_ids(4, 40), rows_with_padding()):
        batch = SpanCorruption(TOKENIZER)(rows)
        with torch.no_grad():
            ours, theirs = spans.loss(model, batch), model(**batch).loss
        assert ours.item() == pytest.approx(theirs.item(), abs=1e-5, rel=1e-5)


def check_padding_does_not_count():
    """Each text alone, without padding: the same mean over all their labels."""
    model, batch = t5(), SpanCorruption(TOKENIZER)(rows_with_padding())
    total = count = 0
    for inputs, labels in zip(batch["input_ids"], batch["labels"]):
        alone = {"input_ids": inputs[inputs != PAD][None], "labels": labels[labels != IGNORE][None]}
        with torch.no_grad():
            total += spans.loss(model, alone).item() * alone["labels"].numel()
        count += alone["labels"].numel()
    with torch.no_grad():
        assert spans.loss(model, batch).item() == pytest.approx(total / count, abs=1e-5)


def check_teacher_forcing_is_one_pass_for_all_steps():
    """The loss is that of a loop in which the decoder reads the right tokens so far."""
    model, batch, losses = t5(), SpanCorruption(TOKENIZER)(random_ids(1, 40)), []
    labels = batch["labels"][0].tolist()
    for step, wanted in enumerate(labels):
        read = torch.tensor([[PAD, *labels[:step]]])
        with torch.no_grad():
            scores = model(input_ids=batch["input_ids"], decoder_input_ids=read).logits[0, -1]
        losses.append(-scores.log_softmax(0)[wanted].item())
    with torch.no_grad():
        assert spans.loss(model, batch).item() == pytest.approx(np.mean(losses), abs=1e-5)


# --- one stack ----------------------------------------------------------------------------


def check_prefix_sees_itself_and_the_rest_sees_the_left():
    """Another token at one position: which logits change?"""
    rows, prefix = random_ids(1, 9), 4
    for attention in ("sdpa", "eager"):
        model = gpt(attention)
        mask = spans.prefix_mask(torch.tensor([prefix]), torch.ones(1, 9, dtype=torch.bool))
        before = logits_of({"input_ids": rows, "attention_mask": mask}, model)[0]
        for place in range(9):
            other = rows.clone()
            other[0, place] = 5 + (rows[0, place] - 5 + 1) % 200
            after = logits_of({"input_ids": other, "attention_mask": mask}, model)[0]
            moved = [not close(a, b) for a, b in zip(before, after)]
            assert moved == [place < prefix or i >= place for i in range(9)]


def check_prefix_has_no_label():
    rows = pad(random_ids(200, 12), (0, 5), value=PAD)
    batch = PrefixLM(TOKENIZER)(rows)
    asked = batch["labels"] != IGNORE
    assert torch.equal(batch["labels"][asked], rows[asked])
    assert torch.equal(batch["input_ids"], rows)
    assert not asked[:, 0].any() and asked[:, 11].all() and not asked[:, 12:].any()
    assert (asked[:, 1:12] >= asked[:, :11]).all()  # first the prefix, then the rest
    counts = torch.bincount(asked.sum(1), minlength=12)[1:]
    assert (abs(counts - 200 / 11) < SIGMAS * math.sqrt(200 / 11)).all()
    # The mask is of the same cut.
    for row, labels in zip(batch["attention_mask"][:, 0] == 0, asked):
        prefix = 12 - int(labels.sum())
        assert row[:prefix, :prefix].all() and not row[:12, 12:].any()
        assert torch.equal(row[prefix:12, :12], torch.ones(12, 12).bool().tril()[prefix:])


def check_cuts_are_dynamic():
    rows, make = random_ids(8, 40), PrefixLM(TOKENIZER)
    first, again, other = (make(rows, number)["labels"] for number in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first, PrefixLM(TOKENIZER, seed=1)(rows, 4)["labels"])


def check_decoder_alone_equal_to_transformers():
    corrupted = SpanCorruption(TOKENIZER)(rows_with_padding())
    for attention in ("sdpa", "eager"):
        model = decoder_alone(attention)
        for batch in (PrefixLM(TOKENIZER)(random_ids(4, 30)), spans.joined(corrupted, PAD),
                      spans.joined(corrupted, PAD, both_ways=False)):
            with torch.no_grad():
                ours, theirs = causal.loss(model, batch), model(**batch).loss
            assert ours.item() == pytest.approx(theirs.item(), abs=1e-5, rel=1e-5)


def check_joined_is_inputs_then_targets():
    """Padded rows in a batch have the loss that the texts have alone and by hand."""
    model, batch = decoder_alone(), SpanCorruption(TOKENIZER)(rows_with_padding())
    for both_ways in (True, False):
        total = count = 0
        for inputs, labels in zip(batch["input_ids"], batch["labels"]):
            inputs, labels = inputs[inputs != PAD], labels[labels != IGNORE]
            row, size = torch.cat([inputs, labels]), len(inputs)
            looks = torch.ones(len(row), len(row)).tril()
            looks[:size, :size] = 1 if both_ways else looks[:size, :size]
            mask = causal.additive(looks.bool()[None])
            scores = logits_of({"input_ids": row[None], "attention_mask": mask}, model)[0]
            each = -scores.log_softmax(-1)[torch.arange(size - 1, len(row) - 1), labels]
            total, count = total + each.sum().item(), count + len(labels)
        with torch.no_grad():
            ours = causal.loss(model, spans.joined(batch, PAD, both_ways)).item()
        assert ours == pytest.approx(total / count, abs=1e-5)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


# --- details ------------------------------------------------------------------------------


def test_the_example_of_the_module():
    a, b, c, d, e, f, g, h = range(10, 18)
    x, y, z = MARKS[:3]
    assert spans.encode([a, b, c, d, e, f, g, h], [(2, 4), (7, 8)], MARKS) == (
        [a, b, x, e, f, g, y], [x, c, d, y, h, z]
    )


def test_spans_come_from_the_seed_and_the_number_of_the_batch():
    """Drawn here in the same way, and put together by hand."""
    rows, number = rows_with_padding(), 5
    for seed in (0, 2):
        batch = SpanCorruption(TOKENIZER, seed=seed)(rows, number)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        for row, inputs, labels in zip(rows, batch["input_ids"], batch["labels"]):
            ids = row[row != PAD].tolist()
            drawn = spans.draw_spans(len(ids), *spans.counts(len(ids)), generator)
            wanted = spans.encode(ids, drawn, MARKS)
            assert inputs[inputs != PAD].tolist() == [*wanted[0], EOS]
            assert labels[labels != IGNORE].tolist() == [*wanted[1], EOS]
        assert (batch["attention_mask"] == (batch["input_ids"] != PAD)).all()
        cut = PrefixLM(TOKENIZER, seed=seed)(rows[:2], number)["labels"]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        places = 1 + (torch.rand(2, generator=generator) * torch.tensor([39, 22])).long()
        assert (cut != IGNORE).int().argmax(1).tolist() == places.tolist()


def test_counts_and_widths_by_hand():
    assert [spans.counts(n) for n in (1, 3, 10, 20, 40, 128)] == [
        (1, 1), (1, 1), (2, 1), (3, 1), (6, 2), (19, 6)]
    assert spans.counts(40, 0.5, 2) == (20, 10)
    assert SpanCorruption(TOKENIZER).widths(40) == (40 - 6 + 2 + 1, 6 + 2 + 2)


def test_rows_are_the_texts_one_after_the_other():
    texts = ["a b c", "", "d e", "f g h i"]
    flat = [i for text in texts if text
            for i in [EOS, *PLAIN(text, add_special_tokens=False).input_ids]]
    for length in (1, 3, len(flat)):
        rows = spans.pack(texts, PLAIN, length)
        assert rows.shape == (len(flat) // length, length)
        assert rows.ravel().tolist() == flat[: rows.size]
    refused("length is 0: a row needs", lambda: spans.pack(texts, PLAIN, 0))
    refused(f"{len(flat)} tokens do not fill", lambda: spans.pack(texts, PLAIN, len(flat) + 1))


def test_the_longest_side_must_fit_the_model():
    torch.manual_seed(1)
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=VOCABULARY, d_model=8, encoder_layers=1, decoder_layers=1, pad_token_id=PAD,
        encoder_attention_heads=1, decoder_attention_heads=1, encoder_ffn_dim=8,
        decoder_ffn_dim=8, max_position_embeddings=12, decoder_start_token_id=EOS)).eval()

    def batch(inputs, targets):
        return {"input_ids": random_ids(1, inputs), "labels": random_ids(1, targets)}

    assert spans.logits(model, batch(12, 12)).shape == (1, 12, VOCABULARY)
    for sizes in ((13, 2), (2, 13)):
        refused("13.* 12 positions", lambda sizes=sizes: spans.logits(model, batch(*sizes)))


def test_the_smallest_of_everything_is_taken():
    assert len(spans.sentinels(spans.with_sentinels(PLAIN, 2))) == 2
    refused("no sentinels", lambda: spans.sentinels(spans.with_sentinels(PLAIN, 1)))
    SpanCorruption(TOKENIZER, share=0.5, mean=1)(random_ids(2, 40))  # every second token
    cut = PrefixLM(TOKENIZER)([[5, 6, 7], [5, 6, PAD]])["labels"]
    assert cut[1].tolist() == [IGNORE, 6, IGNORE]
    without = make_tokenizer()
    without.pad_token = None
    assert PrefixLM(without)([[5, 6]])["labels"].tolist() == [[IGNORE, 6]]
    assert spans.encode([], [], MARKS) == ([], MARKS[:1]) and spans.decode([], MARKS[:1], MARKS) == []


def test_sentinels_are_single_tokens_of_a_copy():
    assert all(TOKENIZER.added_tokens_decoder[mark].special for mark in MARKS)
    assert len(TOKENIZER) == len(PLAIN) + 40 and "<extra_id_0>" not in PLAIN.get_vocab()
    assert TOKENIZER("<extra_id_3>", add_special_tokens=False).input_ids == [MARKS[3]]
    assert len(MARKS) == len(set(MARKS)) == 40


def test_shift_right():
    labels = torch.tensor([[7, 8, 9], [7, IGNORE, IGNORE]])
    assert spans.shift_right(labels, 0, 1).tolist() == [[0, 7, 8], [0, 7, 1]]


def test_it_learns_to_copy_what_was_taken():
    """Rows of one repeated token: what is missing can be read off the rest."""
    model = t5(dropout_rate=0.0).train()
    rows = torch.arange(5, 9).unsqueeze(1).expand(4, 20)
    make, optimizer = SpanCorruption(TOKENIZER), torch.optim.Adam(model.parameters(), 1e-2)
    for number in range(60):
        optimizer.zero_grad()
        spans.loss(model, make(rows, number)).backward()
        optimizer.step()
    with torch.no_grad():
        assert spans.loss(model.eval(), make(rows, 1000)).item() < 0.5


@pytest.mark.parametrize("match, arguments", [
    ("share is 0: give", {"share": 0}), ("share is 1: give", {"share": 1}),
    ("would touch: give longer spans", {"mean": 0.5}),
    ("would touch: give longer spans", {"mean": 1, "share": 0.6}),
])
def test_wrong_settings_are_refused(match, arguments):
    refused(match, lambda: SpanCorruption(TOKENIZER, **arguments))


def test_wrong_tokenizers_are_refused():
    refused("no sentinels: use with_sentinels", lambda: SpanCorruption(PLAIN))
    no_pad = make_tokenizer()
    no_pad.pad_token = None
    refused("no pad token: set its pad_token", lambda: SpanCorruption(no_pad))
    refused(r"need 3 sentinels, there are 2: use with_sentinels\(tokenizer, 3\)",
            lambda: SpanCorruption(spans.with_sentinels(PLAIN, 2))(random_ids(1, 40)))


@pytest.mark.parametrize("rows, match", [
    ([1, 2, 3], r"shape \(3,\): give"),
    ([[5, VOCABULARY]], "ids outside"),
    ([[5, 6, 7], [PAD, PAD, PAD]], "only padding: leave it out"),
    ([[5, 6, MARKS[2]]], f"holds the sentinel {MARKS[2]}: remove it"),
])
def test_wrong_rows_are_refused(rows, match):
    refused(match, lambda: SpanCorruption(TOKENIZER)(rows))


@pytest.mark.parametrize("places", [[(3, 3)], [(4, 2)], [(2, 4), (3, 5)], [(8, 11)], [(-1, 2)]])
def test_wrong_spans_are_refused(places):
    refused("empty, out of order or outside", lambda: spans.encode(range(5, 15), places, MARKS))


@pytest.mark.parametrize("targets", [
    [], [5], MARKS[:2], MARKS[:4], MARKS[2::-1], [5, *MARKS[:3]], [*MARKS[:3], 5],
])
def test_targets_of_another_text_are_refused(targets):
    inputs = [5, MARKS[0], 6, MARKS[1]]
    refused("sentinels of inputs and targets do not match",
            lambda: spans.decode(inputs, targets, MARKS))
    with_eos = torch.tensor([*inputs, EOS])
    refused("do not end with eos",
            lambda: SpanCorruption(TOKENIZER).restore(with_eos, torch.tensor([*targets, 7])))


def test_inputs_of_another_text_are_refused():
    """The targets are right in themselves."""
    for inputs in ([5, MARKS[1], 6, MARKS[0]], [MARKS[0], MARKS[2]], [MARKS[1], MARKS[2]]):
        refused("sentinels of inputs and targets do not match",
                lambda inputs=inputs: spans.decode(inputs, [MARKS[0], 5, MARKS[1], MARKS[2]], MARKS))


@pytest.mark.parametrize("rows", [[[5, 6, 7], [5, PAD, PAD]], [[5, PAD, PAD]], [[PAD, 5, 6]], [[5, PAD, 6]]])
def test_rows_that_cannot_be_cut_are_refused(rows):
    refused("fewer than two tokens or padding before", lambda: PrefixLM(TOKENIZER)(rows))


def test_wrong_models_and_batches_are_refused():
    batch = SpanCorruption(TOKENIZER)(random_ids(2, 40))
    refused("no encoder and decoder: load one", lambda: spans.loss(decoder_alone(), batch))
    nothing = {**batch, "labels": torch.full_like(batch["labels"], IGNORE)}
    refused("no position has a label: corrupt", lambda: spans.loss(t5(), nothing))
    model = t5()
    model.config.decoder_start_token_id = None
    refused("lacks decoder_start_token_id", lambda: spans.loss(model, batch))
