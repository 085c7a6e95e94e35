"""safetensors: eight bytes of length, a JSON header, then the tensors' bytes without gaps.

That is all there is to the format, so its own library, which maps files into memory, is not needed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from gradflow.counts import many
from gradflow.files.opening import RegularFile
from gradflow.weights.tensors import (
    Array,
    Stored,
    Tensors,
    decode,
    element_count,
    itemsize,
    named,
    refuse,
)

MAX_HEADER = 8 << 20
"""About a hundred bytes serve a tensor; parsed JSON takes thirty times its length in memory."""

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


class _DamagedError(ValueError):
    """What is wrong with a header."""


@dataclass(frozen=True)
class _Entry:
    """One tensor of the header: its bytes are `begin` to `end` of those after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read(file: RegularFile) -> Tensors:
    """The tensors of a `.safetensors` file. Raises InputError."""
    try:
        start, size, header = _header(file)
        entries = list(_entries(header))
        _check_layout(entries, size)
    except (_DamagedError, RecursionError) as error:
        message = (
            str(error) if isinstance(error, _DamagedError) else "the header is nested too deeply"
        )
        raise refuse(file.source, message) from None
    stored = {e.name: Stored(e.shape, e.dtype, partial(_load, file, start, e)) for e in entries}
    return Tensors(file.source, stored, format="safetensors")


def _header(file: RegularFile) -> tuple[int, int, dict[str, Any]]:
    """Where the tensors' bytes start, how many there are, and the parsed header."""
    size = file.size
    length = int.from_bytes(file.read_at(0, min(8, size)), "little")
    if length > min(size - 8, MAX_HEADER):
        most = f"at most {MAX_HEADER:,} and within the file of {size:,} bytes"
        raise _DamagedError(f"damaged, or cut short: expected a header {most}, found {length:,}")
    text = file.read_at(8, length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique)
    except _DamagedError:
        raise
    except ValueError as error:
        raise _DamagedError(f"the header is not JSON ({error})"[:160]) from None
    if not isinstance(header, dict):
        raise _DamagedError("the header is not a JSON object")
    return 8 + length, size - 8 - length, header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused where a key comes twice."""
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _DamagedError(f"the header names {named(twice)} twice")
    return result


def _entries(header: dict[str, Any]) -> Iterator[_Entry]:
    """The tensors of the header, each checked by itself."""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]}:
                pass
            case _:
                raise _DamagedError(f"tensor {named(name)}: expected dtype, shape and data_offsets")
        count, dtype = element_count(shape), _DTYPES.get(dtype, dtype)
        if count is None or element_count([begin, end]) is None:
            raise _DamagedError(f"tensor {named(name)} has an impossible shape or position")
        size = itemsize(dtype)
        if end < begin or (size is not None and count * size != end - begin):
            room = many(end - begin, "byte")
            message = f"shape {named(shape)} of {named(dtype)} does not fill its {room}"
            raise _DamagedError(f"tensor {named(name)}: {message}")
        yield _Entry(name, dtype, tuple(shape), begin, end)


def _check_layout(entries: list[_Entry], size: int) -> None:
    """Raises unless the tensors lie one after the other and fill the bytes there."""
    position = 0
    for entry in sorted(entries, key=lambda e: (e.begin, e.end)):
        if entry.begin != position:
            what = "overlaps the one before" if entry.begin < position else "leaves a gap before"
            raise _DamagedError(f"tensor {named(entry.name)} {what} it at byte {entry.begin:,}")
        position = entry.end
    if position != size:
        message = f"the tensors take {many(position, 'byte')}, and {size:,} follow the header"
        raise _DamagedError(f"damaged, or cut short: {message}")


def _load(file: RegularFile, start: int, entry: _Entry) -> Array:
    """The numbers of one tensor."""
    if itemsize(entry.dtype) is None:
        message = f"holds {named(entry.dtype)} numbers; expected float16, bfloat16, float32, ..."
        raise refuse(file.source, f"tensor {named(entry.name)} {message}")
    data = file.read_at(start + entry.begin, entry.end - entry.begin)
    return decode(data, entry.dtype).reshape(entry.shape)
