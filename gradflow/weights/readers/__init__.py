"""Files of trained parameters: one reader per format, all giving `Tensors`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from gradflow.files.opening import RegularFile, open_regular
from gradflow.weights.readers.unread import unread
from gradflow.weights.tensors import MAX_NAME, Tensors, named, refuse


def _never(head: bytes) -> bool:
    return False


class Reader(NamedTuple):
    """A format of files.

    Attributes:
        name: of the module of this package whose `read` gives the tensors.
        suffixes: of its files.
        is_surely: whether a file of any name is one, by its first bytes.
        is_likely: whether it may be one by them, where neither they nor its suffix say that it is
            another.
    """

    name: str
    suffixes: tuple[str, ...]
    is_surely: Callable[[bytes], bool] = _never
    is_likely: Callable[[bytes], bool] = _never


def begins(*starts: bytes) -> Callable[[bytes], bool]:
    """Whether a file begins with one of these."""
    return lambda head: head.startswith(starts)


def zipped(*ends: bytes) -> Callable[[bytes], bool]:
    """Whether a file is a zip whose first member has a name that ends so."""

    def fits(head: bytes) -> bool:
        length = int.from_bytes(head[26:28], "little")
        return head.startswith(_ZIP) and head[30 : 30 + length].endswith(ends)

    return fits


_ZIP, _HDF5 = b"PK\3\4", b"\x89HDF\r\n\x1a\n"
_KERAS = zipped(b"metadata.json", b"config.json", b"model.weights.h5")
_TORCH = zipped(b"/data.pkl", b"/version", b"/byteorder", b"/.format_version")


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40


def _is_pickle(head: bytes) -> bool:
    return head[:1] == b"\x80" and head[1:2] <= b"\5"


READERS = (
    Reader("npz", (".npz",), zipped(b".npy")),
    Reader("safetensors", (".safetensors",), is_likely=_is_safetensors),
    Reader("torch_zip", (".pt", ".pth", ".ckpt"), _TORCH, is_likely=begins(_ZIP)),
    Reader("pickles", (".pkl", ".pickle"), is_likely=_is_pickle),
    Reader(
        "keras_h5", (".h5", ".hdf5", ".keras"), lambda head: _KERAS(head) or head.startswith(_HDF5)
    ),
    Reader("flax_msgpack", (".msgpack",)),
    Reader("onnx", (".onnx",)),
)
"""Every format that is read: a new one is a line here."""


def suffixes() -> dict[str, Reader]:
    """The format that each suffix stands for."""
    return {suffix: reader for reader in READERS for suffix in reader.suffixes}


_HEAD = 4096


def read(path: Path) -> Tensors:
    """The tensors of a file of trained parameters, in whichever format it is.

    The file is opened once, and a tensor read from it when it is looked up: one that is written to
    in the meantime is refused, one that is replaced by another is still the one opened.

    Raises InputError that names the file: not a regular file, no known format, damaged, or its
    reader not installed.
    """
    file = open_regular(path, str(path), suffixes())
    file.wait_until_written()
    name = _reader(file).name
    tensors: Tensors = import_module(f"{__name__}.{name}").read(file)
    file.check_unchanged()
    for name in tensors:
        if not name.isprintable() or len(name) > MAX_NAME:
            message = f"expected printable names of at most {MAX_NAME} characters for tensors"
            raise refuse(file.source, f"{message}, found {named(name)}")
    return tensors


def _reader(file: RegularFile) -> Reader:
    """The format of a file: what its content says for sure, then its suffix, unless the content
    looks like another format and the suffix's has a look as well, which it has not."""
    head = bytes(file.read_at(0, min(_HEAD, file.size)))
    suffix = file.path.suffix.lower()
    own = suffixes().get(suffix)
    others = READERS if own is None else (own, *READERS)
    for one in others:
        if one.is_surely(head):
            return one
    for one in others if own is None or own.is_likely is not _never else ():
        if one.is_likely(head):
            return one
    if head.startswith(b"\x93NUMPY"):
        message = "a single array without a name: save all parameters with numpy.savez"
        raise refuse(file.source, message)
    if advice := unread(head, suffix):
        raise refuse(file.source, advice)
    if own is None:
        known = ", ".join(suffixes())
        raise refuse(file.source, f"expected one of {known}, found none of them by its content")
    return own
