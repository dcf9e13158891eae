"""The CRF against the sum over every sequence, one by one. Broken copies at the end."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import CourseError
from companion.ner.crf import LinearChainCRF
from companion.ner.schemes import labels, legal

SCHEMES = ("IO", "BIO", "BIOES")


def network(make, scheme=None, tags=3, seed=0):
    """A CRF in float64 with random scores, so that nothing cancels by accident."""
    torch.manual_seed(seed)
    rule = None
    if scheme:
        names = labels(["PER", "LOC"][: 1 if scheme == "BIOES" else 2], scheme)
        tags, rule = len(names), legal(names, scheme)
    crf = make(tags, rule).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def sequences(crf, length):
    """Every legal sequence, (number, length)."""
    tags = len(crf.start)
    every = torch.tensor(list(itertools.product(range(tags), repeat=length)))
    good = crf.legal_start[every[:, 0]] & crf.legal_end[every[:, -1]]
    for a, b in zip(every.T, every.T[1:]):
        good &= crf.legal_between[a, b]
    return every[good]


def brute(crf, emissions, every):
    """Scores of sequences of one row, written out in another way than the module's."""
    total = crf.start[every[:, 0]] + crf.end[every[:, -1]]
    for t in range(every.shape[1]):
        total = total + emissions[t, every[:, t]]
        if t:
            total = total + crf.between[every[:, t - 1], every[:, t]]
    return total


def cases(make):
    """``(crf, emissions, mask, lengths)`` of all schemes, lengths 1 to 4, with padding."""
    for seed, scheme in enumerate([None, *SCHEMES]):
        crf = network(make, scheme, seed=seed)
        lengths = torch.tensor([4, 1, 3, 2])
        emissions = torch.randn(4, 4, len(crf.start), dtype=torch.float64, requires_grad=True)
        yield crf, emissions, torch.arange(4) < lengths[:, None], lengths.tolist()


def gold(crf, lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    tags = torch.full((len(lengths), max(lengths)), -100)
    for row, length in enumerate(lengths):
        every = sequences(crf, length)
        tags[row, :length] = every[torch.randint(len(every), (1,), generator=draw)]
    return tags


def check_partition(make):
    for crf, emissions, mask, lengths in cases(make):
        found = crf.log_partition(emissions, mask)
        for row, length in enumerate(lengths):
            wanted = brute(crf, emissions[row], sequences(crf, length)).logsumexp(0)
            assert abs(found[row] - wanted) < 1e-6


def check_marginals(make):
    for crf, emissions, mask, lengths in cases(make):
        found = crf.marginals(emissions, mask)
        assert found[~mask].abs().sum() == 0
        for row, length in enumerate(lengths):
            every = sequences(crf, length)
            chance = brute(crf, emissions[row], every).softmax(0)
            for t in range(length):
                wanted = torch.zeros(len(crf.start)).double().index_add(0, every[:, t], chance)
                assert (found[row, t] - wanted).abs().max() < 1e-6


def check_marginals_are_legal(make):
    """Emissions that favour forbidden sequences by far, as of a network that has gone astray."""
    for scheme in SCHEMES:
        crf = network(make, scheme, seed=1)
        for size in (3e4, 1e6, -1e6):
            emissions = torch.randn(2, 4, len(crf.start))
            emissions[0, 0] = size * ~crf.legal_start
            emissions[1, 3] = size * ~crf.legal_end
            emissions[1, 1, 0] = size
            found, every = crf.marginals(emissions), sequences(crf, 4)
            assert found.sum(2).allclose(torch.ones(2, 4))
            for row in (0, 1):
                chance = brute(crf, emissions[row].double(), every).softmax(0)
                for t in range(4):
                    wanted = torch.zeros(len(crf.start)).double().index_add(0, every[:, t], chance)
                    assert (found[row, t] - wanted).abs().max() < 0.05  # float32 of 1e6
            loss = crf.loss(emissions.requires_grad_(), every[:2])
            assert torch.autograd.grad(loss, emissions)[0].isfinite().all()


def check_viterbi(make):
    for crf, emissions, mask, lengths in cases(make):
        tags, scores = crf.viterbi(emissions, mask)
        assert (tags[~mask] == -1).all()
        for row, length in enumerate(lengths):
            every = sequences(crf, length)
            values = brute(crf, emissions[row], every)
            assert torch.equal(tags[row, :length], every[values.argmax()])
            assert abs(scores[row] - values.max()) < 1e-6


def check_loss_and_gradient(make):
    for crf, emissions, mask, lengths in cases(make):
        tags = gold(crf, lengths)
        inputs = [emissions, *crf.parameters()]
        ours = crf.loss(emissions, tags, mask)
        terms = []
        for row, length in enumerate(lengths):
            values = brute(crf, emissions[row], sequences(crf, length))
            right = brute(crf, emissions[row], tags[row : row + 1, :length])
            terms.append(values.logsumexp(0) - right[0])
        wanted = torch.stack(terms).mean()
        assert abs(ours - wanted) < 1e-6
        for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(wanted, inputs)):
            assert (a - b).abs().max() < 1e-5


def check_padding_does_not_count(make):
    crf = network(make, "BIO")
    emissions = torch.randn(1, 5, len(crf.start), dtype=torch.float64)
    tags = gold(crf, [5])
    values = []
    for width, filler, label in [(0, 0.0, 0), (3, 0.0, -100), (3, 1e3, 2), (7, -1e3, 10**6)]:
        longer = torch.nn.functional.pad(emissions, (0, 0, 0, width), value=filler)
        label = torch.nn.functional.pad(tags, (0, width), value=label)
        mask = torch.arange(5 + width)[None] < 5
        values.append([crf.loss(longer, label, mask), crf.log_partition(longer, mask)[0],
                       crf.viterbi(longer, mask)[1][0]])
        assert torch.equal(crf.viterbi(longer, mask)[0][:, :5], crf.viterbi(emissions)[0])
    for row in values:
        assert torch.allclose(torch.stack(row), torch.stack(values[0]), atol=1e-9)


def check_viterbi_is_legal(make):
    """Whatever the emissions: huge, equal, the reverse of what is legal."""
    @settings(max_examples=60, deadline=None, report_multiple_bugs=False)
    @given(st.sampled_from(("BIO", "BIOES")), st.integers(0, 10**6), st.integers(1, 12),
           st.sampled_from([0.0, 1.0, 1e4, 1e8, 3e38]))
    def run(scheme, seed, length, size):
        names = labels(["PER", "LOC"], scheme)
        crf = make(len(names), legal(names, scheme))
        torch.manual_seed(seed)
        emissions = (torch.rand(3, length, len(names)) * 2 - 1) * size
        tags, _ = crf.viterbi(emissions)
        assert crf.legal_start[tags[:, 0]].all() and crf.legal_end[tags[:, -1]].all()
        assert crf.legal_between[tags[:, :-1], tags[:, 1:]].all()
    run()


PROPERTIES = {name: value for name, value in globals().items() if name.startswith("check_")}


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    PROPERTIES[name](LinearChainCRF)


# --- details ------------------------------------------------------------------------------


def test_marginals_are_the_gradient_of_the_partition():
    for crf, emissions, mask, _ in cases(LinearChainCRF):
        gradient, = torch.autograd.grad(crf.log_partition(emissions, mask).sum(), emissions)
        assert torch.allclose(gradient, crf.marginals(emissions, mask), atol=1e-9)


def test_without_transitions_it_is_a_softmax_at_each_position():
    crf = LinearChainCRF(4)
    emissions, tags = torch.randn(3, 6, 4), torch.randint(4, (3, 6))
    wanted = torch.nn.functional.cross_entropy(emissions.mT, tags, reduction="none").sum(1)
    torch.testing.assert_close(crf.loss(emissions, tags), wanted.mean())
    torch.testing.assert_close(crf.marginals(emissions), emissions.softmax(-1))
    assert torch.equal(crf.viterbi(emissions)[0], emissions.argmax(-1))


def test_half_precision_is_computed_in_float32():
    crf = network(LinearChainCRF, "BIO").float()
    emissions = torch.randn(2, 200, len(crf.start)).bfloat16()
    assert crf.log_partition(emissions).dtype == torch.float32
    assert torch.equal(crf.log_partition(emissions), crf.log_partition(emissions.float()))


def test_long_rows_give_finite_gradients():
    crf = network(LinearChainCRF, "BIOES").float()
    emissions = (20 * torch.randn(2, 400, len(crf.start))).requires_grad_()
    crf.loss(emissions, torch.zeros(2, 400, dtype=torch.long)).backward()
    assert emissions.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in crf.parameters())
    assert (crf.between.grad[~crf.legal_between] == 0).all()


def test_training_raises_the_likelihood():
    crf = network(LinearChainCRF, "BIO")
    emissions, tags = torch.zeros(1, 4, 5).double(), torch.tensor([[0, 1, 2, 0]])
    optimizer = torch.optim.SGD(crf.parameters(), 0.5)
    before = crf(emissions, tags).item()
    for _ in range(50):
        optimizer.zero_grad()
        crf(emissions, tags).backward()
        optimizer.step()
    assert crf(emissions, tags).item() < 0.5 * before
    assert crf.viterbi(emissions)[0].tolist() == tags.tolist()


@pytest.mark.parametrize("match, call", [
    ("emissions have shape", lambda crf: crf.viterbi(torch.zeros(2, 3))),
    ("not empty", lambda crf: crf.log_partition(torch.zeros(1, 0, 5))),
    ("infinite or NaN", lambda crf: crf.viterbi(torch.full((1, 2, 5), float("nan")))),
    ("infinite or NaN", lambda crf: crf.viterbi(torch.full((1, 2, 5), float("inf")))),
    ("the mask has shape", lambda crf: crf.viterbi(torch.zeros(1, 2, 5), torch.ones(1, 3))),
    ("a gap or an empty row", lambda crf: crf.viterbi(torch.zeros(1, 3, 5),
                                                      torch.tensor([[1, 0, 1]]))),
    ("a gap or an empty row", lambda crf: crf.viterbi(torch.zeros(1, 2, 5), torch.zeros(1, 2))),
    ("forbidden step: make", lambda crf: crf.loss(torch.zeros(1, 2, 5), torch.tensor([[0, 2]]))),
    ("forbidden step: make", lambda crf: crf.loss(torch.zeros(1, 1, 5), torch.tensor([[2]]))),
    (r"outside 0\.\.4: mask", lambda crf: crf.loss(torch.zeros(1, 2, 5), torch.tensor([[0, 5]]))),
    (r"outside 0\.\.4: mask", lambda crf: crf.loss(torch.zeros(1, 2, 5),
                                                   torch.tensor([[0, -100]]))),
    ("one tag for each position", lambda crf: crf.loss(torch.zeros(1, 2, 5),
                                                       torch.tensor([[0]]))),
    ("legal.start has shape", lambda crf: LinearChainCRF(4, legal(labels("PER"), "BIO"))),
])
def test_wrong_input_is_refused(match, call):
    crf = LinearChainCRF(5, legal(labels(["PER", "LOC"]), "BIO"))
    with pytest.raises(CourseError, match=match) as problem:
        call(crf)
    assert "\n" not in str(problem.value)


# --- mutants ------------------------------------------------------------------------------


class Lenient(LinearChainCRF):
    """Learns nothing of what is legal."""

    def _steps(self, like, forbidden=-1e4):
        return tuple(p.to(like.dtype) for p in (self.start, self.between, self.end))


class Soft(LinearChainCRF):
    """Forbids by a number that large emissions outweigh."""

    def _steps(self, like, forbidden=-1e4):
        return super()._steps(like, -1e4)


class Transposed(LinearChainCRF):
    def _steps(self, like, forbidden=-1e4):
        start, between, end = super()._steps(like, forbidden)
        return start, between.T, end


class NoEnd(LinearChainCRF):
    def _steps(self, like, forbidden=-1e4):
        start, between, end = super()._steps(like, forbidden)
        return start, between, torch.zeros_like(end)


class NoMask(LinearChainCRF):
    def log_partition(self, emissions, mask=None):
        return super().log_partition(emissions)

    def viterbi(self, emissions, mask=None):
        return super().viterbi(emissions)


class ForwardOnly(LinearChainCRF):
    def marginals(self, emissions, mask=None):
        states = torch.stack(self._forward(emissions, mask), 1)
        return states.softmax(2) * mask[:, :, None]


class Greedy(LinearChainCRF):
    def viterbi(self, emissions, mask=None):
        _, scores = super().viterbi(emissions, mask)
        tags = emissions.argmax(2)
        return tags if mask is None else tags.masked_fill(~mask, -1), scores


class SumOverSequences(LinearChainCRF):
    def loss(self, emissions, tags, mask=None):
        return super().loss(emissions, tags, mask) * len(emissions)

    forward = loss


class NoTransitionsInScore(LinearChainCRF):
    def score(self, emissions, tags, mask=None):
        kept, self.between.data = self.between.data, self.between.data * 0
        found = super().score(emissions, tags, mask)
        self.between.data = kept
        return found


@pytest.mark.parametrize("make, name", [
    (Lenient, "check_partition"),
    (Lenient, "check_marginals"),
    (Lenient, "check_viterbi"),
    (Lenient, "check_viterbi_is_legal"),
    (Soft, "check_viterbi_is_legal"),
    (Soft, "check_marginals_are_legal"),
    (Greedy, "check_viterbi_is_legal"),
    (Greedy, "check_viterbi"),
    (Transposed, "check_partition"),
    (Transposed, "check_viterbi"),
    (NoEnd, "check_partition"),
    (NoEnd, "check_loss_and_gradient"),
    (NoMask, "check_partition"),
    (NoMask, "check_padding_does_not_count"),
    (ForwardOnly, "check_marginals"),
    (SumOverSequences, "check_loss_and_gradient"),
    (NoTransitionsInScore, "check_loss_and_gradient"),
])
def test_mutant_is_caught(make, name):
    with pytest.raises(AssertionError):
        PROPERTIES[name](make)
