"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from gradflow.errors import Fault, GradflowError, InputError


class WholeFile:
    """A file that takes its name only once all of it is on disk.

    Entering makes sure that the place can be written, before any work is done; leaving with an
    error, or without a call of `write`, leaves what was there before.

    Raises:
        InputError: the folder is missing or cannot be written, or the path is not a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._temporary: Path | None = None
        self._mode = 0o666 & ~_umask()

    def __enter__(self) -> WholeFile:
        if self._target.exists() and not self._target.is_file():
            what = "a folder" if self._target.is_dir() else "a device, pipe or socket"
            raise InputError(Fault(f"expected a file to write to, found {what}", str(self.path)))
        try:
            if self._target.exists():
                self._mode = self._target.stat().st_mode & 0o777
                self._target.open("r+b").close()  # a read-only file is not replaced
            handle, name = tempfile.mkstemp(
                dir=self._target.parent, prefix=f".{self._target.name}."
            )
        except OSError as error:
            raise InputError(
                Fault(f"cannot be written: {error.strerror}", str(self.path))
            ) from None
        os.close(handle)
        self._temporary = Path(name)
        return self

    def write(self, pieces: Iterable[str]) -> None:
        """Write the pieces as UTF-8 and move the file into place.

        Raises:
            GradflowError: the disk is full or fails.
        """
        if self._temporary is None:
            raise RuntimeError("write belongs inside the with block, once")
        try:
            with self._temporary.open("w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            self._temporary.chmod(self._mode)
            self._temporary.replace(self._target)
        except OSError as error:
            message = f"could not be written: {error.strerror}; nothing is changed"
            raise GradflowError(str(Fault(message, str(self.path)))) from None
        self._temporary = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
