"""The opcodes of a pickle, one after the other, within bounds."""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gradflow.weights.readers.pickle_names import PickleError, Raw

MAX_TEXT = 32 << 20  # bytes of names and the like; long texts, which stay in the file, do not count
_LONG = 1024  # bytes; what is longer is no name, and stays in the file

_CODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}

_LENGTHS = {
    "BINUNICODE": 4,
    "SHORT_BINUNICODE": 1,
    "BINUNICODE8": 8,
    "BINBYTES": 4,
    "SHORT_BINBYTES": 1,
    "BINBYTES8": 8,
    "BYTEARRAY8": 8,
    "BINSTRING": 4,
    "SHORT_BINSTRING": 1,
}
"""Bytes in which each opcode that is followed by text or bytes says how many they are."""


def opcodes(file: Any, size: int) -> Iterator[tuple[str, Any]]:
    """Each opcode with its argument; long texts and bytes as `Raw`."""
    left = MAX_TEXT
    while code := file.read(1):
        opcode = _CODES.get(code[0])
        if opcode is None:
            raise PickleError(f"its pickle is damaged (there is no opcode {code!r})")
        name, width = opcode.name, _LENGTHS.get(opcode.name)
        argument: Any = None
        if width is not None:
            prefix = file.read(width)
            length = int.from_bytes(prefix, "little")
            if length > _LONG:
                argument = _passed_over(file, length, size, "UNICODE" in name)
            else:
                data = file.read(length)
                if len(prefix) < width or len(data) < length:
                    raise PickleError("its pickle is cut short")
                left -= length
                argument = data.decode("utf-8", "surrogatepass") if "UNICODE" in name else data
        elif name in _LINES:
            argument, length = _line(file, name, left)
            left -= length
        elif name == "LONG4":
            argument = _long_integer(file)
        elif opcode.arg is not None:
            argument = opcode.arg.reader(file)
        if left < 0:
            raise PickleError(f"its pickle holds more than {MAX_TEXT:,} bytes of text")
        yield name, argument


def _passed_over(file: Any, length: int, size: int, is_text: bool) -> Raw:
    """Where a long text or long bytes begin, behind which `file` then is."""
    start = file.tell()
    if length > size - start:
        raise PickleError("its pickle is cut short")
    file.seek(start + length)
    return Raw(start, length, is_text)


def _long_integer(file: Any) -> int:
    length = int.from_bytes(file.read(4), "little")
    if length > _LONG:
        raise PickleError("its pickle is damaged (an integer of thousands of digits)")
    return int.from_bytes(file.read(length), "little", signed=True)


def _line(file: Any, name: str, most: int) -> tuple[Any, int]:
    """The argument of an opcode of protocol 0, and how long it is."""
    lines = [file.readline(most + 2) for _ in range(2 if name in ("INST", "GLOBAL") else 1)]
    if not all(line.endswith(b"\n") for line in lines):
        raise PickleError(f"its pickle is cut short, or holds more than {MAX_TEXT:,} bytes of text")
    argument = _LINES[name](*(line[:-1] for line in lines))
    return argument, sum(map(len, lines))


def _quoted(line: bytes) -> str:
    """A Python 2 string, whose bytes are given as characters."""
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise PickleError("its pickle is damaged (a string without quotes)")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


_LINES: Mapping[str, Callable[..., Any]] = {
    "STRING": _quoted,
    "UNICODE": lambda line: line.decode("raw-unicode-escape"),
    **dict.fromkeys(["GLOBAL", "INST"], lambda *lines: tuple(line.decode() for line in lines)),
    "INT": lambda line: line == b"01" if line in (b"00", b"01") else int(line),
    "LONG": lambda line: int(line.removesuffix(b"L")),
    "FLOAT": float,
    "PERSID": lambda line: line.decode("latin-1"),
    **dict.fromkeys(["PUT", "GET"], int),
}
"""The opcodes whose arguments end with their line, and what those mean."""
