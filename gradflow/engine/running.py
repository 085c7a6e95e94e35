"""The norm of a running sum of terms from Gram matrices: no sum is formed but where it cancels.
Axes as in `outer`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gradflow.engine import outer as products
from gradflow.engine.outer import Factor, power
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import ZERO_EXPONENT, scale, squares_of


def running_norms(
    C: Array, before: Array, left: Array, factors: Sequence[Factor], exponent: Array
) -> tuple[Array, Array]:
    """Squared norms (K, R) of what `C` (R, G, P) times 2**`before` (R,) comes to with the terms of
    each lag, in units of 2**`exponent` (K, R), and the exponents that they are in units of.

    ||C_k||² = ||C_{k-1}||² + 2<C_{k-1}, A_k> + ||A_k||²: <A_j, A_k> within the lags at hand comes
    from Gram matrices; <C, A_k> with the sum C that was before them from one product. Row k is in
    units of its own 4^top_k.
    """
    gram = products.gram_of_lags(left, factors)
    with_C = sum(
        (left[..., rows] @ C[:, rows] * right).sum(axis=(-2, -1)) for rows, right in factors
    )  # (K, R)
    top = np.maximum(np.maximum.accumulate(exponent, axis=0), before)
    among = gram * _earlier(len(left))
    if (exponent != top[-1]).any():
        among *= power(exponent[:, None] - top)  # (j, k, R)
    inner = among.sum(axis=0) + with_C * power(before - top)
    own = power(exponent - top)
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
    return sums, unit


@lru_cache(maxsize=8)
def _earlier(K: int) -> Array:
    """(j, k, 1): 1 where lag j comes before lag k."""
    return np.triu(np.ones((K, K)), 1)[..., None]


def _running(start: Array, start_unit: Array, added: Array, unit: Array) -> Array:
    """Running sums of `added` (K, R) from `start`; row k is in units of 4^unit_k."""
    sums = added.copy()
    sums[0] += start * power(2 * (start_unit - unit[0]))
    if (unit == unit[0]).all():
        return np.cumsum(sums, axis=0)
    for k in range(1, len(sums)):
        sums[k] += sums[k - 1] * power(2 * (unit[k - 1] - unit[k]))
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
