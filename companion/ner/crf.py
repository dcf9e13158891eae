"""A linear-chain conditional random field (Lafferty et al., 2001) as a PyTorch module.

The score of a tag sequence is the sum of one number for each position and tag (the
*emission*, from a network), one for each pair of neighbouring tags (the *transition*), and
one each for the first and the last tag. The probability is a softmax over all sequences.
The sums over all sequences take one step for each position (Rabiner, 1989, section III).

Shapes: ``emissions`` (batch, length, tags); ``tags`` (batch, length), int64; ``mask`` (batch,
length), bool, True where a position counts. Padding is at the right.
"""

import torch
from torch import Tensor, nn

from companion.errors import CourseError
from companion.guards import door
from companion.ner.schemes import Transitions

# By how much a forbidden step is worse than all that the scores of a sequence can make good. Large
# enough that exp() of it is 0, and finite, because infinities give NaN in gradients.
FORBIDDEN = 1e4


class LinearChainCRF(nn.Module):
    """Transition scores, and what follows from them and from emissions.

    Args:
        tags: how many there are.
        legal: what may follow what (`companion.ner.schemes.legal`); everything, if None.
    """

    @door
    def __init__(self, tags: int, legal: Transitions | None = None):
        super().__init__()
        if tags < 1:
            raise CourseError(f"tags is {tags}: give at least 1")
        self.start = nn.Parameter(torch.zeros(tags))
        self.between = nn.Parameter(torch.zeros(tags, tags))  # from the row to the column
        self.end = nn.Parameter(torch.zeros(tags))
        for name, shape in [("start", (tags,)), ("between", (tags, tags)), ("end", (tags,))]:
            allowed = torch.ones(shape, dtype=torch.bool)
            if legal is not None:
                allowed = torch.as_tensor(getattr(legal, name)).bool()
            if allowed.shape != shape:
                raise CourseError(f"legal.{name} has shape {tuple(allowed.shape)}: give {shape}")
            self.register_buffer(f"legal_{name}", allowed)

    def _steps(self, emissions: Tensor,
               forbidden: Tensor | float | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Start, transition and end scores, in the type of the emissions.

        A forbidden step has the score ``forbidden``; if None, so low a one that no sequence of
        these emissions gains by it.
        """
        if forbidden is None:
            forbidden = self._forbidden(emissions)
        return (
            self.start.to(emissions.dtype).masked_fill(~self.legal_start, forbidden),
            self.between.to(emissions.dtype).masked_fill(~self.legal_between, forbidden),
            self.end.to(emissions.dtype).masked_fill(~self.legal_end, forbidden),
        )

    @torch.no_grad()
    def _forbidden(self, emissions: Tensor) -> Tensor:
        """A score so low that the best emissions and steps do not outweigh it."""
        steps = torch.cat([self.start, self.between.flatten(), self.end]).to(emissions.dtype)
        spread = (emissions.amax(2) - emissions.amin(2)).sum(1).amax()
        spread = spread + (len(emissions[0]) + 1) * (steps.amax() - steps.amin())
        return -(FORBIDDEN + spread.clamp(max=torch.finfo(emissions.dtype).max / 8))

    @door
    def loss(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood of the tag sequences, in nats for each sequence.

        Tags at positions that do not count may be anything (-100 too).
        """
        return (self.log_partition(emissions, mask) - self.score(emissions, tags, mask)).mean()

    forward = loss

    @door
    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores of given sequences, (batch,).

        Raises:
            CourseError: a sequence with a forbidden step, or with a tag that there is not.
        """
        emissions, mask = _checked(emissions, mask)
        tags = self._legal_tags(tags, mask)
        start, between, end = self._steps(emissions)
        at = emissions.gather(2, tags[:, :, None]).squeeze(2) * mask
        steps = between[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]
        return start[tags[:, 0]] + at.sum(1) + steps.sum(1) + end[_last(tags, mask)]

    def _legal_tags(self, tags: Tensor, mask: Tensor) -> Tensor:
        if tags.shape != mask.shape:
            raise CourseError(f"tags have shape {tuple(tags.shape)} and the emissions "
                              f"{tuple(mask.shape)}: give one tag for each position")
        if tags.is_floating_point() or tags.dtype is torch.bool:
            raise CourseError(f"tags are {tags.dtype}: give whole numbers, the places of labels")
        tags = tags.long().masked_fill(~mask, 0)
        if tags.min() < 0 or tags.max() >= len(self.start):
            raise CourseError(f"there is a tag outside 0..{len(self.start) - 1}: mask it out")
        steps = self.legal_between[tags[:, :-1], tags[:, 1:]] | ~mask[:, 1:]
        ends = self.legal_start[tags[:, 0]] & self.legal_end[_last(tags, mask)]
        if not (steps.all() and ends.all()):
            raise CourseError("a tag sequence takes a forbidden step: make tags with to_tags()")
        return tags

    @door
    def log_partition(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logarithm of the sum of exp(score) over all sequences, (batch,)."""
        emissions, mask = _checked(emissions, mask)
        forward = self._forward(emissions, mask)
        return (forward[-1] + self._steps(emissions)[2]).logsumexp(1)

    def _forward(self, emissions: Tensor, mask: Tensor) -> list[Tensor]:
        """At each position, for each tag: log-sum over all beginnings that end with it."""
        start, between, _ = self._steps(emissions)
        states = [start + emissions[:, 0]]
        for t in range(1, emissions.shape[1]):
            new = (states[-1][:, :, None] + between).logsumexp(1) + emissions[:, t]
            states.append(torch.where(mask[:, t, None], new, states[-1]))
        return states

    def _backward(self, emissions: Tensor, mask: Tensor) -> list[Tensor]:
        """At each position, for each tag: log-sum over all that can follow it."""
        _, between, end = self._steps(emissions)
        states = [end.expand(len(emissions), -1)]
        for t in range(emissions.shape[1] - 1, 0, -1):
            new = (between + (emissions[:, t] + states[-1])[:, None, :]).logsumexp(2)
            states.append(torch.where(mask[:, t, None], new, states[-1]))
        return states[::-1]

    @door
    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """Probability of each tag at each position, (batch, length, tags); 0 in padding.

        Where no legal sequence has a tag, it is 0 however large the emission.
        """
        emissions, mask = _finite(*_checked(emissions, mask))
        forward = torch.stack(self._forward(emissions, mask), 1)
        backward = torch.stack(self._backward(emissions, mask), 1)
        return (forward + backward).softmax(2) * mask[:, :, None]

    @door
    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The best sequence of each row and its score (Viterbi, 1967).

        Returns:
            ``(tags, scores)``: (batch, length), int64, -1 in padding; and (batch,). No
            forbidden step is ever taken, however large the emissions are.
        """
        emissions, mask = _finite(*_checked(emissions, mask))
        best, came_from = self._best(emissions.double(), mask)
        path = [best.argmax(1)]
        for t in range(emissions.shape[1] - 1, 0, -1):
            back = came_from[t - 1].gather(1, path[-1][:, None]).squeeze(1)
            path.append(torch.where(mask[:, t], back, path[-1]))
        tags = torch.stack(path[::-1], 1)
        return tags.masked_fill(~mask, -1), best.amax(1).to(emissions.dtype)

    def _best(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        # In float64 no sum of float32 numbers overflows, so minus infinity is safe here: it
        # cannot win, and no gradient is taken.
        start, between, end = self._steps(emissions, float("-inf"))
        best, came_from = start + emissions[:, 0], []
        for t in range(1, emissions.shape[1]):
            new, where = (best[:, :, None] + between).max(1)
            came_from.append(where)
            best = torch.where(mask[:, t, None], new + emissions[:, t], best)
        return best + end, came_from


def _finite(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    if not emissions.isfinite().all():
        raise CourseError("an emission is infinite or NaN: look for a broken training step")
    return emissions, mask


def _last(tags: Tensor, mask: Tensor) -> Tensor:
    return tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)


def _checked(emissions: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Emissions in float32 at least (sums over many positions need it), and a mask."""
    if emissions.ndim != 3 or not emissions.numel():
        raise CourseError(f"emissions have shape {tuple(emissions.shape)}: give (batch, length, "
                          "tags), not empty")
    if mask is None:
        mask = emissions.new_ones(emissions.shape[:2], dtype=torch.bool)
    mask = mask.bool()
    if mask.shape != emissions.shape[:2]:
        raise CourseError(f"the mask has shape {tuple(mask.shape)} and the emissions "
                          f"{tuple(emissions.shape[:2])}: give one value for each position")
    if not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
        raise CourseError("the mask has a gap or an empty row: put padding at the right only")
    return emissions.to(torch.promote_types(emissions.dtype, torch.float32)), mask
