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

from gradflow.columns import Array
from gradflow.engine import outer as products
from gradflow.engine.outer import Outer, squares_of
from gradflow.logspace import ZERO_EXPONENT, Magnitudes, exponent_of, scale

_FORMED_ELEMENTS = 2**18  # elements of matrices that are kept at once
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
        # All parameters one below the other, transposed: (R, W, G). Each has its own exponent.
        self._total = np.zeros((R, ends[-1], G), dtype)
        self._exponent = np.full((R, len(widths)), ZERO_EXPONENT)

    def add(self, left: Array, outer: Outer, exponent: Array) -> None:
        """Add the terms of K lags: `left` (K, R, N, G) times 2**`exponent` (K, R, N), with the
        right factors of every parameter, in the order of `names`."""
        R, W, G = self._total.shape
        N = left.shape[-2]
        small = self.share is not None or W * G <= _LARGEST_FORMED
        self._formed = N >= W * G / (W + G) or (N >= _FORMED_BATCH and small)
        self._most = max(1, _FORMED_ELEMENTS // (R * W * G)) if self._formed else len(left)
        level = not self._formed or bool((exponent == exponent[:1]).all())
        for lags in products.stretches(exponent, self._most, level):
            here = left[lags], products.at(outer, lags), exponent[lags]
            if not self._add_level(*here):
                self._add_uneven(*here)

    def total(self, name: str) -> Magnitudes:
        """(R,): the Frobenius norm of the sum of a parameter's terms."""
        which = self.names.index(name)
        matrix = self._total[:, self._rows[which]]
        size = exponent_of(matrix, (-2, -1))
        shift = np.where(size == ZERO_EXPONENT, 0, size)
        norm = np.sqrt(squares_of(scale(matrix, -shift[:, None, None])))
        return Magnitudes.of(norm, self._exponent[:, which] + shift)

    def _add_level(self, left: Array, outer: Outer, exponent: Array) -> bool:
        """Add lags whose samples have one exponent. Returns whether it was done: nothing is added
        where a term comes near the ends of float range."""
        if (exponent != exponent[..., :1]).any():
            return False
        exponent = exponent[..., 0]
        matrices, sizes = self._measured(left, outer)
        zeros = self._formed or bool((exponent == exponent[0]).all())
        if not products.are_safe(sizes, outer, zeros):
            return False
        squares = sizes[0]
        self.norms.append((squares, np.repeat(exponent[..., None], len(self.names), axis=-1)))
        self._sum(left, outer, matrices, exponent, squares != 0)
        return True

    def _add_uneven(self, left: Array, outer: Outer, exponent: Array) -> None:
        """Add any lags, one parameter after the other, each with its samples made level."""
        squares, exponents = [], []
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
                matrices, sizes = self._measured(*here)
                found.append(sizes[0][..., which])
                something = np.zeros(sizes[0].shape, dtype=bool)
                something[..., which] = found[-1] != 0
                self._sum(*here, matrices, its[lags], something, only=which)
            squares.append(np.concatenate(found))
            exponents.append(its)
        self.norms.append((np.stack(squares, axis=-1), np.stack(exponents, axis=-1)))

    def _measured(self, left: Array, outer: Outer) -> tuple[Array | None, list[Array]]:
        """The matrices of each lag, if they are formed, and sums of squares (K, R, P): first of
        the terms, then of what they were computed from."""
        if not self._formed:
            return None, list(products.by_gram(left, outer))
        matrices = products.formed(left, outer)
        squares = np.empty((*matrices.shape[:2], len(self._rows)), matrices.dtype)
        for which, rows in enumerate(self._rows):
            squares[..., which] = squares_of(matrices[..., rows, :])
        return matrices, [squares]

    def _sum(
        self,
        left: Array,
        outer: Outer,
        matrices: Array | None,
        exponent: Array,
        something: Array,
        only: int | None = None,
    ) -> None:
        """Add lags to the total, and measure the running sum of `share`.

        `something` (K, R, P) says where there is anything to be added: the exponent of nothing
        would hide what follows. `only` is the one parameter that is meant.
        """
        if matrices is not None:
            self._sum_formed(matrices, exponent[0], np.any(something, axis=0), only)
            return
        step = max(1, _GRAM_ROWS // left.shape[-2]) if self.share else len(left)
        for lags in products.stretches(exponent, step, True):
            here = left[lags], products.at(outer, lags), exponent[lags], something[lags]
            if self._measures_share(only):
                self._record_running(*here)
            self._sum_product(*here, only)

    def _sum_formed(
        self, matrices: Array, exponent: Array, something: Array, only: int | None
    ) -> None:
        """Add the matrices of lags of one exponent (R,)."""
        own = np.where(something, exponent[:, None], ZERO_EXPONENT)
        top = self._rise_to(own)
        self._lower(self._restrict(matrices, only), own - top)
        matrices[0] += self._total
        for k in range(1, len(matrices)):  # np.cumsum along the first axis is ten times slower
            matrices[k] += matrices[k - 1]
        self._total = matrices[-1].copy() if len(matrices) > 1 else matrices[0]
        if self._measures_share(only):
            which = self.names.index(str(self.share))
            sums = matrices[..., self._rows[which], :]
            self.cumulative.append((squares_of(sums), np.tile(top[:, which], (len(sums), 1))))

    def _sum_product(
        self, left: Array, outer: Outer, exponent: Array, something: Array, only: int | None
    ) -> None:
        """Add lags of any exponents (K, R), in one product."""
        highest = exponent.max(axis=0)
        own = np.where(something.any(axis=0), highest[:, None], ZERO_EXPONENT)
        top = self._rise_to(own)
        even = scale(left, (exponent - highest)[..., None, None])
        added = self._restrict(products.product(even, outer), only)
        self._lower(added, own - top)
        self._total += added

    def _record_running(self, left: Array, outer: Outer, exponent: Array, something: Array) -> None:
        """||C_k||² = ||C_{k-1}||² + 2<C_{k-1}, A_k> + ||A_k||² without forming any C_k.

        <A_j, A_k> within the lags at hand comes from Gram matrices; <C, A_k> with the sum C that
        stood before them from one product. Row k is in units of its own 4^top_k.
        """
        which = self.names.index(str(self.share))
        factors = [(rows, rights[str(self.share)]) for rows, rights in outer]
        exponent = np.where(something[..., which], exponent, ZERO_EXPONENT)
        C, before = self._total[:, self._rows[which]].mT, self._exponent[:, which]
        gram = products.gram_of_lags(left, factors)
        with_C = sum(
            (left[..., rows] @ C[:, rows] * right).sum(axis=(-2, -1)) for rows, right in factors
        )  # (K, R)
        top = np.maximum(np.maximum.accumulate(exponent, axis=0), before)
        weight = _power(exponent[:, None] - top)  # (j, k, R)
        earlier = np.tri(len(left), k=-1).T[..., None]
        inner = (gram * weight * earlier).sum(axis=0) + with_C * _power(before - top)
        own = _power(exponent - top)
        added = own * (2 * inner + own * np.diagonal(gram).T)
        self.cumulative.append((_running(squares_of(C), before, added, top), top))

    def _measures_share(self, only: int | None) -> bool:
        return self.share in (self.names if only is None else (self.names[only],))

    def _rise_to(self, exponent: Array) -> Array:
        """Make room in the total for terms at `exponent` (R, P); returns what now holds."""
        top: Array = np.maximum(self._exponent, exponent)
        self._lower(self._total, self._exponent - top)
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


def _running(start: Array, start_unit: Array, added: Array, unit: Array) -> Array:
    """Running sums of `added` (K, R) from `start`; row k is in units of 4^unit_k."""
    sums = added.copy()
    sums[0] += start * _power(2 * (start_unit - unit[0]))
    if (unit == unit[0]).all():
        return np.cumsum(sums, axis=0)
    for k in range(1, len(sums)):
        sums[k] += sums[k - 1] * _power(2 * (unit[k - 1] - unit[k]))
    return sums


def _power(exponent: Array) -> Array:
    """2**exponent for exponents <= 0; 1 above, where no caller uses it."""
    powers: Array = np.ldexp(1.0, np.clip(exponent, -1100, 0).astype(np.int32))
    return powers
