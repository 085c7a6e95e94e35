"""Pickles, interpreted without running any of them.

Python's own unpickler calls what a pickle asks for. This machine calls what is on the list
in `pickle_names`, makes plain dictionaries, lists and descriptions of tensors with it, and lets
every other name be itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from gradflow.weights.readers.pickle_names import (
    ALLOWED,
    CONSTANTS,
    Allowed,
    Dtype,
    Inert,
    Nested,
    Numbers,
    PickleError,
    Raw,
    Storage,
    View,
)
from gradflow.weights.readers.pickle_opcodes import opcodes

MAX_OPCODES = 1_000_000  # a second's work; fifty opcodes describe a tensor
_MAX_ARGUMENTS = 64
_MAX_MEMO = 1 << 32

Nesting = Callable[[Any], Storage] | None  # finds the storage that bytes of a pickle hold


def unpickle(
    file: Any, size: int, storages: dict[str, Storage] | None = None, nested: Nesting = None
) -> Any:
    """What the pickle that begins where `file` (of `size` bytes) is describes: dictionaries,
    lists, tuples, numbers, strings, `View`s of tensors, `Numbers` of arrays, `Inert` objects. The
    storages that it names are put into `storages`; `nested` finds the one that bytes, or a `Raw`,
    hold. Raises PickleError for what is damaged or too large.
    """
    machine = _Machine({} if storages is None else storages, nested)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of odd escapes in strings
            for count, (opcode, argument) in enumerate(opcodes(file, size)):
                if opcode == "STOP":
                    return machine.stack.pop()
                if count == MAX_OPCODES:
                    raise PickleError(f"its pickle takes more than {MAX_OPCODES:,} steps")
                machine.run(opcode, argument)
    except PickleError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}".split("\n")[0][:120]
        raise PickleError(f"its pickle is damaged ({reason})") from None
    raise PickleError("its pickle is cut short")


class _Machine:
    """The pickle machine: a stack, what lies below each open mark, and the memo."""

    def __init__(self, storages: dict[str, Storage], nested: Nesting) -> None:
        self.storages, self.nested = storages, nested
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.handed = 0  # items of the lists that calls were given

    def run(self, opcode: str, argument: Any) -> None:
        """One opcode."""
        if opcode in _PUSH_ARGUMENT:
            self.stack.append(argument)
        elif opcode in _PUSH_NEW:
            self.stack.append(_PUSH_NEW[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise PickleError(f"its pickle uses {opcode}, which no file of parameters needs")

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def drop_to_mark(self, _: Any) -> None:
        self.pop_mark()

    def duplicate(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def put(self, index: Any) -> None:
        if not 0 <= int(index) < _MAX_MEMO:
            raise PickleError("its pickle is damaged (it remembers too much)")
        self.memo[int(index)] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: Any) -> None:
        self.stack.append(self.memo[int(index)])

    def tuple_since_mark(self, _: Any) -> None:
        items = tuple(self.pop_mark())
        self.stack.append(items)

    def list_since_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def dictionary_since_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self.update(items)

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
        elif isinstance(target, Inert):
            target.items.extend(items)
        else:
            raise PickleError("its pickle appends to what is no list")

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def set_items(self, _: Any) -> None:
        self.update(self.pop_mark())

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            if not isinstance(target.state, dict):
                target.state = {}
            target = target.state
        if not isinstance(target, dict):
            raise PickleError("its pickle sets items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Other keys name no tensor, and hashing a deeply nested one can end the process.
            # Whole numbers go by their text: many of them can be made to have one hash.
            if type(key) is str or type(key) is int:
                if str(key) in target:
                    raise PickleError(f"its dictionary has {str(key)[:80]!r} twice")
                target[str(key)] = value
            elif isinstance(key, Raw) and isinstance(value, View | Numbers | dict):
                raise PickleError("a name in it is longer than 1000 characters")

    def global_of(self, argument: Any) -> None:
        self.push_global(*argument)

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_global(module, name)

    def push_global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise PickleError("its pickle is damaged (a name is no text)")
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full in CONSTANTS:
            self.stack.append(CONSTANTS[full])
        elif full in ALLOWED:
            self.stack.append(Allowed(full, ALLOWED[full]))
        else:
            self.stack.append(Inert(full))

    def extension(self, code: Any) -> None:
        self.stack.append(Inert(f"copyreg extension {code}"))

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.made(function, arguments)

    def call_with_keywords(self, _: Any) -> None:
        self.stack.pop()  # what is on the list takes none
        self.call(None)

    def instance(self, argument: Any) -> None:
        items = tuple(self.pop_mark())
        self.push_global(*argument)
        self.made(self.stack.pop(), items)

    def object(self, _: Any) -> None:
        function, *items = self.pop_mark()
        self.made(function, tuple(items))

    def made(self, function: Any, arguments: Any) -> None:
        """Pushes what is kept of the result of a call."""
        if not isinstance(arguments, tuple) or not isinstance(function, Allowed | Inert):
            raise PickleError("its pickle calls what is no function")
        if len(arguments) > _MAX_ARGUMENTS:  # every call copies them
            raise PickleError("its pickle calls a function with too many arguments")
        self.handed += sum(len(item) for item in arguments if isinstance(item, list))
        if self.handed > MAX_OPCODES:
            raise PickleError(f"its pickle takes more than {MAX_OPCODES:,} steps")
        if isinstance(function, Inert):
            self.stack.append(Inert(function.name, arguments))
        else:
            found = function.build(*arguments)
            if isinstance(found, Nested):
                found = self.nested(found.data) if self.nested else Inert(function.name)
            self.stack.append(found)

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Numbers | Dtype):
            target.set_state(state)
        elif isinstance(target, Inert):
            target.state = state

    def persistent(self, _: Any) -> None:
        match self.stack.pop():
            case ("storage", Storage() as kind, str(key), str(), int(length), *rest) if (
                length >= 0 and rest in ([], [None])
            ):
                self.storages[key] = Storage(key, kind.dtype, length)
                self.stack.append(self.storages[key])
            case ("module", Inert() as module, *_):  # a class, with its source, before PyTorch 1.6
                self.stack.append(module)
            case _:
                raise PickleError("its pickle refers to a storage in a way PyTorch does not")

    def persistent_text(self, _: Any) -> None:
        self.stack.append(Inert("a persistent id"))


_PUSH_ARGUMENT = frozenset(
    (
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "STRING"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
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


def _push_old_string(machine: _Machine, value: Any) -> None:
    """A Python 2 string: a name as a rule, else bytes."""
    machine.stack.append(value.decode("latin-1") if isinstance(value, bytes) else value)


_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.drop_to_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(["BINSTRING", "SHORT_BINSTRING"], _push_old_string),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], _Machine.put),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    **dict.fromkeys(["LIST", "FROZENSET"], _Machine.list_since_mark),
    "DICT": _Machine.dictionary_since_mark,
    "APPEND": _Machine.append,
    **dict.fromkeys(["APPENDS", "ADDITEMS"], _Machine.appends),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_of,
    "STACK_GLOBAL": _Machine.stack_global,
    **dict.fromkeys(["EXT1", "EXT2", "EXT4"], _Machine.extension),
    **dict.fromkeys(["REDUCE", "NEWOBJ"], _Machine.call),
    "NEWOBJ_EX": _Machine.call_with_keywords,
    "INST": _Machine.instance,
    "OBJ": _Machine.object,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "PERSID": _Machine.persistent_text,
}
