"""Pickles that stand by themselves: PyTorch's format before 1.6, and pickled NumPy arrays."""

from __future__ import annotations

import io
from typing import Any

from gradflow.files.opening import Part, RegularFile
from gradflow.weights.files.pickle_machine import unpickle
from gradflow.weights.files.pickle_names import PickleError, Storage
from gradflow.weights.files.pickle_tensors import tensors_of
from gradflow.weights.tensors import Tensors, itemsize, refuse

_MAGIC = 0x1950A86A20F9469CFC6C


def read(file: RegularFile) -> Tensors:
    """The tensors of a pickle: dictionaries within dictionaries give dotted names.

    Raises InputError.
    """
    whole = Part(file, 0, file.size)
    reader = io.BufferedReader(whole)
    try:
        content = unpickle(reader, file.size)
        if content != _MAGIC:
            return tensors_of(whole, content, lambda key: None, _none, "pickle")
        unpickle(reader, file.size)  # the version of the format
        system = unpickle(reader, file.size)
        if isinstance(system, dict) and system.get("little_endian") is False:
            raise PickleError("its numbers are big-endian; save it on a little-endian machine")
        named: dict[str, Storage] = {}
        content = unpickle(reader, file.size, named)
        keys = unpickle(reader, file.size)
        storages = _Storages(file, _places(file, named, keys, reader.tell()))
    except PickleError as error:
        raise refuse(file.source, str(error)) from None
    return tensors_of(whole, content, storages.size, storages.read, "PyTorch before 1.6")


class _Storages:
    """The storages behind the pickles, by key: where each begins, and its bytes."""

    def __init__(self, file: RegularFile, places: dict[str, tuple[int, int]]) -> None:
        self.file, self.places = file, places

    def size(self, key: str) -> int | None:
        return self.places[key][1] if key in self.places else None

    def read(self, key: str, start: int, count: int) -> bytearray:
        """Some bytes of a storage."""
        return self.file.read_at(self.places[key][0] + start, count)


def _places(
    file: RegularFile, storages: dict[str, Storage], keys: Any, at: int
) -> dict[str, tuple[int, int]]:
    """Where each storage begins and its bytes: in the order of `keys`, each behind its length."""
    if not isinstance(keys, list) or not all(type(key) is str for key in keys):
        raise PickleError("its list of storages is damaged")
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise PickleError("it has a storage that no tensor in it is on, of unknown length")
        size = storage.length * (itemsize(storage.dtype or "uint8") or 1)
        if at + 8 + size > file.size:
            raise PickleError("cut short: its last tensors are not in the file")
        if int.from_bytes(file.read_at(at, 8), "little") != storage.length:
            raise PickleError("damaged: a storage is not as long as its tensors say")
        places[key] = at + 8, size
        at += 8 + size
    return places


def _none(key: str, start: int, count: int) -> bytes:
    raise AssertionError("a pickle without storages has no view of one")
