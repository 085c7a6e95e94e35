"""Files that are written whole or not at all, and never over what the run reads."""

from __future__ import annotations

import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from gradflow.errors import Fault, GradflowError, InputError
from gradflow.machine import interrupts

_NAME = 40  # characters of its name that a temporary file shows: at most 160 of 255 bytes


class WholeFile:
    """A file that takes its name only once all of it is on disk.

    Entering makes sure that the file can be written, before any work is done; leaving with an
    error, or without a call of `write`, leaves what was there before.

    Raises:
        InputError: the folder is missing or cannot be written, or the path is not a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = Path(_real(path))  # a link stays a link
        self._temporary: str | None = None
        self._mode = 0o666 & ~_umask()

    def __enter__(self) -> WholeFile:
        try:
            found = _status(self._target)
            if found and not stat.S_ISREG(found.st_mode):
                what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
                raise InputError(
                    Fault(f"expected a file to write to, found {what}", str(self.path))
                )
            if found:
                self._mode = found.st_mode & 0o777
                self._target.open("r+b").close()  # a read-only file is not replaced
            self._make_temporary()
            self._remove_temporary()
        except OSError as error:
            raise _unwritable(self.path, error) from None
        return self

    def write(self, pieces: Iterable[str] | Iterable[bytes]) -> None:
        """Write the pieces, text as UTF-8, and give the file its name.

        Raises:
            GradflowError: the disk is full or fails.
        """
        try:
            name = self._make_temporary()
            with open(name, "wb") as file:
                file.writelines(map(_encoded, pieces))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, self._mode)
            os.replace(name, self._target)
        except OSError as error:
            message = f"could not be written: {error.strerror}; it is as it was"
            raise GradflowError(str(Fault(message, str(self.path)))) from None
        self._remove_temporary()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove_temporary()

    def _make_temporary(self) -> str:
        """An empty file next to the target. No signal may come before it is known who removes
        it."""
        with interrupts.held():
            prefix = f".{self._target.name[:_NAME]}."
            handle, self._temporary = tempfile.mkstemp(dir=self._target.parent, prefix=prefix)
            interrupts.temporary_files.add(self._temporary)
            os.close(handle)
        return self._temporary

    def _remove_temporary(self) -> None:
        """There is none any more once it has the file's name."""
        if self._temporary is not None:
            with suppress(OSError):
                os.unlink(self._temporary)
            interrupts.temporary_files.discard(self._temporary)
            self._temporary = None


def refuse_overwriting(
    outputs: Sequence[Path],
    read: Iterable[Path],
    folders: Iterable[Path] = (),
    key: str | None = "--output",
) -> None:
    """Make sure that what is written is no file that is read, no folder that is made (nor what
    that is in), and no file twice: under other names too, by links, or in other case.

    Raises:
        InputError: with every output that is.
    """
    faults = []
    inputs = [(path, _identities(path) | {_folded(path)}) for path in read]
    made = {str(above) for path in folders for above in _with_parents(path)}
    earlier: list[tuple[Path, set[object]]] = []
    for path in outputs:
        own = _identities(path)
        folded = own | {_folded(path)}
        names = [f"{other}, which this run reads" for other, its in inputs if folded & its]
        names += [f"{other}, another output" for other, its in earlier if folded & its]
        names += ["a folder that this run makes"] if _real(path) in made else []
        if names:
            faults.append(Fault(f"is {names[0]}: give another name", str(path), key=key))
        earlier.append((path, folded))
    if faults:
        raise InputError(*faults)


def _identities(path: Path) -> set[object]:
    """What two names of one file have in common."""
    with suppress(OSError):
        if found := _status(path):
            return {(found.st_dev, found.st_ino), _real(path)}
    return {_real(path)}


def _folded(path: Path) -> tuple[str, str]:
    """What a file that is not there yet is called where neither case nor composition counts."""
    folder, name = os.path.split(_real(path))
    return folder, unicodedata.normalize("NFC", name).casefold()


def _with_parents(path: Path) -> list[Path]:
    real = Path(_real(path))
    return [real, *real.parents]


def _status(path: Path) -> os.stat_result | None:
    """None if there is no such file yet."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _real(path: Path) -> str:
    """Its full path, links followed. A relative one has none where the current directory is
    gone."""
    try:
        return os.path.realpath(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(Fault(f"cannot be written: {error.strerror}", str(path)))


def _encoded(piece: str | bytes) -> bytes:
    return piece.encode("utf-8", "replace") if isinstance(piece, str) else piece


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
