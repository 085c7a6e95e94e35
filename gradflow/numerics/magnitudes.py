"""Numbers past float range: an array and a power-of-two exponent.

Gradients through time leave float64 quickly (0.5^1075 is 0, 1.5^2000 is inf). Scaling by a power
of two is exact, so a mantissa kept near one and an integer exponent lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradflow.numerics import arrays, calculation
from gradflow.numerics.arraylike import ArrayLike
from gradflow.numerics.arrays import Array
from gradflow.numerics.calculation import ZERO_EXPONENT as ZERO_EXPONENT
from gradflow.numerics.decimals import read_scientific, scientific, shortest

LN10 = math.log(10.0)
LOG10_2 = math.log10(2.0)

_LAYOUTS = {"T", "copy", "flatten", "ravel", "repeat", "squeeze", "swapaxes", "take", "transpose"}


class Magnitudes(ArrayLike):
    """Non-negative numbers `mantissa * 2**exponent`, of any shape, as exact at 1e-100000 as at 1.

    They act as an array of floats that is not to be changed, 0 or inf beyond float range. Right at
    any size, and Magnitudes again, are products, ratios and sums with each other and with numbers
    that are not negative, powers, square roots, `abs`, `max`, `min`, `np.maximum` and `np.minimum`;
    so are logarithms, comparisons, `any`, `all`, `np.isfinite`, `sorted`, `argsort`, `argmin`,
    `argmax` and f-strings. All else is of the floats: differences, sums along an axis, means, `-c`,
    and functions that first make an array, as `np.sort` and `np.count_nonzero` (`(c != 0).sum()` is
    right). A single one is a float too: `Decimal(str(c[5]))` is it at any size.

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

    def __new__(cls, mantissa: Any, exponent: Any) -> Magnitudes:
        """An array of them, or a single one."""
        kinds = [np.asarray(p).dtype.kind * (np.ndim(p) == 0) for p in (mantissa, exponent)]
        if not (kinds[0] in "fiu" and kinds[1] in "iu" and all(kinds)):
            return object.__new__(MagnitudeArray)
        with np.errstate(over="ignore", under="ignore"):
            return float.__new__(Magnitude, np.ldexp(mantissa, np.clip(exponent, -4000, 4000)))

    def __init__(self, mantissa: Any, exponent: Any) -> None:
        vars(self).update(mantissa=mantissa, exponent=exponent)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of Magnitudes may not be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return Magnitudes, (self.mantissa, self.exponent)

    if TYPE_CHECKING:

        def __len__(self) -> int: ...

        def __getitem__(self, index: Any) -> Magnitudes: ...

        def __iter__(self) -> Iterator[Magnitudes]: ...

    @staticmethod
    def of(values: Array | float, exponent: Array | int = 0) -> Magnitudes:
        """`values * 2**exponent`, for any non-negative finite `values`."""
        return Magnitudes(*calculation.normal(values, exponent))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of numbers."""
        return np.shape(self.mantissa)

    def reshape(self, *shape: Any) -> Magnitudes:
        """The same numbers in another shape."""
        own = (np.asarray(part).reshape(*shape) for part in (self.mantissa, self.exponent))
        return Magnitudes(*own)

    @staticmethod
    def read(texts: Sequence[str]) -> Magnitudes:
        """What `texts` made of numbers past float range (`1.2345678901234567e-603`, exponents of
        at most 12 digits): the same numbers, bit for bit."""
        high, low, exponent = read_scientific(texts)
        return Magnitudes.of(high + low, exponent)

    def per(self, other: Magnitudes) -> Magnitudes:
        """The ratio, NaN over an exact zero."""
        found: Magnitudes = self / other
        return Magnitudes(np.where(other.mantissa == 0, np.nan, found.mantissa), found.exponent)

    @staticmethod
    def roots(blocks: Sequence[tuple[Array, Array]], axis: int = 0) -> Magnitudes:
        """Square roots in units of 2**exponent of blocks of (squares, exponents), joined along an
        axis; rounding may have left a square just below zero."""
        squares, exponent = (np.concatenate(column, axis) for column in zip(*blocks, strict=True))
        return Magnitudes.of(np.sqrt(np.maximum(squares, 0, dtype=np.float64)), exponent)

    def over(self, divisor: float) -> Magnitudes:
        """The numbers divided by a positive float."""
        return Magnitudes.of(self.mantissa / divisor, self.exponent)

    def sqrt(self) -> Magnitudes:
        """The square root, element by element."""
        odd = self.exponent & 1
        return Magnitudes.of(np.sqrt(np.ldexp(self.mantissa, odd)), (self.exponent - odd) // 2)

    def _calculated(self, ufunc: np.ufunc, a: Any, b: Any) -> Any:
        if ufunc in calculation.PREDICATES:
            return ufunc(self.mantissa)
        left, right = (
            (one.mantissa, one.exponent) if isinstance(one, Magnitudes) else calculation.pair(one)
            for one in (a, b)
        )
        if left is None or right is None:
            return NotImplemented
        found = calculation.calculated(ufunc, left, right)
        if found is None:
            return NotImplemented
        return Magnitudes.of(*found) if isinstance(found, tuple) else found

    def max(self, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """The largest, at any size, along an axis, several, or of all; with `where` or `initial`
        that of the floats."""
        return self._extreme("max", axis, keepdims, options)

    def min(self, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """The smallest likewise."""
        return self._extreme("min", axis, keepdims, options)

    def _extreme(self, which: str, axis: Any, keepdims: bool, options: Mapping[str, Any]) -> Any:
        more = {name: value for name, value in options.items() if value is not None}
        if more or not self.size:
            return getattr(self.floats(), which)(axis=axis, keepdims=keepdims, **more)
        own = self.mantissa, self.exponent
        return Magnitudes(*calculation.extreme(own, which == "max", axis, keepdims))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Which is largest and smallest, the order, which are zero, and other layouts, at any
            size; else what an array of floats has."""
            if name in {"argmax", "argmin", "argsort"}:
                return getattr(calculation.ranks((self.mantissa, self.exponent)), name)
            if name in {"any", "all", "nonzero"}:
                return getattr(np.asarray(self.mantissa), name)
            if name not in _LAYOUTS:
                return super().__getattr__(name)
            found = [getattr(np.asarray(part), name) for part in (self.mantissa, self.exponent)]
            return (
                Magnitudes(*found)
                if name == "T"
                else lambda *a: Magnitudes(*(f(*a) for f in found))
            )

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
        found: Array = np.where(self.mantissa == 0, -np.inf, logs + self.exponent * LOG10_2)[()]
        return found

    def texts(self) -> list[str]:
        """Each number in decimal: the shortest text that reads back exactly where float range
        allows, 17 digits with the true exponent beyond it (which read back exactly too), empty
        for NaN. One-dimensional only.
        """
        inside = self.fits_floats
        if inside.all():
            return shortest(self.floats())
        texts = np.empty(len(self), dtype=object)
        texts[inside] = shortest(self[inside].floats())
        texts[~inside] = scientific(self.mantissa[~inside], self.exponent[~inside])
        listed: list[str] = texts.tolist()
        return listed


class MagnitudeArray(Magnitudes):
    """An array of them: with a length, items and loops."""

    def __len__(self) -> int:
        return len(self.mantissa)

    def __getitem__(self, index: Any) -> Magnitudes:
        return Magnitudes(self.mantissa[index], self.exponent[index])

    def __iter__(self) -> Iterator[Magnitudes]:
        return (self[at] for at in range(len(self)))


class Magnitude(Magnitudes, float):  # type: ignore[misc]
    """One of them, a float to whoever takes one: JSON, data frames, `statistics`, `int`."""

    def __new__(cls, *value: Any) -> Any:
        """A float: what a library that makes a number of the type it was given is after."""
        return float(*value)

    def __hash__(self) -> int:  # type: ignore[override]
        inside = bool(float(self) == self)
        return hash(float(self) if inside else (float(self.mantissa), int(self.exponent)))


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
