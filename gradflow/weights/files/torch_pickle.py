"""PyTorch's `.pt` and `.pth`: a zip of one pickle that describes tensors, and their storages."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradflow.weights.files.state_pickle import MAX_BYTES, PickleError, View, unpickle
from gradflow.weights.files.zips import check_stored, open_zip
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

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which checkpoints keep the model beside the optimizer and the like."""

_MAX_DEPTH = 8
_MAX_NAME = 1000
_MAX_REPEATED = 1 << 20
"""A view may repeat elements (`expand`), but not to make much out of nothing."""


def read(path: Path) -> Tensors:
    """The tensors of a PyTorch state dict or of a checkpoint that wraps one.

    Dictionaries within dictionaries give dotted names. Raises InputError.
    """
    source = str(path)
    with open_zip(path) as archive:
        try:
            root = _root(archive)
            check_stored(archive, path)
            content = _content(archive, root)
            _check_views(content, archive, root)
        except PickleError as error:
            raise refuse(source, str(error)) from None
    stored = {n: Stored(v.shape, v.dtype, partial(_load, path, root, n, v)) for n, v in content}
    if len(stored) < len(content):
        raise refuse(source, "two of its tensors have the same dotted name")
    return Tensors(source, stored)


def _root(archive: zipfile.ZipFile) -> str:
    """The folder that all members are in."""
    members = archive.namelist()
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise PickleError("not a PyTorch file: expected one data.pkl in the archive")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in members:
        raise PickleError(
            "a TorchScript program: save its parameters with"
            " torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        )
    return root


def _content(archive: zipfile.ZipFile, root: str) -> list[tuple[str, View]]:
    """The tensors by name."""
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder")[:4] != b"litt":
        raise PickleError("its numbers are big-endian; save it on a little-endian machine")
    if archive.getinfo(f"{root}data.pkl").file_size > MAX_BYTES:
        raise PickleError(f"its pickle is longer than {MAX_BYTES:,} bytes")
    content = list(_flatten(_unwrap(unpickle(archive.read(f"{root}data.pkl")))))
    if not content:
        raise PickleError("expected a dictionary of tensors, found no tensor")
    return content


def _unwrap(content: Any) -> Any:
    """The state dict in a checkpoint."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(content, dict):
            break
        inner = next((content[w] for w in WRAPPERS if isinstance(content.get(w), dict)), None)
        if inner is None:
            break
        content = inner
    return content


def _flatten(content: Any) -> Iterator[tuple[str, View]]:
    """The tensors in nested dictionaries by dotted name; each dictionary is visited once."""
    levels, seen = [("", content)], {id(content)}
    for _ in range(_MAX_DEPTH):
        inner = []
        for prefix, dictionary in levels:
            for key, value in dictionary.items() if isinstance(dictionary, dict) else ():
                if isinstance(value, View | dict) and len(prefix) + len(str(key)) > _MAX_NAME:
                    raise PickleError(f"a name in it is longer than {_MAX_NAME} characters")
                if isinstance(value, View):
                    yield f"{prefix}{key}", value
                elif isinstance(value, dict) and id(value) not in seen:
                    seen.add(id(value))
                    inner.append((f"{prefix}{key}.", value))
        levels = inner


def _check_views(content: list[tuple[str, View]], archive: zipfile.ZipFile, root: str) -> None:
    """Raises where a tensor is not what its storage can hold."""
    sizes = {m.filename: m.file_size for m in archive.infolist()}
    for name, view in content:
        if fault := _view_fault(view, sizes.get(f"{root}data/{view.storage.key}")):
            raise PickleError(f"tensor {named(name)} {fault}")


def _view_fault(view: View, there: int | None) -> str | None:
    """What is wrong with a tensor on a storage for which `there` bytes are in the archive."""
    if not isinstance(view.shape, tuple) or not isinstance(view.strides, tuple):
        return "has no shape"
    count = element_count(view.shape)
    placed = None not in (element_count(view.strides), element_count([view.offset]))
    if count is None or not placed or len(view.shape) != len(view.strides):
        return f"has an impossible shape {named(view.shape)} or strides {named(view.strides)}"
    size = itemsize(view.dtype)
    if size is None:
        return None  # listed, and refused only where it is used
    length = view.storage.length // (1 if view.storage.dtype else size)
    if there != length * size:
        found = "is not in the file" if there is None else f"has {there:,}"
        return f"needs a storage of {length * size:,} bytes, which {found}: cut short?"
    last = view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
    if count and last >= length:
        return f"reaches element {last:,} of a storage of {length:,}"
    if count > max(length, _MAX_REPEATED):
        return f"claims {count:,} elements from a storage of {length:,}"
    return None


def _load(path: Path, root: str, name: str, view: View) -> Array:
    """The numbers of one tensor."""
    size = itemsize(view.dtype)
    if size is None:
        raise refuse(str(path), f"tensor {named(name)} holds {named(view.dtype)} numbers")
    with open_zip(path) as archive:
        flat = decode(archive.read(f"{root}data/{view.storage.key}"), view.dtype)
    strides = [s * flat.itemsize for s in view.strides]
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides).copy()
