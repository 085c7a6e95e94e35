"""The terms of dL/dW, lag by lag: their norms, their running sum, their total.

Parameters that share their left factor are taken together: W_x, W_s and the biases of most cells.
Samples come with their own power-of-two exponents. Almost always all samples of a lag have one,
and nothing comes near the ends of float range. Where the result shows that it was not so, it is
thrown away, and each parameter's samples are first brought to one exponent. The products keep
their shapes then: no digit of a run depends on which way its company makes it go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradflow.engine import outer as products
from gradflow.engine.outer import Outer, power
from gradflow.engine.running import running_norms
from gradflow.engine.stretches import Stretches
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import (
    ZERO_EXPONENT,
    Magnitudes,
    are_near_one,
    safe_bits,
    scale,
    squares_of,
    squares_of_rows,
)

_FORMED_ELEMENTS = 2**18  # elements of matrices that are kept at once
_LARGEST_FORMED = 2**15  # elements of a matrix beyond which Gram matrices are faster; measured
_FORMED_BATCH = 8  # samples below which they are; measured
_WIDE = 2**20  # multiplications of a lag, from which on its matrix is taken by rows; measured
_GRAM_ROWS = 128  # rows (lags x batch) whose products with each other are taken at once


class Terms:
    """The terms of P parameters that share their left factor, and what they have come to so far.

    Attributes:
        names: of the parameters.
        share: the parameter whose sum up to each lag is measured, if any.
        norms: blocks of squares (K, R, P) of the Frobenius norm of each lag's terms, and the
            exponents they are in units of.
        cumulative: the same, (K, R), of the sum of `share` up to each lag.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        R: int,
        G: int,
        dtype: np.dtype[Any],
        share: str | None = None,
    ) -> None:
        self.names = tuple(widths)
        self.share = share if share in widths else None
        self.norms: list[tuple[Array, Array]] = []
        self.cumulative: list[tuple[Array, Array]] = []
        self._widths = list(widths.values())
        ends = np.cumsum(self._widths).tolist()
        self._rows = [
            slice(end - width, end) for end, width in zip(ends, self._widths, strict=True)
        ]
        # All parameters one below the other, transposed: (R, W, G). Each has its own exponent, and
        # its norm in that unit is at most `_bound`.
        self._total = np.zeros((R, ends[-1], G), dtype)
        self._next = np.empty_like(self._total)  # room that a wide net's total changes with
        self._exponent = np.full((R, len(widths)), ZERO_EXPONENT)
        self._bound = np.zeros((R, len(widths)))

    def add(self, left: Array, outer: Outer, exponent: Array) -> None:
        """Add the terms of K lags: `left` (K, R, N, G) times 2**`exponent` (K, R, N), with the
        right factors of every parameter, in the order of `names`."""
        R, W, G = self._total.shape
        N = left.shape[-2]
        small = self.share is not None or W * G <= _LARGEST_FORMED
        self._formed = N >= W * G / (W + G) or (N >= _FORMED_BATCH and small)
        wide = self._formed and W * G * N >= _WIDE
        self._wide = Stretches(self._rows) if wide else None
        kept = self._formed and not wide
        self._most = max(1, _FORMED_ELEMENTS // (R * W * G)) if kept else len(left)
        level = not self._formed or bool((exponent == exponent[:1]).all())
        for lags in products.stretches(exponent, self._most, level):
            here = left[lags], products.at(outer, lags), exponent[lags]
            if not self._add_level(*here):
                self._add_uneven(*here)

    def total(self, name: str) -> Magnitudes:
        """(R,): the Frobenius norm of the sum of a parameter's terms."""
        which = self.names.index(name)
        squares, unit = squares_of(self._total[:, self._rows[which]], axes=2)
        return Magnitudes.of(np.sqrt(squares), self._exponent[:, which] + unit)

    def _add_level(self, left: Array, outer: Outer, exponent: Array) -> bool:
        """Add lags whose samples have one exponent. Returns whether it was done: nothing is added
        where a term comes near the ends of float range."""
        if (exponent != exponent[..., :1]).any():
            return False
        exponent = exponent[..., 0]
        if self._wide is not None and self._add_at_once(self._wide, left, outer, exponent):
            return True
        matrices, squares, unit, sizes = self._measured(left, outer)
        zeros = self._formed or bool((exponent == exponent[0]).all())
        if unit.any() or not products.are_safe(sizes, left, outer, zeros):
            return False
        own = np.repeat(exponent[..., None], len(self.names), axis=-1)
        if not self._formed:
            squares, unit = self._mended(left, outer, squares, unit, sizes)
        self.norms.append((squares, own + unit))
        self._sum(left, outer, matrices, exponent, _log2(squares, own + unit))
        return True

    def _add_at_once(self, wide: Stretches, left: Array, outer: Outer, exponent: Array) -> bool:
        """Add lags of one exponent (R,) in a single pass, into another total. Returns whether it
        was done: the pass has no use where a term comes near the ends of float range, or where one
        that is nothing would have raised the exponent of its total."""
        own = np.repeat(exponent[0][:, None], len(self.names), axis=-1)
        top = np.maximum(self._exponent, own)
        falls, powers = power(self._exponent - top), power(own - top)
        which = self.names.index(self.share) if self.share else None
        found = wide.at_once(left, outer, self._total, falls, self._next, powers, which)
        if found is None:
            return False
        squares, sums = found
        raised = (top > self._exponent) & (squares == 0).all(axis=0)
        if raised.any() or not products.are_safe([squares], left, outer, zeros=True):
            return False
        if which is not None:
            if not are_near_one(sums, safe_bits(left.dtype)).all():
                return False
            self.cumulative.append((sums, np.broadcast_to(top[:, which], sums.shape)))
        own = np.broadcast_to(own, squares.shape)
        self.norms.append((squares, own))
        self._total, self._next = self._next, self._total
        self._bound *= falls
        self._exponent = top
        self._settle(_log2(squares, own))
        return True

    def _add_uneven(self, left: Array, outer: Outer, exponent: Array) -> None:
        """Add any lags, one parameter after the other, each with its samples made level."""
        squares: list[Array] = []
        exponents: list[Array] = []
        for which, name in enumerate(self.names):
            own = [(rows, rights[name]) for rows, rights in outer]
            even, own, its = products.leveled(left, own, exponent)
            mine = [
                (rows, {**rights, name: right})
                for (rows, rights), (_, right) in zip(outer, own, strict=True)
            ]
            found = []
            for lags in products.stretches(its[..., None], self._most, not self._formed):
                here = even[lags], products.at(mine, lags)
                matrices, square, unit, sizes = self._measured(*here, only=which)
                if not self._formed:
                    square, unit = self._mended(*here, square, unit, sizes, only=which)
                unit += its[lags][..., None]
                found.append((square[..., which], unit[..., which]))
                size = np.full(square.shape, -np.inf)
                size[..., which] = _log2(*found[-1])
                self._sum(*here, matrices, its[lags], size, only=which)
            for column, blocks in zip((squares, exponents), zip(*found, strict=True), strict=True):
                column.append(np.concatenate(blocks))
        self.norms.append((np.stack(squares, axis=-1), np.stack(exponents, axis=-1)))

    def _measured(
        self, left: Array, outer: Outer, only: int | None = None
    ) -> tuple[Array | None, Array, Array, list[Array]]:
        """The matrices of each lag, if they are formed and kept; their sums of squares (K, R, P)
        and the exponents they are in units of; and what these were computed from, the squares
        first. Of a wide net they are those of `only`, if it is given."""
        if not self._formed:
            sizes = list(products.by_gram(left, outer))
            squares = sizes[0].astype(np.float64)
            return None, squares, np.zeros(squares.shape, np.int64), sizes
        if self._wide is not None:
            squares, unit = self._wide.measured(left, outer, only)
            return None, squares, unit, [squares]
        matrices = products.formed(left, outer)
        squares, unit = squares_of_rows(matrices, self._rows)
        return matrices, squares, unit, [squares]

    def _mended(
        self,
        left: Array,
        outer: Outer,
        squares: Array,
        unit: Array,
        sizes: list[Array],
        only: int | None = None,
    ) -> tuple[Array, Array]:
        """Squares from Gram matrices, those that lost digits there taken of the matrix itself."""
        kept = products.keep_digits(squares, sizes[1], left.dtype) | (sizes[1] == 0)
        if kept.all():
            return squares, unit
        for which, name in enumerate(self.names):
            if only in (None, which) and not kept[..., which].all():
                factors = [(rows, rights[name]) for rows, rights in outer]
                for k, r in np.argwhere(~kept[..., which]).tolist():
                    A = products.matrix(
                        left[k, r], [(rows, right[k, r]) for rows, right in factors]
                    )
                    squares[k, r, which], unit[k, r, which] = squares_of(A, axes=2)
        return squares, unit

    def _sum(
        self,
        left: Array,
        outer: Outer,
        matrices: Array | None,
        exponent: Array,
        size: Array,
        only: int | None = None,
    ) -> None:
        """Add lags to the total, and measure the running sum of `share`.

        `size` (K, R, P) is log2 of the norm of each term, -inf if there is nothing to be added:
        the exponent of nothing would hide what follows. `only` is the one parameter that is meant.
        """
        if self._formed:
            self._sum_formed(left, outer, matrices, exponent[0], size, only)
            return
        step = max(1, _GRAM_ROWS // left.shape[-2]) if self.share else len(left)
        for lags in products.stretches(exponent, step, True):
            here = left[lags], products.at(outer, lags), exponent[lags], size[lags]
            if self._measures_share(only):
                self._record_running(*here)
            self._sum_product(*here, only)

    def _sum_formed(
        self,
        left: Array,
        outer: Outer,
        matrices: Array | None,
        exponent: Array,
        size: Array,
        only: int | None,
    ) -> None:
        """Add the matrices of lags of one exponent (R,), which are formed again if they were not
        kept."""
        something = (size > -np.inf).any(axis=0)
        own = np.where(something, exponent[:, None], ZERO_EXPONENT)
        top = self._rise_to(own)
        which = self.names.index(str(self.share)) if self._measures_share(only) else None
        if self._wide is not None:
            powers = power(own - top)
            squares, unit = self._wide.added(left, outer, self._total, powers, which, only)
        else:
            assert matrices is not None
            self._lower(self._restrict(matrices, only), own - top)
            squares, unit = self._summed(matrices, which)
        if which is not None:
            self.cumulative.append((squares, top[:, which] + unit))
        self._settle(size)

    def _summed(self, matrices: Array, which: int | None) -> tuple[Array, Array]:
        """Add matrices to the total, one lag after the other; the squared norms of what one
        parameter's have come to, if that is asked, and their exponents."""
        if which is None:
            for matrix in matrices:
                self._total += matrix
            return np.zeros(0), np.zeros(0, np.int64)
        matrices[0] += self._total
        for k in range(1, len(matrices)):  # np.cumsum along the first axis is ten times slower
            matrices[k] += matrices[k - 1]
        self._total[...] = matrices[-1]
        return squares_of(matrices[..., self._rows[which], :], axes=2)

    def _sum_product(
        self, left: Array, outer: Outer, exponent: Array, size: Array, only: int | None
    ) -> None:
        """Add lags of any exponents (K, R), in one product."""
        highest = exponent.max(axis=0)
        own = np.where((size > -np.inf).any(axis=0), highest[:, None], ZERO_EXPONENT)
        top = self._rise_to(own)
        even = scale(left, (exponent - highest)[..., None, None])
        added = self._restrict(products.product(even, outer), only)
        self._lower(added, own - top)
        self._total += added
        self._settle(size)

    def _settle(self, size: Array) -> None:
        """Bring a total near one that terms of this `size` (K, R, P) may have taken far from it."""
        self._bound += np.exp2(size - self._exponent).sum(axis=0)
        over = self._bound > 2.0 ** (safe_bits(self._total.dtype) // 4)
        if not over.any():
            return
        self._exponent = self._exponent.copy()  # of the old one there are views in what is recorded
        for which in np.flatnonzero(over.any(axis=0)):
            matrix = self._total[:, self._rows[which]]
            norm = Magnitudes.of(np.sqrt((found := squares_of(matrix, axes=2))[0]), found[1])
            shift = np.where(over[:, which], np.maximum(norm.exponent, 0), 0)
            matrix[...] = scale(matrix, -shift[:, None, None])
            self._exponent[:, which] += shift
            rest = np.ldexp(norm.mantissa, np.minimum(norm.exponent - shift, 0).astype(np.int32))
            self._bound[:, which] = np.where(over[:, which], rest, self._bound[:, which])

    def _record_running(self, left: Array, outer: Outer, exponent: Array, size: Array) -> None:
        """Measure the sum of `share` up to each lag without forming it."""
        which = self.names.index(str(self.share))
        factors = [(rows, rights[str(self.share)]) for rows, rights in outer]
        exponent = np.where(size[..., which] > -np.inf, exponent, ZERO_EXPONENT)
        C, before = self._total[:, self._rows[which]].mT, self._exponent[:, which]
        self.cumulative.append(running_norms(C, before, left, factors, exponent))

    def _measures_share(self, only: int | None) -> bool:
        return self.share in (self.names if only is None else (self.names[only],))

    def _rise_to(self, exponent: Array) -> Array:
        """Make room in the total for terms at `exponent` (R, P); returns what now holds."""
        top: Array = np.maximum(self._exponent, exponent)
        shift = self._exponent - top
        if shift.any():
            self._lower(self._total, shift)
            self._bound *= power(shift)
            self._exponent = top
        return top

    def _lower(self, matrices: Array, exponent: Array) -> None:
        """Multiply matrices (..., R, W, G) by 2**exponent (R, P), none above 0, in place."""
        if exponent.any():
            powers = np.repeat(power(exponent), self._widths, axis=-1)
            matrices *= powers[..., None].astype(matrices.dtype)

    def _restrict(self, matrices: Array, only: int | None) -> Array:
        """Matrices (..., W, G) with every parameter's but one's set to zero, in place."""
        if only is not None:
            matrices[..., : self._rows[only].start, :] = 0
            matrices[..., self._rows[only].stop :, :] = 0
        return matrices


def _log2(squares: Array, unit: Array) -> Array:
    """log2 of norms from their squares in units of 4**unit; -inf at zero."""
    with np.errstate(divide="ignore"):
        logs: Array = 0.5 * np.log2(squares) + unit
    return logs
