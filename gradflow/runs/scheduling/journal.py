"""Finished runs, kept on disk: what lets a killed sweep continue.

One line a run in `journal.jsonl`: a checksum, a space, and JSON with the run's fingerprint and
its result. Lines are only ever added, and are on disk before the sweep goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from gradflow.errors import Fault, InputError
from gradflow.results import Result
from gradflow.runs.experiment import Run
from gradflow.runs.scheduling.fingerprint import Fingerprints
from gradflow.runs.scheduling.records import from_json, to_json

_CHECKSUM = 32  # hex digits


@dataclass(frozen=True)
class _Place:
    """Where a line stands in the file."""

    start: int
    length: int


class Journal:
    """A folder of finished runs, which one sweep at a time may use. A context manager.

    Attributes:
        damage: what could not be read, in words, one text a line of the file; empty as a rule.

    Raises:
        InputError: on entering, where the folder cannot be made or written, or is in use.
    """

    def __init__(self, folder: Path, thresholds: tuple[float, float]) -> None:
        self.folder, self.thresholds = folder, thresholds
        self.damage: list[str] = []
        self._places: dict[str, _Place] = {}
        self._fingerprints = Fingerprints()

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as opened:  # closed again, if a later step fails
                self._file = opened.enter_context((self.folder / "journal.jsonl").open("a+b"))
                if not _locked(opened.enter_context((self.folder / "lock").open("ab"))):
                    raise self._fault("in use by another sweep: wait, or give another folder")
                self._read_all()
                self._open_files = opened.pop_all()
        except OSError as error:
            raise self._fault(f"cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open_files.close()

    def find(self, runs: Sequence[Run]) -> dict[int, str]:
        """Which of the runs it holds: the number of each, and the key to `read` its result by."""
        keys = (self._fingerprints.of(run, self.thresholds) for run in runs)
        return {number: key for number, key in enumerate(keys) if key in self._places}

    def read(self, key: str) -> Result:
        """A result, without its number in a sweep and what varies there: 0 and ()."""
        place = self._places[key]
        self._file.seek(place.start)
        result: Result = from_json(_content(self._file.read(place.length))["result"])
        return result

    def add(self, runs: Sequence[tuple[int, Run]], results: Sequence[Result]) -> None:
        """Keep the results of numbered runs. They are on disk when this returns."""
        for (_, run), result in zip(runs, results, strict=True):
            key = self._fingerprints.of(run, self.thresholds)
            record = {"run": key, "result": to_json(replace(result, run=0, varied=()))}
            body = json.dumps(record).encode("ascii")
            line = _checksum(body) + b" " + body + b"\n"
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(line)
            self._places[key] = _Place(start, len(line))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read_all(self) -> None:
        """Note where each run's line stands. A last line that was cut off is taken away, so that
        what is added stands on lines of its own."""
        self._file.seek(0)
        start, line = 0, b""
        for number, line in enumerate(self._file, 1):
            try:
                self._places[str(_content(line)["run"])] = _Place(start, len(line))
            except ValueError as error:
                place = f"{self.folder / 'journal.jsonl'}:{number}"
                self.damage.append(f"{place}: warning: {error}; its run is computed again")
                if not line.endswith(b"\n"):
                    self._file.truncate(start)
                    return
            start += len(line)
        if line and not line.endswith(b"\n"):
            self._file.write(b"\n")

    def _fault(self, message: str) -> InputError:
        return InputError(Fault(message, str(self.folder), key="--resume"))


def _content(line: bytes) -> dict[str, object]:
    """The content of a line; raises ValueError where it is not as it was written."""
    checksum, body = line[:_CHECKSUM], line[_CHECKSUM + 1 :].rstrip(b"\n")
    if checksum != _checksum(body):
        raise ValueError("this line is damaged")
    content: dict[str, object] = json.loads(body)
    return content


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM].encode("ascii")


def _locked(file: BinaryIO) -> bool:
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
