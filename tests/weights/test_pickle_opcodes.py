"""Every opcode with which a pickle can call something: Python's own unpickler calls it, this one
never does."""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
import sys
import types

import pytest
import weight_writers as writers
from hostile_torch import torch
from weight_writers import text

from gradflow.errors import InputError
from gradflow.weights import read
from gradflow.weights.readers.pickle_machine import unpickle
from gradflow.weights.readers.pickle_names import ALLOWED

CALLED: list[object] = []


class Trap:
    """Leaves a trace when anything of it is run."""

    def __new__(cls, *arguments, **keywords):
        CALLED.append(("new", arguments))
        return super().__new__(cls)

    def __init__(self, *arguments, **keywords):
        CALLED.append(("init", arguments))

    def __setstate__(self, state):
        CALLED.append(("setstate", state))

    def __setitem__(self, key, value):
        CALLED.append(("setitem", key))

    def append(self, value):
        CALLED.append(("append", value))

    def extend(self, values):
        CALLED.append(("extend", values))

    def add(self, value):
        CALLED.append(("add", value))


def function(*arguments):
    CALLED.append(("function", arguments))
    return {}


EXTENSION = 0x7A


@pytest.fixture(autouse=True)
def trap_module(monkeypatch):
    """A module whose very import leaves a trace is no trap here: names are never imported."""
    module = types.ModuleType("trap")
    module.Trap, module.function = Trap, function
    monkeypatch.setitem(sys.modules, "trap", module)
    copyreg.add_extension("trap", "function", EXTENSION)
    CALLED.clear()
    yield
    copyreg.remove_extension("trap", "function", EXTENSION)


FUNCTION = b"ctrap\nfunction\n"
OBJECT = b"(ctrap\nTrap\no"
NAMED = text("trap") + text("function") + b"\x93"

CODES = {
    "GLOBAL": FUNCTION + b")R",
    "STACK_GLOBAL": NAMED + b")R",
    "REDUCE": FUNCTION + b"(K\1K\2tR",
    "BUILD": OBJECT + b"K\1b",
    "INST": b"(K\1itrap\nTrap\n",
    "OBJ": b"(ctrap\nTrap\nK\1o",
    "NEWOBJ": b"ctrap\nTrap\n)\x81",
    "NEWOBJ_EX": b"ctrap\nTrap\n)}\x92",
    "EXT1": b"\x82\x7a)R",
    "EXT2": b"\x83\x7a\0)R",
    "EXT4": b"\x84\x7a\0\0\0)R",
    "SETITEM": OBJECT + b"K\1K\2s",
    "SETITEMS": OBJECT + b"(K\1K\2u",
    "APPEND": OBJECT + b"K\1a",
    "APPENDS": OBJECT + b"(K\1K\2e",
    "ADDITEMS": OBJECT + b"(K\1\x90",
}
"""By the opcode that is looked at."""

PERSISTENT = {"PERSID": b"Ptrap\n", "BINPERSID": text("trap") + b"Q"}


@pytest.mark.parametrize("opcode", CODES)
def test_python_would_call_and_this_does_not(tmp_path, opcode):
    code = b"\x80\x02" + CODES[opcode] + b"."
    assert opcode in {found.name for found, *_ in pickletools.genops(code)}
    pickle.loads(code)
    assert CALLED, "the trap itself does not work"
    CALLED.clear()
    unpickle(io.BytesIO(code), len(code))
    path = torch(writers.dictionary({"weight_ih_l0": CODES[opcode]}))(tmp_path)
    with pytest.raises(InputError, match=r"no tensor|which is not run"):
        read(path)
    assert CALLED == []


@pytest.mark.parametrize("opcode", PERSISTENT)
def test_persistent_ids_are_resolved_by_nobody(tmp_path, opcode):
    code = b"\x80\x02" + PERSISTENT[opcode] + b"."
    loaded = []

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid):
            loaded.append(pid)

    Unpickler(io.BytesIO(code)).load()
    assert loaded == ["trap"]
    path = torch(writers.dictionary({"w": PERSISTENT[opcode]}))(tmp_path)
    with pytest.raises(InputError):
        read(path)
    assert CALLED == []


def test_all_opcodes_that_call_are_tried():
    """Those that this list leaves out push, pop, build and remember plain values."""
    plain = """
        INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES
        SHORT_BINBYTES BINBYTES8 BYTEARRAY8 NEXT_BUFFER READONLY_BUFFER NONE NEWTRUE NEWFALSE
        UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT EMPTY_LIST LIST EMPTY_TUPLE
        TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT EMPTY_SET FROZENSET POP DUP MARK POP_MARK GET
        BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE PROTO STOP FRAME
    """
    every = {opcode.name for opcode in pickletools.opcodes}
    assert every == set(plain.split()) | CODES.keys() | PERSISTENT.keys()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"),
     ("__builtin__", "exec"), ("operator", "attrgetter"), ("functools", "partial"),
     ("torch.storage", "_load"), ("torch", "load"), ("torch._utils", "__import__"),
     ("numpy", "load"), ("numpy.core.multiarray", "fromfile"), ("collections", "namedtuple"),
     ("builtins", "dict.fromkeys"), ("collections", "OrderedDict.__reduce__")],
)  # fmt: skip
def test_names_like_those_on_the_list_are_not_on_it(module, name):
    assert f"{module}.{name}" not in ALLOWED
    code = b"\x80\x04" + text(module) + text(name) + b"\x93" + text("touch trace") + b"\x85R."
    found = unpickle(io.BytesIO(code), len(code))
    assert found.arguments == ("touch trace",)  # it is itself


@pytest.mark.parametrize("opcode", ["NEXT_BUFFER", "READONLY_BUFFER"])
def test_buffers_that_lie_elsewhere_are_refused(tmp_path, opcode):
    code = b"\x97" if opcode == "NEXT_BUFFER" else b"N\x98"
    with pytest.raises(InputError, match=f"uses {opcode}"):
        read(torch(writers.dictionary({"w": code}))(tmp_path))


def test_what_is_on_the_list_runs_nothing_with_odd_arguments():
    """The stand-ins take apart what they are given; an object of any kind stays untouched."""
    for name in ALLOWED:
        module, _, function_name = name.rpartition(".")
        for arguments in (b")", b"(" + OBJECT + b"t", b"(]}K\1)" + OBJECT + b"t"):
            code = b"\x80\x02c" + f"{module}\n{function_name}\n".encode() + arguments + b"R."
            with pytest.MonkeyPatch.context():
                try:
                    unpickle(io.BytesIO(code), len(code))
                except ValueError as error:
                    assert "pickle" in str(error) or "tensor" in str(error)  # noqa: PT017
    assert CALLED == []
