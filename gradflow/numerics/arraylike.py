"""Numbers past float range that act as an array of floats in NumPy, matplotlib and f-strings."""

from __future__ import annotations

import math
from abc import abstractmethod
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradflow.numerics.arrays import Array

_SHOWN = 3  # numbers at either end of a long one
_EXACT = (Decimal, Fraction)
_IN_PLACE = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift",
             "and", "or", "xor")  # fmt: skip
_WRITING = {"byteswap", "fill", "partition", "put", "resize", "setfield", "setflags", "sort"}
"""Methods of an array that change it; a copy in floats would change for nobody."""


class ArrayLike(NDArrayOperatorsMixin):
    """What NumPy asks of an array, by way of `floats`: 0 or inf where a number lies outside float
    range. What is right at any size stays so: logarithms, roots and powers, comparisons, the
    larger and the smaller, and products, ratios and sums with each other or with numbers that are
    not negative."""

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    @abstractmethod
    def floats(self) -> Array:
        """The numbers as float64: 0 or inf where they lie outside its range."""

    @abstractmethod
    def log10(self) -> Array:
        """Base-10 logarithms; -inf at an exact zero."""

    @abstractmethod
    def sqrt(self) -> ArrayLike:
        """The square root, element by element."""

    @abstractmethod
    def texts(self) -> list[str]:
        """Each number in decimal, at any size. One-dimensional only."""

    @abstractmethod
    def _calculated(self, ufunc: np.ufunc, a: Any, b: Any) -> Any:
        """Any other ufunc of two, one of which is this, or of this alone, twice, at any size;
        NotImplemented where it leads outside such numbers."""

    if not TYPE_CHECKING:  # a type checker is to know its own names alone

        def __getattr__(self, name: str) -> Any:
            """What else an array of floats has: `max`, `mean`, `astype`, `T`, `round`, ..."""
            if name.startswith("_") or name in _WRITING or not hasattr(np.ndarray, name):
                raise AttributeError(f"'Magnitudes' object has no attribute {name!r}")
            floats = self.floats()
            if name == "flags":
                floats.flags.writeable = False
            return getattr(floats, name)

        # So that `c /= c[0]` makes a new one, as of any value that is not to be changed.
        for _name in _IN_PLACE:
            vars()[f"__i{_name}__"] = lambda self, other: NotImplemented
        del _name

        def __setitem__(self, index: Any, value: Any) -> None:
            raise TypeError("Magnitudes may not be changed: np.where(..., c) makes new ones")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("numbers of any size become floats in a copy alone")
        return np.asarray(self.floats(), dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options:
            exact = self._exactly(ufunc, inputs)
            if exact is not NotImplemented:
                return exact
        if any(isinstance(a, ArrayLike) for a in options.get("out", ())):
            return NotImplemented
        plain = [
            a.floats() if isinstance(a, ArrayLike) else float(a) if isinstance(a, _EXACT) else a
            for a in inputs
        ]
        return getattr(ufunc, method)(*plain, **options)

    def _exactly(self, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
        """What needs no detour by floats."""
        logs = {np.log10: 1.0, np.log: math.log(10.0), np.log2: math.log2(10.0)}
        if ufunc in logs:
            return self.log10() * logs[ufunc]
        if ufunc is np.sqrt:
            return self.sqrt()
        if ufunc in (np.absolute, np.fabs, np.positive):
            return self.reshape(self.shape)
        if ufunc is np.square:
            return self * self
        if ufunc is np.reciprocal:
            return 1 / self
        return self._calculated(ufunc, inputs[0], inputs[-1]) if len(inputs) < 3 else NotImplemented

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of numbers."""

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return int(self.floats().ndim)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(self.floats().size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the floats."""
        return np.dtype(np.float64)

    def tolist(self) -> Any:
        """The floats as a list."""
        return self.floats().tolist()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The floats for polars, which takes an array from others by Arrow's interface alone, and
        has it."""
        import polars

        return polars.Series(self.floats()).__arrow_c_stream__(requested_schema)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __float__(self) -> float:
        return float(self.floats())

    def __round__(self, digits: int | None = None) -> float:
        return round(float(self), digits)

    def __format__(self, spec: str) -> str:
        if self.ndim:
            return self._shown(spec) if spec else str(self)
        [text] = self.reshape(1).texts()
        number, exact = float(self.floats()), Decimal(text or "nan")
        inside = number != 0 and math.isfinite(number)
        if inside or not exact.is_finite() or exact == 0:
            return format(number, spec)
        return format(exact, spec) if spec else text

    @abstractmethod
    def reshape(self, *shape: Any) -> ArrayLike:
        """The same numbers in another shape."""

    def __repr__(self) -> str:
        if not self.ndim:
            return self.reshape(1).texts()[0] or "nan"
        return self._shown(".4g")

    def _shown(self, spec: str) -> str:
        """The first and last numbers of an array, each in this format."""
        flat: Any = self.reshape(-1)
        size = len(flat.floats())
        ends = range(size) if size <= 2 * _SHOWN else [*range(_SHOWN), *range(size - _SHOWN, size)]
        shown = [format(flat[i], spec) for i in ends]
        if size > 2 * _SHOWN:
            shown.insert(_SHOWN, "...")
        shape = "" if self.ndim == 1 and size <= 2 * _SHOWN else f", shape {self.floats().shape}"
        return f"Magnitudes([{', '.join(shown)}]{shape})"
