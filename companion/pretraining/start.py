"""A head start for small encoders from random weights: what plain counting already knows.

A small BERT or ALBERT first learns how often each token occurs and then stays at that loss,
the unigram plateau, for millions of tokens. To leave it, it must find two things at the same
time: which positions are neighbours, and which tokens go together. Both can be computed
before the training begins:

- token embeddings from counts of neighbours: the positive pointwise mutual information,
  factorised by a truncated singular value decomposition (Levy and Goldberg, 2014, section 5);
- a few attention heads that look at a fixed distance: with sine and cosine positions (Vaswani
  et al., 2017, section 3.5) a shift is a rotation, so a query matrix can ask for "one to the
  left". Values set by hand and then trained: as "mimetic" initialisation (Trockman and Kolter,
  2023), with other means.

Every weight is trained afterwards as usual, and the model class stays the library's own.
"""

import math

import numpy as np
import scipy.sparse as sparse
import torch
from sklearn.utils.extmath import randomized_svd
from torch import nn

from companion.errors import CourseError

WAVES = 16  # frequencies of the positions: they take 2 * WAVES of the embedding's places
OFFSETS = (-1, 1, -2, 2)
SPREAD = 0.02  # of random weights, as in BERT
COUNTED = 30_000  # rows, about four million tokens: more change little
SHARPNESS = 1.5  # how strongly a head prefers its distance


def neighbour_counts(rows: np.ndarray, size: int, pad: int | None = None) -> sparse.csr_matrix:
    """How often two tokens stand next to each other (1) or one apart (1/2), symmetrical.

    Args:
        rows: token ids, (rows, length).
        size: the number of vocabulary entries.
        pad: an id that is no token: nothing is its neighbour.

    Returns:
        Sparse matrix (size, size).
    """
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
def head_start(model: nn.Module, rows: np.ndarray, counts: np.ndarray, seed: int = 0) -> None:
    """Set embeddings, output bias and four heads of every layer of a fresh ALBERT, in place.

    Args:
        model: an ALBERT with a masked-LM head.
        rows: training rows of token ids, to count neighbours in.
        counts: how often every token occurs, (vocabulary,).

    Raises:
        CourseError: another kind of model, or one that is too narrow for the positions.
    """
    config = model.config
    if config.model_type != "albert":
        raise CourseError(f"a head start is known for albert, not for {config.model_type}: "
                          "remove head_start from the recipe")
    head = config.hidden_size // config.num_attention_heads
    if 2 * WAVES > head or config.embedding_size <= 2 * WAVES:
        raise CourseError(f"heads of {head} and embeddings of {config.embedding_size} are too "
                          f"narrow for a head start: give at least {2 * WAVES} and more")
    table, frequency = waves(config.max_position_embeddings)
    _embed(model, rows, table, seed)
    for group in model.albert.encoder.albert_layer_groups:
        for layer in group.albert_layers:
            _look_at_neighbours(layer.attention, frequency, head)
    counts = counts + 1.0
    counts[config.pad_token_id] = 1.0
    share = counts / counts.sum()
    model.predictions.bias.copy_(torch.from_numpy(np.log(share) - np.log(share).mean()))


def _embed(model: nn.Module, rows: np.ndarray, table: torch.Tensor, seed: int) -> None:
    """Positions take the first places of the embedding, tokens the others; the map to the
    hidden size keeps them apart and gives all its places about the same spread."""
    embeddings, place = model.albert.embeddings, 2 * WAVES
    words = embeddings.word_embeddings.weight
    wide, hidden = words.shape[1], model.config.hidden_size
    embeddings.position_embeddings.weight.zero_()
    embeddings.position_embeddings.weight[:, :place] = table * 2 * SPREAD * math.sqrt(2)
    words.zero_()
    vectors = token_vectors(rows, len(words), wide - place, seed, model.config.pad_token_id)
    words[:, place:] = vectors * SPREAD * math.sqrt(wide)
    lift = model.albert.encoder.embedding_hidden_mapping_in.weight
    draw = torch.Generator().manual_seed(seed)
    rest = torch.linalg.qr(torch.randn(hidden - place, wide - place, generator=draw))[0]
    lift.zero_()
    lift[:place, :place] = torch.eye(place)
    lift[place:, place:] = rest * math.sqrt((hidden - place) / (wide - place))


def _look_at_neighbours(attention: nn.Module, frequency: torch.Tensor, head: int) -> None:
    """The first heads ask for fixed distances; values are wide enough to be heard."""
    place, scale = 2 * len(frequency), math.sqrt(SHARPNESS)
    for number, offset in enumerate(OFFSETS[: attention.num_attention_heads]):
        at = slice(number * head, (number + 1) * head)
        for matrix, what in ((attention.query.weight, turned(frequency, offset)),
                             (attention.key.weight, torch.eye(place))):
            matrix[at] = 0
            matrix[number * head : number * head + place, :place] = what * scale
    for matrix in (attention.value.weight, attention.dense.weight):
        matrix.mul_(1.5)
