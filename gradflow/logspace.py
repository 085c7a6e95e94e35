"""Numbers past float range: an array beside a power-of-two exponent.

Gradients through time leave float64 quickly (0.5^1075 is 0, 1.5^2000 is inf). Scaling by a power
of two is exact, so a mantissa kept near one and an integer exponent lose nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ZERO_EXPONENT = -(2**40)
"""The exponent of an exact zero: below all others, so that it never wins a maximum."""

_LOG10_2 = math.log10(2.0)


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """Non-negative numbers `mantissa * 2**exponent`, of any shape, as exact at 1e-100000 as at 1.

    `mantissa` is float64 in [0.5, 1), or 0; `exponent` is int64 of the same shape.
    """

    mantissa: Array
    exponent: Array

    @staticmethod
    def of(values: Array | float, exponent: Array | int = 0) -> Magnitudes:
        """`values * 2**exponent`, for any non-negative finite `values`."""
        mantissa, shift = np.frexp(np.asarray(values, dtype=np.float64))
        total = np.where(mantissa == 0, ZERO_EXPONENT, shift + np.asarray(exponent, dtype=np.int64))
        return Magnitudes(mantissa, total)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of numbers."""
        return self.mantissa.shape

    def __len__(self) -> int:
        return len(self.mantissa)

    def __getitem__(self, index: Any) -> Magnitudes:
        return Magnitudes(np.asarray(self.mantissa[index]), np.asarray(self.exponent[index]))

    def __truediv__(self, other: Magnitudes) -> Magnitudes:
        """The ratio; 0/0 and x/0 are NaN, which no magnitude otherwise is."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(other.mantissa == 0, np.nan, self.mantissa / other.mantissa)
        return Magnitudes.of(ratio, np.where(self.mantissa == 0, 0, self.exponent - other.exponent))

    def sqrt(self) -> Magnitudes:
        """The square root, element by element."""
        odd = self.exponent & 1
        return Magnitudes.of(np.sqrt(np.ldexp(self.mantissa, odd)), (self.exponent - odd) // 2)

    def floats(self) -> Array:
        """The numbers as float64: 0 or inf where they lie outside its range."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.mantissa, np.clip(self.exponent, -4000, 4000).astype(np.int32))

    def log10(self) -> Array:
        """Base-10 logarithms; -inf at an exact zero."""
        with np.errstate(divide="ignore"):
            logs = np.log10(self.mantissa)
        return np.where(self.mantissa == 0, -np.inf, logs + self.exponent * _LOG10_2)

    def texts(self) -> list[str]:
        """Each number in decimal: the shortest text that reads back exactly where float range
        allows, 16 digits with the true exponent beyond it, empty for NaN. One-dimensional only.
        """
        texts: list[str] = list(map(repr, self.floats().tolist()))
        outside = (self.exponent < -1021) | (self.exponent > 1024) | np.isnan(self.mantissa)
        for at in np.flatnonzero(outside & (self.mantissa != 0)).tolist():
            texts[at] = _decimal(float(self.mantissa[at]), int(self.exponent[at]))
        return texts


def _decimal(mantissa: float, exponent: int) -> str:
    """`mantissa * 2**exponent` in scientific notation, 16 significant digits."""
    if math.isnan(mantissa):
        return ""
    leading, tens = _power_of_two(exponent)
    digits, _, shift = f"{mantissa * leading:.15e}".partition("e")
    return f"{digits}e{int(shift) + tens:+d}"


@lru_cache(maxsize=65536)
def _power_of_two(exponent: int) -> tuple[float, int]:
    """2**exponent as (leading, tens) with leading in [1, 10): leading * 10**tens."""
    context = Context(prec=25, Emax=MAX_EMAX, Emin=MIN_EMIN)
    power = context.power(Decimal(2), exponent)
    tens = power.adjusted()
    return float(power.scaleb(-tens, context)), tens
