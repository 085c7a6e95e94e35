"""Decimal texts of numbers past float range, and the double-double arithmetic that they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache

import numpy as np

from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array

LOG10_2 = math.log10(2.0)


def shortest(values: Array) -> list[str]:
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


def scientific(mantissa: Array, exponent: Array) -> list[str]:
    """`mantissa * 2**exponent` with 17 correct digits, for mantissas in [0.5, 1), shape (n,)."""
    fine = exponent & (_FINE - 1)
    coarse, which = arrays.distinct(exponent - fine)
    leads = [np.array(column) for column in zip(*map(_power_of_two, coarse.tolist()), strict=True)]
    high, low, tens = (column[which] for column in leads)
    fine_high, fine_low, fine_tens = (column[fine] for column in _fine_powers())
    high, low = multiply(high, low, fine_high, fine_low)
    high, low = multiply(high, low, mantissa, 0.0)  # in [0.5, 100)

    shift = _reaches(high, low, 1.0) + _reaches(high, low, 10.0)
    high, low = multiply(high, low, np.array([1e17, 1e16, 1e15])[shift], 0.0)
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


def read_scientific(texts: Sequence[str]) -> tuple[Array, Array, Array]:
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
        high, low = multiply(high, low, own_high, own_low)
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


def multiply(high: Array, low: Array, by_high: Array, by_low: Array | float) -> tuple[Array, Array]:
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
