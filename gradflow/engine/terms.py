"""The terms of dL/dW, lag by lag: their norms, their running sum, their total.

Parameters that share their left factor are taken together: W_x, W_s and the biases of most cells.
Samples come with their own power-of-two exponents. Almost always all samples of a lag have one,
and nothing comes near the ends of float range. Where the result shows that it was not so, it is
thrown away, and each parameter's samples are first brought to one exponent. The products keep
their shapes then: no digit of a run depends on which way its company makes it go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gradflow.engine import outer as products
from gradflow.engine.outer import Factor, Outer
from gradflow.engine.stretches import Stretches
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import (
    ZERO_EXPONENT,
    Magnitudes,
    safe_bits,
    scale,
    squares_of,
    squares_of_rows,
)
from gradflow.numerics.products import SHARED

_FORMED_ELEMENTS = 2**18  # elements of matrices that are kept at once
_WIDE_ELEMENTS = 2**20  # the same of wide nets
_LARGEST_FORMED = 2**15  # elements of a matrix beyond which Gram matrices are faster; measured
_FORMED_BATCH = 8  # samples below which they are; measured
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
        self._exponent = np.full((R, len(widths)), ZERO_EXPONENT)
        self._bound = np.zeros((R, len(widths)))

    def add(self, left: Array, outer: Outer, exponent: Array) -> None:
        """Add the terms of K lags: `left` (K, R, N, G) times 2**`exponent` (K, R, N), with the
        right factors of every parameter, in the order of `names`."""
        R, W, G = self._total.shape
        N = left.shape[-2]
        small = self.share is not None or W * G <= _LARGEST_FORMED
        self._formed = N >= W * G / (W + G) or (N >= _FORMED_BATCH and small)
        wide = self._formed and W * G * N >= SHARED
        self._wide = Stretches(self._rows) if wide else None
        kept = _WIDE_ELEMENTS if wide else _FORMED_ELEMENTS
        self._most = max(1, kept // (R * W * G)) if self._formed else len(left)
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
        matrices, squares, unit, sizes = self._measured(left, outer)
        zeros = self._formed or bool((exponent == exponent[0]).all())
        if unit.any() or not products.are_safe(sizes, left, outer, zeros):
            return False
        own = np.repeat(exponent[..., None], len(self.names), axis=-1)
        if matrices is None:
            found = self._mended(left, outer, squares, unit, sizes)
            squares, unit = found
        self.norms.append((squares, own + unit))
        self._sum(left, outer, matrices, exponent, _log2(squares, own + unit))
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
                matrices, square, unit, sizes = self._measured(*here)
                if matrices is None:
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
        self, left: Array, outer: Outer
    ) -> tuple[Array | None, Array, Array, list[Array]]:
        """The matrices of each lag, if they are formed; their sums of squares (K, R, P) and the
        exponents they are in units of; and what these were computed from, the squares first."""
        if not self._formed:
            sizes = list(products.by_gram(left, outer))
            squares = sizes[0].astype(np.float64)
            return None, squares, np.zeros(squares.shape, np.int64), sizes
        if self._wide is not None:
            matrices, squares, unit = self._wide.formed(left, outer)
        else:
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
        if matrices is not None:
            self._sum_formed(matrices, exponent[0], size, only)
            return
        step = max(1, _GRAM_ROWS // left.shape[-2]) if self.share else len(left)
        for lags in products.stretches(exponent, step, True):
            here = left[lags], products.at(outer, lags), exponent[lags], size[lags]
            if self._measures_share(only):
                self._record_running(*here)
            self._sum_product(*here, only)

    def _sum_formed(self, matrices: Array, exponent: Array, size: Array, only: int | None) -> None:
        """Add the matrices of lags of one exponent (R,)."""
        something = (size > -np.inf).any(axis=0)
        own = np.where(something, exponent[:, None], ZERO_EXPONENT)
        top = self._rise_to(own)
        which = self.names.index(str(self.share)) if self._measures_share(only) else None
        if self._wide is not None:
            powers = _power(own - top)
            squares, unit = self._wide.summed(self._total, matrices, powers, which, only)
        else:
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
        for which in np.flatnonzero(over.any(axis=0)):
            matrix = self._total[:, self._rows[which]]
            norm = Magnitudes.of(np.sqrt((found := squares_of(matrix, axes=2))[0]), found[1])
            shift = np.where(over[:, which], np.maximum(norm.exponent, 0), 0)
            matrix[...] = scale(matrix, -shift[:, None, None])
            self._exponent[:, which] += shift
            rest = np.ldexp(norm.mantissa, np.minimum(norm.exponent - shift, 0).astype(np.int32))
            self._bound[:, which] = np.where(over[:, which], rest, self._bound[:, which])

    def _record_running(self, left: Array, outer: Outer, exponent: Array, size: Array) -> None:
        """||C_k||² = ||C_{k-1}||² + 2<C_{k-1}, A_k> + ||A_k||² without forming any C_k, but where
        the sum cancels.

        <A_j, A_k> within the lags at hand comes from Gram matrices; <C, A_k> with the sum C that
        were before them from one product. Row k is in units of its own 4^top_k.
        """
        which = self.names.index(str(self.share))
        factors = [(rows, rights[str(self.share)]) for rows, rights in outer]
        exponent = np.where(size[..., which] > -np.inf, exponent, ZERO_EXPONENT)
        C, before = self._total[:, self._rows[which]].mT, self._exponent[:, which]
        gram = products.gram_of_lags(left, factors)
        with_C = sum(
            (left[..., rows] @ C[:, rows] * right).sum(axis=(-2, -1)) for rows, right in factors
        )  # (K, R)
        top = np.maximum(np.maximum.accumulate(exponent, axis=0), before)
        among = gram * _earlier(len(left))
        if (exponent != top[-1]).any():
            among *= _power(exponent[:, None] - top)  # (j, k, R)
        inner = among.sum(axis=0) + with_C * _power(before - top)
        own = _power(exponent - top)
        start, its = squares_of(C, axes=2)
        sums, alone = (
            _running(start, before + its, added, top)
            for added in (
                own * (2 * inner + own * np.diagonal(gram).T),
                own**2 * products.squares_alone(left, factors),
            )
        )
        unit = top.copy()
        kept = products.keep_digits(sums, alone, left.dtype) | (top == ZERO_EXPONENT)
        for r in np.flatnonzero(~kept.all(axis=0)):
            lags = slice(1 + int(np.flatnonzero(~kept[:, r])[-1]))
            here = left[lags, r], [(rows, right[lags, r]) for rows, right in factors]
            formed = _formed_running(C[r], int(before[r]), *here, exponent[lags, r])
            for mine, theirs in zip((sums, unit), formed, strict=True):
                mine[lags, r] = np.where(kept[lags, r], mine[lags, r], theirs)
        self.cumulative.append((sums, unit))

    def _measures_share(self, only: int | None) -> bool:
        return self.share in (self.names if only is None else (self.names[only],))

    def _rise_to(self, exponent: Array) -> Array:
        """Make room in the total for terms at `exponent` (R, P); returns what now holds."""
        top: Array = np.maximum(self._exponent, exponent)
        shift = self._exponent - top
        if shift.any():
            self._lower(self._total, shift)
            self._bound *= _power(shift)
            self._exponent = top
        return top

    def _lower(self, matrices: Array, exponent: Array) -> None:
        """Multiply matrices (..., R, W, G) by 2**exponent (R, P), none above 0, in place."""
        if exponent.any():
            powers = np.repeat(_power(exponent), self._widths, axis=-1)
            matrices *= powers[..., None].astype(matrices.dtype)

    def _restrict(self, matrices: Array, only: int | None) -> Array:
        """Matrices (..., W, G) with every parameter's but one's set to zero, in place."""
        if only is not None:
            matrices[..., : self._rows[only].start, :] = 0
            matrices[..., self._rows[only].stop :, :] = 0
        return matrices


@lru_cache(maxsize=8)
def _earlier(K: int) -> Array:
    """(j, k, 1): 1 where lag j comes before lag k."""
    return np.triu(np.ones((K, K)), 1)[..., None]


def _running(start: Array, start_unit: Array, added: Array, unit: Array) -> Array:
    """Running sums of `added` (K, R) from `start`; row k is in units of 4^unit_k."""
    sums = added.copy()
    sums[0] += start * _power(2 * (start_unit - unit[0]))
    if (unit == unit[0]).all():
        return np.cumsum(sums, axis=0)
    for k in range(1, len(sums)):
        sums[k] += sums[k - 1] * _power(2 * (unit[k - 1] - unit[k]))
    return sums


def _formed_running(
    C: Array, unit: int, left: Array, factors: Sequence[Factor], exponent: Array
) -> tuple[Array, Array]:
    """Squared norms (K,) of `C` (G, P) times 2**`unit` and the terms that follow, summed, and the
    exponents that they are in units of, from the matrices themselves."""
    found = []
    for k, its in enumerate(exponent.tolist()):
        if its > ZERO_EXPONENT:
            A = products.matrix(left[k], [(rows, right[k]) for rows, right in factors])
            top = max(unit, its)
            C = scale(C, np.array(unit - top)) + scale(A.T, np.array(its - top))
            unit = top
        squares, own = squares_of(C, axes=2)
        found.append((squares, unit + own))
    squares, units = (np.array(column) for column in zip(*found, strict=True))
    return squares, units


def _log2(squares: Array, unit: Array) -> Array:
    """log2 of norms from their squares in units of 4**unit; -inf at zero."""
    with np.errstate(divide="ignore"):
        logs: Array = 0.5 * np.log2(squares) + unit
    return logs


def _power(exponent: Array) -> Array:
    """2**exponent for exponents <= 0; 1 above, where no caller uses it."""
    powers: Array = np.ldexp(1.0, np.clip(exponent, -1100, 0).astype(np.int32))
    return powers
