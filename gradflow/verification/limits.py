"""What neither way of a comparison can hold: backpropagation in the net's own precision, and a
complex step in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Scaled, near_one, scale

_BITS = {"float64": 700, "float32": 80}  # that one step may change a cotangent by
_MOVED = {"float64": 1e5, "float32": 1e2}
_NOTHING = 1e-3  # of the other derivative


@dataclass(eq=False)
class FloatRange:
    """Float range on the way of derivatives to the loss.

    Attributes:
        dtype: the net's.
        left: whether a step since the last `reset` had a derivative too small to be held:
            by backpropagation, since it is less than a step may make of a cotangent, or by the
            complex step itself.
        cancelled: whether a gauge since then moved by so much more than the parts that it scales
            that rounding shows where their ways to the loss cancel.
    """

    dtype: str
    left: bool = False
    cancelled: bool = False

    def reset(self) -> None:
        """Begin anew."""
        self.left = self.cancelled = False

    def note(self, kind: str = "", flag: int = 0) -> None:
        """A result was too small for a float: what NumPy calls."""
        self.left = True

    def step(self, before: Array, after: Scaled) -> None:
        """Look at the derivatives `after` a step, of those near 2**`before` (N,)."""
        small = after.exponent < before - _BITS[self.dtype]
        self.left |= bool((small & after.value.any(axis=-1)).any())

    def gauge(self, before: Array, after: Array, others: Array) -> None:
        """Look at the derivatives of a gauge (N, .) before and after a step, and at those of all
        else (N, .) after it."""
        one, two, rest = (np.abs(a).max(axis=-1) for a in (before, after, others))
        self.cancelled |= bool((np.maximum(one, two) > _MOVED[self.dtype] * rest).any())

    def lost(self, ours: Scaled, theirs: Scaled, arrives: Scaled, tolerance: float) -> bool:
        """Whether this may be why derivatives (N, .) differ. Where range was left, of every sample
        that does one is next to nothing against the other, or both are against what `arrives`
        (N, S) at the step."""
        summands, other, unit = in_one_unit(ours, theirs)
        both = np.abs([summands.sum(axis=-1), other[:, 0]])
        low, high = both.min(axis=0), both.max(axis=0)
        size = np.linalg.norm(arrives.value.astype(np.float64), axis=-1)
        least = scale(size, np.minimum(arrives.exponent - unit - _BITS[self.dtype], 0))
        lost = (low <= _NOTHING * high) | (high <= least)
        lost = self.cancelled | (self.left & lost)
        return bool((lost | (high - low <= tolerance * high)).all())


def in_one_unit(a: Scaled, b: Scaled) -> tuple[Array, Array, int]:
    """Two sets of vectors in one unit, and that unit."""
    pair = near_one(a), near_one(b)
    unit = max(int(vectors.exponent.max()) for vectors in pair)
    mine, other = (scale(v.value, (v.exponent - unit)[:, None]) for v in pair)
    return mine, other, unit
