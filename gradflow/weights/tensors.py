"""The tensors of a file of trained parameters: described when it is opened, read when asked for."""

from __future__ import annotations

import importlib
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gradflow.counts import many
from gradflow.errors import Fault, InputError
from gradflow.machine.memory import bytes_available

Array = NDArray[Any]
T = TypeVar("T")

MAX_NAME = 1000
"""The longest name of a tensor that is taken, in characters."""

_STORAGE = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "|i1",
    "uint64": "<u8",
    "uint32": "<u4",
    "uint16": "<u2",
    "uint8": "|u1",
    "bool": "|b1",
    "complex64": "<c8",
    "complex128": "<c16",
}

_WORTH_ASKING = 64 << 20  # bytes read between one look at the memory there is and the next
_COPIES = 3
_MAX_NDIM = 32
_MAX_LENGTH = 2**48


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor as its file describes it; `load` reads the numbers (bfloat16 as float32)."""

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Array]


@dataclass(frozen=True, eq=False)
class Tensors(Mapping[str, Array]):
    """The tensors of one file by their names there; a tensor is read when it is looked up.

    The file stays open as long as its tensors are there.

    Attributes:
        source: the file, as the user named it.
        stored: what is known of each tensor without reading it.
        attributes: what the file says beyond tensors: for Keras `config` (the model's, parsed),
            `keras_version` and `groups` (names of layers by HDF5 group), for ONNX `nodes`, for
            pickled PyTorch modules `modules` (class and plain attributes by the module's name).
        format: what kind of file it is, in words.
    """

    source: str
    stored: Mapping[str, Stored]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Array:
        """The tensor. Raises KeyError, or InputError where its numbers cannot be read, or where
        there is no memory for them."""
        stored = self.stored[name]
        self._take(name, (element_count(stored.shape) or 0) * (itemsize(stored.dtype) or 8))
        return stored.load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which is not read for it."""
        return self.stored[name].shape

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What `make` gives, made when it is first asked for by this name."""
        if what not in self._known:
            self._known[what] = make()
        known: T = self._known[what]
        return known

    def forget(self) -> None:
        """Lets go of what `once` has kept; what of it holds these tensors would else keep them, and
        their file open, for a while longer."""
        self._known.clear()

    def _take(self, name: str, count: int) -> None:
        """Raises InputError where `count` bytes more, and copies of them, would not fit."""
        taken = self._known["bytes"] = self._known.get("bytes", 0) + count
        if taken < _WORTH_ASKING:
            return
        self._known["bytes"] = 0
        check_room(self.source, f"tensor {named(name)}", count)


def refuse(source: str, message: str) -> InputError:
    """The error that says what is wrong with the file `source`."""
    return InputError(Fault(message, source))


def check_room(source: str, what: str, count: int) -> None:
    """Raises InputError where memory has no room for `count` bytes, and for copies of them."""
    available = bytes_available() if count > _WORTH_ASKING // _COPIES else count * _COPIES
    if _COPIES * count > available:
        message = (
            f"takes {many(count, 'byte')}, more than memory has room for ({available:,} bytes)"
        )
        raise refuse(source, f"{what} {message}")


def named(name: object) -> str:
    """What a file calls something, quoted for a message: on one line, of bearable length, and
    soon, though a tuple may hold itself many times over."""
    try:
        text = repr(name[:_SHOWN]) if isinstance(name, str) else _SHORT.repr(name)
    except ValueError:  # an integer of thousands of digits
        text = "a number of very many digits"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


_SHOWN = 120
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxtuple, _SHORT.maxlist, _SHORT.maxlong = 2, 32, 32, _SHOWN


def itemsize(dtype: str) -> int | None:
    """Bytes to an element of a dtype of these files; None where NumPy has no such numbers."""
    return np.dtype(_STORAGE[dtype]).itemsize if dtype in _STORAGE else None


def decode(data: bytes | bytearray, dtype: str) -> Array:
    """The flat array that little-endian `data` holds; bfloat16 becomes float32, exactly."""
    flat = np.frombuffer(data, dtype=_STORAGE[dtype])
    return widen_bfloat16(flat) if dtype == "bfloat16" else flat


def widen_bfloat16(bits: Array) -> Array:
    """float32 numbers from the upper halves of their bit patterns."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float64(array: Array) -> Array:
    """The numbers as float64. NaN that signals does so in casts; it is refused by name later."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array, dtype=np.float64)


def element_count(shape: Sequence[object]) -> int | None:
    """The number of elements, or None for what no tensor's shape can be."""
    if len(shape) > _MAX_NDIM:
        return None
    lengths = [n for n in shape if type(n) is int and 0 <= n < _MAX_LENGTH]
    return math.prod(lengths) if len(lengths) == len(shape) else None


def optional(module: str, source: str) -> Any:
    """An optional dependency; InputError with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise refuse(source, f"reading this file needs {module}: pip install {module}") from None
