"""Keras's HDF5 files: `.weights.h5`, whole models in `.h5` and `.hdf5`, and `.keras` archives.

Only datasets are read; no model is ever loaded, and no link out of the file is followed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.errors import GradflowError
from gradflow.files.opening import Part, RegularFile
from gradflow.files.zips import Archive
from gradflow.weights.readers.in_time import Alive, in_time
from gradflow.weights.tensors import (
    Array,
    Stored,
    Tensors,
    named,
    optional,
    refuse,
    widen_bfloat16,
)

_OPTIMIZER = ("optimizer/", "optimizer_weights/")
_MEMBER = "model.weights.h5"
_MAX_CONFIG = 16 << 20
_MAX_RATIO = 100
_MAX_DEPTH = 100
_FREE_BYTES = 16 << 20


@dataclass(frozen=True)
class _Dataset:
    """Numbers of a file: where they lie, `start` being None if only HDF5 knows."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored_as: str
    nbytes: int
    start: int | None


def read(file: RegularFile) -> Tensors:
    """The tensors of an HDF5 file or a `.keras` archive (the optimizer's left out).

    Raises InputError.
    """
    optional("h5py", file.source)
    part, config, version = _hdf5_part(file)
    message = "the HDF5 file is damaged: its texts cannot be read to their end"
    datasets, attributes = in_time(
        partial(_contents, part, config, version), refuse(file.source, message)
    )
    if not datasets:
        raise refuse(file.source, "holds no tensors")
    stored = {d.name: Stored(d.shape, d.dtype, partial(_load, part, d)) for d in datasets}
    return Tensors(file.source, stored, attributes, "Keras HDF5")


def _hdf5_part(file: RegularFile) -> tuple[Part, str | None, str | None]:
    """The HDF5 file, in a `.keras` archive or by itself, and what else an archive has:
    the configuration, and the version of Keras that its metadata has."""
    if file.read_at(0, min(4, file.size)) != b"PK\3\4":
        return Part(file, 0, file.size), None, None
    archive = Archive(file, "a Keras archive")
    archive.unique()
    if _MEMBER not in archive.members:
        raise refuse(file.source, f"not a Keras archive: it has no {_MEMBER}")
    config, metadata = None, None
    if "config.json" in archive.members:
        config = archive.read("config.json", _MAX_CONFIG).decode("utf-8", "replace")
    if "metadata.json" in archive.members:
        text = archive.read("metadata.json", _MAX_CONFIG).decode("utf-8", "replace")
        metadata = _parse(text, file.source)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    part = Part(file, archive.start(_MEMBER), archive.members[_MEMBER].file_size)
    return part, config, version if isinstance(version, str) else None


@contextmanager
def _open(part: Part) -> Iterator[Any]:
    """The HDF5 file as h5py has it."""
    h5py = optional("h5py", part.file.source)
    try:
        with h5py.File(part, "r") as file:
            yield file
    except GradflowError:
        raise
    except Exception as error:  # h5py raises almost anything on a damaged file
        reason = str(error).split("\n")[0][:120]
        message = f"the HDF5 file is damaged, or cut short: {reason}"
        raise refuse(part.file.source, message) from None


def _contents(
    part: Part, config: str | None, version: str | None, alive: Alive
) -> tuple[list[_Dataset], dict[str, Any]]:
    """What there is to read, and what the file says of it."""
    source = part.file.source
    datasets: list[_Dataset] = []
    groups: dict[str, str] = {}

    def visit(name: str, found: Any) -> None:
        alive()
        if name.count("/") > _MAX_DEPTH:  # each is looked up from the top
            raise refuse(source, f"its groups are nested more than {_MAX_DEPTH} deep")
        if name.startswith(_OPTIMIZER):
            return
        if not hasattr(found, "dtype"):
            if label := _attribute(found, "name"):
                groups[name] = label
        elif dtype := _dtype(found):
            if fault := _fault(found):
                raise refuse(source, f"dataset {named(name)} {fault}")
            datasets.append(_described(name, dtype, found))

    with _open(part) as file:
        file.visititems(visit)
        model = file.get("model_weights", file)
        version = version or _attribute(file, "keras_version")
        version = version or _attribute(model, "keras_version")
        layers = _names(model, "layer_names")
        config = config or _attribute(file, "model_config")
    claimed = sum(dataset.nbytes for dataset in datasets)
    if claimed > max(_FREE_BYTES, _MAX_RATIO * part.size):
        message = f"its datasets claim {many(claimed, 'byte')} of a file of {part.size:,}"
        raise refuse(source, message)
    attributes = {
        "config": _parse(config, source),
        "keras_version": version,
        "groups": groups,
        "layers": layers,
    }
    return datasets, attributes


def _dtype(dataset: Any) -> str | None:
    """The dtype of a dataset of numbers; None for strings, references and the like."""
    if _attribute(dataset, "dtype") == "bfloat16" and dataset.dtype.itemsize == 2:
        return "bfloat16"
    dtype = dataset.dtype
    is_whole = dtype.kind in "biuf" or (  # a complex number is a compound, its parts r and i
        dtype.kind == "c" and dtype.itemsize == dataset.id.get_type().get_size()
    )
    return dtype.name if is_whole and dataset.shape is not None else None


def _fault(dataset: Any) -> str | None:
    """Why a dataset is not read."""
    if dataset.is_virtual or dataset.external:
        return "keeps its numbers in other files, which are not read"
    needed, there = dataset.nbytes, dataset.id.get_storage_size()
    most = there
    if dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters():
        most = max(_MAX_RATIO * there, _FREE_BYTES)
        lengths = zip(dataset.shape, dataset.chunks, strict=True)
        if dataset.id.get_num_chunks() < math.prod(-(-n // chunk) for n, chunk in lengths):
            most = there  # some were never written
    if needed > most:
        return f"claims {many(needed, 'byte')} of numbers, and the file has {there:,} for it"
    return None


def _described(name: str, dtype: str, dataset: Any) -> _Dataset:
    start = dataset.id.get_offset() if dataset.chunks is None else None
    stored_as = "<u2" if dtype == "bfloat16" else dataset.dtype.str
    return _Dataset(name, dataset.shape, dtype, stored_as, dataset.nbytes, start)


def _load(part: Part, dataset: _Dataset) -> Array:
    """The numbers of one dataset: from where they lie, or where they are compressed by h5py."""
    if dataset.start is None:
        with _open(part) as file:
            array = file[dataset.name][()]
        part.file.check_unchanged()
        array = np.asarray(array).view(dataset.stored_as)
    else:
        data = part.read_at(dataset.start, dataset.nbytes)
        array = np.frombuffer(data, dataset.stored_as).reshape(dataset.shape)
    if dataset.dtype == "bfloat16":
        return widen_bfloat16(array)
    return np.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def _attribute(found: Any, name: str) -> str | None:
    """An HDF5 attribute that is a string. Its type is looked at first: HDF5 itself can read for
    ever where a damaged file has given it another."""
    if name not in found.attrs:
        return None
    attribute = found.attrs.get_id(name)
    h5py = optional("h5py", name)
    if attribute.shape != () or h5py.check_string_dtype(attribute.dtype) is None:
        return None
    value = found.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _names(found: Any, name: str) -> tuple[str, ...]:
    """An HDF5 attribute that is a list of strings; empty if there is none."""
    if name not in found.attrs:
        return ()
    attribute = found.attrs.get_id(name)
    if len(attribute.shape) != 1 or attribute.dtype.kind != "S":
        return ()
    return tuple(value.decode("utf-8", "replace") for value in found.attrs[name])


def _parse(config: str | None, source: str) -> Any:
    """The model's configuration, None where the file has none."""
    try:
        return json.loads(config) if config else None
    except (ValueError, RecursionError) as error:
        raise refuse(source, f"the model's config in it is not JSON ({error})"[:160]) from None
