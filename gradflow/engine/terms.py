"""The terms of dL/dW, lag by lag: their norms, their running sum, their total.

The term that one step adds to dL/dW is a sum over the batch of outer products left_n ⊗ right_n.
Where the batch is small its norm needs no (G, H) array:
||Σ_n l_n ⊗ r_n||² = Σ_nm (l_n·l_m)(r_n·r_m), the sum of a product of two Gram matrices.

Axes: K lags of one block in ascending order, R runs, N batch. Samples come with their own
power-of-two exponents, (K, R, N), and are brought to one for each lag of each run, (K, R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradflow.cells.base import Factor
from gradflow.logspace import ZERO_EXPONENT, Array, Magnitudes, exponent_of, safe_bits, scale

_GRAM_ROWS = 128  # rows (lags x batch) whose products with each other are taken at once
_SUM_ELEMENTS = 2**16  # elements of the running sums that are kept at once


@dataclass
class Sum:
    """A running sum of matrices (R, ., .), each run with its own exponent (R,)."""

    value: Array
    exponent: Array

    def rise_to(self, exponent: Array) -> Array:
        """Make room for terms at `exponent` (R,); returns the exponent that now holds."""
        top = np.maximum(self.exponent, exponent)
        self.value = _lowered(self.value, self.exponent - top)
        self.exponent = top
        return top

    def norm(self) -> Magnitudes:
        """(R,) Frobenius norms."""
        size = exponent_of(self.value, (-2, -1))
        shift = np.where(size == ZERO_EXPONENT, 0, size)
        scaled = scale(self.value, -shift[:, None, None])
        return Magnitudes.of(np.sqrt(_squares(scaled)), self.exponent + shift)


@dataclass
class Terms:
    """The terms of one parameter: (K, R) blocks of `norms` and of `cumulative`, the norm of the
    sum up to each lag, with the `total` so far."""

    total: Sum
    norms: list[Magnitudes] = field(default_factory=list)
    cumulative: list[Magnitudes] = field(default_factory=list)

    @staticmethod
    def zeros(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Terms:
        """No term yet of a parameter of `shape` (R, G, width)."""
        return Terms(Sum(np.zeros(shape, dtype), np.full(shape[0], ZERO_EXPONENT)))

    def add(
        self, left: Array, factors: Sequence[Factor], exponent: Array, share: bool = False
    ) -> None:
        """Add the terms of K lags.

        Args:
            left: (K, R, N, G).
            factors: for each block of rows of W its right factors (K, R, N, width).
            exponent: (K, R, N), of `left`.
            share: also record the norm of the sum up to each lag.
        """
        left, factors, exponent = _level(left, factors, exponent)
        K, _, N, _ = left.shape
        if share and N >= 16:
            self._add_each(left, factors, exponent)
            return
        squares = sum(_outer_squares(left[..., rows], right) for rows, right in factors)
        self.norms.append(Magnitudes.of(np.sqrt(squares), exponent))
        step = max(1, _GRAM_ROWS // N) if share else K
        for lags in (slice(k, k + step) for k in range(0, K, step)):
            part = [(rows, right[lags]) for rows, right in factors]
            if share:
                self._record_sums(left[lags], part, exponent[lags])
            self._add_product(left[lags], part, exponent[lags])

    def _add_product(self, left: Array, factors: Sequence[Factor], exponent: Array) -> None:
        """total += Σ_k left_k^T right_k, one matrix product per run."""
        own = exponent.max(axis=0)
        top = self.total.rise_to(own)
        left = _by_run(scale(left, (exponent - own)[..., None, None]))
        for rows, right in factors:
            product = left[..., rows].mT @ _by_run(right)
            self.total.value[:, rows] += _lowered(product, own - top)

    def _add_each(self, left: Array, factors: Sequence[Factor], exponent: Array) -> None:
        """The sum at every lag, formed as a matrix: for batches that fill one."""
        for lags in _level_stretches(exponent, max(1, _SUM_ELEMENTS // self.total.value.size)):
            products = [left[lags][..., rows].mT @ right[lags] for rows, right in factors]
            sums = products[0] if len(products) == 1 else np.concatenate(products, axis=-2)
            own = exponent[lags.start]
            self.norms.append(_roots(_squares(sums), own))
            top = self.total.rise_to(own)
            sums = _lowered(sums, own - top)
            sums[0] += self.total.value
            for k in range(1, len(sums)):  # np.cumsum along the first axis is ten times slower
                sums[k] += sums[k - 1]
            self.cumulative.append(_roots(_squares(sums), top))
            self.total.value = sums[-1]

    def _record_sums(self, left: Array, factors: Sequence[Factor], exponent: Array) -> None:
        """||C_k||² = ||C_{k-1}||² + 2<C_{k-1}, A_k> + ||A_k||² without forming any C_k.

        <A_j, A_k> within the lags at hand comes from Gram matrices; <C, A_k> with the sum C that
        stood before them from one product. Row k is in units of its own 4^top_k.
        """
        C, before = self.total.value, self.total.exponent
        gram = sum(_lag_gram(left[..., rows], right) for rows, right in factors)  # (K, K, R)
        with_C = sum(
            (left[..., rows] @ C[:, rows] * right).sum(axis=(-2, -1)) for rows, right in factors
        )  # (K, R)
        top = np.maximum(np.maximum.accumulate(exponent, axis=0), before)
        weight = _power(exponent[:, None] - top)  # (j, k, R)
        earlier = np.tri(len(left), k=-1).T[..., None]
        inner = (gram * weight * earlier).sum(axis=0) + with_C * _power(before - top)
        own = _power(exponent - top)
        added = own * (2 * inner + own * np.diagonal(gram).T)
        self.cumulative.append(_roots(_running(_squares(C), before, added, top), top))


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


def _lowered(matrices: Array, exponent: Array) -> Array:
    """Matrices (..., R, ., .) times 2**exponent (R,), none above 0; in place where it can be."""
    if exponent.any():
        matrices *= _power(exponent)[:, None, None].astype(matrices.dtype)
    return matrices


def _roots(squares: Array, exponent: Array) -> Magnitudes:
    """Square roots in units of 2**exponent; rounding may have left a square just below zero."""
    roots = np.sqrt(np.maximum(squares, 0))
    return Magnitudes.of(roots, np.broadcast_to(exponent, roots.shape))


def _outer_squares(left: Array, right: Array) -> Array:
    """(K, R) squared Frobenius norms of left^T right, by whichever product is the smaller."""
    N, G, width = left.shape[-2], left.shape[-1], right.shape[-1]
    if N * (G + width) < G * width:
        product = (left @ left.mT) * (right @ right.mT)
        squares: Array = product.sum(axis=(-2, -1))
        return np.maximum(squares, 0)
    return _squares(left.mT @ right)


def _lag_gram(left: Array, right: Array) -> Array:
    """(K, K, R) inner products <A_j, A_k> of the terms of K lags."""
    K, R, N, _ = left.shape
    rows, cols = _by_run(left), _by_run(right)
    product = (rows @ rows.mT) * (cols @ cols.mT)
    return np.moveaxis(product.reshape(R, K, N, K, N).sum(axis=(2, 4)), 0, -1)


def _by_run(a: Array) -> Array:
    """(K, R, N, width) to (R, K·N, width), contiguous: no sum's order depends on R."""
    rows = np.moveaxis(a, 1, 0).reshape(a.shape[1], -1, a.shape[-1])
    return np.ascontiguousarray(rows)


def _squares(a: Array) -> Array:
    """Sum of squares over the last two axes."""
    flat = a.reshape(*a.shape[:-2], -1)
    squares: Array = np.vecdot(flat, flat)
    return squares


def _level(
    left: Array, factors: Sequence[Factor], exponent: Array
) -> tuple[Array, Sequence[Factor], Array]:
    """Bring the samples of a lag to one exponent, (K, R), with products that can be squared.

    The exponent is that of the largest product, not of the largest cotangent: a sample that adds
    nothing (its state is zero, its unit dead) does not hide the others.
    """
    rights = [right for _, right in factors]
    bits = safe_bits(left.dtype)
    near_one = _within(left, bits) and all(_within(right, bits // 3) for right in rights)
    if near_one and (exponent == exponent[..., :1]).all():
        return left, factors, exponent[..., 0]
    of_left = exponent_of(left, (-1,))
    of_right = np.maximum.reduce([exponent_of(right, (-1,)) for right in rights])
    nothing = (of_left == ZERO_EXPONENT) | (of_right == ZERO_EXPONENT)
    of_left = np.where((np.abs(of_left) <= bits) | nothing, 0, of_left)
    of_right = np.where((np.abs(of_right) <= bits // 3) | nothing, 0, of_right)
    size = np.where(nothing, ZERO_EXPONENT, exponent + of_left + of_right)
    top = size.max(axis=-1, keepdims=True)
    left = scale(left, np.where(nothing, 0, exponent + of_right - top)[..., None])
    factors = [(rows, scale(right, -of_right[..., None])) for rows, right in factors]
    return left, factors, top[..., 0]


def _within(a: Array, bits: int) -> bool:
    """Whether the norm of every sample (..., N, width) lies within 2**±bits."""
    squares = np.vecdot(a, a)
    return bool(((squares > 4.0**-bits) & (squares < 4.0**bits)).all())


def _level_stretches(exponent: Array, most: int) -> list[slice]:
    """Cut the lags into stretches of at most `most` lags over which no exponent changes."""
    changes = (np.diff(exponent, axis=0) != 0).any(axis=1)
    cuts = [0]
    for k in range(1, len(exponent)):
        if k - cuts[-1] >= most or changes[k - 1]:
            cuts.append(k)
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], len(exponent)], strict=True)]
