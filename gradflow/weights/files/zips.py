"""Zip archives that keep their members uncompressed, as PyTorch's and Keras's do."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradflow.files.npfiles import open_regular
from gradflow.weights.tensors import named, refuse

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError, NotImplementedError),
)

_MAX_DIRECTORY = 16 << 20


class _Bounded(io.FileIO):
    """zipfile reads an archive's directory in one call, of a length that the archive claims."""

    bounded = True

    def read(self, size: int | None = -1) -> Any:
        if self.bounded and size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too long")
        return super().read(-1 if size is None else size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive whose members are unique.

    Raises InputError where one is not, and where what is done with it shows it to be damaged.
    """
    source = str(path)
    with open_regular(path, source) as file:
        try:
            bounded = _Bounded(file.fileno(), closefd=False)
            with zipfile.ZipFile(bounded) as archive:
                bounded.bounded = False
                names = Counter(archive.namelist())
                name, times = names.most_common(1)[0] if names else ("", 0)
                if times > 1:
                    message = f"member {named(name)} is there {times} times, expected once"
                    raise refuse(source, message)
                yield archive
        except ZIP_ERRORS as error:
            reason = str(error).split("\n")[0][:120]
            raise refuse(source, f"damaged, or cut short: {reason}") from None


def check_stored(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises InputError unless all members are uncompressed and claim no more than the file has."""
    size = path.stat().st_size
    for member in archive.infolist():
        what = f"member {named(member.filename)}"
        if member.compress_type != zipfile.ZIP_STORED:
            raise refuse(str(path), f"{what} is compressed: save the file uncompressed")
        if member.file_size != member.compress_size or member.file_size > size:
            raise refuse(str(path), f"{what} claims more bytes than the file has")
