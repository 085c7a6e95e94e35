"""An ONNX file without the numbers of its long tensors: what is left is small, and is parsed whole
by ONNX's own library, which would hold all numbers at once.

A protobuf message is a sequence of fields, each a key (number and wire type) and a value; messages
are fields of messages, behind their length (protobuf.dev/programming-guides/encoding). Only those
that may hold a tensor are looked into.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from gradflow.files.opening import Part, RegularFile
from gradflow.weights.tensors import check_room

LONG = 4096
"""Numbers of more bytes stay in the file."""

_PLACEHOLDER = LONG + 1
_MAX_FIELDS = 4_000_000
_MAX_DEPTH = 64

_VARINT, _EIGHT, _MESSAGE, _FOUR = 0, 1, 2, 5

_WITHIN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {9: "raw"},
}
"""By message, the fields that may hold a tensor or its numbers, and what they are."""


class DamagedError(ValueError):
    """What is no protobuf message, or one of too many fields."""


class Head:
    """The message of a file as `content`, in which long numbers are placeholders."""

    def __init__(self, file: RegularFile) -> None:
        self.file = file
        self.spans: list[tuple[int, int]] = []
        self._reader = io.BufferedReader(Part(file, 0, file.size), 1 << 16)
        self._fields = 0
        self.content = bytes(self._message("model", file.size, _MAX_DEPTH))

    def length(self, raw: bytes) -> int:
        """How many bytes a tensor's `raw_data` has in the file."""
        return self.spans[_index(raw)][1] if len(raw) == _PLACEHOLDER else len(raw)

    def numbers(self, raw: bytes) -> bytes:
        """A tensor's `raw_data` as it is in the file."""
        if len(raw) != _PLACEHOLDER:
            return raw
        return bytes(self.file.read_at(*self.spans[_index(raw)]))

    def _message(self, kind: str, end: int, depth: int) -> bytearray:
        """The message from where the reader is to `end`."""
        within, found, reader = _WITHIN[kind], bytearray(), self._reader
        at = reader.tell()
        while at < end:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise DamagedError(f"it has more than {_MAX_FIELDS:,} fields")
            key = self._varint(found)
            wire = key & 7
            if wire == _VARINT:
                self._varint(found)
            elif wire == _MESSAGE:
                self._value(within.get(key >> 3), found, end, depth)
            elif wire in (_EIGHT, _FOUR):
                found += self._bytes(8 if wire == _EIGHT else 4)
            else:
                raise DamagedError(f"a field has the unknown wire type {wire}")
            at = reader.tell()
        if at > end:
            raise DamagedError("a message in it is cut short")
        return found

    def _value(self, kind: str | None, found: bytearray, end: int, depth: int) -> None:
        """Appends a field's length and bytes, without long numbers."""
        length = self._varint(bytearray())
        start = self._reader.tell()
        if length > end - start:
            raise DamagedError("a message in it is cut short")
        if length <= LONG or kind is None:
            check_room(self.file.source, "a part of it", length)
            value: bytes | bytearray = self._bytes(length)
        elif kind == "raw":
            value = len(self.spans).to_bytes(8, "little").ljust(_PLACEHOLDER, b"\0")
            self.spans.append((start, length))
            self._reader.seek(start + length)
        elif depth:
            value = self._message(kind, start + length, depth - 1)
        else:
            raise DamagedError(f"messages in it are nested more than {_MAX_DEPTH} deep")
        found += _as_varint(len(value)) + value

    def _varint(self, found: bytearray) -> int:
        """The number that follows, whose bytes are appended too."""
        number = 0
        for shift in range(0, 70, 7):
            byte = self._bytes(1)
            found += byte
            number |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return number
        raise DamagedError("a number in it is longer than numbers are")

    def _bytes(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise DamagedError("it is cut short")
        return data


def _index(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "little")


def _as_varint(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
