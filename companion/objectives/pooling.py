"""A learned way from token vectors to a text vector: which tokens count, and which directions.

The mean gives every token the same weight. Here a token's weight comes from its own state,
by one vector that is learned (self-attention with one query: Lin et al., 2017, section 2.1;
Yang et al., 2016, section 2.2), and a matrix says how much each direction counts. The matrix
starts as a whitening (Su et al., 2021, section 3.2), the weights start equal.
"""

import torch
from torch import nn

from companion.errors import CourseError
from companion.guards import door

SMALL = 1e-6  # share of the largest variance below which a direction is left out


@door
def whitening(vectors: torch.Tensor, strength: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """What must be done to vectors so that they use their directions alike (Su et al., 2021).

    Args:
        vectors: (texts, width), more texts than the width, so that deviations can be estimated.
        strength: each principal direction is divided by its standard deviation, raised to this;
            1 whitens, 0 only turns. Directions in which all vectors are equal are left out.

    Returns:
        ``centre``, (width,), to take away, and ``matrix``, (width, directions), to multiply
        with; float64.
    """
    if vectors.ndim != 2 or not 0 < vectors.shape[1] < len(vectors):
        raise CourseError(f"vectors have shape {tuple(vectors.shape)}: give (texts, width), with "
                          "more texts than the width")
    if not vectors.isfinite().all():
        raise CourseError("a vector holds a NaN or an infinite number: find out where it came from")
    if not 0 <= strength <= 1:
        raise CourseError(f"strength is {strength}: give a number from 0 to 1")
    centre = vectors.double().mean(0)
    centred = vectors.double() - centre
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = variances > SMALL * variances.max()
    return centre, directions[:, kept] * variances[kept].sqrt() ** -strength


class LearnedPooling(nn.Module):
    """Hidden states of texts -> one vector for each text.

    Attributes:
        query: (width,). The weights of a text's tokens are the softmax of their products
            with it; at zero, all tokens weigh the same.
        projection: (width, width), applied to the weighted mean.
        centre: (width,), taken away from every state first; not trained.
    """

    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))
        self.projection = nn.Parameter(torch.eye(width))
        self.register_buffer("centre", torch.zeros(width))

    @classmethod
    def whitening(cls, means: torch.Tensor) -> "LearnedPooling":
        """Pooling that whitens the mean states, (texts, width), of some texts.

        Raises:
            CourseError: fewer texts than the width needs.
        """
        centre, matrix = whitening(means)
        pooling = cls(means.shape[1])
        with torch.no_grad():
            pooling.centre.copy_(centre)
            # Only directions count in a cosine: the size is chosen for the optimiser.
            size = matrix.shape[0] ** 0.5 / matrix.norm()
            pooling.projection.zero_()[:, : matrix.shape[1]] = (matrix * size).float()
        return pooling

    def weights(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The weight of each token, (texts, length); each row sums to 1, padding has 0.

        Args:
            states: (texts, length, width).
            mask: (texts, length), true or 1 at tokens; each row has at least one.
        """
        if states.ndim != 3 or mask.shape != states.shape[:2]:
            raise CourseError(f"states have shape {tuple(states.shape)} and the mask "
                              f"{tuple(mask.shape)}: give (texts, length, width) and (texts, length)")
        mask = mask.bool()
        if not mask.any(1).all():
            raise CourseError("a text has no token: leave it out")
        scores = (states.float() - self.centre) @ self.query
        return scores.masked_fill(~mask, float("-inf")).softmax(1)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors of the texts, (texts, width), float32. Arguments as for ``weights``."""
        pooled = torch.einsum("tl,tlw->tw", self.weights(states, mask), states.float())
        return (pooled - self.centre) @ self.projection
