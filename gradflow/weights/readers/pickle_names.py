"""The names that a pickle may call, and what is kept of what they would make.

This is the whole allowlist: nothing else is ever called, and these functions only take apart what
they are given. Every other name becomes an `Inert` object, which keeps its state and does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class PickleError(ValueError):
    """Why a pickle is refused."""


@dataclass(frozen=True)
class Storage:
    """A run of elements in the file. `dtype` is None for bytes typed by the tensor on them."""

    key: str
    dtype: str | None
    length: int


@dataclass(frozen=True)
class View:
    """A tensor: the elements of `storage` from `offset` on, `strides` apart."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Raw:
    """Bytes, or text, too long to be looked at before they are needed: where they lie."""

    start: int
    length: int
    is_text: bool


class Dtype:
    """A NumPy dtype: `f4` and its byte order, which comes with its state."""

    def __init__(self, code: Any) -> None:
        known = re.fullmatch("b1|[iu][1248]|f[248]|c8|c16", code if isinstance(code, str) else "")
        self.code = known[0] if known else None
        self.order = "<"

    def set_state(self, state: Any) -> None:
        """The second item says `<`, `>` or `|`."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            self.order = state[1]


class Numbers:
    """A NumPy array: its numbers are in the pickle itself, as bytes or as text for them."""

    def __init__(self) -> None:
        self.shape: Any = None
        self.dtype: Dtype | None = None
        self.fortran = False
        self.data: Any = None

    def set_state(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, bytes)."""
        match state:
            case (int(), tuple(shape), Dtype() as dtype, fortran, data):
                self.shape, self.dtype = shape, dtype
                self.fortran, self.data = bool(fortran), data


@dataclass(frozen=True)
class Encoded:
    """Text that encodes bytes, a character a byte."""

    text: Any


@dataclass(frozen=True)
class Nested:
    """Bytes that hold a storage in PyTorch's format before 1.6, as plain `pickle` keeps it."""

    data: Any


class Inert:
    """What is kept of a name that is not on the list, and what calling it would have made.

    `state` is what the pickle would have set on it; nothing of it is run.
    """

    __slots__ = ("arguments", "items", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None
        self.items: list[Any] = []


@dataclass(frozen=True)
class Allowed:
    """A name from the list, and what is kept of the object that a call of it would make."""

    name: str
    build: Callable[..., Any]


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View:
    if not isinstance(storage, Storage) or storage.dtype is None:
        raise PickleError("a tensor is not built on a typed storage")
    return View(storage, storage.dtype, offset, shape, strides)


def _typed_view(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _grad: Any,
    _hooks: Any,
    dtype: Any,
    *_: Any,
) -> View:
    if not isinstance(storage, Storage) or not isinstance(dtype, str):
        raise PickleError("a tensor is not built on a storage and a dtype")
    return View(storage, dtype, offset, shape, strides)


def _from_type(function: Any, _type: Any, arguments: Any, *_: Any) -> Any:
    if not isinstance(function, Allowed) or not isinstance(arguments, tuple):
        return Inert("torch._tensor._rebuild_from_type_v2")
    return function.build(*arguments[:_MAX_ARGUMENTS])


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> Any:
    array = Numbers()
    array.set_state((1, shape, dtype, order == "F", data))
    return array


def _dictionary(*arguments: Any) -> dict[str, Any]:
    """Empty, or what the pairs that protocol 0 gives it say."""
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    found: dict[str, Any] = {}
    for pair in pairs:
        match pair:
            case [str(key), value]:
                found[key] = value
    return found


_MAX_ARGUMENTS = 64

_TYPED_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
}

_DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "bool"),
    *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
)

_DICTIONARIES = (
    *("collections.OrderedDict", "collections.defaultdict", "collections.Counter"),
    "builtins.dict",
)

_NUMPY = ("numpy.core", "numpy._core")

ALLOWED: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch._utils._rebuild_tensor_v3": _typed_view,
    "torch._utils._rebuild_qtensor": _view,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.storage._load_from_bytes": lambda data, *_: Nested(data),
    "torch.Size": lambda lengths: lengths,
    **dict.fromkeys(_DICTIONARIES, _dictionary),
    **{f"{numpy}.multiarray._reconstruct": lambda *_: Numbers() for numpy in _NUMPY},
    **{f"{numpy}.numeric._frombuffer": _from_buffer for numpy in _NUMPY},
    "numpy.dtype": lambda code, *_: Dtype(code),
    "builtins.bytes": lambda *_: b"",  # what old protocols write for no bytes
    "_codecs.encode": lambda text, *_: Encoded(text),
}
"""By full name: what is called instead."""

CONSTANTS: Mapping[str, Any] = {
    **{f"torch.{dtype}": dtype for dtype in _DTYPES},
    **{f"torch.{name}": Storage("", dtype, 0) for name, dtype in _TYPED_STORAGES.items()},
    "torch.storage.UntypedStorage": Storage("", None, 0),
}
"""Names that mean something by themselves."""
