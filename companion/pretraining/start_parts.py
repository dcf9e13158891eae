"""What a head start is made of: vectors from counts of neighbours, positions as waves, heads that
ask for a distance. ``start`` says where each of them goes.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from companion.errors import CourseError

if TYPE_CHECKING:
    from scipy import sparse

# scipy and scikit-learn are imported where they are used: few recipes need them.
WAVES = 16  # frequencies of the positions: they take 2 * WAVES of the embedding's places
SPREAD = 0.02  # of random weights, as in BERT
COUNTED = 30_000  # rows, about four million tokens: more change little
SHARPNESS = 1.5  # how strongly a head prefers its distance


def neighbour_counts(rows: np.ndarray, size: int, pad: int | None = None) -> "sparse.csr_matrix":
    """How often two tokens stand next to each other (1) or one apart (1/2), symmetrical.

    Args:
        rows: token ids, (rows, length).
        size: the number of vocabulary entries.
        pad: an id that is no token: nothing is its neighbour.

    Returns:
        Sparse matrix (size, size).
    """
    from scipy import sparse

    rows = np.asarray(rows, dtype=np.int64)
    counts = sparse.csr_matrix((size, size))
    for distance, weight in ((1, 1.0), (2, 0.5)):
        left, right = rows[:, :-distance].ravel(), rows[:, distance:].ravel()
        weights = np.where((left == pad) | (right == pad), 0.0, weight)
        counts = counts + sparse.coo_matrix((weights, (left, right)), shape=(size, size)).tocsr()
    return (counts + counts.T).tocsr()


def token_vectors(
    rows: np.ndarray, size: int, width: int, seed: int = 0, pad: int | None = None
) -> torch.Tensor:
    """Unit vectors of tokens from the company they keep, (size, width).

    Positive pointwise mutual information of neighbours, the ``width`` largest singular
    directions, each scaled by the root of its singular value, then turned at random so that
    no place matters more than another. Tokens without neighbours get random vectors.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    counts = neighbour_counts(rows[:COUNTED], size, pad)
    counts.eliminate_zeros()
    counts = counts.tocoo()
    total, each = counts.data.sum(), np.asarray(counts.sum(1)).ravel()
    information = np.log(counts.data * total / (each[counts.row] * each[counts.col]))
    kept = (information > 0) & (counts.data >= 2)
    matrix = sparse.csr_matrix(
        (information[kept], (counts.row[kept], counts.col[kept])), shape=(size, size))
    if min(matrix.shape) < width:
        raise CourseError(f"{size} tokens cannot give vectors of {width} numbers: raise the "
                          "vocabulary or lower the embedding size")
    u, values, _ = randomized_svd(matrix, width, random_state=seed)
    draw = np.random.default_rng(seed)
    vectors = u * np.sqrt(values) @ np.linalg.qr(draw.normal(size=(width, width)))[0]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unknown = length.ravel() < 1e-6
    vectors[unknown] = draw.normal(size=(unknown.sum(), width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy(vectors).float()


def waves(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions as sines and cosines, (length, 2 * WAVES), and their frequencies (WAVES,)."""
    frequency = torch.from_numpy(np.geomspace(2.5, 0.02, WAVES)).float()
    angle = torch.arange(length).float()[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1), frequency


def turned(frequency: torch.Tensor, offset: int) -> torch.Tensor:
    """The matrix that turns ``waves`` of position i into those of position i + offset."""
    blocks = []
    for angle in (frequency * offset).tolist():
        c, s = math.cos(angle), math.sin(angle)
        blocks.append(torch.tensor([[c, -s], [s, c]]))
    return torch.block_diag(*blocks)


@torch.no_grad()
def embed(words: torch.Tensor, positions: torch.Tensor, rows: np.ndarray, seed: int,
          pad: int | None) -> None:
    """Set both tables in place: positions take the first places, tokens the others."""
    place, wide = 2 * WAVES, words.shape[1]
    positions.zero_()
    positions[:, :place] = waves(len(positions))[0] * 2 * SPREAD * math.sqrt(2)
    words.zero_()
    vectors = token_vectors(rows, len(words), wide - place, seed, pad)
    words[:, place:] = vectors * SPREAD * math.sqrt(wide)


@torch.no_grad()
def ask(query: torch.Tensor, key: torch.Tensor, number: int, head: int, offset: int,
        frequency: torch.Tensor) -> None:
    """Let head ``number`` look at the position ``offset`` away. Matrices (outputs, inputs)."""
    place, scale = 2 * len(frequency), math.sqrt(SHARPNESS)
    for matrix, what in ((query, turned(frequency, offset)), (key, torch.eye(place))):
        matrix[number * head : (number + 1) * head] = 0
        matrix[number * head : number * head + place, :place] = what * scale
