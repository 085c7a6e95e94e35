"""A matrix times columns, as fast as OpenBLAS has it.

For products of up to 100^3 multiplications OpenBLAS has separate code on processors with
AVX-512, which copies neither matrix first. A recurrent product is larger, but its rows may be taken
in blocks that are not. Measured (one thread; microseconds whole and in blocks, G x H times N):
1024 x 256 x 32 405, 293 in float64, 192, 150 in float32; 1024 x 256 x 4 127, 48; 4096 x 1024 x 32
9490, 5090. With AVX2 alone blocks cost a tenth, and with more threads a large product has all of
them; there it stays whole. So it does where there are many columns: 64 x 256 x 128 85 whole, 140 in
blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from numpy.lib.introspect import opt_func_info

from gradflow.blas import threads
from gradflow.columns import Array

_SMALL = 100**3
_MOST_ROWS, _LEAST_ROWS = 64, 4
_MOST_COLUMNS = 48


def product(W: Array, columns: Array, out: Array | None = None) -> Array:
    """W (..., G, H) times `columns` (..., H, N), into `out` (..., G, N) where it is given."""
    N = columns.shape[-1]
    if N == 1:  # a matrix times a vector, where a call more would be felt
        return np.matmul(W, columns, out=out)
    G, H = W.shape[-2:]
    rows = _rows_of_a_block(G, H, N)
    if rows == G:
        return np.matmul(W, columns, out=out)
    if out is None:
        leading = np.broadcast_shapes(W.shape[:-2], columns.shape[:-2])
        out = np.empty((*leading, G, N), np.result_type(W, columns))
    blocks = W.reshape(*W.shape[:-2], G // rows, rows, H)
    into = out.reshape(*out.shape[:-2], G // rows, rows, N)  # cutting an axis is always a view
    np.matmul(blocks, columns[..., None, :, :], out=into)
    return out


def product_for(shapes: Iterable[tuple[int, ...]], N: int) -> Callable[..., Array]:
    """The quickest function that gives what `product` gives, of matrices of these shapes and N
    columns."""
    small = all(G * H * N <= _SMALL for G, H in shapes)
    return np.matmul if N == 1 or small else product


@lru_cache
def _rows_of_a_block(G: int, H: int, N: int) -> int:
    """The rows of W that are taken at a time; G where it stays whole."""
    if G * H * N <= _SMALL or N > _MOST_COLUMNS or not _blocks_pay():
        return G
    most = min(_MOST_ROWS, _SMALL // (H * N))
    return next((rows for rows in range(most, _LEAST_ROWS - 1, -1) if G % rows == 0), G)


def _blocks_pay() -> bool:
    """Whether OpenBLAS has one thread here, and a processor with AVX-512."""
    exp = str(opt_func_info(func_name="^exp$", signature="float64"))
    return threads(os.cpu_count() or 1) == 1 and ("AVX512" in exp or "X86_V4" in exp)
