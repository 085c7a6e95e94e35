"""A msgpack file without its arrays: instead of each the number of its span in the file.

What an object is, its first byte says; containers have a count of objects, others a length
(github.com/msgpack/msgpack/blob/master/spec.md). msgpack's own library reads what is left; given
the whole file it would hold all arrays at once.
"""

from __future__ import annotations

import io

from gradflow.files.opening import Part, RegularFile
from gradflow.weights.tensors import check_room

_MAX_OBJECTS = 2_000_000

# By first byte: how many bytes of length follow, and those that come with every value.
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xC0: 0, 0xC2: 0, 0xC3: 0}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


class Head:
    """The object of a file as `content`, where each extension holds the 8 bytes of its index in
    `spans`: (start, length) of what it holds. Raises ValueError for what is no msgpack."""

    def __init__(self, file: RegularFile) -> None:
        self.file = file
        self.spans: list[tuple[int, int]] = []
        self._reader = io.BufferedReader(Part(file, 0, file.size), 1 << 16)
        self._found = bytearray()
        left, objects = 1, 0
        while left:
            left += self._object() - 1
            objects += 1
            if objects > _MAX_OBJECTS:
                raise ValueError(f"more than {_MAX_OBJECTS:,} objects")
        if self._reader.tell() < file.size:
            raise ValueError("more than one object")
        self.content = bytes(self._found)

    def _object(self) -> int:
        """Takes over one object without those in it; gives how many these are."""
        first = self._copied(1)
        if first in _CONTAINERS:
            width, each = _CONTAINERS[first]
            return each * self._copied(width)
        if 0x80 <= first < 0xA0:
            return (first & 15) * (2 if first < 0x90 else 1)
        if first in _EXTENSIONS or first in _FIXED_EXTENSIONS:
            del self._found[-1]
            self._extension(first)
        elif first in _BYTES:
            self._copied(self._copied(_BYTES[first]))
        elif 0xA0 <= first < 0xC0:
            self._copied(first & 31)
        elif first in _FIXED:
            self._copied(_FIXED[first])
        elif 0x80 <= first < 0xE0:
            raise ValueError(f"there is no object that begins with {first:#x}")
        return 0

    def _extension(self, first: int) -> None:
        width = _EXTENSIONS.get(first, 0)
        length = int.from_bytes(self._read(width), "big") if width else _FIXED_EXTENSIONS[first]
        code = self._read(1)
        start = self._reader.tell()
        if length > self.file.size - start:
            raise ValueError("cut short")
        self._found += b"\xd7" + code + len(self.spans).to_bytes(8, "big")
        self.spans.append((start, length))
        self._reader.seek(start + length)

    def _copied(self, count: int) -> int:
        """Takes over some bytes; gives them as a number."""
        data = self._read(count)
        self._found += data
        return int.from_bytes(data, "big") if count <= 4 else 0

    def _read(self, count: int) -> bytes:
        check_room(self.file.source, "a part of it", count)
        data = self._reader.read(count)
        if len(data) < count:
            raise ValueError("cut short")
        return data


def split(head: bytes) -> tuple[bytes, int, int]:
    """Of an array as Flax packs it (shape, dtype, numbers): what is before the numbers, as an
    object of two; where they begin; how many bytes they are. Raises ValueError."""
    if head[:1] != b"\x93":
        raise ValueError
    at = _behind(head, _behind(head, 1))
    first, width = head[at], _BYTES.get(head[at])
    if width is not None:
        start = at + 1 + width
        return b"\x92" + head[1:at], start, int.from_bytes(head[at + 1 : start], "big")
    if not 0xA0 <= first < 0xC0:
        raise ValueError
    return b"\x92" + head[1:at], at + 1, first & 31


def _behind(head: bytes, at: int) -> int:
    """Where the object that begins at `at` ends: a short list of numbers, or a short text."""
    left = 1
    while left:
        first = head[at]
        left += (first & 15) - 1 if 0x90 <= first < 0xA0 else -1
        if first in _BYTES:
            width = _BYTES[first]
            at += 1 + width + int.from_bytes(head[at + 1 : at + 1 + width], "big")
        elif 0xA0 <= first < 0xC0:
            at += 1 + (first & 31)
        elif first in _CONTAINERS or first in _EXTENSIONS or 0x80 <= first < 0x90:
            raise ValueError
        else:
            at += 1 + _FIXED.get(first, 0)
    return at
