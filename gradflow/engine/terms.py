"""The terms of dL/dW, lag by lag: their norms, their running sum, their total.

The term that one step adds to dL/dW is a sum over the batch of outer products left_n ⊗ right_n;
W_x, W_s and the biases mostly share the left factor. Two ways lead to its norm. Formed: the matrix
itself. Or, where the batch is small, without it:
||Σ_n l_n ⊗ r_n||² = Σ_nm (l_n·l_m)(r_n·r_m), the sum of a product of two Gram matrices.

Axes: K lags of one block in ascending order, R runs, N batch. Samples come with their own
power-of-two exponents, (K, R, N). Almost always all samples of a lag have one, and nothing comes
near the ends of float range: then all parameters are taken together. Where the result shows that
it was not so, each parameter is taken alone, its samples brought to one exponent first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradflow.cells.base import Factor
from gradflow.columns import Array
from gradflow.logspace import ZERO_EXPONENT, Magnitudes, exponent_of, safe_bits, scale

_GRAM_ROWS = 128  # rows (lags x batch) whose products with each other are taken at once
_FORMED_ELEMENTS = 2**15  # elements of the matrices of one run that are kept at once

Rights = Mapping[str, Array]
"""The right factor (K, R, N, width) of each parameter, by name."""

Outer = Sequence[tuple[slice, Rights]]
"""For each block of rows of W, that is of components of the left factor: the right factors."""


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
    sum up to each lag, with the `total` so far, (R, width, G)."""

    total: Sum
    norms: list[Magnitudes] = field(default_factory=list)
    cumulative: list[Magnitudes] = field(default_factory=list)

    @staticmethod
    def zeros(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Terms:
        """No term yet of a parameter; `shape` is (R, width, G)."""
        return Terms(Sum(np.zeros(shape, dtype), np.full(shape[0], ZERO_EXPONENT)))

    def record_sums(self, left: Array, factors: Sequence[Factor], exponent: Array) -> None:
        """||C_k||² = ||C_{k-1}||² + 2<C_{k-1}, A_k> + ||A_k||² without forming any C_k.

        <A_j, A_k> within the lags at hand comes from Gram matrices; <C, A_k> with the sum C that
        stood before them from one product. Row k is in units of its own 4^top_k.
        """
        C, before = self.total.value.mT, self.total.exponent
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


def add_terms(
    of: Mapping[str, Terms], left: Array, outer: Outer, exponent: Array, share: str | None = None
) -> None:
    """Add the terms of K lags to parameters that share their left factor.

    Args:
        of: what is added to, by the parameter's name.
        left: (K, R, N, G).
        outer: the right factors of these parameters.
        exponent: (K, R, N), of `left`.
        share: the parameter whose sum up to each lag is measured as well.
    """
    N, G = left.shape[-2:]
    width = sum(terms.total.value.shape[-2] for terms in of.values())
    if N * (G + width) >= G * width or (share in of and N >= 16):
        add, most = _add_formed, max(1, _FORMED_ELEMENTS // (G * width))
    else:
        add, most = _add_by_gram, 0
    for lags in _stretches(exponent, most):
        here = [(rows, {n: right[lags] for n, right in rights.items()}) for rows, rights in outer]
        level = (exponent[lags] == exponent[lags, :, :1]).all()
        if level and add(of, left[lags], here, exponent[lags, :, 0], share):
            continue
        # The products stay as they were: which of the ways a run goes may not change its digits.
        for name in of:
            factors = [(rows, rights[name]) for rows, rights in here]
            leveled, factors, its = _level(left[lags], factors, exponent[lags])
            own = [right for _, right in factors]
            for k in _stretches(its[..., None], most):
                alone = [
                    (rows, {n: (right if n != name else own[at])[k] for n, right in rights.items()})
                    for at, (rows, rights) in enumerate(here)
                ]
                add(of, leveled[k], alone, its[k], share, only=name)


def _add_formed(
    of: Mapping[str, Terms],
    left: Array,
    outer: Outer,
    exponent: Array,
    share: str | None,
    only: str | None = None,
) -> bool:
    """Add lags whose exponent (K, R) does not change, by the matrices themselves.

    Returns whether it was done: nothing is added where a term comes near the ends of float range,
    unless it is asked for by `only`.
    """
    blocks = [_side_by_side(rights).mT @ left[..., rows] for rows, rights in outer]
    matrices = _cut(blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1), of)
    squares = {name: _squares(matrix) for name, matrix in matrices.items()}
    if only is None and not all(_safe([squares[name]], outer, name) for name in of):
        return False
    own = exponent[0]
    for name in [only] if only else of:
        terms = of[name]
        terms.norms.append(_roots(squares[name], own))
        top = terms.total.rise_to(np.where(squares[name].any(axis=0), own, ZERO_EXPONENT))
        sums = _lowered(matrices[name], own - top)
        sums[0] += terms.total.value
        for k in range(1, len(sums)):  # np.cumsum along the first axis is ten times slower
            sums[k] += sums[k - 1]
        terms.total.value = sums[-1].copy()
        if name == share:
            terms.cumulative.append(_roots(_squares(sums), top))
    return True


def _add_by_gram(
    of: Mapping[str, Terms],
    left: Array,
    outer: Outer,
    exponent: Array,
    share: str | None,
    only: str | None = None,
) -> bool:
    """As `_add_formed`, for any exponents (K, R), by Gram matrices."""
    names = [only] if only else [*of]
    squares = dict.fromkeys(names, np.zeros(exponent.shape, left.dtype))
    sizes: dict[str, list[Array]] = {name: [] for name in names}
    for rows, rights in outer:
        of_left = left[..., rows] @ left[..., rows].mT
        for name in names:
            of_right = rights[name] @ rights[name].mT
            squares[name] = squares[name] + (of_left * of_right).sum(axis=(-2, -1))
            sizes[name] += [np.linalg.trace(of_left), np.linalg.trace(of_right)]
    changes = (exponent != exponent[0]).any()
    if only is None and not all(
        _safe([squares[name], *sizes[name]], outer, name, zeros=not changes) for name in names
    ):
        return False
    for name in names:
        of[name].norms.append(_roots(squares[name], exponent))
    step = max(1, _GRAM_ROWS // left.shape[-2]) if share in of else len(left)
    for lags in (slice(k, k + step) for k in range(0, len(left), step)):
        here = [(rows, {n: right[lags] for n, right in rights.items()}) for rows, rights in outer]
        if share is not None and share in names:
            factors = [(rows, rights[share]) for rows, rights in here]
            its = np.where(squares[share][lags] == 0, ZERO_EXPONENT, exponent[lags])
            of[share].record_sums(left[lags], factors, its)
        something = {name: (squares[name][lags] != 0).any(axis=0) for name in names}
        _add_product(of, left[lags], here, exponent[lags], something)
    return True


def _add_product(
    of: Mapping[str, Terms],
    left: Array,
    outer: Outer,
    exponent: Array,
    something: Mapping[str, Array],
) -> None:
    """total += Σ_k right_k^T left_k, one matrix product per run and block of rows, for each
    parameter of `something`, which says in which runs there is anything to be added, (R,)."""
    own = exponent.max(axis=0)
    left = scale(left, (exponent - own)[..., None, None])
    tops = {
        name: of[name].total.rise_to(np.where(runs, own, ZERO_EXPONENT))
        for name, runs in something.items()
    }
    for rows, rights in outer:
        product = _by_run(_side_by_side(rights)) @ _by_run(left[..., rows]).mT
        matrices = _cut(product, of)
        for name, top in tops.items():
            of[name].total.value[..., rows] += _lowered(matrices[name], own - top)


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


def _safe(sizes: Sequence[Array], outer: Outer, name: str, zeros: bool = True) -> bool:
    """Whether sizes (K, R), sums of squares or of products, are far from the ends of float range;
    with `zeros`, zero is safe where the right factors of the parameter are."""
    low = 4.0 ** -(3 * safe_bits(sizes[0].dtype) // 2)
    inside = np.all([(size > low) & (size < np.inf) for size in sizes], axis=0)
    if inside.all() or not zeros:
        return bool(inside.all())
    there = np.any([rights[name].any(axis=(-2, -1)) for _, rights in outer], axis=0)
    return bool((inside | ~there).all())


def _side_by_side(rights: Rights) -> Array:
    """The right factors of all parameters as one, (K, R, N, widths)."""
    if len(rights) == 1:
        (right,) = rights.values()
        return right
    return np.concatenate([right.mT for right in rights.values()], axis=-2).mT


def _cut(matrices: Array, of: Mapping[str, Terms]) -> dict[str, Array]:
    """(..., widths, G) cut into the matrices of each parameter."""
    found, at = {}, 0
    for name, terms in of.items():
        width = terms.total.value.shape[-2]
        found[name] = matrices[..., at : at + width, :]
        at += width
    return found


def _lag_gram(left: Array, right: Array) -> Array:
    """(K, K, R) inner products <A_j, A_k> of the terms of K lags."""
    K, R, N, _ = left.shape
    rows, cols = _by_run(left), _by_run(right)
    product = (rows.mT @ rows) * (cols.mT @ cols)
    return np.moveaxis(product.reshape(R, K, N, K, N).sum(axis=(2, 4)), 0, -1)


def _by_run(a: Array) -> Array:
    """(K, R, N, width) to (R, width, K·N), contiguous: no sum's order depends on R."""
    by_run = np.moveaxis(a.mT, 0, 2)
    return np.ascontiguousarray(by_run).reshape(*by_run.shape[:2], -1)


def _squares(a: Array) -> Array:
    """Sum of squares over the last two axes."""
    flat = a.reshape(*a.shape[:-2], -1)
    squares: Array = np.vecdot(flat, flat)
    return squares


def _level(
    left: Array, factors: list[Factor], exponent: Array
) -> tuple[Array, list[Factor], Array]:
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


def _stretches(exponent: Array, most: int) -> list[slice]:
    """Cut the lags into stretches of at most `most` over which no exponent (K, R, N) changes;
    `most` = 0 leaves them whole."""
    if not most:
        return [slice(0, len(exponent))]
    changes = (np.diff(exponent, axis=0) != 0).any(axis=(1, 2))
    cuts = [0]
    for k in range(1, len(exponent)):
        if k - cuts[-1] >= most or changes[k - 1]:
            cuts.append(k)
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], len(exponent)], strict=True)]
