"""PyTorch's `.pt` and `.pth`, TorchScript too: a zip of one pickle that describes tensors, and
their storages; before 1.6 that was no zip."""

from __future__ import annotations

import io
import zlib

from gradflow.files.opening import Part, RegularFile
from gradflow.files.zips import Archive
from gradflow.weights.readers import pickles
from gradflow.weights.readers.pickle_machine import unpickle
from gradflow.weights.readers.pickle_names import PickleError
from gradflow.weights.readers.pickle_tensors import tensors_of
from gradflow.weights.readers.unread import unread_zip
from gradflow.weights.tensors import Tensors, named, refuse

_AGAIN = 'torch.save(torch.load(FILE, weights_only=True, map_location="cpu"), OTHER)'
MAX_PICKLE = 32 << 20


def read(file: RegularFile) -> Tensors:
    """The tensors of a PyTorch state dict, of a checkpoint that wraps one, of a module.

    Dictionaries within dictionaries give dotted names. Raises InputError.
    """
    if file.read_at(0, min(4, file.size)) != b"PK\3\4":
        return pickles.read(file)
    archive = Archive(file, "a PyTorch file")
    archive.unique()
    root = _root(archive)
    _check_stored(archive, root)
    if f"{root}byteorder" in archive.members and archive.read(f"{root}byteorder", 16)[:1] == b"b":
        raise refuse(file.source, "its numbers are big-endian; save it on a little-endian machine")
    data = archive.read(f"{root}data.pkl", MAX_PICKLE)
    try:
        content = unpickle(io.BytesIO(data), len(data))
    except PickleError as error:
        raise refuse(file.source, str(error)) from None
    storages = _Storages(archive, f"{root}data/")
    script = f"{root}constants.pkl" in archive.members
    format = "TorchScript" if script else "PyTorch"
    pickled = Part(file, archive.start(f"{root}data.pkl"), len(data))
    return tensors_of(pickled, content, storages.size, storages.read, format)


class _Storages:
    """The storages in an archive, by key."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self.archive, self.folder = archive, folder

    def size(self, key: str) -> int | None:
        member = self.archive.members.get(self.folder + key)
        return None if member is None else member.file_size

    def read(self, key: str, start: int, count: int) -> bytearray:
        """Some bytes of a storage; of a whole one the checksum is verified."""
        member = self.archive.members[self.folder + key]
        data = self.archive.file.read_at(self.archive.start(self.folder + key) + start, count)
        if count == member.file_size and zlib.crc32(data) != member.CRC:
            message = f"damaged: the CRC of member {named(member.filename)} does not hold"
            raise refuse(self.archive.file.source, message)
        return data


def _root(archive: Archive) -> str:
    """The folder that all members are in."""
    pickles = [n for n in archive.members if n.count("/") == 1 and n.endswith("/data.pkl")]
    if len(pickles) != 1:
        message = "not a PyTorch file: expected one data.pkl in the archive"
        other = "" if pickles else f"; {unread_zip(archive.members)}"
        raise refuse(archive.file.source, message + other)
    return pickles[0].removesuffix("data.pkl")


def _check_stored(archive: Archive, root: str) -> None:
    """Raises InputError where what is read is compressed, or claims more bytes than the file has:
    the code of TorchScript, which is compressed, is not read."""
    for name in archive.members:
        if name == f"{root}data.pkl" or name.startswith(f"{root}data/"):
            archive.check_stored(name, f"save it again, {_AGAIN}")
