"""Finished runs, kept on disk: what lets a killed sweep continue.

One line a run in `journal.jsonl`: a checksum, a space, and JSON with the run's fingerprint and
its result. Lines are only ever added, and are on disk before the sweep goes on. So a damaged line
costs the one run that it holds, where a damaged page of a database may cost all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from gradflow.counts import many
from gradflow.errors import Fault, GradflowError, InputError
from gradflow.results import Result
from gradflow.runs.experiment import Run
from gradflow.runs.scheduling.fingerprint import Fingerprints
from gradflow.runs.scheduling.records import from_json, result_of, to_json

_CHECKSUM = 32  # hex digits
_PIECE = 1 << 20
_TOLD = 10  # damaged lines that are named one by one
_HEAD = re.compile(rb'[0-9a-f]{32} \{"run": "([0-9a-f]{64})", ')
_TORN = re.compile(rb"[0-9a-f]{0,32}|[0-9a-f]{32} .*", re.DOTALL)
_FREE_BYTES, _BYTES_PER_LAG = 1 << 24, 1 << 14  # a result takes far less than this


@dataclass(frozen=True)
class _Line:
    """A line of the file: where it is, and what is to be known of it without keeping all of it.

    Attributes:
        number: from 1.
        start, length: in bytes.
        head: up to the first MiB.
        sound: whether its checksum is right.
        ended: whether it has a line end.
    """

    number: int
    start: int
    length: int
    head: bytes
    sound: bool
    ended: bool

    @property
    def key(self) -> str | None:
        """The fingerprint of the run that it is of."""
        found = _HEAD.match(self.head) if self.sound else None
        return found[1].decode() if found else None


class Journal:
    """A folder of finished runs, which one sweep at a time may use. A context manager.

    What it takes of memory follows from the sweep, however large the file is.

    Attributes:
        damage: what could not be read, in words, one text a line of the file; empty as a rule.

    Raises:
        InputError: on entering, where the folder cannot be made or written, or is in use, or what
            is in it is not a plain file.
    """

    def __init__(self, folder: Path, runs: Sequence[Run], thresholds: tuple[float, float]) -> None:
        self.folder, self.path = folder, folder / "journal.jsonl"
        self.damage: list[str] = []
        fingerprints = Fingerprints()
        self._runs = runs
        self._keys = [fingerprints.of(run, thresholds) for run in runs]
        self._lines: dict[str, _Line] = {}

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _fault(self.folder, f"cannot be written: {error.strerror}") from None
        with ExitStack() as opened:  # closed again, if a later step fails
            self._file = opened.enter_context(_opened(self.path))
            if not _locked(opened.enter_context(_opened(self.folder / "lock"))):
                raise _fault(self.folder, "in use by another sweep: wait, or give another folder")
            try:
                self._read_all()
            except OSError as error:
                raise _fault(self.path, f"cannot be read: {error.strerror}") from None
            self._open_files = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open_files.close()

    def finished(self) -> set[int]:
        """The numbers of the runs that it holds."""
        return {number for number, key in enumerate(self._keys) if key in self._lines}

    def read(self, number: int) -> Result:
        """The result of a run, without its number in a sweep and what varies there: 0 and ().

        Raises:
            InputError: the line has the checksum of what it holds, and holds no result of the run.
        """
        line, run = self._lines[self._keys[number]], self._runs[number]
        most = _FREE_BYTES + _BYTES_PER_LAG * (run.sequence_length + 1) * (len(run.places) + 1)
        try:
            if line.length > most:
                raise ValueError("it is too long")
            self._file.seek(line.start)
            text = _exactly(self._file, line.length)[_CHECKSUM + 1 :]
            return result_of(from_json(json.loads(text)["result"]), run)
        except Exception:  # what a stranger has written leads to almost anything
            message = "the checksum is right, but it holds no result: remove this line"
            raise _fault(self.path, message, line.number) from None

    def add(self, runs: Sequence[tuple[int, Run]], results: Sequence[Result]) -> None:
        """Keep the results of numbered runs. They are on disk when this returns.

        Raises:
            GradflowError: the disk is full or fails.
        """
        try:
            for (number, _), result in zip(runs, results, strict=True):
                kept = to_json(replace(result, run=0, varied=()))
                body = json.dumps({"run": self._keys[number], "result": kept}).encode("ascii")
                _write(self._file, _checksum(body) + b" " + body + b"\n")
            os.fsync(self._file.fileno())
        except OSError as error:
            message = f"could not be written: {error.strerror}; what it held is still there"
            raise GradflowError(str(Fault(message, str(self.path), key="--resume"))) from None

    def _read_all(self) -> None:
        """Note where the line of each run is. A last line that was cut off is taken away, so
        that what is added is on new lines."""
        wanted, damaged, line = set(self._keys), 0, None
        for line in _lines(self._file):
            if line.key in wanted:
                self._lines[line.key] = line
            if line.key is None:
                damaged += 1
                if damaged <= _TOLD:
                    message = "warning: this line is damaged; its run is computed again"
                    self.damage.append(f"{self.path}:{line.number}: {message}")
        if damaged > _TOLD:
            self.damage.append(
                f"{self.path}: warning: … and {many(damaged - _TOLD, 'more damaged line')}"
            )
        if line is None or line.ended:
            return
        if line.key is None and _TORN.fullmatch(line.head):
            self._file.truncate(line.start)
        else:
            _write(self._file, b"\n")


def _opened(path: Path) -> io.FileIO:
    """A plain file to read and add to, made if there is none. What a link leads to is not ours
    to write, and to open a device or a pipe can do anything."""
    try:
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise _fault(path, "expected a file, found a link, folder, device, pipe or socket")
        return io.FileIO(path, "a+", opener=_open_unfollowed)
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror}") from None


def _open_unfollowed(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _fault(path: Path, message: str, line: int | None = None) -> InputError:
    return InputError(Fault(message, str(path), line, key="--resume"))


def _lines(file: io.FileIO) -> Iterator[_Line]:
    """The lines of a file, each read in pieces."""
    file.seek(0)
    reader = io.BufferedReader(file, _PIECE)
    number = start = 0
    while head := reader.readline(_PIECE):
        number += 1
        length, piece, digest = len(head), head[_CHECKSUM + 1 :], hashlib.sha256()
        last = head
        digest.update(piece.removesuffix(b"\n"))
        while not last.endswith(b"\n") and (last := reader.readline(_PIECE)):
            digest.update(last.removesuffix(b"\n"))
            length += len(last)
        sound = digest.hexdigest()[:_CHECKSUM].encode() == head[:_CHECKSUM]
        yield _Line(number, start, length, head[:200], sound, last.endswith(b"\n"))
        start += length
    reader.detach()


def _exactly(file: io.FileIO, size: int) -> bytes:
    """The next bytes; fewer where the file ends."""
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _write(file: io.FileIO, data: bytes) -> None:
    """All of it, at the end: unbuffered, so that a full disk is met here and nowhere later."""
    while data:
        data = data[file.write(data) :]


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM].encode("ascii")


def _locked(file: io.FileIO) -> bool:
    """Take the lock of a file, which ends with the process however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
