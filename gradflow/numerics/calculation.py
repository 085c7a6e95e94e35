"""What NumPy is asked of numbers that are a mantissa and an exponent each: `m * 2**e` with m in
[0.5, 1) or 0, which may be negative, infinite or NaN where a float was."""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from gradflow.numerics.arrays import Array
from gradflow.numerics.decimals import multiply, read_scientific

Pair: TypeAlias = tuple[Any, Any]
"""Mantissas and exponents of one shape."""

ZERO_EXPONENT = -(2**40)
"""The exponent of an exact zero: below all others, so that it never wins a maximum."""

PREDICATES = {np.isfinite, np.isinf, np.isnan, np.signbit, np.sign, np.logical_not}
"""What is known of a number by its mantissa alone."""

_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
_LOGIC = {np.logical_and, np.logical_or, np.logical_xor}
_CHOICES: dict[np.ufunc, Callable[[Array, Array], Any]] = {
    np.maximum: np.greater_equal,
    np.fmax: np.greater_equal,
    np.minimum: np.less_equal,
    np.fmin: np.less_equal,
}
"""Where the first of two is the one."""

_AT_ONCE = 512  # a mantissa, 0.5 at least, to this power is in float range
_HIGHEST = 2.0**40  # a power whose digits are all kept
_FARTHEST = 2.0**62  # an exponent


def normal(values: Any, exponent: Any = 0) -> Pair:
    """`values * 2**exponent` with every mantissa in [0.5, 1), or 0."""
    mantissa, shift = np.frexp(np.asarray(values, dtype=np.float64))
    total = np.where(mantissa == 0, ZERO_EXPONENT, shift + np.asarray(exponent, dtype=np.int64))
    return mantissa, np.where(np.isfinite(mantissa), total, 0)


def pair(value: Any) -> Pair | None:
    """Of plain numbers: an array, or one of Python's own, which may be past float range. None of
    what is none."""
    if isinstance(value, Fraction | Decimal):
        return _of_any_size(value)
    array = np.asarray(value)
    if array.dtype.kind == "O" and isinstance(value, int):
        return _of_any_size(value)
    return normal(array) if array.dtype.kind in "biuf" else None


def _of_any_size(value: int | Fraction | Decimal) -> Pair:
    context = Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN)
    if not isinstance(value, Decimal):
        value = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    if not value.is_finite() or value == 0:
        return normal(float(value))
    high, low, exponent = read_scientific([f"{abs(value):.16e}"])
    mantissa, exponent = normal(high + low, exponent)
    return (-1 if value < 0 else 1) * mantissa[0], exponent[0]


def calculated(ufunc: np.ufunc, a: Pair, b: Pair) -> Pair | Array | None:
    """What a ufunc of two gives: numbers in units of 2**exponent, or truths; None where it leads
    to numbers that may be negative, or is another one."""
    if ufunc in _COMPARISONS or ufunc in _LOGIC:
        truths: Array = ufunc(*(_comparable(a, b) if ufunc in _COMPARISONS else (a[0], b[0])))
        return truths
    of = _OPERATIONS.get(ufunc)
    negative = np.any(np.less(a[0], 0)) or (of is not _raised and np.any(np.less(b[0], 0)))
    if negative or (of is None and ufunc not in _CHOICES):
        return None
    return _chosen(ufunc, a, b) if of is None else of(a, b)


def _comparable(a: Pair, b: Pair) -> Pair:
    """Floats that compare as the numbers do: exponents where these are what tells them apart."""
    inside = [np.greater(mantissa, 0) & np.isfinite(mantissa) for mantissa, _ in (a, b)]
    apart = inside[0] & inside[1] & np.not_equal(a[1], b[1])
    return np.where(apart, a[1], a[0]), np.where(apart, b[1], b[0])


def _chosen(ufunc: np.ufunc, a: Pair, b: Pair) -> Pair:
    """The larger or the smaller of two, element by element; NaN as this ufunc has it."""
    first = _CHOICES[ufunc](*_comparable(a, b))
    first |= np.isnan(b[0]) if ufunc in (np.fmax, np.fmin) else np.isnan(a[0])
    return np.where(first, a[0], b[0]), np.where(first, a[1], b[1])


def _added(a: Pair, b: Pair) -> Pair:
    top = np.maximum(a[1], b[1])
    parts = (np.ldexp(m, np.maximum(e - top, -1100).astype(np.int32)) for m, e in (a, b))
    return np.add(*parts), top


def _multiplied(a: Pair, b: Pair) -> Pair:
    zero = np.equal(a[0], 0) | np.equal(b[0], 0)
    return np.multiply(a[0], b[0]), np.where(zero, 0, a[1] + b[1])


def _divided(a: Pair, b: Pair) -> Pair:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.true_divide(a[0], b[0])
    zero = np.equal(a[0], 0) | np.equal(b[0], 0)
    return ratio, np.where(zero, 0, a[1] - b[1])


def _raised(numbers: Pair, power: Pair) -> Pair:
    """Sizes to real powers, to float precision: the multiple of the exponent is taken to 32 digits,
    and its whole part stays one. Where that is past all exponents it is 0 or inf, as of floats."""
    to = _floats(power)
    mantissa, exponent = np.broadcast_arrays(*numbers, to)[:2]
    with np.errstate(over="ignore", invalid="ignore"):
        kept = np.isfinite(mantissa) & np.greater(mantissa, 0) & (np.abs(to) <= _HIGHEST)
        kept &= np.abs(exponent * to) < _FARTHEST
    m, e, p = (np.where(kept, own, 1) for own in (mantissa, exponent, to))
    high, low = multiply(e.astype(np.float64), np.zeros(e.shape), p, 0.0)
    whole = np.rint(high)
    steps = np.where(np.abs(p) > _AT_ONCE, np.trunc(p), 0)
    value, shift = _to_whole(m, steps)
    value = value * np.power(m, p - steps) * np.exp2(high - whole + low)
    shift = whole.astype(np.int64) + shift
    if kept.all():
        return value, shift
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        plain = np.power(_floats(numbers), to)
    return np.where(kept, value, plain), np.where(kept, shift, 0)


def _to_whole(base: Array, power: Array) -> Pair:
    """Mantissas to whole powers by squaring, in double-double arithmetic, which leaves each its
    digits."""
    left = np.abs(power).astype(np.int64)
    square = (base, np.zeros(base.shape), np.zeros(base.shape, np.int64))
    found = (np.ones(base.shape), np.zeros(base.shape), np.zeros(base.shape, np.int64))
    while left.any():
        odd = left % 2 == 1
        found = tuple(map(np.where, [odd] * 3, _product(found, square), found))  # type: ignore[assignment]
        square, left = _product(square, square), left // 2
    down = np.less(power, 0)
    return np.where(down, 1 / found[0], found[0]), np.where(down, -found[2], found[2])


def _product(
    a: tuple[Array, Array, Array], b: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """(high, low, exponent) of a product, brought near one."""
    high, low = multiply(a[0], a[1], b[0], b[1])
    high, shift = np.frexp(high)
    return high, np.ldexp(low, -shift), a[2] + b[2] + shift


def _floats(numbers: Pair) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(numbers[0], np.clip(numbers[1], -4000, 4000).astype(np.int32)))


_OPERATIONS: dict[np.ufunc, Callable[[Pair, Pair], Pair]] = {
    np.add: _added,
    np.multiply: _multiplied,
    np.true_divide: _divided,
    np.power: _raised,
    np.float_power: _raised,
}


def ranks(numbers: Pair) -> Array:
    """Floats in the order of sizes, NaN where one is none."""
    mantissa, exponent = map(np.ravel, numbers)
    order = np.lexsort((mantissa, exponent))
    steps = (np.diff(part[order], prepend=part[order][:1]) != 0 for part in (mantissa, exponent))
    found = np.empty(len(order))
    found[order] = np.cumsum(np.logical_or(*steps))
    return np.where(np.isfinite(mantissa), found, mantissa).reshape(np.shape(numbers[0]))


def extreme(numbers: Pair, largest: bool, axis: Any, keepdims: bool) -> Pair:
    """The largest or smallest along axes (None: of all), NaN where one is."""
    size = np.ndim(numbers[0])
    axes = tuple(range(size)) if axis is None else normalize_axis_tuple(axis, size)
    last = tuple(range(-len(axes), 0))
    rows = []
    for part in (ranks(numbers), *numbers):
        moved = np.moveaxis(np.asarray(part), axes, last)
        rows.append(moved.reshape(*moved.shape[: size - len(axes)], -1))
    at = (np.argmax if largest else np.argmin)(rows[0], -1)[..., None]
    found = (np.take_along_axis(part, at, -1)[..., 0] for part in rows[1:])
    mantissa, exponent = (np.expand_dims(own, axes) if keepdims else own for own in found)
    return mantissa, exponent
