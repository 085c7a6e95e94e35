"""Flax's `.msgpack`: nested dictionaries whose leaves are arrays, as `flax.serialization` has them.

An array is an extension of type 1: its shape, dtype and bytes, packed once more. What is long
comes in pieces: a dictionary `{__msgpack_chunked_array__, shape, chunks}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.errors import GradflowError
from gradflow.files.opening import RegularFile
from gradflow.weights.readers.flax_head import Head, split
from gradflow.weights.readers.nested import leaves
from gradflow.weights.tensors import (
    Array,
    Stored,
    Tensors,
    decode,
    element_count,
    itemsize,
    named,
    optional,
    refuse,
)

_MAX_BYTES = 2 << 30
_MAX_ITEMS = 200_000
_ARRAY, _SCALAR = 1, 3  # the extensions that flax writes; 2 is a complex number
_MOST_SAID = 4096  # bytes that give shape and dtype of an array
_CHUNKED = "__msgpack_chunked_array__"
_SKIPPED = ("opt_state",)
"""Where flax's TrainState keeps the moments of its optimizer."""


class _DamagedError(ValueError):
    """What is wrong with the content."""


def read(file: RegularFile) -> Tensors:
    """The arrays by their path, with slashes, as in `params/lstm/hi/kernel`. Raises InputError."""
    msgpack = optional("msgpack", file.source)
    if file.size > _MAX_BYTES:
        raise refuse(file.source, f"longer than the {_MAX_BYTES:,} bytes that are read of it")
    made = _Made()
    try:
        head = Head(file)
        content = msgpack.unpackb(
            head.content,
            raw=False,
            strict_map_key=False,
            ext_hook=_Packed,
            object_pairs_hook=made.mapping,
            list_hook=made.sequence,
            max_map_len=_MAX_ITEMS,
            max_array_len=_MAX_ITEMS,
        )
        found = leaves(_children(content), _is_array, _children, "/", _DamagedError)
        stored = {name: _stored(msgpack, head, name, leaf) for name, leaf in found}
    except GradflowError:
        raise
    except _DamagedError as error:
        raise refuse(file.source, str(error)) from None
    except Exception as error:  # msgpack raises several that share no base
        reason = str(error).split("\n")[0][:120] or type(error).__name__
        raise refuse(file.source, f"not Flax's msgpack, or damaged: {reason}") from None
    if not stored:
        raise refuse(file.source, "holds no tensors")
    return Tensors(file.source, stored, format="Flax msgpack")


class _Packed:
    """An extension; its data is the index of its span."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code, self.data = code, data


class _Made:
    """Makes the containers, and no more than a file of parameters needs."""

    def __init__(self) -> None:
        self.items = 0

    def count(self, items: int) -> None:
        self.items += 1 + items
        if self.items > _MAX_ITEMS:
            raise _DamagedError(f"it has more than {_MAX_ITEMS:,} items")

    def sequence(self, items: list[Any]) -> list[Any]:
        self.count(len(items))
        return items

    def mapping(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        """By the text of its keys: numbers could be made to have one hash."""
        self.count(len(pairs))
        found = {str(k): v for k, v in pairs if isinstance(k, str | int)}
        if len(found) < len(pairs):
            raise _DamagedError("a mapping in it has a key twice, or one that is no name")
        return found


def _is_array(value: Any) -> bool:
    return isinstance(value, _Packed) or (isinstance(value, dict) and _CHUNKED in value)


def _children(value: Any, _: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((str(i), item) for i, item in enumerate(value))
    elif isinstance(value, dict):
        yield from (item for item in value.items() if item[0] not in _SKIPPED)


def _stored(msgpack: Any, head: Head, name: str, leaf: Any) -> Stored:
    """One array, once its bytes are known to be what its shape asks for."""
    pieces = [leaf]
    shape: Any = None
    if isinstance(leaf, dict):
        pieces, shape = list(_in_order(leaf.get("chunks"))), tuple(_in_order(leaf.get("shape")))
    parts = [_array(msgpack, head, name, piece) for piece in pieces]
    dtypes = {dtype for _, dtype, _ in parts}
    if len(dtypes) != 1:
        raise _DamagedError(f"tensor {named(name)} has no numbers of one type")
    shape = parts[0][0] if shape is None else shape
    count = element_count(shape)
    if count is None or count != sum(math.prod(part) for part, _, _ in parts):
        raise _DamagedError(f"tensor {named(name)} has an impossible shape {named(shape)}")
    dtype = dtypes.pop()
    return Stored(
        shape, dtype, partial(_load, head.file, name, shape, dtype, [d for *_, d in parts])
    )


def _in_order(value: Any) -> Iterator[Any]:
    """Flax writes lists as mappings of `0`, `1`, ..."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from (value[str(i)] for i in range(len(value)))


def _array(
    msgpack: Any, head: Head, name: str, packed: Any
) -> tuple[tuple[int, ...], str, tuple[int, int]]:
    """Shape and dtype of one extension, and where its bytes lie: from where on, how many."""
    problem = _DamagedError(f"tensor {named(name)} is not an array as Flax writes it")
    if not isinstance(packed, _Packed) or packed.code not in (_ARRAY, _SCALAR):
        raise problem
    start, length = head.spans[int.from_bytes(packed.data, "big")]
    try:
        said, behind, there = split(bytes(head.file.read_at(start, min(length, _MOST_SAID))))
    except (ValueError, IndexError):
        raise problem from None
    match msgpack.unpackb(said, raw=True):
        case [list(lengths), bytes(kind)] if behind + there == length:
            shape, dtype = tuple(lengths), kind.decode("latin-1")
        case _:
            raise problem
    count, size = element_count(shape), itemsize(dtype)
    if count is None or (size is not None and count * size != there):
        message = f"claims shape {named(shape)} of {named(dtype)}, found {many(there, 'byte')}"
        raise _DamagedError(f"tensor {named(name)} {message}")
    return shape, dtype, (start + behind, there)


def _load(
    file: RegularFile, name: str, shape: tuple[int, ...], dtype: str, spans: list[tuple[int, int]]
) -> Array:
    """The numbers of one array."""
    if itemsize(dtype) is None:
        raise refuse(file.source, f"tensor {named(name)} holds {named(dtype)} numbers")
    pieces = [decode(file.read_at(*span), dtype) for span in spans]
    return np.concatenate(pieces).reshape(shape)
