"""The tensors of a file of trained parameters: described when it is opened, read when asked for."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradflow.errors import Fault, InputError

Array = NDArray[Any]

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

    Attributes:
        source: the file, as the user named it.
        stored: what is known of each tensor without reading it.
        attributes: what the file tells beyond tensors: for Keras `config` (the model's, parsed),
            `keras_version` and `groups` (names of layers by HDF5 group), for ONNX `nodes`.
    """

    source: str
    stored: Mapping[str, Stored]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        """The tensor. Raises KeyError, or InputError where its numbers cannot be read."""
        return self.stored[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which is not read for it."""
        return self.stored[name].shape


def refuse(source: str, message: str) -> InputError:
    """The error that says what is wrong with the file `source`."""
    return InputError(Fault(message, source))


def named(name: object) -> str:
    """A name out of a file, quoted for a message: on one line, and of bearable length."""
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:117]}..."


def itemsize(dtype: str) -> int | None:
    """Bytes to an element of a dtype of these files; None where NumPy has no such numbers."""
    return np.dtype(_STORAGE[dtype]).itemsize if dtype in _STORAGE else None


def decode(data: bytes, dtype: str) -> Array:
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
