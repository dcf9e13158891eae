"""Properties of the masked-LM objective.

Each property is a function ``check_*(make, loss)`` of an implementation: ``make`` gives a
collator (as ``MaskedLM`` does) and ``loss`` a loss. tests/test_masked_mutants.py hands the
same functions implementations that are wrong.
"""

import math
import random

import numpy as np
import pytest
import tiny
import torch
from transformers import BertModel, GPT2Config, GPT2LMHeadModel

from companion.errors import CourseError
from companion.objectives import masked
from companion.objectives.masked import IGNORE, MaskedLM
from companion.tokenization import pack

TOKENIZER = tiny.wordpiece()
VOCABULARY = len(TOKENIZER)
SPECIAL = torch.tensor(sorted(TOKENIZER.all_special_ids))
SIGMAS = 5  # a right implementation is outside with a probability below one in a million


def packed(count=32, length=34, seed=0):
    return tiny.rows(TOKENIZER, count, length, seed)


def fixed_model(family="bert", **config):
    torch.manual_seed(1)
    return tiny.model(family, VOCABULARY, initializer_range=0.3, **config)


# --- which positions ----------------------------------------------------------------------


def check_share_is_exact(make, loss):
    for share, count, length in [(0.15, 32, 34), (0.2, 7, 50), (0.4, 3, 12), (0.15, 1, 5)]:
        batch = make(TOKENIZER, share=share)(packed(count, length))
        wanted = max(1, round(share * count * (length - 2)))
        assert (batch["labels"] != IGNORE).sum() == wanted


def check_padding_has_no_share(make, loss):
    short = packed(8, 12)
    padded = np.pad(short, ((0, 0), (0, 20)), constant_values=TOKENIZER.pad_token_id)
    labels = make(TOKENIZER)(padded)["labels"]
    assert (labels != IGNORE).sum() == round(0.15 * 8 * 10)
    assert (labels[:, 12:] == IGNORE).all()


def check_special_tokens_are_never_chosen(make, loss):
    rows = packed(64)
    rows[:, 5], rows[:, 20:] = TOKENIZER.sep_token_id, TOKENIZER.pad_token_id
    rows[0, 1:4] = TOKENIZER.unk_token_id, TOKENIZER.mask_token_id, TOKENIZER.cls_token_id
    special = torch.isin(torch.from_numpy(rows.astype(int)), SPECIAL)
    for share in (0.15, 0.95):  # 0.95: more than there are ordinary tokens
        batch = make(TOKENIZER, share=share)(rows)
        assert (batch["labels"][special] == IGNORE).all()
        assert (batch["input_ids"][special] == torch.from_numpy(rows.astype(int))[special]).all()


def check_positions_are_uniform(make, loss):
    draw = np.random.default_rng(0)
    ordinary = [i for i in range(VOCABULARY) if i not in SPECIAL]
    rows = draw.choice(ordinary, (64, 34))
    rows[:, 0], rows[:, -1] = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id
    collator = make(TOKENIZER)
    counts = sum((collator(rows, n)["labels"] != IGNORE).sum(0) for n in range(100))
    trials, share = 64 * 100, round(0.15 * 64 * 32) / (64 * 32)
    sigma = math.sqrt(trials * share * (1 - share))
    assert (abs(counts[1:-1] - trials * share) < SIGMAS * sigma).all()


def check_masks_are_dynamic(make, loss):
    rows, collator = packed(), make(TOKENIZER)
    first, again, other = (collator(rows, number) for number in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["labels"], other["labels"])
    assert not torch.equal(first["labels"], make(TOKENIZER, seed=1)(rows, 4)["labels"])


# --- what happens to them -----------------------------------------------------------------


def check_80_10_10(make, loss):
    collator = make(TOKENIZER)
    kept = hidden = other = 0
    drawn = set()
    for number in range(12):
        rows = torch.from_numpy(packed(512, 130, number).astype(int))
        batch = collator(rows.numpy(), number)
        chosen = batch["labels"] != IGNORE
        before, after = rows[chosen], batch["input_ids"][chosen]
        kept += (after == before).sum().item()
        hidden += (after == TOKENIZER.mask_token_id).sum().item()
        swapped = after[(after != before) & (after != TOKENIZER.mask_token_id)]
        other, drawn = other + len(swapped), drawn | set(swapped.tolist())
    total = kept + hidden + other
    assert total >= 100_000
    same = 0.1 / (VOCABULARY - len(SPECIAL))  # a random token may be the one that stood there
    for count, share in [(hidden, 0.8), (other, 0.1 - same), (kept, 0.1 + same)]:
        assert abs(count - total * share) < SIGMAS * math.sqrt(total * share * (1 - share))
    assert drawn == set(range(VOCABULARY)) - set(SPECIAL.tolist())


def check_other_inputs_stay(make, loss):
    rows = packed()
    batch = make(TOKENIZER)(rows)
    elsewhere = batch["labels"] == IGNORE
    assert elsewhere.any()
    assert (batch["input_ids"] == torch.from_numpy(rows.astype(int)))[elsewhere].all()


def check_labels_are_the_originals(make, loss):
    rows = packed()
    labels = make(TOKENIZER)(rows)["labels"]
    chosen = labels != IGNORE
    assert (labels == torch.from_numpy(rows.astype(int)))[chosen].all()


def check_rows_are_not_modified(make, loss):
    for kind in (np.uint16, np.int64):
        rows = packed().astype(kind)
        before = rows.copy()
        make(TOKENIZER)(rows)
        assert (rows == before).all()
    tensor = torch.from_numpy(packed().astype(np.int64))
    before = tensor.clone()
    make(TOKENIZER)(tensor)
    assert torch.equal(tensor, before)


def check_whole_words(make, loss):
    rows = pack(tiny.texts(200), TOKENIZER, 34)[:32]
    collator = make(TOKENIZER, whole_words=True)
    continued = [t.startswith("##") for t in TOKENIZER.convert_ids_to_tokens(range(VOCABULARY))]
    several = 0
    for number in range(20):
        chosen = (collator(rows, number)["labels"] != IGNORE).numpy()
        assert chosen.sum() == round(0.15 * 32 * 32)
        cut = 0
        for ids, flags in zip(rows, chosen):
            words = []  # [flags of the pieces]; at a row's start a word may lack its beginning
            for token, flag in zip(ids[1:-1], flags[1:-1]):
                if continued[token] and words:
                    words[-1].append(flag)
                else:
                    words.append([flag])
            cut += sum(any(word) != all(word) for word in words)
            several += sum(len(word) > 1 and all(word) for word in words)
        assert cut <= 1  # the last word drawn, which keeps the share exact
    assert several > 100  # the words of this text do have several pieces


# --- the loss -----------------------------------------------------------------------------


def hidden_batch(make, rows):
    """Every chosen position shows the mask token, so it can be told without the labels."""
    batch = make(TOKENIZER, hidden=1.0, random=0.0)(rows)
    return batch, batch["input_ids"] == TOKENIZER.mask_token_id


def check_labels_elsewhere_do_not_count(make, loss):
    """Other tokens at the positions that were not chosen: same labels, same loss."""
    rows = torch.from_numpy(packed().astype(np.int64))
    batch, chosen = hidden_batch(make, rows)
    free = ~chosen & ~torch.isin(rows, SPECIAL)
    assert free.any()
    changed = torch.where(free, 5 + (rows - 5 + 1) % (VOCABULARY - 5), rows)
    other, where = hidden_batch(make, changed)
    assert torch.equal(where, chosen)
    model = fixed_model()
    a = loss(model, batch)
    b = loss(model, {"input_ids": batch["input_ids"], "labels": other["labels"]})
    assert torch.equal(a, b)


def check_padding_does_not_count(make, loss):
    """Whatever stands in padded positions, and however many there are: same loss."""
    batch, _ = hidden_batch(make, packed(6, 20))
    model, values = fixed_model(), []
    for width, filler in [(0, 0), (1, 0), (12, 0), (12, 7), (30, 100)]:
        values.append(loss(model, {
            "input_ids": torch.nn.functional.pad(batch["input_ids"], (0, width), value=filler),
            "labels": torch.nn.functional.pad(batch["labels"], (0, width), value=IGNORE),
            "attention_mask": torch.nn.functional.pad(torch.ones(6, 20).long(), (0, width)),
        }).item())
    assert values == pytest.approx([values[0]] * len(values), abs=1e-5)


def gradient_of_states(model, compute):
    """The gradient of a loss with respect to the encoder's output, (batch, length, width).

    The head works on every position by itself. So it is zero exactly where the gradient of
    the logits is.
    """
    seen = []

    def keep(module, inputs, output):
        output.last_hidden_state.retain_grad()
        seen.append(output.last_hidden_state)

    handle = model.base_model.register_forward_hook(keep)
    compute().backward()
    handle.remove()
    return seen[0].grad


def check_gradient_is_zero_elsewhere(make, loss):
    model = fixed_model()
    batch, chosen = hidden_batch(make, packed(6, 20))
    gradient = gradient_of_states(model, lambda: loss(model, batch))
    assert (gradient[~chosen] == 0).all()
    assert (gradient[chosen].abs().sum(-1) > 0).all()
    whole = gradient_of_states(model, lambda: model(**batch).loss)
    assert torch.allclose(gradient, whole, rtol=1e-4, atol=1e-7)


def batches(make, family):
    """Batches without and with padding; one label is id 0, one ignored token is too."""
    rows = packed(5, 24)
    batch = make(TOKENIZER, share=0.3)(rows)
    row, column = (batch["labels"] != IGNORE).nonzero()[3]
    batch["labels"][row, column] = 0
    yield batch
    attention = torch.ones(5, 24).long()
    for i, length in enumerate([24, 20, 11, 9, 23]):
        attention[i, length:] = 0
        batch["input_ids"][i, length:] = 0
        batch["labels"][i, length:] = IGNORE
    yield {**batch, "attention_mask": attention}
    if family != "roberta":  # it has one segment only
        yield {**batch, "attention_mask": attention,
               "token_type_ids": (torch.arange(24) > 7).long().expand(5, -1)}


def check_equal_to_transformers(make, loss, families=("bert", "albert", "roberta")):
    draw = random.Random(0)
    for family in families:
        for _ in range(3):
            heads = draw.choice([1, 2, 4])
            model = fixed_model(family, width=heads * draw.choice([8, 16]), heads=heads,
                                layers=draw.choice([1, 2, 3]))
            for batch in batches(make, family):
                with torch.no_grad():
                    ours, theirs = loss(model, batch).item(), model(**batch).loss.item()
                assert ours == pytest.approx(theirs, abs=1e-5, rel=1e-5)


def check_fresh_loss_is_log_of_vocabulary(make, loss):
    torch.manual_seed(0)
    model = tiny.model("bert", 4000, width=128, layers=2)  # the usual start: deviation 0.02
    rows = np.random.default_rng(0).integers(5, VOCABULARY, (32, 34))
    batch = make(TOKENIZER)(rows)
    batch["labels"][batch["labels"] != IGNORE] *= 30  # targets from all of the vocabulary
    with torch.no_grad():
        assert loss(model, batch).item() == pytest.approx(math.log(4000), rel=0.02)


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](MaskedLM, masked.loss)


# --- details ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "albert", "roberta"])
def test_masked_logits_are_those_of_the_whole_model(family):
    model, where = fixed_model(family), torch.rand(4, 20) < 0.3
    ids = torch.from_numpy(packed(4, 20).astype(int))
    with torch.no_grad():
        ours, theirs = masked.masked_logits(model, ids, where), model(ids).logits
    assert ours.shape == (where.sum(), VOCABULARY)
    torch.testing.assert_close(ours, theirs[where], atol=1e-5, rtol=1e-5)


def test_every_chosen_position_can_be_hidden_swapped_or_kept():
    rows = packed()
    for hidden, swapped in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]:
        batch = MaskedLM(TOKENIZER, hidden=hidden, random=swapped)(rows)
        chosen = batch["labels"] != IGNORE
        is_mask = (batch["input_ids"] == TOKENIZER.mask_token_id)[chosen]
        same = (batch["input_ids"] == torch.from_numpy(rows.astype(int)))[chosen]
        assert is_mask.all() if hidden else not is_mask.any()
        assert same.all() == (hidden == swapped == 0.0)


def test_types_and_shapes():
    batch = MaskedLM(TOKENIZER)(packed(3, 10))
    assert set(batch) == {"input_ids", "labels"}
    assert all(t.shape == (3, 10) and t.dtype == torch.int64 for t in batch.values())


def refused(match, call):
    with pytest.raises(CourseError, match=match) as problem:
        call()
    assert "\n" not in str(problem.value) and ": " in str(problem.value)


@pytest.mark.parametrize("match, arguments", [
    ("share is 0: give a number", {"share": 0}),
    ("share is 1: give a number", {"share": 1}),
    ("share is nan: give a number", {"share": math.nan}),
    ("share is of type str: give a number", {"share": "0.15"}),
    ("seed is 0.5: give a whole number", {"seed": 0.5}),
    ("whole_words is 1: give True or False", {"whole_words": 1}),
    ("sum is at most 1", {"hidden": 0.9, "random": 0.2}),
    ("sum is at most 1", {"hidden": -0.1}),
])
def test_wrong_settings_are_refused(match, arguments):
    refused(match, lambda: MaskedLM(TOKENIZER, **arguments))


def test_a_tokenizer_without_mask_token_is_refused():
    tokenizer = tiny.wordpiece()
    tokenizer.mask_token = None
    refused("no mask token: use one of a masked LM", lambda: MaskedLM(tokenizer))


@pytest.mark.parametrize("rows, match", [
    (np.zeros((0, 8), int), r"shape \(0, 8\): give"),
    ([1, 2, 3], r"shape \(3,\): give"),
    ([[1, 2], [3]], "not one table of ids: pack or pad"),
    ([["a", "b"]], "not one table of ids: pack or pad"),
    ([[2, VOCABULARY, 3]], f"outside 0..{VOCABULARY - 1}: pack with this tokenizer"),
    ([[2, IGNORE, 3]], "outside 0"),
    ([[2, TOKENIZER.pad_token_id, 9, 3]], "padding before a token: pad on the right"),
])
def test_rows_that_are_no_rows_are_refused(rows, match):
    refused(match, lambda: MaskedLM(TOKENIZER)(rows))


def test_a_batch_without_labels_is_refused():
    batch = {"input_ids": torch.full((2, 5), 7), "labels": torch.full((2, 5), IGNORE)}
    refused("no position has a label: mask the batch", lambda: masked.loss(fixed_model(), batch))


def test_models_without_a_masked_head_are_refused():
    batch = MaskedLM(TOKENIZER)(packed(2, 10))
    headless = BertModel(fixed_model().config)
    causal = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=8, n_layer=1, n_head=1))
    for model in (headless, causal):
        refused("has no masked-LM head: load it with AutoModelForMaskedLM",
                lambda: masked.loss(model, batch))
