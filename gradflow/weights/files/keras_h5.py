"""Keras's HDF5 files: `.weights.h5`, whole models in `.h5` and `.hdf5`, and `.keras` archives.

Only datasets are read; no model is ever loaded, and no link out of the file is followed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gradflow.errors import GradflowError
from gradflow.files.npfiles import open_regular
from gradflow.weights.files.in_time import in_time
from gradflow.weights.files.zips import check_stored, open_zip
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
_FREE_BYTES = 16 << 20


def read(path: Path) -> Tensors:
    """The tensors of an HDF5 file or a `.keras` archive (the optimizer's left out).

    Raises InputError.
    """
    source = str(path)
    optional("h5py", source)
    message = "the HDF5 file is damaged: its texts cannot be read to their end"
    stored, attributes = in_time(partial(_read, path), refuse(source, message))
    return Tensors(source, stored, attributes)


def _read(path: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """What there is to read, and what the file tells of it."""
    source = str(path)
    with _open(path) as file:
        stored, groups = _contents(file, path)
        root = file.get("model_weights", file)
        version = _attribute(file, "keras_version") or _attribute(root, "keras_version")
        layers = _names(root, "layer_names")
        if _is_zip(path):
            config, version = _config_of_archive(path), _version_of_archive(path) or version
        else:
            config = _attribute(file, "model_config")
    if not stored:
        raise refuse(source, "holds no tensors")
    return stored, {
        "config": _parse(config, source),
        "keras_version": version,
        "groups": groups,
        "layers": layers,
    }


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The HDF5 file, in a `.keras` archive or by itself."""
    source = str(path)
    h5py = optional("h5py", source)
    try:
        if _is_zip(path):
            with open_zip(path) as archive:
                check_stored(archive, path)
                if _MEMBER not in archive.namelist():
                    raise refuse(source, f"not a Keras archive: it has no {_MEMBER}")
                with archive.open(_MEMBER) as member, h5py.File(member, "r") as file:
                    yield file
        else:
            with open_regular(path, source) as raw, h5py.File(raw, "r") as file:
                yield file
    except GradflowError:
        raise
    except Exception as error:  # h5py raises almost anything on a damaged file
        reason = str(error).split("\n")[0][:120]
        raise refuse(source, f"the HDF5 file is damaged, or cut short: {reason}") from None


def _is_zip(path: Path) -> bool:
    with open_regular(path, str(path)) as file:
        return file.read(4) == b"PK\3\4"


def _contents(file: Any, path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """The datasets of numbers, and the names that Keras 3 gives to groups."""
    stored: dict[str, Stored] = {}
    groups: dict[str, str] = {}

    def visit(name: str, found: Any) -> None:
        if name.startswith(_OPTIMIZER):
            return
        if not hasattr(found, "dtype"):
            if label := _attribute(found, "name"):
                groups[name] = label
        elif dtype := _dtype(found):
            if fault := _fault(found):
                raise refuse(str(path), f"dataset {named(name)} {fault}")
            stored[name] = Stored(found.shape, dtype, partial(_load, path, name, dtype))

    file.visititems(visit)
    return stored, groups


def _dtype(dataset: Any) -> str | None:
    """The dtype of a dataset of numbers; None for strings, references and the like."""
    if _attribute(dataset, "dtype") == "bfloat16" and dataset.dtype.itemsize == 2:
        return "bfloat16"
    return (
        str(dataset.dtype) if dataset.dtype.kind in "biuf" and dataset.shape is not None else None
    )


def _fault(dataset: Any) -> str | None:
    """Why a dataset is not read."""
    if dataset.is_virtual or dataset.external:
        return "keeps its numbers in other files, which are not read"
    needed, there = dataset.nbytes, dataset.id.get_storage_size()
    if needed > (there if dataset.chunks is None else max(_MAX_RATIO * there, _FREE_BYTES)):
        return f"claims {needed:,} bytes of numbers, and the file has {there:,} for it"
    return None


def _load(path: Path, name: str, dtype: str) -> Array:
    """The numbers of one dataset."""
    with _open(path) as file:
        array = file[name][()]
        return widen_bfloat16(array.view("<u2")) if dtype == "bfloat16" else array


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
    """An HDF5 attribute that is a list of strings; empty where there is none."""
    if name not in found.attrs:
        return ()
    attribute = found.attrs.get_id(name)
    if len(attribute.shape) != 1 or attribute.dtype.kind != "S":
        return ()
    return tuple(value.decode("utf-8", "replace") for value in found.attrs[name])


def _version_of_archive(path: Path) -> str | None:
    """The Keras that wrote an archive, which its metadata tells."""
    with open_zip(path) as archive:
        if "metadata.json" not in archive.namelist():
            return None
        if archive.getinfo("metadata.json").file_size > _MAX_CONFIG:
            raise refuse(str(path), f"its metadata.json is longer than {_MAX_CONFIG:,} bytes")
        metadata = _parse(archive.read("metadata.json").decode("utf-8", "replace"), str(path))
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else None


def _config_of_archive(path: Path) -> str | None:
    with open_zip(path) as archive:
        if "config.json" not in archive.namelist():
            return None
        if archive.getinfo("config.json").file_size > _MAX_CONFIG:
            raise refuse(str(path), f"its config.json is longer than {_MAX_CONFIG:,} bytes")
        return archive.read("config.json").decode()


def _parse(config: str | None, source: str) -> Any:
    """The model's configuration, None where the file has none."""
    try:
        return json.loads(config) if config else None
    except (ValueError, RecursionError) as error:
        raise refuse(source, f"the model's config in it is not JSON ({error})"[:160]) from None
