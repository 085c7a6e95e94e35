"""Numbers past float range: an array and a power-of-two exponent.

Gradients through time leave float64 quickly (0.5^1075 is 0, 1.5^2000 is inf). Scaling by a power
of two is exact, so a mantissa kept near one and an integer exponent lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from gradflow.numerics import arrays
from gradflow.numerics.arraylike import ArrayLike
from gradflow.numerics.arrays import Array

ZERO_EXPONENT = -(2**40)
"""The exponent of an exact zero: below all others, so that it never wins a maximum."""

LN10 = math.log(10.0)
LOG10_2 = math.log10(2.0)


@dataclass(frozen=True, eq=False, repr=False)
class Magnitudes(ArrayLike):
    """Non-negative numbers `mantissa * 2**exponent`, of any shape, as exact at 1e-100000 as at 1.

    They act as an array of floats, 0 or inf beyond float range; logarithms, square roots, products,
    ratios and f-strings are right at any size.

        >>> import numpy as np
        >>> from gradflow import Magnitudes
        >>> halves = Magnitudes.of(np.ones(3), [0, -1, -2000])  # 2**0, 2**-1, 2**-2000
        >>> halves
        Magnitudes([1, 0.5, 8.710e-603])
        >>> np.log2(halves).tolist(), np.asarray(halves)
        ([0.0, -1.0, -2000.0], array([1. , 0.5, 0. ]))
        >>> f"{halves[2]:.2e}"
        '8.71e-603'

    Attributes:
        mantissa: float64 in [0.5, 1), or 0.
        exponent: int64 of the same shape.
    """

    mantissa: Array
    exponent: Array

    @staticmethod
    def of(values: Array | float, exponent: Array | int = 0) -> Magnitudes:
        """`values * 2**exponent`, for any non-negative finite `values`."""
        mantissa, shift = np.frexp(np.asarray(values, dtype=np.float64))
        total = np.where(mantissa == 0, ZERO_EXPONENT, shift + np.asarray(exponent, dtype=np.int64))
        return Magnitudes(mantissa, np.where(np.isfinite(mantissa), total, 0))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of numbers."""
        return self.mantissa.shape

    def __len__(self) -> int:
        return len(self.mantissa)

    def __getitem__(self, index: Any) -> Magnitudes:
        of = (np.asarray(np.asarray(own)[index]) for own in (self.mantissa, self.exponent))
        return Magnitudes(*of)

    def reshape(self, *shape: int) -> Magnitudes:
        """The same numbers in another shape."""
        own = (np.asarray(part).reshape(*shape) for part in (self.mantissa, self.exponent))
        return Magnitudes(*own)

    @staticmethod
    def read(texts: Sequence[str]) -> Magnitudes:
        """What `texts` made of numbers past float range (`1.2345678901234567e-603`, exponents of
        at most 12 digits): the same numbers, bit for bit."""
        high, low, exponent = _read_scientific(texts)
        return Magnitudes.of(high + low, exponent)

    def _over(self, other: ArrayLike | float) -> Magnitudes:
        """The ratio; 0/0 and x/0 are NaN, which no magnitude otherwise is."""
        if not isinstance(other, Magnitudes):
            return self.over(float(other))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(other.mantissa == 0, np.nan, self.mantissa / other.mantissa)
        return Magnitudes.of(ratio, np.where(self.mantissa == 0, 0, self.exponent - other.exponent))

    @staticmethod
    def roots(blocks: Sequence[tuple[Array, Array]], axis: int = 0) -> Magnitudes:
        """Square roots in units of 2**exponent of blocks of (squares, exponents), joined along an
        axis; rounding may have left a square just below zero."""
        squares, exponent = (np.concatenate(column, axis) for column in zip(*blocks, strict=True))
        return Magnitudes.of(np.sqrt(np.maximum(squares, 0, dtype=np.float64)), exponent)

    def over(self, divisor: float) -> Magnitudes:
        """The numbers divided by a positive float."""
        return Magnitudes.of(self.mantissa / divisor, self.exponent)

    def _times(self, other: ArrayLike | float) -> Magnitudes:
        """The product, element by element."""
        factor = other if isinstance(other, Magnitudes) else Magnitudes.of(float(other))
        zero = (self.mantissa == 0) | (factor.mantissa == 0)
        exponent = np.where(zero, 0, self.exponent + factor.exponent)
        return Magnitudes.of(self.mantissa * factor.mantissa, exponent)

    def sqrt(self) -> Magnitudes:
        """The square root, element by element."""
        odd = self.exponent & 1
        return Magnitudes.of(np.sqrt(np.ldexp(self.mantissa, odd)), (self.exponent - odd) // 2)

    def floats(self) -> Array:
        """The numbers as float64: 0 or inf where they lie outside its range."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.mantissa, np.clip(self.exponent, -4000, 4000).astype(np.int32))

    @property
    def fits_floats(self) -> Array:
        """Where float64 holds the numbers with all their digits, zero and NaN too."""
        normal = (self.exponent >= -1021) & (self.exponent <= 1024)
        fits: Array = normal | (self.mantissa == 0) | ~np.isfinite(self.mantissa)
        return fits

    def log10(self) -> Array:
        """Base-10 logarithms; -inf at an exact zero."""
        with np.errstate(divide="ignore"):
            logs = np.log10(self.mantissa)
        return np.where(self.mantissa == 0, -np.inf, logs + self.exponent * LOG10_2)

    def texts(self) -> list[str]:
        """Each number in decimal: the shortest text that reads back exactly where float range
        allows, 17 digits with the true exponent beyond it (which read back exactly too), empty
        for NaN. One-dimensional only.
        """
        inside = self.fits_floats
        if inside.all():
            return _shortest(self.floats())
        texts = np.empty(len(self), dtype=object)
        texts[inside] = _shortest(self[inside].floats())
        texts[~inside] = _scientific(self.mantissa[~inside], self.exponent[~inside])
        listed: list[str] = texts.tolist()
        return listed


def _shortest(values: Array) -> list[str]:
    """Python's own texts of float64 numbers, empty for NaN."""
    texts = list(map(repr, values.tolist()))
    for at in np.flatnonzero(np.isnan(values)).tolist():
        texts[at] = ""
    return texts


# Decimal texts past float range. A number is m * 2**e with 2**e = 2**r * 2**(e - r), r = e mod 256,
# and each power known as leading * 10**tens. The product of the three leading numbers is carried
# in double-double arithmetic (an unevaluated sum of two floats, about 32 digits; Dekker 1971), so
# that its first 17 digits are right, for whole arrays at once: a ninth of the time that Python's
# Decimal takes, one number after the other.

_FINE = 256


def _scientific(mantissa: Array, exponent: Array) -> list[str]:
    """`mantissa * 2**exponent` with 17 correct digits, for mantissas in [0.5, 1), shape (n,)."""
    fine = exponent & (_FINE - 1)
    coarse, which = arrays.distinct(exponent - fine)
    leads = [np.array(column) for column in zip(*map(_power_of_two, coarse.tolist()), strict=True)]
    high, low, tens = (column[which] for column in leads)
    fine_high, fine_low, fine_tens = (column[fine] for column in _fine_powers())
    high, low = _multiply(high, low, fine_high, fine_low)
    high, low = _multiply(high, low, mantissa, 0.0)  # in [0.5, 100)

    shift = _reaches(high, low, 1.0) + _reaches(high, low, 10.0)
    high, low = _multiply(high, low, np.array([1e17, 1e16, 1e15])[shift], 0.0)
    digits = high.astype(np.int64) + np.rint(low).astype(np.int64)
    carried = digits == 10**17
    digits[carried] = 10**16
    tens += fine_tens + shift - 1 + carried

    first, rest = np.divmod(digits, 10**16)
    parts = zip(first.tolist(), rest.tolist(), tens.tolist(), strict=True)
    return ["%d.%016de%+d" % part for part in parts]  # noqa: UP031 - the fastest


@lru_cache(maxsize=4096)
def _power_of_two(exponent: int) -> tuple[float, float, int]:
    """2**exponent as (high, low, tens): (high + low) * 10**tens with high + low in [1, 10)."""
    context = Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN)
    power = context.power(Decimal(2), exponent)
    tens = power.adjusted()
    leading = power.scaleb(-tens, context)
    high = float(leading)
    return high, float(context.subtract(leading, Decimal(high))), tens


@lru_cache(maxsize=1)
def _fine_powers() -> tuple[Array, Array, Array]:
    """`_power_of_two` of 0..255, as three arrays."""
    high, low, tens = zip(*map(_power_of_two, range(_FINE)), strict=True)
    return np.array(high), np.array(low), np.array(tens)


def _read_scientific(texts: Sequence[str]) -> tuple[Array, Array, Array]:
    """(high, low, exponent): (high + low) * 2**exponent, of texts with 17 digits each."""
    digits = np.array([int(text[0] + text[2:18]) for text in texts], dtype=np.int64)
    tens = np.array([int(text[19:]) - 16 for text in texts], dtype=np.int64)
    fine = tens & (_FINE - 1)
    coarse, which = arrays.distinct(tens - fine)
    high = digits.astype(np.float64)
    low = (digits - high.astype(np.int64)).astype(np.float64)
    exponent = np.zeros(len(digits), dtype=np.int64)
    for powers, at in ((coarse, which), (np.arange(_FINE), fine)):
        leads = zip(*map(_power_of_ten, powers.tolist()), strict=True)
        own_high, own_low, twos = (np.array(column)[at] for column in leads)
        high, low = _multiply(high, low, own_high, own_low)
        exponent += twos
    return high, low, exponent


@lru_cache(maxsize=4096)
def _power_of_ten(tens: int) -> tuple[float, float, int]:
    """10**tens as (high, low, twos): (high + low) * 2**twos with high + low near one."""
    context = Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN)
    twos = math.floor(tens / LOG10_2)
    leading = context.divide(Decimal((0, (1,), tens)), context.power(Decimal(2), twos))
    high = float(leading)
    return high, float(context.subtract(leading, Decimal(high))), twos


def _multiply(
    high: Array, low: Array, by_high: Array, by_low: Array | float
) -> tuple[Array, Array]:
    """(high + low) * (by_high + by_low) in double-double arithmetic."""
    product = high * by_high
    (a, b), (c, d) = _halves(high), _halves(by_high)
    error = ((a * c - product) + a * d + b * c) + b * d + (high * by_low + low * by_high)
    total = product + error
    return total, error - (total - product)


def _reaches(high: Array, low: Array, bound: float) -> Array:
    """1 where high + low >= bound, else 0."""
    return np.where((high > bound) | ((high == bound) & (low >= 0)), 1, 0)


def _halves(values: Array) -> tuple[Array, Array]:
    """`values` as the exact sum of two arrays with 26 significant bits each."""
    spread = values * 134217729.0  # 2**27 + 1
    top = spread - (spread - values)
    return top, values - top


@dataclass(frozen=True, eq=False)
class Scaled:
    """An array of vectors (..., N, width) with one power-of-two exponent (..., N) each."""

    value: Array
    exponent: Array

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Scaled:
        """Room for vectors, not yet filled."""
        return Scaled(arrays.empty(shape, dtype), np.empty(shape[:-1], dtype=np.int64))

    def __getitem__(self, index: Any) -> Scaled:
        return Scaled(self.value[index], self.exponent[index])

    def __setitem__(self, index: Any, vectors: Scaled) -> None:
        self.value[index], self.exponent[index] = vectors.value, vectors.exponent


def near_one(vectors: Scaled) -> Scaled:
    """Each vector brought near one, its size counted in its exponent; a zero has that of a zero,
    so that it hides nothing it is added to."""
    own = exponent_of(vectors.value, (-1,))
    zero = own == ZERO_EXPONENT
    value = scale(vectors.value, np.where(zero, 0, -own)[..., None])
    return Scaled(value, np.where(zero, ZERO_EXPONENT, vectors.exponent + own))


def sum_of_scaled(a: Scaled, b: Scaled) -> Scaled:
    """a + b, each vector in the larger of their two sizes."""
    a, b = near_one(a), near_one(b)
    top = np.maximum(a.exponent, b.exponent)
    parts = (scale(v.value, (v.exponent - top)[..., None]) for v in (a, b))
    return Scaled(np.add(*parts), top)


def root_sum_of_squares(parts: Sequence[Magnitudes]) -> Magnitudes:
    """The norm of a vector from the norms of its parts, element by element."""
    mantissa, exponent = (
        np.stack([getattr(p, name) for p in parts]) for name in ("mantissa", "exponent")
    )
    squares, unit = sum_of_squares(mantissa**2, exponent, axis=0)
    return Magnitudes.of(np.sqrt(squares), unit)


def safe_bits(dtype: np.dtype[Any]) -> int:
    """How far from one, in bits, a number may lie and still be squared and summed as it is."""
    return 300 if dtype.itemsize >= 8 else 44


def squares_of(a: Array, axes: int = 1) -> tuple[Array, Array]:
    """Sums of squares over the last `axes` axes, and the exponents that they are in units of:
    0, but where the squares would come near the ends of float range."""
    flat = a if axes == 1 else a.reshape(*a.shape[:-axes], -1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.asarray(np.vecdot(flat, flat), dtype=np.float64)
        exponent = np.zeros(squares.shape, dtype=np.int64)
        near = are_near_one(squares, safe_bits(a.dtype))
        if not near.all():
            squares[~near], exponent[~near] = _squares_far(flat[~near])
    return squares, exponent


def squares_of_rows(a: Array, rows: Sequence[slice]) -> tuple[Array, Array]:
    """The squares of each of these stretches of rows of matrices (..., W, G), side by side,
    (..., P), and their exponents, as of `squares_of`."""
    flats = [a[..., own, :].reshape(*a.shape[:-2], -1) for own in rows]
    squares = np.empty((*a.shape[:-2], len(rows)))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for which, flat in enumerate(flats):
            np.vecdot(flat, flat, out=squares[..., which])
        exponent = np.zeros(squares.shape, dtype=np.int64)
        near = are_near_one(squares, safe_bits(a.dtype))
        if not near.all():
            for which, flat in enumerate(flats):
                at = (~near[..., which], which)
                squares[at], exponent[at] = _squares_far(flat[at[0]])
    return squares, exponent


def _squares_far(a: Array) -> tuple[Array, Array]:
    """The same of vectors (n, width) that have to be brought near one before they are squared."""
    size = exponent_of(a, (-1,))
    size[size == ZERO_EXPONENT] = 0
    near = scale(a, -size[:, None])
    return np.vecdot(near, near), size


def are_near_one(squares: Array, bits: int) -> Array:
    """Where what was squared lies within 2**±bits."""
    inside: Array = (squares > 4.0**-bits) & (squares < 4.0**bits)
    return inside


def exponent_of(a: Array, axes: tuple[int, ...]) -> Array:
    """The e with max|a| in [2^(e-1), 2^e) over `axes`; ZERO_EXPONENT where all is zero."""
    largest = np.abs(a).max(axis=axes)
    return np.where(largest == 0, ZERO_EXPONENT, np.frexp(largest)[1].astype(np.int64))


def scale(a: Array, shift: Array) -> Array:
    """`a * 2**shift`, exactly; the same array where every shift is zero.

    `shift` are integers that broadcast against `a`; below -1000 bits counts as zero.
    """
    if not shift.any():
        return a
    result: Array = np.ldexp(a, np.maximum(shift, -5000).astype(np.int32))
    return result


def sum_of_squares(squares: Array, exponent: Array, axis: int) -> tuple[Array, Array]:
    """The sum over `axis` of `squares * 4**exponent`, and the exponent that it is in units of."""
    first = np.take(exponent, [0], axis)
    if (exponent == first).all():
        return squares.sum(axis=axis), np.squeeze(first, axis)
    top = np.where(squares == 0, ZERO_EXPONENT, exponent).max(axis=axis, keepdims=True)
    return scale(squares, 2 * (exponent - top)).sum(axis=axis), np.squeeze(top, axis)


def log_norms(squares: Array, exponent: Array) -> Array:
    """Natural logarithms of norms, from squares in units of 4**exponent; -inf at an exact zero.

    No digit depends on how a square is split between the number and its exponent, nor on what is
    next to it: the logarithm is that of a mantissa, in arrays that are laid out alike.
    """
    mantissa, shift = np.frexp(np.ascontiguousarray(squares, dtype=np.float64))
    with np.errstate(divide="ignore"):
        logs = np.log(mantissa)
    return np.where(mantissa == 0, -np.inf, (logs + (2 * exponent + shift) * math.log(2.0)) / 2)


def log_norms_joined(parts: Sequence[Array]) -> Array:
    """The logs of each sample's norm over several parts of a state, from those of the parts."""
    return np.asarray(np.logaddexp.reduce([2 * part for part in parts]) / 2)
