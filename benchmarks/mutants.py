"""Whether the tests of a room see a fault in its code: many faults, put in one at a time.

    python -m benchmarks.mutants [--seed 1] [--count 300] [--only ROOM] [--jobs 2]
                                 [--folder DIR] [--for SECONDS] [--again]

Of each room as many mutants (benchmarks/mutations.py) are drawn; each is put into a copy of the
tree, and the room's own tests are run on it until one fails: first those that run the changed line,
as coverage of the unchanged tree has it, then others, as many as take twelve seconds in the
unchanged tree. A mutant is killed where a test fails, or where they take more than 20 s of the
processor. Prints every survivor with its place, and the table of docs/reliability.md. Survivors
that no test can see are explained in benchmarks/mutants.yaml; exits with 1 where more than 5 % are
not.

`--folder` keeps the copies and what has been found, so that the run may be made in parts of
`--for` seconds; `--again` tries those once more that survived.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from coverage import CoverageData

from benchmarks.mutations import Mutation, mutations

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("equations", "engine", "diagnosis", "measures", "checks")
EXPLAINED = Path(__file__).parent / "mutants.yaml"
LIMIT = 20  # seconds of the processor, for a mutant
BUDGET = 12.0  # seconds that its tests take in the unchanged tree
MOST = 0.05  # of the mutants may survive unexplained
_COPIED = (
    "benchmarks",
    "configs",
    "docs",
    "gradflow",
    "tests",
    "*.md",
    "*.toml",
    "*.yml",
    "*.yaml",
)


# The tests of a room, and the lines that each of them runs


@dataclass(frozen=True)
class Reached:
    """What the tests of a room reach in the unchanged tree.

    Attributes:
        seconds: by test.
        lines: by file and line, the tests that run it.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(self, mutation: Mutation) -> list[str]:
        """The tests to try: those first that run the line, then those of the module (a line that
        runs when it is imported has no others), then the rest. Of each, one of every function, then
        another of every function, and so on, quick ones first; as many as the budget allows."""
        lines = self.lines.get(mutation.file, {})
        reaching = {
            name for line in range(mutation.line, mutation.last + 1) for name in lines.get(line, ())
        }
        own = {name for name in self.seconds if f"test_{Path(mutation.file).stem}.py" in name}
        groups = [reaching, own - reaching, self.seconds.keys() - reaching - own]
        chosen, spent = [], 0.0
        for name in [name for group in groups for name in self._spread(group)]:
            spent += self.seconds[name]
            if chosen and spent > BUDGET:
                break
            chosen.append(name)
        return chosen

    def _spread(self, names: Iterable[str]) -> list[str]:
        by_function: dict[str, list[str]] = {}
        for name in sorted(names, key=lambda one: (self.seconds[one], one)):
            by_function.setdefault(name.partition("[")[0], []).append(name)
        turns = [
            (at, self.seconds[n], n) for own in by_function.values() for at, n in enumerate(own)
        ]
        return [name for _, _, name in sorted(turns)]


def reached(copy: Path, room: str, kept: Path, drawn: Iterable[Mutation]) -> Reached:
    """What the tests of a room reach of these mutants' lines; they are run once, and what coverage
    has found is kept in a folder."""
    times, data = kept / f"{room}.times", kept / f"{room}.coverage"
    if not (times.exists() and data.exists()):
        done = _pytest(
            copy, f"tests/{room}", f"--cov=gradflow/{room}", "--cov-context=test", "--cov-report=",
            TIMES_OF_TESTS=str(times), COVERAGE_FILE=str(data), FORGETTING="1",
        )  # fmt: skip
        if done.returncode:
            times.unlink(missing_ok=True)
            raise SystemExit(f"the tests of {room} fail in the unchanged tree:\n{done.stdout}")
    wanted: dict[str, set[int]] = {}
    for mutation in drawn:
        wanted.setdefault(mutation.file, set()).update(range(mutation.line, mutation.last + 1))
    measured = CoverageData(str(data))
    measured.read()
    lines: dict[str, dict[int, list[str]]] = {}
    for file, numbers in wanted.items():
        contexts = measured.contexts_by_lineno(str(copy / file))
        lines[file] = {
            n: sorted({one.rpartition("|")[0] for one in contexts.get(n, ()) if one})
            for n in numbers
        }
    return Reached(json.loads(times.read_text(encoding="utf-8")), lines)


def _pytest(copy: Path, *arguments: str, seconds: int | None = None, **environment: str) -> Any:
    """pytest in a copy of the tree, on one core."""
    dropped = ("PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE", "PYTEST_XDIST_WORKER")
    own = {name: value for name, value in os.environ.items() if name not in dropped}
    own |= {"PYTHONPATH": str(copy), "CI": "true", "OPENBLAS_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-p", "benchmarks.chosen_tests", *arguments],
        cwd=copy, env=own, check=False, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_CPU, (seconds, seconds + 5))
        if seconds else None,
    )  # fmt: skip


# One mutant


def outcome(mutation: Mutation, copy: Path, room: str, tests: Reached) -> str:
    """`killed`, `too long` or `survived`."""
    path = copy / mutation.file
    source, status = path.read_bytes(), path.stat()
    chosen = tests.tests_of(mutation)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "tests"
        names.write_text("\n".join(chosen), encoding="utf-8")
        files = dict.fromkeys(name.partition("::")[0] for name in chosen)
        try:
            path.write_bytes(mutation.applied(source))
            _forget_compiled(path)
            done = _pytest(
                copy,
                "-x",
                *files,
                seconds=LIMIT,
                CHOSEN_TESTS=str(names),
                PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            )
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            _forget_compiled(path)
    if done.returncode < 0:
        return "too long"
    return "killed" if done.returncode else "survived"


def _forget_compiled(path: Path) -> None:
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)


# All of them


def drawn(seed: int, count: int, only: str = "") -> Iterator[tuple[str, Mutation]]:
    """As many mutants of every room, which do not depend on the rest of the tree."""
    for room in (room for room in ROOMS if only in room):
        files = sorted((ROOT / "gradflow" / room).rglob("*.py"))
        every = [m for f in files for m in mutations(str(f.relative_to(ROOT)), f.read_bytes())]
        every.sort(key=lambda mutation: mutation.rank(seed))
        yield from ((room, mutation) for mutation in every[: -(-count // len(ROOMS))])


def copied(folder: Path) -> Path:
    """A copy of the tree as it is now."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for pattern in _COPIED:
        for path in ROOT.glob(pattern):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy2(path, folder / path.name)
    return folder


def explanations() -> dict[tuple[str, ...], str]:
    """Why a mutant is none: no test could tell it from the code."""
    entries = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8")) if EXPLAINED.exists() else []
    return {
        (one["file"], one["line"], one["before"], one["after"]): one["reason"]
        for one in entries or []
    }


def stale(known: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The explanations of mutants that are there no more, since their line is another."""
    there: dict[str, set[tuple[str, ...]]] = {}
    for key in known:
        file, path = key[0], ROOT / key[0]
        if file not in there:
            found = mutations(file, path.read_bytes()) if path.exists() else []
            there[file] = {mutation.key for mutation in found}
        if key not in there[file]:
            yield key


Found = dict[str, str]
"""Outcomes by mutant, as text that JSON can name."""


def name_of(mutation: Mutation) -> str:
    return json.dumps([*mutation.key, mutation.number])


def run(chosen: list[tuple[str, Mutation]], folder: Path, jobs: int, until: float) -> Found:
    """The outcomes, those found before among them."""
    kept = folder / "outcomes.json"
    found: Found = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(jobs):
        copies.put(copied(folder / f"copy{number}"))
    first = copies.get()
    tests = {
        room: reached(first, room, folder, [m for own, m in chosen if own == room])
        for room in dict.fromkeys(room for room, _ in chosen)
    }
    copies.put(first)

    writing = Lock()

    def one(room: str, mutation: Mutation) -> None:
        if time.monotonic() > until:
            return
        copy = copies.get()
        try:
            came = outcome(mutation, copy, room, tests[room])
        finally:
            copies.put(copy)
        with writing:
            found[name_of(mutation)] = came
            kept.write_text(json.dumps(found), encoding="utf-8")

    with ThreadPoolExecutor(jobs) as pool:
        left = [pair for pair in chosen if name_of(pair[1]) not in found]
        for task in [pool.submit(one, *pair) for pair in left]:
            task.result()
    return found


def report(chosen: list[tuple[str, Mutation]], found: Found) -> Iterator[str]:
    """Survivors, and then the table as Markdown."""
    known = explanations()
    columns = ("mutants", "killed", "explained", "unexplained")
    counts = {room: dict.fromkeys(columns, 0) for room in dict.fromkeys(room for room, _ in chosen)}
    for room, mutation in chosen:
        came = found.get(name_of(mutation))
        if came is None:
            continue
        counts[room]["mutants"] += 1
        if came != "survived":
            counts[room]["killed"] += 1
            continue
        reason = known.get(mutation.key)
        counts[room]["explained" if reason else "unexplained"] += 1
        place = f"{mutation.file}:{mutation.line}"
        yield f"{place}: {' '.join(mutation.before.split())}  ->  {mutation.after}"
        yield f"    {mutation.context}\n    {reason or 'UNEXPLAINED'}"
    yield f"| room | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    total = {name: sum(own[name] for own in counts.values()) for name in columns}
    for room, own in {**counts, "all": total}.items():
        yield f"| {room} | {' | '.join(str(own[name]) for name in columns)} |"


def unexplained(chosen: list[tuple[str, Mutation]], found: Found) -> float:
    """The share that survived and is not explained."""
    known = explanations()
    came = [(mutation, found.get(name_of(mutation))) for _, mutation in chosen]
    bad = [m for m, what in came if what == "survived" and m.key not in known]
    return len(bad) / max(1, sum(what is not None for _, what in came))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only", default="", help="rooms whose name holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--folder", type=Path, help="keeps what is found (default: a temporary one)"
    )
    parser.add_argument("--for", type=float, default=1e9, dest="seconds", metavar="SECONDS")
    parser.add_argument("--again", action="store_true", help="forget what survived before")
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    chosen = list(drawn(asked.seed, asked.count, asked.only))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if asked.again:
            forget(folder)
        found = run(chosen, folder, asked.jobs, until)
    print(*report(chosen, found), sep="\n")
    print(*(f"explained, and there no more: {key}" for key in stale(explanations())), sep="\n")
    left = sum(name_of(mutation) not in found for _, mutation in chosen)
    if left:
        print(f"{left} not tried yet: the same command goes on", file=sys.stderr)
    sys.exit(unexplained(chosen, found) > MOST or left > 0)


def forget(folder: Path) -> None:
    """What survived, and what the tests of before reach."""
    kept = folder / "outcomes.json"
    found = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    kept.write_text(json.dumps({n: what for n, what in found.items() if what != "survived"}))
    for room in ROOMS:
        (folder / f"{room}.times").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
