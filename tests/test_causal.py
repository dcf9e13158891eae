"""Properties of the causal objective.

Each property is a function ``check_*()`` of ``companion.objectives.causal`` as it is.
tests/test_causal_mutants.py breaks the module and expects the same functions to fail.
"""

import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from companion.errors import CourseError
from companion.objectives import causal
from companion.objectives.causal import CausalLM
from companion.objectives.masked import IGNORE
from companion.tokenization import train_characters

# No database and no random seed: the same examples on every machine. Explaining a failure
# takes longer than finding it, and the mutants fail often.
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None,
                 report_multiple_bugs=False, phases=[Phase.generate, Phase.shrink])


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = tiny.byte_bpe()
    tokenizer.eos_token = "</s>"
    return tokenizer


TOKENIZER = make_tokenizer()
EOS, PAD, VOCABULARY = TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, len(TOKENIZER)
FIRST = 5  # ids below are special tokens


def gpt(attention="sdpa", positions=64):
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=positions, n_embd=16, n_layer=2, n_head=2,
        initializer_range=0.3, bos_token_id=EOS, eos_token_id=EOS, attn_implementation=attention,
    )
    return GPT2LMHeadModel(config).eval()


def random_ids(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(FIRST, VOCABULARY, shape, generator=generator)


def document(length, seed):
    return [EOS, *random_ids(length - 1, seed=seed).tolist()]


def packed_row(*lengths):
    return sum((document(length, seed) for seed, length in enumerate(lengths)), [])


@torch.no_grad()
def logits_of(batch, model=None):
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return (model or gpt())(**inputs).logits


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-5, rtol=1e-5)


# --- rows ---------------------------------------------------------------------------------


def check_every_token_is_predicted_once():
    """Labels of all rows, joined, are the stream without its first token."""
    texts = [*tiny.texts(9), "", *tiny.texts(4, seed=1)]
    stream = [EOS]
    for text in texts:
        if text:
            stream += [*TOKENIZER(text, add_special_tokens=False).input_ids, EOS]
    for length in (2, 9, 32):
        rows = causal.pack(texts, TOKENIZER, length)
        assert rows.shape == ((len(stream) - 1) // (length - 1), length)
        labels = CausalLM(TOKENIZER)(rows)["labels"]
        labels = labels[labels != IGNORE].tolist()
        assert labels == stream[1 : len(labels) + 1]
        assert len(stream) - 1 - len(labels) < length - 1


def check_labels_are_the_tokens():
    ids = random_ids(4, 12)
    ids[:, 5] = EOS  # an end is predicted like any other token
    batch = CausalLM(TOKENIZER)(ids)
    assert torch.equal(batch["input_ids"], ids)
    assert torch.equal(batch["labels"][:, 1:], ids[:, 1:])
    assert (batch["labels"][:, 0] == IGNORE).all()


def check_rows_are_not_modified():
    for rows in (random_ids(3, 10), random_ids(3, 10).numpy().astype(np.uint16)):
        rows[:, 4], rows[:, -2:] = EOS, PAD
        before = rows.copy() if isinstance(rows, np.ndarray) else rows.clone()
        batch = CausalLM(TOKENIZER)(rows)
        batch["input_ids"] += 1
        assert (rows == before).all()


# --- who looks at whom --------------------------------------------------------------------


def check_no_look_ahead():
    """Another token at t + 1 changes no logit up to t, and does change those from t + 1 on."""
    model, ids = gpt(), torch.tensor([packed_row(7, 9, 4)])
    for isolate in (True, False):
        before = logits_of(CausalLM(TOKENIZER, isolate=isolate)(ids), model)
        for place in range(1, ids.shape[1]):
            if ids[0, place] != EOS:
                other = ids.clone()
                other[0, place] = FIRST + (ids[0, place] - FIRST + 1) % (VOCABULARY - FIRST)
                after = logits_of(CausalLM(TOKENIZER, isolate=isolate)(other), model)
                assert torch.equal(before[:, :place], after[:, :place])
                assert not close(before[:, place], after[:, place])


def check_documents_in_a_row_are_as_alone():
    lengths = (6, 1, 11, 8)
    row = torch.tensor([packed_row(*lengths)])
    for attention in ("sdpa", "eager"):
        model = gpt(attention)
        together, begin = logits_of(CausalLM(TOKENIZER)(row), model), 0
        for length in lengths:
            with torch.no_grad():
                alone = model(row[:, begin : begin + length]).logits
            assert close(together[:, begin : begin + length], alone)
            begin += length


def check_a_row_may_begin_inside_a_document():
    row = torch.tensor([packed_row(9, 6)])[:, 3:]
    together = logits_of(CausalLM(TOKENIZER)(row))
    with torch.no_grad():
        assert close(together[:, :6], gpt()(row[:, :6]).logits)
        assert close(together[:, 6:], gpt()(row[:, 6:]).logits)


def check_without_isolation_a_row_is_one_text():
    row = torch.tensor([packed_row(6, 11)])
    with torch.no_grad():
        assert close(logits_of(CausalLM(TOKENIZER, isolate=False)(row)), gpt()(row).logits)


def check_padding_does_not_count():
    """On either side, however much: same loss."""
    rows, model = torch.tensor([packed_row(6, 7), packed_row(3, 10)]), gpt()
    for isolate in (True, False):
        make = CausalLM(TOKENIZER, isolate=isolate)
        with torch.no_grad():
            values = [causal.loss(model, make(pad(rows, sides, value=PAD))).item()
                      for sides in [(0, 0), (0, 1), (0, 20), (1, 0), (20, 0), (3, 4)]]
        assert values == pytest.approx([values[0]] * len(values), abs=1e-5)


# --- the loss -----------------------------------------------------------------------------


def check_equal_to_transformers():
    for attention in ("sdpa", "eager"):
        model = gpt(attention)
        for isolate in (True, False):
            make = CausalLM(TOKENIZER, isolate=isolate)
            rows = torch.tensor([packed_row(6, 1, 13), packed_row(12, 8)])
            for batch in (make(rows), make(pad(rows, (0, 9), value=PAD)), make(rows[:1, :2])):
                with torch.no_grad():
                    ours, theirs = causal.loss(model, batch), model(**batch).loss
                assert ours.item() == pytest.approx(theirs.item(), abs=1e-5, rel=1e-5)


def check_loss_by_hand():
    """Against a loop over the documents, one prediction at a time."""
    row, model, losses = packed_row(5, 7), gpt(), []
    for begin, end in [(0, 5), (5, 12)]:
        for place in range(begin + 1, end + 1):
            if place < len(row):
                with torch.no_grad():
                    scores = model(torch.tensor([row[begin:place]])).logits[0, -1]
                losses.append(-scores.log_softmax(0)[row[place]].item())
    ours = causal.loss(model, CausalLM(TOKENIZER)([row])).item()
    assert ours == pytest.approx(np.mean(losses), abs=1e-5)


# --- perplexity ---------------------------------------------------------------------------


@QUICK
@given(st.integers(2, 60), st.integers(2, 20), st.data())
def check_windows_score_every_token_once(count, size, data):
    stride = data.draw(st.integers(1, size - 1))
    scored = []
    for number, (begin, first) in enumerate(causal.windows(count, size, stride)):
        end = min(begin + size, count)
        assert 0 <= begin < first < end
        assert first == 1 if number == 0 else first - begin >= size - stride
        scored += range(first, end)
    assert scored == list(range(1, count))


def check_sliding_losses_by_hand():
    model, size, stride = gpt(), 8, 3
    sequences = [document(length, length) for length in (21, 2, 8, 13, 9, 5)]
    results = causal.token_losses(model, sequences, size, stride, batch=3)
    for ids, losses in zip(sequences, results, strict=True):
        wanted = []
        for begin, first in causal.windows(len(ids), size, stride):
            row = torch.tensor([ids[begin : begin + size]])
            with torch.no_grad():
                scores = model(row).logits[0].log_softmax(-1)
            wanted += [-scores[i - 1, row[0, i]] for i in range(first - begin, row.shape[1])]
        assert close(losses, torch.stack(wanted))


def check_one_window_is_enough_where_the_text_fits():
    ids = document(20, 0)
    with torch.no_grad():
        whole = gpt()(torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    for size, stride in [(20, 1), (20, 19), (40, 7)]:
        losses, = causal.token_losses(gpt(), [ids], size, stride)
        assert losses.shape == (19,)
        assert losses.mean().item() == pytest.approx(whole, abs=1e-5)


def check_perplexity_of_an_even_guess():
    """A model without preference: ``vocabulary`` per token, whatever the text and window."""
    model, texts = gpt(), tiny.texts(3)
    torch.nn.init.zeros_(model.transformer.wte.weight)  # also the head: they are tied
    tokens = sum(len(TOKENIZER(text, add_special_tokens=False).input_ids) + 1 for text in texts)
    for window, stride in [(None, None), (10, 3)]:
        result = causal.perplexity(model, TOKENIZER, texts, window, stride)
        assert result["tokens"] == tokens
        assert result["characters"] == sum(map(len, texts))
        assert result["per_token"] == pytest.approx(VOCABULARY, rel=1e-5)
        bits = tokens * math.log2(VOCABULARY) / result["characters"]
        assert result["bits_per_character"] == pytest.approx(bits, rel=1e-5)
        assert result["per_character"] == pytest.approx(2**bits, rel=1e-5)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name]()


# --- generation ---------------------------------------------------------------------------


def test_greedy_is_the_most_probable_token_each_time():
    model = gpt()
    ids = causal.documents(["the river"], TOKENIZER)[0]
    for _ in range(12):
        with torch.no_grad():
            ids.append(model(torch.tensor([ids])).logits[0, -1].argmax().item())
        if ids[-1] == EOS:
            break
    wanted = TOKENIZER.decode(ids, skip_special_tokens=True)
    assert len(ids) > 8
    assert causal.sample(model, TOKENIZER, "the river", 12) == wanted
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4},
                   {"temperature": 1, "top_k": 1}):
        assert causal.sample(model, TOKENIZER, "the river", 12,
                             **{"temperature": 1.0} | narrow) == wanted


def test_sampling_depends_on_its_seed_alone():
    model = gpt()
    first, other, again = (causal.sample(model, TOKENIZER, "a", 20, 1.0, seed=s) for s in (1, 2, 1))
    assert first == again != other
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    causal.sample(model, TOKENIZER, "a", 3, 1.0)
    assert torch.rand(1) == expected


def test_sampling_draws_from_all_of_the_vocabulary():
    model = gpt()
    torch.nn.init.zeros_(model.transformer.wte.weight)
    drawn = set()
    for seed in range(6):
        drawn |= set(TOKENIZER(causal.sample(model, TOKENIZER, "", 60, 1.0, seed=seed)).input_ids)
    assert len(drawn) > 51  # more than generate's own top-k of 50 with the prompt


# --- details ------------------------------------------------------------------------------


def test_position_ids_and_shapes():
    batch = CausalLM(TOKENIZER)([packed_row(3, 2)])
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["attention_mask"].shape == (1, 1, 5, 5)
    looks = (batch["attention_mask"][0, 0] == 0).int().tolist()
    assert looks == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0],
                     [0, 0, 0, 1, 1]]
    assert set(CausalLM(TOKENIZER, isolate=False)([packed_row(3, 2)])) == {"input_ids", "labels"}


def test_the_model_is_left_as_it_was():
    model = gpt().train()
    causal.perplexity(model, TOKENIZER, ["a dog"])
    assert model.training and all(p.grad is None for p in model.parameters())


def test_it_learns_what_follows():
    """a b c d a b c d ...: the loss goes from about ln V to almost nothing."""
    model = gpt().train()
    rows = torch.arange(FIRST, FIRST + 4).repeat(4, 6)
    batch, optimizer = CausalLM(TOKENIZER)(rows), torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        value = causal.loss(model, batch)
        value.backward()
        optimizer.step()
    assert value.item() < 0.1


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("rows, match", [
    (np.zeros((0, 8), int), r"shape \(0, 8\): give"),
    ([1, 2, 3], r"shape \(3,\): give"),
    ([[1, 2], [3]], "not one table of ids: pack or pad"),
    ([["a", "b"]], "not one table of ids: pack or pad"),
    ([[2, VOCABULARY, 3]], f"outside 0..{VOCABULARY - 1}: pack with this tokenizer"),
    ([[2, IGNORE, 3]], "outside 0"),
])
def test_rows_that_are_no_rows_are_refused(rows, match):
    refused(match, lambda: CausalLM(TOKENIZER)(rows))


def test_wrong_tokenizers_are_refused():
    refused("no eos token: set its eos_token", lambda: CausalLM(tiny.wordpiece()))
    same = make_tokenizer()
    same.pad_token = "</s>"
    refused("eos and padding are the same token", lambda: CausalLM(same))


def test_unknown_tokens_are_counted_and_eos_is_not():
    texts = ["the \u2603 river \u2603", "a dog", "\u2603"]
    tokenizer = train_characters(["a dog the river"], 30)
    tokenizer.eos_token = tokenizer.sep_token
    assert causal.perplexity(gpt(), tokenizer, texts)["unknown"] == 3
    assert causal.perplexity(gpt(), tokenizer, ["a dog"])["unknown"] == 0
    tokenizer.unk_token = tokenizer.eos_token  # as GPT-2's, whose eos stands around each text
    assert causal.perplexity(gpt(), tokenizer, ["a dog"])["unknown"] == 0


@pytest.mark.parametrize("call", [
    lambda: causal.perplexity(gpt(), TOKENIZER, "a dog"), lambda: causal.stream("a dog", TOKENIZER),
    lambda: causal.documents("a dog", TOKENIZER), lambda: causal.pack("a dog", TOKENIZER, 2),
])
def test_one_text_is_not_read_letter_by_letter(call):
    refused("this is one text: give a list of texts", call)


def test_wrong_texts_are_refused():
    refused("text 1 holds </s>", lambda: causal.pack(["a dog", "a </s> dog"], TOKENIZER, 4))
    refused("do not fill one row of 99", lambda: causal.pack(["a dog"], TOKENIZER, 99))
    refused("length is 1: a row needs", lambda: causal.pack(["a dog"], TOKENIZER, 1))
    refused("texts are empty", lambda: causal.perplexity(gpt(), TOKENIZER, [""]))


@pytest.mark.parametrize("match, arguments", [
    ("window is 65, but the model has 64", (65, 1)),
    ("stride is 8, window 8", (8, 8)),
    ("stride is -1", (8, -1)),
    ("stride is 0, window 8", (8, 0)),
    ("stride is 0, window 0", (0, None)),
    ("stride is 0, window 1", (1, None)),
])
def test_wrong_windows_are_refused(match, arguments):
    refused(match, lambda: causal.perplexity(gpt(), TOKENIZER, ["a dog"], *arguments))


def test_wrong_models_and_batches_are_refused():
    batch = CausalLM(TOKENIZER)(random_ids(2, 6))
    refused("is no causal model: load it with", lambda: causal.loss(tiny.model("bert"), batch))
    refused("no position has a label", lambda: causal.loss(gpt(), CausalLM(TOKENIZER)([[5]])))
    refused("fewer than two tokens", lambda: causal.token_losses(gpt(), [[EOS]], 8, 4))


@pytest.mark.parametrize("match, arguments", [
    ("temperature is -1", {"temperature": -1}), ("top_k -1", {"top_k": -1}),
    ("top_p 0", {"top_p": 0}), ("top_p 2", {"top_p": 2}),
    ("at least one new token", {"tokens": 0}), ("no more than 64", {"tokens": 64}),
])
def test_wrong_ways_to_sample_are_refused(match, arguments):
    refused(match, lambda: causal.sample(gpt(), TOKENIZER, "a", **arguments))
