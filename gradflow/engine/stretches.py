"""The terms of a wide net, a stretch of rows at a time: all that is done to it is done while it is
in cache, by whichever thread takes it. Axes as in `outer`.

A thread makes few and long calls of NumPy: between them it has to wait for Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from gradflow.engine.outer import Outer
from gradflow.machine.threads import share
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import are_near_one, safe_bits, squares_of, sum_of_squares

# Rows of a stretch: of fewer the other factor is copied too often, and calls are short; of more,
# there are too few stretches to be shared.
_LEAST_ROWS, _MOST_ROWS = 64, 128
_ELEMENTS = 2**18  # of the matrices of a stretch that are formed at once; measured


class Stretches:
    """The rows (W,) of P parameters, in stretches that each belong to one of them."""

    def __init__(self, rows: Sequence[slice]) -> None:
        self._stretches = [
            (which, slice(start, min(start + count, own.stop)))
            for which, own in enumerate(rows)
            for count in [max(_LEAST_ROWS, min(_MOST_ROWS, (own.stop - own.start) // 4))]
            for start in range(own.start, own.stop, count)
        ]
        # What threads take: the long stretches first, then all short ones together, with little in
        # them, so that nobody waits long for the last.
        lengths = [own.stop - own.start for _, own in self._stretches]
        self._pieces = [[at] for at, length in enumerate(lengths) if length >= _LEAST_ROWS]
        short = [at for at, length in enumerate(lengths) if length < _LEAST_ROWS]
        self._pieces += [short] if self._pieces and short else [[at] for at in short]
        self._firsts = [own.start for own in rows]
        owners = [which for which, _ in self._stretches]
        firsts = [owners.index(which) for which in range(len(rows))]
        self._of = [slice(*ends) for ends in zip(firsts, [*firsts[1:], len(owners)], strict=True)]

    def measured(self, left: Array, outer: Outer, only: int | None = None) -> tuple[Array, Array]:
        """The squares (K, R, P) of the norms of the matrices, and the exponents that these are in
        units of; of the parameter `only` alone, if it is given."""
        squares = np.zeros((len(self._stretches), *left.shape[:2]))
        unit = np.zeros(squares.shape, np.int64)

        def each(at: int, lags: slice, matrices: Array) -> None:
            squares[at, lags], unit[at, lags] = squares_of(matrices, axes=2)

        self._each(left, outer, each, only)
        by_parameter = [sum_of_squares(squares[own], unit[own], axis=0) for own in self._of]
        squares, unit = (np.stack(column, axis=-1) for column in zip(*by_parameter, strict=True))
        return squares, unit

    def added(
        self,
        left: Array,
        outer: Outer,
        total: Array,
        powers: Array,
        measured: int | None,
        only: int | None = None,
    ) -> tuple[Array, Array]:
        """Add the matrices of K lags times `powers` (R, P) to `total` (R, W, G), one lag after the
        other; of the parameter `only` alone, if it is given.

        Returns the squared norm (K, R) of what the rows of the parameter `measured` have come to at
        each lag, and its exponent.
        """
        sums = np.zeros((len(self._stretches), *left.shape[:2]))
        unit = np.zeros(sums.shape, np.int64)
        lowered, powers = _factors(powers, total)

        def each(at: int, lags: slice, matrices: Array) -> None:
            which, rows = self._stretches[at]
            if lowered[which]:
                matrices *= powers[which]
            total[:, rows] = _run_up(matrices, total[:, rows])
            if which == measured:
                sums[at, lags], unit[at, lags] = squares_of(matrices, axes=2)

        self._each(left, outer, each, only)
        own = self._of[measured or 0]
        return sum_of_squares(sums[own], unit[own], axis=0)

    def at_once(
        self,
        left: Array,
        outer: Outer,
        total: Array,
        falls: Array,
        into: Array,
        powers: Array,
        measured: int | None,
    ) -> tuple[Array, Array] | None:
        """Measure the matrices and add them: `total` times `falls` (R, P), and what is added, into
        `into`. All squares are taken as they are: None where they came near the ends of float
        range, and what is in `into` has no use. A zero may be one, or may have vanished.

        Returns the squares (K, R, P) of the norms of the matrices, and (K, R) those of what the
        rows of the parameter `measured` have come to.
        """
        squares = np.zeros((len(self._stretches), *left.shape[:2]))
        sums = np.zeros(squares.shape)
        lowered, powers = _factors(powers, total)
        fallen, falls = _factors(falls, total)

        def each(at: int, lags: slice, matrices: Array) -> None:
            which, rows = self._stretches[at]
            _square(matrices, squares[at, lags])
            if lowered[which]:
                matrices *= powers[which]
            own = into[:, rows] if lags.start else total[:, rows]
            if fallen[which] and not lags.start:
                own = own * falls[which]
            *others, last = matrices
            for matrix in others:
                own = np.add(matrix, own, out=matrix)
            own = np.add(last, own, out=into[:, rows])
            if which == measured:
                _square(matrices[:-1], sums[at, lags][:-1])
                _square(own, sums[at, lags.stop - 1])

        self._each(left, outer, each)
        sums = sums[self._of[measured or 0]]
        bits = safe_bits(total.dtype)
        if not all((are_near_one(own, bits) | (own == 0)).all() for own in (squares, sums)):
            return None
        squares = np.stack([squares[own].sum(axis=0) for own in self._of], axis=-1)
        return squares, sums.sum(axis=0)

    def _each(
        self,
        left: Array,
        outer: Outer,
        each: Callable[[int, slice, Array], None],
        only: int | None = None,
    ) -> None:
        """Call `each(at, lags, matrices)` for all lags of every stretch, a few at a time and in
        order, with the matrices (K, R, rows, G), which may be changed."""
        rights = [(columns, [_lying(right.mT) for right in own.values()]) for columns, own in outer]
        K, R = left.shape[:2]
        G = left.shape[-1]

        def some(part: slice) -> None:
            for at in chain.from_iterable(self._pieces[part]):
                which, rows = self._stretches[at]
                if only not in (None, which):
                    continue
                count, first = rows.stop - rows.start, rows.start - self._firsts[which]
                most = min(K, max(1, _ELEMENTS // (R * count * G)))
                room = np.empty((most, R, count, G), left.dtype)
                for start in range(0, K, most):
                    lags = slice(start, min(start + most, K))
                    matrices = room[: lags.stop - start]
                    for columns, of in rights:
                        right = of[which][lags, :, first : first + count]
                        np.matmul(right, left[lags][..., columns], out=matrices[..., columns])
                    each(at, lags, matrices)

        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            share(some, len(self._pieces), long=True)


def _lying(right: Array) -> Array:
    """Right factors (K, R, rows, N) with their samples innermost: themselves if they lie so."""
    row = right.strides[-2:] == (right.shape[-1] * right.itemsize, right.itemsize)
    return right if row else np.ascontiguousarray(right)


def _factors(powers: Array, total: Array) -> tuple[list[bool], Array]:
    """For each parameter: whether any of `powers` (R, P) is not one, and they as what matrices
    (R, W, G) like `total` are multiplied by."""
    return (powers != 1).any(axis=0).tolist(), powers.T[..., None, None].astype(total.dtype)


def _square(matrices: Array, into: Array) -> None:
    """The sums of the squares of matrices (..., rows, G) into (...)."""
    into[...] = np.vecdot(matrices, matrices).sum(axis=-1, dtype=np.float64)


def _run_up(matrices: Array, start: Array) -> Array:
    """Make of matrices (K, ...) what they come to from `start`, in place; returns the last."""
    for matrix in matrices:  # np.cumsum along the first axis is ten times slower
        start = np.add(matrix, start, out=matrix)
    return start
