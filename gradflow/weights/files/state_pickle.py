"""The pickle inside a PyTorch file, interpreted without running any of it.

Python's own unpickler calls what a pickle tells it to. This one knows a dozen names, makes plain
dictionaries, lists and descriptions of tensors from them, and refuses every other.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 32 << 20
MAX_OPCODES = 1_000_000
"""A second's work; fifty opcodes describe a tensor."""

_MAX_ARGUMENTS = 64


class PickleError(ValueError):
    """Why a pickle is refused."""


@dataclass(frozen=True)
class Storage:
    """A run of elements in the archive. `dtype` is None for bytes typed by the tensor on them."""

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


class _Opaque:
    """Stands for what holds no tensors: options, dates, paths, random states."""


@dataclass(frozen=True)
class _Global:
    """A name from the allowlist, and what stands for the object that a call of it would make."""

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
    return function.build(*arguments[:_MAX_ARGUMENTS])


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
}

_DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "bool"),
    *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
)

_DICTIONARIES = (
    *("collections.OrderedDict", "collections.defaultdict", "collections.Counter"),
    "builtins.dict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
)

_OPAQUE = (
    *("torch.Tensor", "torch.nn.parameter.Parameter", "torch.device", "torch.Generator"),
    *("torch.serialization._get_layout", "torch.torch_version.TorchVersion"),
    *("argparse.Namespace", "types.SimpleNamespace", "datetime.datetime", "builtins.set"),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    *("numpy.ndarray", "_codecs.encode"),
)

_STANDINS: Mapping[str, Any] = {
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch._utils._rebuild_tensor_v3": _typed_view,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.Size": lambda lengths: lengths,
    **dict.fromkeys(_DICTIONARIES, lambda *_: {}),
    **dict.fromkeys(_OPAQUE, lambda *_: _Opaque()),
}

_CONSTANTS: Mapping[str, Any] = {
    **{f"torch.{dtype}": dtype for dtype in _DTYPES},
    **{f"torch.{name}": Storage("", dtype, 0) for name, dtype in _TYPED_STORAGES.items()},
    "torch.storage.UntypedStorage": Storage("", None, 0),
}


def unpickle(data: bytes) -> Any:
    """What a pickle describes: dictionaries, lists, tuples, numbers, strings, `View`s.

    Raises PickleError for names off the allowlist and for what is damaged or too large.
    """
    if len(data) > MAX_BYTES:
        raise PickleError(f"its pickle has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of odd escapes in strings
            return _run(data)
    except PickleError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".split("\n")[0][:120]
        raise PickleError(f"its pickle is damaged ({reason})") from None


def _run(data: bytes) -> Any:
    """What the machine holds when it stops."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if count == MAX_OPCODES:
            raise PickleError(f"its pickle takes more than {MAX_OPCODES:,} steps")
        machine.run(opcode.name, argument)
    raise PickleError("its pickle is cut short")


class _Machine:
    """The pickle machine: a stack, what lies below each open mark, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, opcode: str, argument: Any) -> None:
        """One opcode."""
        if opcode in _PUSH_ARGUMENT:
            self.stack.append(argument)
        elif opcode in _PUSH_NEW:
            self.stack.append(_PUSH_NEW[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise PickleError(f"its pickle uses {opcode}, which no state dict needs")

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def put(self, index: Any) -> None:
        self.memo[int(index)] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: Any) -> None:
        self.stack.append(self.memo[int(index)])

    def tuple_since_mark(self, _: Any) -> None:
        items = tuple(self.pop_mark())
        self.stack.append(items)

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack.pop() for _ in range(count))
        self.stack.append(items[::-1])

    def append(self, _: Any) -> None:
        self.extend_list([self.stack.pop()])

    def appends(self, _: Any) -> None:
        self.extend_list(self.pop_mark())

    def extend_list(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, _Opaque):
            raise PickleError("its pickle appends to what is no list")

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def set_items(self, _: Any) -> None:
        self.update(self.pop_mark())

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, _Opaque):
            return
        if not isinstance(target, dict):
            raise PickleError("its pickle sets items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Other keys name no tensor, and hashing a deeply nested one can end the process.
            if type(key) is str or type(key) is int:
                if key in target:
                    raise PickleError(f"its dictionary has {str(key)[:80]!r} twice")
                target[key] = value

    def global_of(self, argument: str) -> None:
        self.push_global(*argument.split(" ", 1))

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_global(module, name)

    def push_global(self, module: str, name: str) -> None:
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full in _CONSTANTS:
            self.stack.append(_CONSTANTS[full])
        elif full in _STANDINS:
            self.stack.append(_Global(full, _STANDINS[full]))
        else:
            raise PickleError(
                f"its pickle calls {full[:80]!r}, which is not run: save only the parameters,"
                " torch.save(model.state_dict(), FILE)"
            )

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise PickleError("its pickle calls what is no function")
        if len(arguments) > _MAX_ARGUMENTS:  # every call copies them
            raise PickleError("its pickle calls a function with too many arguments")
        self.stack.append(function.build(*arguments))

    def build(self, _: Any) -> None:
        self.stack.pop()  # attributes of an object: no tensor of a state dict is one

    def persistent(self, _: Any) -> None:
        match self.stack.pop():
            case ("storage", Storage() as kind, str(key), str(), int(length)) if length >= 0:
                self.stack.append(Storage(key, kind.dtype, length))
            case _:
                raise PickleError("its pickle refers to a storage in a way PyTorch does not")


_PUSH_ARGUMENT = (
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "BINFLOAT", "FLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING", "STRING"),
)

_PUSH_NEW: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}

_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], _Machine.put),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    **dict.fromkeys(["APPENDS", "ADDITEMS"], _Machine.appends),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_of,
    "STACK_GLOBAL": _Machine.stack_global,
    **dict.fromkeys(["REDUCE", "NEWOBJ"], _Machine.call),
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
