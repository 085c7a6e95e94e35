"""Zip archives (`.npz`, `.pt`, `.keras`), with one guard against what one can claim."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from gradflow.errors import Fault, InputError
from gradflow.files.opening import RegularFile

MAX_BYTES = 2 << 30
"""The most that compressed members may unpack to."""

MAX_RATIO = 100
"""What a file may claim to unpack to, as a multiple of its size (deflate can do 1032)..."""

FREE_BYTES = 64 << 20
"""...unless it is this little: a long constant series compresses that well, and does no harm."""

_MAX_DIRECTORY = 8 << 20
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError, NotImplementedError),
)


class _Directory(io.RawIOBase):
    """What zipfile reads a file through: it takes the directory, of a length that the archive
    claims, in one call."""

    def __init__(self, file: RegularFile) -> None:
        self.file, self.bounded = file, True

    def read(self, size: int | None = -1) -> bytes:
        if self.bounded and size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too long")
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


class Archive:
    """A zip of unique members that claims no more than honest data can unpack to.

    `kind` is what messages call it. Raises InputError where it is none or is damaged.
    """

    def __init__(self, file: RegularFile, kind: str) -> None:
        self.file, self.kind = file, kind
        with self._damage(f"not {kind}, or a damaged one"):
            directory = _Directory(file)
            self._zip = zipfile.ZipFile(directory)
            directory.bounded = False
        self.members = {member.filename: member for member in self._zip.infolist()}
        """By name, in their order."""
        self._check_claims()

    def unique(self) -> None:
        """Raises InputError where two members have one name."""
        if len(self.members) < len(self._zip.infolist()):
            name, times = self.repeated()[0]
            message = f"member {name[:100]!r} is there {times} times, expected once"
            raise self.file.refused(message)

    def repeated(self) -> list[tuple[str, int]]:
        """The names that come more than once, and how often."""
        count = Counter(member.filename for member in self._zip.infolist())
        return [(name, times) for name, times in count.most_common() if times > 1]

    def read(self, name: str, most: int) -> bytes:
        """A whole member, of at most `most` bytes."""
        if self.members[name].file_size > most:
            raise self.file.refused(f"its {name[:100]} is longer than {most:,} bytes")
        with self.open(name) as member:
            return member.read(most)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member to be read from its start; its checksum is verified at its end."""
        with self._damage(f"member {name[:100]!r} is damaged"), self._zip.open(name) as member:
            yield member

    def start(self, name: str) -> int:
        """Where in the file the bytes of an uncompressed member begin."""
        self.check_stored(name)
        member, what = self.members[name], f"member {name[:100]!r}"
        head = self.file.read_at(member.header_offset, 30)
        if head[:4] != b"PK\3\4":
            raise self.file.refused(f"damaged, or cut short: {what} is not where it should be")
        lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        start = member.header_offset + 30 + lengths
        if start + member.file_size > self.file.size:
            raise self.file.refused(f"{what} claims more bytes than the file has")
        return start

    def check_stored(self, name: str, remedy: str = "save the file uncompressed") -> None:
        """Raises InputError where a member is compressed, or claims more bytes than there are."""
        member, what = self.members[name], f"member {name[:100]!r}"
        if member.compress_type != zipfile.ZIP_STORED:
            raise self.file.refused(f"{what} is compressed: {remedy}")
        if not member.file_size == member.compress_size <= self.file.size:
            raise self.file.refused(f"{what} claims more bytes than the file has")

    def _check_claims(self) -> None:
        members = self._zip.infolist()
        packed = sum(m.file_size for m in members if m.compress_type != zipfile.ZIP_STORED)
        claimed = sum(member.file_size for member in members)
        size = self.file.size
        if claimed > max(FREE_BYTES, MAX_RATIO * size) or packed > MAX_BYTES:
            raise self.file.refused(
                f"the file of {size:,} bytes claims to unpack to {claimed:,}: expected at most"
                f" {MAX_RATIO} times its size and {MAX_BYTES:,}; save it again uncompressed"
            )

    @contextmanager
    def _damage(self, what: str) -> Iterator[None]:
        """Errors of zipfile as InputError."""
        try:
            yield
        except InputError:
            raise
        except _ERRORS as error:
            reason = str(error).split("\n")[0][:120]
            raise InputError(Fault(f"{what} ({reason})", self.file.source)) from None
