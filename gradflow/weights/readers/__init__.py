"""Files of trained parameters: one reader per format, all giving `Tensors`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from gradflow.files.opening import RegularFile, open_regular
from gradflow.weights.readers.unread import unread
from gradflow.weights.tensors import MAX_NAME, Tensors, named, refuse

READERS = {
    ".npz": "npz",
    ".safetensors": "safetensors",
    **dict.fromkeys([".pt", ".pth", ".ckpt"], "torch_zip"),
    **dict.fromkeys([".pkl", ".pickle"], "pickles"),
    **dict.fromkeys([".h5", ".hdf5", ".keras"], "keras_h5"),
    ".msgpack": "flax_msgpack",
    ".onnx": "onnx",
}
"""The module of this package that reads a suffix, if the content does not say so."""

_HEAD = 4096


def read(path: Path) -> Tensors:
    """The tensors of a file of trained parameters, in whichever format it is.

    The file is opened once, and a tensor read from it when it is looked up: one that is written to
    in the meantime is refused, one that is replaced by another is still the one opened.

    Raises InputError that names the file: not a regular file, no known format, damaged, or its
    reader not installed.
    """
    file = open_regular(path, str(path))
    file.wait_until_written()
    reader: Callable[[RegularFile], Tensors] = import_module(f"{__name__}.{_reader(file)}").read
    tensors = reader(file)
    file.check_unchanged()
    for name in tensors:
        if not name.isprintable() or len(name) > MAX_NAME:
            message = f"expected printable names of at most {MAX_NAME} characters for tensors"
            raise refuse(file.source, f"{message}, found {named(name)}")
    return tensors


def _reader(file: RegularFile) -> str:
    """The reader's name: the content decides, then the suffix."""
    head = bytes(file.read_at(0, min(_HEAD, file.size)))
    suffix = file.path.suffix.lower()
    if head.startswith(b"PK\3\4"):
        return _zip_format(head, suffix)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras_h5"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:
        return "safetensors"
    if head.startswith(b"\x93NUMPY"):
        message = "a single array without a name: save all parameters with numpy.savez"
        raise refuse(file.source, message)
    if head[:1] == b"\x80" and head[1:2] <= b"\5" and suffix not in (".onnx", ".msgpack"):
        return "pickles"
    if advice := unread(head, suffix):
        raise refuse(file.source, advice)
    if suffix in (".pt", ".pth", ".ckpt"):
        return "pickles"
    if suffix not in READERS:
        known = ", ".join(READERS)
        raise refuse(file.source, f"expected one of {known}, found none of them by its content")
    return READERS[suffix]


def _zip_format(head: bytes, suffix: str) -> str:
    """Which of the zip formats a file is, by the name of its first member, then its suffix."""
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length]
    if first.endswith(b".npy"):
        return "npz"
    if first in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "keras_h5"
    if first.endswith((b"/data.pkl", b"/version", b"/byteorder", b"/.format_version")):
        return "torch_zip"
    by_suffix = READERS.get(suffix, "torch_zip")
    return by_suffix if by_suffix in ("npz", "keras_h5") else "torch_zip"
