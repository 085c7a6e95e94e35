"""How time is cut: into blocks of a few steps, and segments of blocks whose tape is kept as one
(`flow` says what for), and what bytes these take."""

from __future__ import annotations

import math

from gradflow.cells.sized import SizedCell
from gradflow.numerics.arrays import Array

BUDGET = 2**30
"""Bytes of tape that are kept; beyond it, segments are computed again."""

# A block should be in cache when what is done once for a block comes to it, and not be too short
# for that to pay. Where the digits of a result depend on its length, that follows from the shape of
# one run alone, so that they do not depend on R.
_BLOCK_ELEMENTS = 2**19  # pre-activations or states of one run
_MOST_ELEMENTS = 2**24  # likewise, however few its steps
_LONGEST_BLOCK = 256
_LEAST_ROWS = 128  # steps times samples of a block, which the product for dL/dW sums over
_FORWARD_ELEMENTS = 2**18  # of all runs
_LEAST_STEPS = 4  # however wide

FEW = 8
"""Samples, below which the input product is better taken for a whole block; measured."""


def tape_bytes_per_step(cell: SizedCell, batch: int, itemsize: int) -> int:
    """Bytes that one step of one run leaves on the tape."""
    return batch * itemsize * (cell.S_all + cell.local)


def block_length(cell: SizedCell, batch: int) -> int:
    """Steps in a block of the backward pass; segments begin at multiples of it."""
    width = max(1, batch * max(cell.G, cell.S_all))
    wanted = max(4, _LEAST_ROWS // batch, min(_LONGEST_BLOCK, _BLOCK_ELEMENTS // width))
    return int(max(1, min(wanted, _MOST_ELEMENTS // width)))


def block_bytes(cell: SizedCell, steps: int, batch: int, itemsize: int) -> int:
    """Bytes of the states of a block of one run and of their cotangents, what comes to them, and
    what norms are made of; of so many steps in all."""
    length = min(steps, block_length(cell, batch))
    return (4 * length + 6) * batch * itemsize * cell.S_all


def forward_length(cell: SizedCell, s: Array) -> int:
    """Steps in a block of the forward pass from states `s` (R, N, S_all)."""
    R, N, _ = s.shape
    if N < FEW:  # the input product of a block depends on its length in the last digits
        return block_length(cell, N)
    width, wider = max(1, R * N * cell.G_x), max(1, R * N * (cell.G + cell.saved))
    wanted = max(_LEAST_STEPS, min(_LONGEST_BLOCK, _FORWARD_ELEMENTS // width))
    return int(max(1, min(wanted, _MOST_ELEMENTS // wider)))


def blocks(steps: int, length: int) -> list[slice]:
    """So many steps in blocks of a length, the last one what is left."""
    return [slice(at, min(at + length, steps)) for at in range(0, steps, length)]


def segments(cell: SizedCell, x: Array, s0: Array, budget: int) -> list[tuple[int, int]]:
    """(start, stop) of each segment: one if its tape fits the budget, else about sqrt(T)."""
    T, (R, N, _) = len(x), s0.shape
    step_bytes = R * tape_bytes_per_step(cell, N, s0.itemsize)
    length = T
    if T * step_bytes > budget:
        block = block_length(cell, N)
        balanced = math.sqrt(T * s0.nbytes / step_bytes)  # checkpoints and tape weigh the same
        length = block * max(1, math.ceil(balanced / block))
    return [(start, min(start + length, T)) for start in range(0, T, length)]
