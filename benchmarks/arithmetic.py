"""How many floating-point operations a token costs, and how many the machine can do.

Only matrix products are counted: they are what a peak is stated for. A product of
(m, k) by (k, n) takes m*k*n multiplications and as many additions: 2*m*k*n operations.
"""

import time

import torch

FORMULA = """\
matrix products per token, forward, N layers, width H, feed-forward F, row length L:
  encoder  N * (8*H*H + 4*H*F + 4*L*H)   query, key, value, output; two feed-forward
                                         matrices; scores and weighted sum over L tokens
  head     s * (2*H*H + 2*H*V)           on the share s of the positions, V entries
backward: every product again for each of its two operands, so in all 3 times the forward"""


def per_token(layers: int, width: int, inner: int, length: int, vocabulary: int,
              share: float) -> float:
    """Operations of one training step per token, by ``FORMULA``.

    Args:
        share: share of the positions that the head works on; 1 when it works on all.
    """
    encoder = layers * (8 * width**2 + 4 * width * inner + 4 * length * width)
    head = share * (2 * width**2 + 2 * width * vocabulary)
    return 3 * (encoder + head)


def matmul_peak(dtype: torch.dtype, sizes=(1024, 2048, 4096), seconds: float = 1.5) -> float:
    """The best rate of ``torch.matmul`` on square matrices, in operations per second."""
    best = 0.0
    for size in sizes:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        out = torch.matmul(a, b)  # the first call prepares the kernel
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            torch.matmul(a, b, out=out)
            best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best
