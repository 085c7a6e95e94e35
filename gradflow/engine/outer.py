"""Sums over the batch of outer products left_n ⊗ right_n: what one step adds to dL/dW.

Axes: K lags in ascending order, R runs, N batch, G components of the left factor, W those of the
right factors of all parameters together, P parameters. Matrices are (W, G): dL/dW transposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradflow.numerics.arrays import Array, joined
from gradflow.numerics.magnitudes import ZERO_EXPONENT, are_near_one, exponent_of, safe_bits, scale

Factor = tuple[slice, Array]
"""Rows of a weight and the right factor (..., N, width) of their outer product."""

Outer = Sequence[tuple[slice, Mapping[str, Array]]]
"""For each block of rows of W, that is of components of the left factor: the right factor
(K, R, N, width) of each parameter, by name. One left factor (K, R, N, G) goes with it."""


def at(outer: Outer, lags: slice) -> Outer:
    """These lags alone."""
    return [(rows, {name: a[lags] for name, a in rights.items()}) for rows, rights in outer]


def formed(left: Array, outer: Outer) -> Array:
    """The matrices themselves, (K, R, W, G)."""
    blocks = [side_by_side(rights).mT @ left[..., rows] for rows, rights in outer]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)


def by_gram(left: Array, outer: Outer) -> tuple[Array, Array, Array, Array]:
    """Squared norms of the matrices without forming any, (K, R, P), what of them the samples make
    each for itself, and those of their factors: ||Σ_n l_n ⊗ r_n||² = Σ_nm (l_n·l_m)(r_n·r_m)."""
    found = []
    for rows, rights in outer:
        of_left = left[..., rows] @ left[..., rows].mT
        of_right = np.stack([right @ right.mT for right in rights.values()], axis=2)
        products = of_left[:, :, None] * of_right
        squares, alone = products.sum(axis=(-2, -1)), np.linalg.trace(products)
        of_rights = np.linalg.trace(of_right)
        of_lefts = np.linalg.trace(of_left)[..., None] + 0 * of_rights
        found.append((squares, alone, of_lefts, of_rights))
    squares, alone, of_left, of_right = (
        np.sum(blocks, axis=0) for blocks in zip(*found, strict=True)
    )
    return squares, alone, of_left, of_right


def keep_digits(squares: Array, alone: Array, dtype: np.dtype[Any]) -> Array:
    """Whether squared norms from Gram matrices have their digits. Products that cancel almost
    wholly, against what each comes to `alone`, leave rounding errors, and what is too small
    nothing."""
    least = 4.0 ** -(5 * safe_bits(dtype) // 4)
    kept: Array = (squares > least) & (squares >= float(np.finfo(dtype).eps) ** 0.4 * alone)
    return kept


def squares_alone(left: Array, factors: Sequence[Factor]) -> Array:
    """(K, R): the sum over samples of the squared norm of each one's own matrix."""
    found = [
        np.vecdot(left[..., rows], left[..., rows]) * np.vecdot(right, right).astype(np.float64)
        for rows, right in factors
    ]
    squares: Array = np.sum(found, axis=(0, -1))
    return squares


def matrix(left: Array, factors: Sequence[Factor]) -> Array:
    """(W, G): the matrix of one lag of one run, from `left` (N, G) and right factors (N, W)."""
    return np.concatenate([right.mT @ left[..., rows] for rows, right in factors], axis=-1)


def product(left: Array, outer: Outer) -> Array:
    """(R, W, G): the sum of the matrices of all lags, one product a run and block of rows."""
    blocks = [by_run(side_by_side(rights)) @ by_run(left[..., rows]).mT for rows, rights in outer]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)


def gram_of_lags(left: Array, factors: Sequence[Factor]) -> Array:
    """(K, K, R): the inner products <A_j, A_k> of the matrices of K lags, of one parameter."""
    K, R, N, _ = left.shape
    gram: Array = np.zeros((K, K, R))
    for rows, right in factors:
        of_left, of_right = (by_run(a) for a in (left[..., rows], right))
        products = (of_left.mT @ of_left) * (of_right.mT @ of_right)
        gram = gram + np.moveaxis(products.reshape(R, K, N, K, N).sum(axis=(2, 4)), 0, -1)
    return gram


def side_by_side(rights: Mapping[str, Array]) -> Array:
    """The right factors of all parameters as one, (K, R, N, W)."""
    return joined([*rights.values()], -1)


def by_run(a: Array) -> Array:
    """(K, R, N, width) to (R, width, K·N), contiguous: no sum's order depends on R."""
    runs_first = np.moveaxis(a.mT, 0, 2)
    return np.ascontiguousarray(runs_first).reshape(*runs_first.shape[:2], -1)


def are_safe(sizes: Sequence[Array], left: Array, outer: Outer, zeros: bool) -> bool:
    """Whether sizes (K, R, P), each a sum of squares, are far from the ends of float range; with
    `zeros`, a zero is safe where the left factor is zero, or the right ones of its parameter."""
    first, *others = (are_near_one(size, 5 * safe_bits(size.dtype) // 4) for size in sizes)
    inside = np.logical_and.reduce([first, *others]) if others else first
    if inside.all() or not zeros:
        return bool(inside.all())
    lags = ~inside.all(axis=(1, 2))  # the last one, where all started from zero
    there = []
    for rows, rights in outer:
        something = left[lags][..., rows].any(axis=(-2, -1))
        there.append([something & a[lags].any(axis=(-2, -1)) for a in rights.values()])
    return bool((inside[lags] | ~np.moveaxis(np.any(there, axis=0), 0, -1)).all())


def leveled(
    left: Array, factors: list[Factor], exponent: Array
) -> tuple[Array, list[Factor], Array]:
    """Bring the samples of a lag to one exponent, (K, R), with products that can be squared.

    The exponent is that of the largest product, not of the largest cotangent: a sample that adds
    nothing (its state is zero, its unit dead) does not hide the others.
    """
    bits = safe_bits(left.dtype) // 4
    of_left = exponent_of(left, (-1,))
    of_right = np.maximum.reduce([exponent_of(right, (-1,)) for _, right in factors])
    nothing = (of_left == ZERO_EXPONENT) | (of_right == ZERO_EXPONENT)
    of_left = np.where((np.abs(of_left) <= bits) | nothing, 0, of_left)
    of_right = np.where((np.abs(of_right) <= bits) | nothing, 0, of_right)
    size = np.where(nothing, ZERO_EXPONENT, exponent + of_left + of_right)
    top = size.max(axis=-1, keepdims=True)
    left = scale(left, np.where(nothing, 0, exponent + of_right - top)[..., None])
    factors = [(rows, scale(right, -of_right[..., None])) for rows, right in factors]
    return left, factors, top[..., 0]


def stretches(exponent: Array, most: int, level: bool) -> list[slice]:
    """Cut the lags into stretches of at most `most`, where they are not `level` also wherever an
    exponent (K, R, N) changes."""
    K = len(exponent)
    if level:
        return [slice(k, min(k + most, K)) for k in range(0, K, most)]
    changes = (np.diff(exponent, axis=0) != 0).any(axis=(1, 2))
    cuts = [0]
    for k in range(1, K):
        if k - cuts[-1] >= most or changes[k - 1]:
            cuts.append(k)
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], K], strict=True)]


def power(exponent: Array) -> Array:
    """2**exponent for exponents <= 0; 1 above, where no caller uses it."""
    powers: Array = np.ldexp(1.0, np.clip(exponent, -1100, 0).astype(np.int32))
    return powers
