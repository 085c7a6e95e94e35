"""Pickles by themselves: PyTorch's format before 1.6, and pickled NumPy arrays."""

from __future__ import annotations

import io
from typing import Any

from gradflow.files.opening import Part, RegularFile
from gradflow.weights.readers.pickle_machine import unpickle
from gradflow.weights.readers.pickle_names import Encoded, PickleError, Raw, Storage
from gradflow.weights.readers.pickle_tensors import tensors_of
from gradflow.weights.tensors import Tensors, itemsize, refuse

_MAGIC = 0x1950A86A20F9469CFC6C
_MOST_NESTED = 4  # times the bytes of the file


def read(file: RegularFile) -> Tensors:
    """The tensors of a pickle: dictionaries within dictionaries give dotted names.

    Raises InputError.
    """
    whole = Part(file, 0, file.size)
    reader = io.BufferedReader(whole)
    storages = _Storages(file)
    try:
        content = unpickle(reader, file.size, nested=storages.nested)
        legacy = content == _MAGIC
        if legacy:
            content, named, keys = _legacy(reader, file.size)
            storages.add(whole, _spans(whole, named, keys, reader.tell()))
    except PickleError as error:
        raise refuse(file.source, str(error)) from None
    format = "PyTorch before 1.6" if legacy else "pickle"
    return tensors_of(whole, content, storages.size, storages.read, format)


def _legacy(reader: Any, size: int) -> tuple[Any, dict[str, Storage], Any]:
    """What is behind the number that PyTorch's old format begins with: the content, the
    storages that it names, and their keys in the order of the file."""
    unpickle(reader, size)  # the version of the format
    system = unpickle(reader, size)
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise PickleError("its numbers are big-endian; save it on a little-endian machine")
    named: dict[str, Storage] = {}
    content = unpickle(reader, size, named)
    return content, named, unpickle(reader, size)


class _Bytes(io.BytesIO):
    """Bytes of a pickle, as a file."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data, self.size = data, len(data)

    def read_at(self, start: int, count: int) -> bytearray:
        """Some of the bytes."""
        return bytearray(self.data[start : start + count])


_Source = Part | _Bytes


class _Storages:
    """The storages in or behind a pickle by key: where each begins, and its bytes."""

    def __init__(self, file: RegularFile) -> None:
        self.file = file
        self.spans: dict[str, tuple[_Source, int, int]] = {}
        self.looked_at = 0

    def add(self, source: _Source, spans: dict[str, tuple[int, int]]) -> None:
        """Adds those that begin somewhere in `source`."""
        for key, (start, size) in spans.items():
            self.spans[key] = source, start, size

    def nested(self, data: Any) -> Storage:
        """The one storage that is saved, in the old format, in bytes of a pickle."""
        source = self._source(data.text if isinstance(data, Encoded) else data)
        self.looked_at += source.size
        if self.looked_at > _MOST_NESTED * self.file.size:
            raise PickleError("it has the same storages many times over")
        reader = io.BufferedReader(source)
        if unpickle(reader, source.size) != _MAGIC:
            raise PickleError("a storage in it is not as PyTorch saves it")
        storage, named, keys = _legacy(reader, source.size)
        if not isinstance(storage, Storage) or list(named) != [storage.key]:
            raise PickleError("a storage in it is not as PyTorch saves it")
        span = _spans(source, named, keys, reader.tell())[storage.key]
        key = f"nested {len(self.spans)}"
        self.add(source, {key: span})
        return Storage(key, storage.dtype, storage.length)

    def _source(self, data: Any) -> _Source:
        """The bytes, or the text that encodes them, as a file."""
        if isinstance(data, Raw) and not data.is_text:
            return Part(self.file, data.start, data.length)
        if isinstance(data, Raw):
            data = self.file.read_at(data.start, data.length).decode("utf-8", "replace")
        if isinstance(data, str):
            data = data.encode("latin-1", "replace")
        if not isinstance(data, bytes):
            raise PickleError("a storage in it is no bytes")
        return _Bytes(data)

    def size(self, key: str) -> int | None:
        return self.spans[key][2] if key in self.spans else None

    def read(self, key: str, start: int, count: int) -> bytearray:
        """Some bytes of a storage."""
        source, at, _ = self.spans[key]
        return source.read_at(at + start, count)


def _spans(
    file: _Source, storages: dict[str, Storage], keys: Any, at: int
) -> dict[str, tuple[int, int]]:
    """Where each storage begins and its bytes: in the order of `keys`, each behind its length."""
    if not isinstance(keys, list) or not all(type(key) is str for key in keys):
        raise PickleError("its list of storages is damaged")
    spans: dict[str, tuple[int, int]] = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise PickleError("it has a storage that no tensor in it is on, of unknown length")
        size = storage.length * (itemsize(storage.dtype or "uint8") or 1)
        if at + 8 + size > file.size:
            raise PickleError("cut short: its last tensors are not in the file")
        if int.from_bytes(file.read_at(at, 8), "little") != storage.length:
            raise PickleError("damaged: a storage is not as long as its tensors say")
        spans[key] = at + 8, size
        at += 8 + size
    return spans
