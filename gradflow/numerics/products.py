"""A matrix times vectors, as fast as OpenBLAS has it, and by all threads where it is large.

For products of up to 100^3 multiplications OpenBLAS has separate code on processors with
AVX-512, which copies neither matrix first. A recurrent product is larger, but its rows may be taken
in blocks that are not. Measured (one thread; microseconds whole and in blocks, G x H times N):
1024 x 256 x 32 405, 293 in float64, 192, 150 in float32; 1024 x 256 x 4 127, 48; 4096 x 1024 x 32
9490, 5090; 64 x 256 x 128 85, 140: with many vectors it stays whole. With AVX2 alone, or many
vectors, a few blocks of at least 128 rows cost a fiftieth at most, which threads gain by taking
some each (2048 x 512 x 32 1270, with two 670). The last digits of a product depend on its rows, so
blocks follow from the shape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from gradflow.machine.blas import kernel
from gradflow.machine.threads import share
from gradflow.numerics.arrays import Array

SHARED = 2**22
"""Multiplications from which on a product is worth being shared among threads; measured."""

_SMALL = 100**3
_MOST_ROWS, _LEAST_ROWS = 64, 4
_SHARED_ROWS, _SHARED_BLOCKS = 128, 8
_COPYING_NOTHING = ("skylakex", "cooperlake", "sapphirerapids")  # kernels for AVX-512
_MOST_VECTORS = 48


def product(W: Array, vectors: Array, out: Array | None = None) -> Array:
    """W (..., G, H) times `vectors` (..., H, N), into `out` (..., G, N) where it is given."""
    N = vectors.shape[-1]
    if N == 1:  # a matrix times a vector, where a call more would be felt
        return np.matmul(W, vectors, out=out)
    G, H = W.shape[-2:]
    rows = _rows_of_a_block(G, H, N)
    if rows == G:
        return np.matmul(W, vectors, out=out)
    if out is None:
        leading = np.broadcast_shapes(W.shape[:-2], vectors.shape[:-2])
        out = np.empty((*leading, G, N), np.result_type(W, vectors))
    blocks = W.reshape(*W.shape[:-2], G // rows, rows, H)
    into = out.reshape(*out.shape[:-2], G // rows, rows, N)  # cutting an axis is always a view
    vectors = vectors[..., None, :, :]
    if G * H * N < SHARED:
        np.matmul(blocks, vectors, out=into)
        return out

    def some(part: slice) -> None:
        np.matmul(blocks[..., part, :, :], vectors, out=into[..., part, :, :])

    share(some, G // rows)
    return out


def product_for(shapes: Iterable[tuple[int, ...]], N: int) -> Callable[..., Array]:
    """The quickest function that gives what `product` gives, of matrices of these shapes and N
    vectors."""
    small = all(G * H * N <= _SMALL for G, H in shapes)
    return np.matmul if N == 1 or small else product


@lru_cache
def _rows_of_a_block(G: int, H: int, N: int) -> int:
    """The rows of W that are taken at a time; G where it stays whole."""
    if G * H * N <= _SMALL:
        return G
    if N <= _MOST_VECTORS and _blocks_pay():
        most, least = min(_MOST_ROWS, _SMALL // (H * N)), _LEAST_ROWS
    elif G * H * N >= SHARED:
        most, least = max(_SHARED_ROWS, -(-G // _SHARED_BLOCKS)), _SHARED_ROWS // 2
    else:
        return G
    return next((rows for rows in range(most, least - 1, -1) if G % rows == 0), G)


@lru_cache
def _blocks_pay() -> bool:
    """Whether OpenBLAS has code here that copies nothing."""
    return (kernel() or "").lower() in _COPYING_NOTHING
