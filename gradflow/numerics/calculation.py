"""Comparisons, sums and powers of numbers that are a mantissa and an exponent each: `m * 2**e` with
m in [0.5, 1) or 0, which may be negative, infinite or NaN where a float was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from gradflow.numerics.arrays import Array
from gradflow.numerics.decimals import multiply

Pair: TypeAlias = tuple[Any, Any]
"""Mantissas and exponents of one shape."""

COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
CHOICES: dict[np.ufunc, Callable[[Array, Array], Any]] = {
    np.maximum: np.greater_equal,
    np.fmax: np.greater_equal,
    np.minimum: np.less_equal,
    np.fmin: np.less_equal,
}
"""Where the first of two is the one."""

_POWERS = 512  # a mantissa, 0.5 at least, to this power is in float range


def are_sizes(numbers: Pair) -> bool:
    """Whether none is negative, infinite or NaN."""
    return bool(np.all(np.greater_equal(numbers[0], 0) & np.isfinite(numbers[0])))


def comparable(a: Pair, b: Pair) -> Pair:
    """Floats that compare as the numbers do: exponents where these are what tells them apart."""
    inside = [np.greater(mantissa, 0) & np.isfinite(mantissa) for mantissa, _ in (a, b)]
    apart = inside[0] & inside[1] & np.not_equal(a[1], b[1])
    return np.where(apart, a[1], a[0]), np.where(apart, b[1], b[0])


def chosen(ufunc: np.ufunc, a: Pair, b: Pair) -> Pair:
    """The larger or the smaller of two, element by element."""
    first = CHOICES[ufunc](*comparable(a, b))
    return np.where(first, a[0], b[0]), np.where(first, a[1], b[1])


def added(a: Pair, b: Pair) -> Pair:
    """The sum of sizes, element by element, in units of 2**exponent."""
    top = np.maximum(a[1], b[1])
    parts = (np.ldexp(m, np.maximum(e - top, -1100).astype(np.int32)) for m, e in (a, b))
    return np.add(*parts), top


def raised(numbers: Pair, power: Any) -> Pair | None:
    """Sizes to a real power, to float precision, in units of 2**exponent: the multiple of the
    exponent is taken to 32 digits, and its whole part stays one. None where it leads elsewhere."""
    mantissa, exponent = numbers
    real = isinstance(power, int | float | np.integer | np.floating)
    if not real or not abs(power) <= _POWERS or (power <= 0 and not np.all(mantissa > 0)):
        return None
    exponents = np.where(np.equal(mantissa, 0), 0, exponent).astype(np.float64)
    high, low = multiply(exponents, np.zeros_like(exponents), np.array(float(power)), 0.0)
    whole = np.rint(high)
    values = np.power(mantissa, float(power)) * np.exp2(high - whole + low)
    return values, whole.astype(np.int64)


def ranks(numbers: Pair) -> Array:
    """Floats (n,) in the order of sizes (n,), NaN where one is none."""
    mantissa, exponent = numbers
    order = np.lexsort((mantissa, exponent))
    steps = (np.diff(part[order], prepend=part[order][:1]) != 0 for part in numbers)
    found = np.empty(len(order))
    found[order] = np.cumsum(np.logical_or(*steps))
    return np.where(np.isfinite(mantissa), found, mantissa)
