"""A file that a user named: opened once, read by position, and known to be what it was.

Nothing is mapped into memory: where a mapped file is cut short, reading it ends the process.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import stat
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gradflow.errors import Fault, InputError, nearest

MOMENT = 0.02  # seconds; longer than a tick of the clock that stamps files
"""What was written within a moment may be written again under the same time stamp."""

_PATIENCE = 1.0  # seconds to wait for a writer


class _Readable(io.RawIOBase):
    """What numpy, zipfile and h5py ask of a file, besides reading: a position in it, and its
    size."""

    size: int
    _at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As every file; beyond its end there is nothing to read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "Invalid argument")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes; no memory is taken for more than there are."""
        left = max(0, self.size - self._at)
        return super().read(left if size is None or size < 0 else min(size, left)) or b""


class RegularFile(_Readable):
    """A regular file that is open for reading, and closed with the last that refers to it.

    Attributes:
        path: where it is.
        source: what messages call it.
        size: its length in bytes when it was opened; no read goes beyond.
    """

    def __init__(self, descriptor: int, path: Path, source: str) -> None:
        self._raw, self.path, self.source = io.FileIO(descriptor, closefd=False), path, source
        self._close = weakref.finalize(self, os.close, descriptor)
        self._stamp = self._stamp_now()
        self.size = self._stamp[0]

    def read_at(self, start: int, count: int) -> bytearray:
        """`count` bytes from `start` on. Raises InputError where they are not all there, or where
        the file has been written to since it was opened."""
        if not 0 <= start <= start + count <= self.size:
            raise self.refused("cut short, or damaged: what it promises lies beyond its end")
        data = bytearray(count)
        self.fill(memoryview(data), start)
        return data

    def fill(self, buffer: memoryview, start: int) -> None:
        """Reads `buffer` full, from `start` on. Raises as `read_at` does."""
        done = 0
        while done < len(buffer):
            self._raw.seek(start + done)
            got = self._raw.readinto(buffer[done : done + (1 << 30)])
            if not got:
                break
            done += got
        self.check_unchanged()
        if done < len(buffer):
            raise self.refused("cut short while it was read")

    def check_unchanged(self) -> None:
        """Raises InputError where the file has been written to since it was opened."""
        if self._stamp_now() != self._stamp:
            raise self.refused("it was written to while it was read: try again when it is whole")

    def wait_until_written(self) -> None:
        """Waits a moment where the file has only just been written, so that `check_unchanged` sees
        whatever comes later. Raises InputError where the writing goes on."""
        deadline = time.monotonic() + _PATIENCE
        while abs(time.time_ns() - self._stamp[1]) < MOMENT * 1e9:
            time.sleep(MOMENT)
            before, self._stamp = self._stamp, self._stamp_now()
            self.size = self._stamp[0]
            if before == self._stamp:
                return
            if time.monotonic() > deadline:
                raise self.refused("it is being written: try again when it is whole")

    def refused(self, message: str) -> InputError:
        """The error that says what is wrong with this file."""
        return InputError(Fault(message, self.source))

    def _stamp_now(self) -> tuple[int, int]:
        found = os.fstat(self._raw.fileno())
        return found.st_size, found.st_mtime_ns

    def fileno(self) -> int:
        """The descriptor."""
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int:
        """Reads on from where the last read ended, at most to what was the end when opened."""
        view = memoryview(buffer).cast("B")
        self._raw.seek(min(self._at, self.size))
        got = self._raw.readinto(view[: max(0, self.size - self._at)]) or 0
        self._at += got
        return got

    def close(self) -> None:
        """Closes the file; done by itself where nobody holds it any more."""
        self._close()
        super().close()


class Part(_Readable):
    """Some bytes of a file, as a file."""

    def __init__(self, file: RegularFile, start: int, size: int) -> None:
        if not 0 <= start <= start + size <= file.size:
            raise file.refused("damaged: a part of it lies beyond its end")
        self.file, self.start, self.size = file, start, size

    def read_at(self, start: int, count: int) -> bytearray:
        """As `RegularFile.read_at`."""
        if not 0 <= start <= start + count <= self.size:
            raise self.file.refused("cut short, or damaged: what it promises lies beyond its end")
        return self.file.read_at(self.start + start, count)

    def readinto(self, buffer: Any) -> int:
        """Reads on from where the last read ended."""
        view = memoryview(buffer).cast("B")[: max(0, self.size - self._at)]
        self.file.seek(self.start + self._at)
        got = self.file.readinto(view)
        self._at += got
        return got


def open_regular(path: Path, source: str, suffixes: Iterable[str] = ()) -> RegularFile:
    """Opens a regular file that is not empty; InputError for everything else a path can name. Where
    there is no such file, one of a similar name with one of `suffixes` may have been meant.

    A device or a pipe is refused before it is opened: opening one can wait for ever.
    """
    try:
        _check_kind(path.stat(), source)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputError(Fault(f"no such file{_instead(path, suffixes)}", source)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(Fault(f"the file cannot be opened: {reason}", source)) from None
    try:
        _check_kind(os.fstat(descriptor), source)  # it may have been replaced in between
    except InputError:
        os.close(descriptor)
        raise
    return RegularFile(descriptor, path, source)


def _check_kind(found: os.stat_result, source: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
        raise InputError(Fault(f"expected a file, found {what}", source))
    if not found.st_size:
        raise InputError(Fault("the file is empty", source))


def _instead(path: Path, suffixes: Iterable[str]) -> str:
    """The file that the user may have meant by a path that leads nowhere."""
    suffix = path.suffix.lower()
    fit = {suffix, *suffixes}
    try:
        with os.scandir(path.parent) as entries:
            names = [
                entry.name
                for entry in itertools.islice(entries, 10_000)
                if os.path.splitext(entry.name)[1].lower() in fit and entry.is_file()
            ]
    except OSError:
        return f": there is no folder {str(path.parent)!r}"
    names.sort(key=lambda name: (name.lower().endswith(suffix), name))  # its own suffix last: wins
    stems = {os.path.splitext(name)[0]: name for name in names}
    near = nearest(path.stem, stems)
    return f"; did you mean {str(path.with_name(stems[near]))!r}?" if near else ""
