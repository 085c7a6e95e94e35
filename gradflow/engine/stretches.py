"""The terms of a wide net, a stretch of rows at a time: all that is done to it is done while it is
in cache, by whichever thread takes it. Axes as in `outer`.

A thread makes few and long calls of NumPy: between them it has to wait for Python's lock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradflow.engine.outer import Outer, side_by_side
from gradflow.machine.threads import share
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import are_near_one, safe_bits, squares_of, sum_of_squares

_ROWS = 128  # of a stretch: fewer, and the other factor is copied too often


class Stretches:
    """The rows (W,) of P parameters, in stretches that each belong to one of them."""

    def __init__(self, rows: Sequence[slice]) -> None:
        self._stretches = [
            (which, slice(start, min(start + _ROWS, own.stop)))
            for which, own in enumerate(rows)
            for start in range(own.start, own.stop, _ROWS)
        ]
        owners = [which for which, _ in self._stretches]
        firsts = [owners.index(which) for which in range(len(rows))]
        self._of = [slice(*ends) for ends in zip(firsts, [*firsts[1:], len(owners)], strict=True)]

    def formed(self, left: Array, outer: Outer) -> tuple[Array, Array, Array]:
        """The matrices (K, R, W, G), the squares (K, R, P) of their norms, and the exponents that
        these are in units of."""
        rights = [(columns, side_by_side(own).mT) for columns, own in outer]
        W, dtype = rights[0][1].shape[-2], left.dtype
        matrices = np.empty((*left.shape[:2], W, left.shape[-1]), dtype)
        squares = np.empty((len(self._stretches), *left.shape[:2]))

        def some(part: slice) -> None:
            for at in range(len(self._stretches))[part]:
                rows = self._stretches[at][1]
                for columns, right in rights:
                    own = left[..., columns]
                    np.matmul(right[..., rows, :], own, out=matrices[..., rows, columns])
                flat = matrices[..., rows, :].reshape(*left.shape[:2], -1)
                np.vecdot(flat, flat, out=squares[at])

        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            share(some, len(self._stretches))
        if not are_near_one(squares, safe_bits(dtype)).all():
            found = [squares_of(matrices[..., rows, :], axes=2) for _, rows in self._stretches]
            squares, unit = (np.stack(column) for column in zip(*found, strict=True))
        else:
            unit = np.zeros(squares.shape, np.int64)
        by_parameter = [sum_of_squares(squares[own], unit[own], axis=0) for own in self._of]
        squares, unit = (np.stack(column, axis=-1) for column in zip(*by_parameter, strict=True))
        return matrices, squares, unit

    def summed(
        self, total: Array, matrices: Array, powers: Array, measured: int | None, only: int | None
    ) -> tuple[Array, Array]:
        """Add matrices times `powers` (R, P), which is done in place, to `total` (R, W, G), one lag
        after the other; of the parameter `only` alone, if it is given.

        Returns the squared norm (K, R) of what the rows of the parameter `measured` have come to at
        each lag, and its exponent.
        """
        K = len(matrices)
        squares = np.zeros((len(self._stretches), K, total.shape[0]))
        unit = np.zeros(squares.shape, np.int64)
        lowered = (powers != 1).any(axis=0).tolist()
        powers = powers.T[..., None, None].astype(total.dtype)
        bits = safe_bits(total.dtype)

        def some(part: slice) -> None:
            for at in range(len(self._stretches))[part]:
                which, rows = self._stretches[at]
                if only not in (None, which):
                    continue
                own = total[:, rows]
                flat = own.reshape(len(own), -1)
                if lowered[which]:
                    matrices[:, :, rows] *= powers[which]
                for k in range(K):
                    own += matrices[k, :, rows]
                    if which != measured:
                        continue
                    found = np.vecdot(flat, flat)
                    if are_near_one(found, bits).all():
                        squares[at, k] = found
                    else:
                        squares[at, k], unit[at, k] = squares_of(own, axes=2)

        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            share(some, len(self._stretches))
        own = self._of[measured or 0]
        return sum_of_squares(squares[own], unit[own], axis=0)
