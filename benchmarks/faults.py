"""Faults at random moments, and what was torn, lost, left hanging or left behind.

    python -m benchmarks.faults [--tries 200] [--seed 0] [--only WORD]

Each try is the command in its own process group and folder. Kills and signals
come at a moment drawn between the first line of gradflow and the usual end; a try that had done its
work before is not counted. Prints the table of docs/reliability.md; exits with 1 if any count is
not 0. POSIX only.

    torn     an output file is neither what was there before nor the whole of the new one
    lost     a run that was in the journal is gone, or the resumed sweep gives other bytes
    hung     no end within 30 s
    leaked   a process is left after 5 s, or a temporary file (after kill -9: a process)
    wrong    another exit code than documented, or a traceback
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "gradflow"]
CONFIG = "cell: [rnn, lstm]\nhidden_size: 24\nsequence_length: 300\nseed: [0, 1, 2, 3, 4, 5]\n"
DIVERGES = "cell: {type: rnn, activation: linear}\nws_scale: 1e100\nsequence_length: 50\n"
OLD = "what was there before\n"
PATIENCE = 30.0
GONE = 5.0


@dataclass
class Tally:
    """What came of the tries of one kind of fault."""

    tries: int = 0
    torn: int = 0
    lost: int = 0
    hung: int = 0
    leaked: int = 0
    wrong: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.torn or self.lost or self.hung or self.leaked or self.wrong)


class Place:
    """A folder with a config, where the command is run."""

    def __init__(self, folder: Path, draw: random.Random, tally: Tally) -> None:
        self.folder, self.draw, self.tally = folder, draw, tally
        (folder / "c.yaml").write_text(CONFIG)
        (folder / "diverges.yaml").write_text(DIVERGES)

    def started(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.folder, start_new_session=True, **streams
        )

    def ended(self, process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes] | None:
        """Exit code, standard output and error; None where it hangs, and is then killed."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.tally.hung += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        self.tally.leaked += not _within(GONE, lambda: not _exists(process.pid))
        self.check(b"Traceback" not in (err or b""), "wrong", err)
        return process.returncode, out, err

    def ran(self, *arguments: str, **options: Any) -> tuple[int, bytes, bytes] | None:
        return self.ended(self.started(*arguments, **{"stdout": subprocess.PIPE, **options}))

    def check(self, holds: bool, what: str, note: object) -> None:
        """Count it as `what`, one of the columns, unless it holds."""
        if not holds:
            setattr(self.tally, what, getattr(self.tally, what) + 1)
            self.tally.seen.append(f"{what}: {note!r}")

    def check_whole(self, name: str, new: bytes) -> None:
        found = (self.folder / name).read_bytes()
        self.check(found in (OLD.encode(), new), "torn", found[-200:])

    def check_nothing_left(self) -> None:
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(".")]
        self.check(not left, "leaked", left)


@dataclass
class Usual:
    """How the sweep runs undisturbed."""

    seconds: float
    csv: bytes
    json: bytes
    out: bytes

    @classmethod
    def found(cls, place: Place) -> Usual:
        begin = time.monotonic()
        code, out, _ = place.ran("analyze", "c.yaml", *WRITING) or (None, b"", b"")
        if code != 0:
            raise RuntimeError("the undisturbed run failed")
        seconds = time.monotonic() - begin
        read = [(place.folder / name).read_bytes() for name in ("o.csv", "o.json")]
        return cls(seconds, *read, out)


WRITING = ["--format", "csv", "--jobs", "2", "--output", "o.csv", "--output", "o.json"]
RESUMING = ["--format", "csv", "--jobs", "2", "--resume", "kept"]


# The faults. Each makes one try; False where the moment came too late.


def signalled(place: Place, usual: Usual, number: int, times: int = 1) -> bool:
    """A signal in a sweep with two workers, to the whole process group as a terminal sends it."""
    for name in ("o.csv", "o.json"):
        (place.folder / name).write_text(OLD)
    process = place.started("analyze", "c.yaml", *WRITING)
    _at_a_moment(place, process, usual)
    if process.poll() is not None:
        process.communicate()
        return False
    for _ in range(times):
        if _exists(process.pid):
            os.killpg(process.pid, number)
        time.sleep(place.draw.uniform(0, 0.03) if times > 1 else 0)
    ended = place.ended(process)
    place.check_whole("o.csv", usual.csv)
    place.check_whole("o.json", usual.json)
    place.check_nothing_left()
    if ended and ended[0] == 0 and (place.folder / "o.json").read_bytes() == usual.json:
        return False  # all had been done
    if ended:
        place.check(ended[0] == 130, "wrong", ended)
        place.check(ended[2] in (b"", b"interrupted\n"), "wrong", ended)
    return True


def killed(place: Place, usual: Usual) -> bool:
    """kill -9 at any moment of a run that writes over two files."""
    for name in ("o.csv", "o.json"):
        (place.folder / name).write_text(OLD)
    process = place.started("analyze", "c.yaml", *WRITING)
    _at_a_moment(place, process, usual)
    late = process.poll() is not None
    process.kill()
    place.ended(process)
    place.check_whole("o.csv", usual.csv)
    place.check_whole("o.json", usual.json)
    return not late


def killed_and_resumed(place: Place, usual: Usual) -> bool:
    """kill -9 of a sweep that keeps its runs, which is then resumed to its end."""
    process = place.started("analyze", "c.yaml", *RESUMING)
    _at_a_moment(place, process, usual)
    late = process.poll() is not None
    process.kill()
    place.ended(process)
    _check_resumed(place, usual)
    return not late


def full_disk(place: Place, usual: Usual) -> bool:
    """A file may grow to a size drawn below that of the output, and no further."""
    (place.folder / "o.json").write_text(OLD)
    most = place.draw.randrange(len(usual.json))
    arguments = ["--quiet", "--jobs", "2", "--output", "o.json"]
    ended = place.ran("analyze", "c.yaml", *arguments, preexec_fn=partial(_limit, most))
    if ended:
        place.check(ended[0] == 3 and b"o.json" in ended[2], "wrong", ended)
    place.check((place.folder / "o.json").read_text() == OLD, "torn", most)
    place.check_nothing_left()
    return True


def full_journal(place: Place, usual: Usual) -> bool:
    """The same of the journal; the sweep is then resumed with room."""
    most = place.draw.randrange(1, 60_000)
    ended = place.ran("analyze", "c.yaml", *RESUMING, preexec_fn=partial(_limit, most))
    if ended:
        place.check(ended[0] == 3 and b"journal.jsonl" in ended[2], "wrong", ended)
    _check_resumed(place, usual)
    return True


def deaf(place: Place, usual: Usual) -> bool:
    """Standard error closed, with its reader gone, or full: for a fault in the config, and for runs
    that diverge, which are warned of."""
    how = place.draw.choice(["closed", "no reader", "full"])
    if place.draw.random() < 0.5:
        arguments, code = ["analyze", "c.yaml", "--set", "sed=1", "--output", "o.csv"], 2
    else:
        arguments, code = ["analyze", "diverges.yaml", "--quiet", "--output", "o.csv"], 0
    with _broken(how) as stream:
        closed = partial(os.close, 2) if how == "closed" else None
        ended = place.ran(*arguments, stderr=stream, preexec_fn=closed)
    if ended:
        place.check(ended[0] == code, "wrong", (how, arguments, ended))
    written = (place.folder / "o.csv").exists()
    place.check(written == (code == 0), "lost", (how, arguments))
    place.check_nothing_left()
    return True


def mute(place: Place, usual: Usual) -> bool:
    """The same of standard output: closed or without a reader is a quiet end, full is an error."""
    how = place.draw.choice(["closed", "no reader", "full"])
    with _broken(how) as stream:
        closed = partial(os.close, 1) if how == "closed" else None
        arguments = ["analyze", "c.yaml", "--format", "csv", "--jobs", "2", "--output", "o.json"]
        ended = place.ran(*arguments, stdout=stream, preexec_fn=closed)
    if ended:
        place.check(ended[0] == (3 if how == "full" else 0), "wrong", (how, ended))
        place.check(bool(ended[2]) == (how == "full"), "wrong", (how, ended))
    place.check((place.folder / "o.json").read_bytes() == usual.json, "lost", how)
    place.check_nothing_left()
    return True


Fault = Callable[[Place, Usual], bool]

KINDS: dict[str, tuple[Fault, float]] = {
    "Ctrl-C in a sweep with two workers": (partial(signalled, number=signal.SIGINT), 1),
    "Ctrl-C three times": (partial(signalled, number=signal.SIGINT, times=3), 0.3),
    "SIGTERM": (partial(signalled, number=signal.SIGTERM), 0.1),
    "SIGHUP": (partial(signalled, number=signal.SIGHUP), 0.1),
    "`kill -9` of a run that writes over two files": (killed, 0.2),
    "`kill -9` of a sweep, which is resumed": (killed_and_resumed, 0.2),
    "disk full while an output is written": (full_disk, 0.1),
    "disk full while the journal is written; resumed": (full_journal, 0.1),
    "standard error closed, without a reader, or full": (deaf, 0.15),
    "standard output closed, without a reader, or full": (mute, 0.15),
}
"""Each kind of fault, and its share of the tries that are asked for."""


def inject(kind: str, tries: int, seed: int) -> Tally:
    """So many tries of a kind that came in time."""
    fault, _ = KINDS[kind]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # else under nohup all is ignored
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    tally, draw = Tally(), random.Random(f"{kind} {seed}")
    usual = _usual()
    while tally.tries < tries:
        with tempfile.TemporaryDirectory() as folder:
            tally.tries += fault(Place(Path(folder), draw, tally), usual)
    return tally


@cache
def _usual() -> Usual:
    with tempfile.TemporaryDirectory() as folder:
        return Usual.found(Place(Path(folder), random.Random(), Tally()))


def table(tallies: dict[str, Tally]) -> Iterator[str]:
    """The lines of the table, as Markdown."""
    columns = [f.name for f in fields(Tally) if f.name != "seen"]
    yield f"| fault | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for kind, tally in tallies.items():
        yield f"| {kind} | {' | '.join(str(getattr(tally, name)) for name in columns)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the kinds whose name holds this")
    asked = parser.parse_args()
    tallies: dict[str, Tally] = {}
    for kind, (_, share) in KINDS.items():
        if asked.only in kind:
            tallies[kind] = inject(kind, max(1, round(share * asked.tries)), asked.seed)
            print(kind, *tallies[kind].seen[:3], sep="\n  ", file=sys.stderr, flush=True)
    print(*table(tallies), sep="\n")
    sys.exit(not all(tally.sound for tally in tallies.values()))


def _check_resumed(place: Place, usual: Usual) -> None:
    journal = place.folder / "kept/journal.jsonl"
    before = journal.read_bytes() if journal.exists() else b""
    if ended := place.ran("analyze", "c.yaml", *RESUMING):
        place.check(ended[0] == 0, "wrong", ended)
        place.check(ended[1] == usual.out, "lost", ended[1][-200:])
        whole = before[: before.rfind(b"\n") + 1]
        place.check(journal.read_bytes().startswith(whole), "lost", "a line of the journal")


def _at_a_moment(place: Place, process: subprocess.Popen[bytes], usual: Usual) -> None:
    """Wait until gradflow listens to signals, and then for a moment drawn from its usual time;
    where the system does not tell (it does in /proc), 0.3 s are taken for the start."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        _within(PATIENCE, lambda: process.poll() is not None or _listens(status))
    else:
        time.sleep(0.3)
    time.sleep(place.draw.uniform(0, usual.seconds))


def _listens(status: Path) -> bool:
    """Whether the process has a handler for SIGHUP, which Python by itself has not."""
    try:
        caught = status.read_text().partition("SigCgt:")[2].split()[0]
    except (OSError, IndexError):
        return False
    return bool(int(caught, 16) >> (signal.SIGHUP - 1) & 1)


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _limit(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def _broken(how: str) -> Iterator[int]:
    """Something to write to that cannot be written to."""
    if how == "full":
        stream = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stream = os.pipe()
        os.close(reader)
    try:
        yield stream
    finally:
        os.close(stream)


if __name__ == "__main__":
    main()
