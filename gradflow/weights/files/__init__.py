"""Files of trained parameters: one reader per format, all giving `Tensors`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from gradflow.files.npfiles import open_regular
from gradflow.weights.tensors import Tensors, named, refuse

READERS = {
    ".npz": "npz",
    ".safetensors": "safetensors",
    **dict.fromkeys([".pt", ".pth", ".ckpt"], "torch_pickle"),
    **dict.fromkeys([".h5", ".hdf5", ".keras"], "keras_h5"),
    ".onnx": "onnx",
}
"""The module of this package that reads a suffix, where the content does not tell."""

_MAX_NAME = 1000
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"


def read(path: Path) -> Tensors:
    """The tensors of a file of trained parameters, in whichever format it is.

    Raises InputError that names the file: not a regular file, no known format, damaged, or its
    reader not installed.
    """
    reader: Callable[[Path], Tensors] = import_module(f"{__name__}.{reader_of(path)}").read
    tensors = reader(path)
    for name in tensors:
        if not name.isprintable() or len(name) > _MAX_NAME:
            message = f"expected printable names of at most {_MAX_NAME} characters for tensors"
            raise refuse(str(path), f"{message}, found {named(name)}")
    return tensors


def reader_of(path: Path) -> str:
    """The reader's name: the content decides, then the suffix."""
    source = str(path)
    with open_regular(path, source) as file:
        head = file.read(4096)
    if head.startswith(b"PK\3\4"):
        return _zip_format(path, head)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras_h5"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:
        return "safetensors"
    suffix = path.suffix.lower()
    if head.startswith(b"\x93NUMPY"):
        raise refuse(source, "a single array without a name: save all parameters with numpy.savez")
    if head.startswith(_LEGACY_TORCH) or (head[:1] == b"\x80" and head[1:2] <= b"\5"):
        raise refuse(
            source,
            "a bare pickle, PyTorch's format before 1.6, is not read: load it where you trust it,"
            " and torch.save its state dict again",
        )
    if suffix not in READERS:
        raise refuse(source, f"expected one of {', '.join(READERS)}, found neither by its content")
    return READERS[suffix]


def _zip_format(path: Path, head: bytes) -> str:
    """Which of the zip formats a file is, by the name of its first member, then its suffix."""
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length]
    if first.endswith(b".npy"):
        return "npz"
    if first in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "keras_h5"
    if first.endswith((b"/data.pkl", b"/version", b"/byteorder", b"/.format_version")):
        return "torch_pickle"
    named_by_suffix = READERS.get(path.suffix.lower(), "torch_pickle")
    return named_by_suffix if named_by_suffix != "safetensors" else "torch_pickle"
