"""Where the start of a run goes: processes, each of which does what the one before does and more
(`python -m benchmarks.start --rounds 30`). In processor time, which other work disturbs less."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator, Mapping

from benchmarks.processes import THREADS, one_lstm, run
from benchmarks.timing import Times

_NUMPY = "import numpy.random"
_LIBRARIES = f"{_NUMPY}; import typer, yaml; from pydantic import BaseModel, TypeAdapter"
_OWN = "import gradflow.cli, gradflow.config.load, gradflow.runs.runner, gradflow.formats.csv"


def _imports(modules: str) -> tuple[str, ...]:
    """A process that imports these, and looks for garbage as seldom as the command does."""
    return ("-c", f"import gc; gc.set_threshold(100_000, 10, 10); {modules}; gc.freeze()")


STAGES = {
    "Python itself": ("-c", "pass"),
    "import NumPy": _imports(_NUMPY),
    "import typer, pydantic and PyYAML": _imports(_LIBRARIES),
    "import what a run needs of gradflow": _imports(f"{_LIBRARIES}; {_OWN}"),
    "command line, config, equations; one step": one_lstm(1, 1, 1),
    "T, H, N = 100, 32, 16": one_lstm(100, 32, 16),
    "T, H, N = 200, 128, 32 instead": one_lstm(200, 128, 32),
}
"""What each process does besides what those before it do."""


def times(rounds: int) -> dict[str, Times]:
    """Seconds of each stage, after a round that does not count."""
    alike = {**dict.fromkeys(THREADS, "1"), "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    found: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(1 + rounds):
        for name, arguments in STAGES.items():
            before = _spent()
            run(arguments, alike)
            found[name].append(_spent() - before)
    return {name: Times(tuple(seconds[1:])) for name, seconds in found.items()}


def _spent() -> float:
    """The processor time of every process that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(found: Mapping[str, Times]) -> Iterator[str]:
    """Its lines: each stage with what it adds, and the milliseconds up to its end."""
    yield "| stage | adds | ms up to its end |"
    yield "|---|---:|---:|"
    before = 0.0
    for name, own in found.items():
        yield f"| {name} | {1e3 * (own.median - before):.0f} | {1e3 * own.median:.0f} |"
        before = own.median


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start")
    parser.add_argument("--rounds", type=int, default=30)
    print(*table(times(parser.parse_args().rounds)), sep="\n")


if __name__ == "__main__":
    main()
