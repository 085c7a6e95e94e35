"""All ratios in one run: `python -m benchmarks [--only WORD]... [--seconds 4] [--output FILE]`.

`--only lstm --only float64` times the problems whose names hold all these words. The grid is timed
twice, each time in its own process: on one core, where every library has one thread; and on
every core, gradflow with its own threads, each library with those that it takes by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from benchmarks import start
from benchmarks.coverage import section
from benchmarks.problems import Problem
from benchmarks.processes import ROOT, THREADS, environment, single_runs, whole_processes
from benchmarks.report import Setting, markdown
from benchmarks.sweeps import sweep
from benchmarks.timing import Times


def grid(cores: int, arguments: list[str]) -> Iterator[tuple[Problem, dict[str, Times]]]:
    """The times of the grid's problems, as they are found."""
    settings = {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.grid", *arguments]
    if cores == 1:
        settings = dict.fromkeys(THREADS, "1")
        command = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *command]
    else:
        command.append(f"--cores={cores}")
    own = environment(settings)
    with subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = json.loads(line)
            times = {name: Times(tuple(s)) for name, s in found["seconds"].items()}
            yield Problem(**found["problem"]), times
    if process.returncode:
        raise SystemExit(process.returncode)


def printed(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
    """What another of the benchmarks prints."""
    command = [sys.executable, "-m", module, *arguments]
    own = environment(settings)
    ended = subprocess.run(command, cwd=ROOT, env=own, check=True, stdout=subprocess.PIPE)
    return ended.stdout.decode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--seconds", type=float, default=4.0, help="per problem, at least 2 rounds")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "RESULTS.md")
    options = parser.parse_args()

    old = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
    coverage = section(old)  # that another command has written
    arguments = [f"--seconds={options.seconds}", *(f"--only={word}" for word in options.only)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "jax"))
    cores = os.cpu_count() or 1
    settings = [Setting("One core", 1, {}), Setting(f"{cores} cores", cores, {})]
    busy = [os.getloadavg()[0]]
    for setting in settings if cores > 1 else settings[:1]:
        for problem, times in grid(setting.cores, arguments):
            setting.found[problem] = times
            busy.append(os.getloadavg()[0])
            # What an interrupted run leaves.
            text = markdown(settings, {}, busy, versions)
            options.output.write_text("\n".join([text, coverage]), encoding="utf-8")
    profile = printed("benchmarks.profile", *arguments[1:])
    kernels: list[dict[str, str]] = [{}, {"OPENBLAS_CORETYPE": "Haswell"}]
    against_one = "\n".join(
        printed("benchmarks.cores", "--steps=100", *arguments[1:], settings=one) for one in kernels
    )
    processes, sweeps = whole_processes(rounds=5), sweep()
    single = single_runs(rounds=5)
    stages = "\n".join(start.table(start.times(rounds=15)))
    text = markdown(
        settings, processes, busy, versions, sweeps, profile, against_one, single, stages
    )
    text = "\n".join([text, coverage]) if coverage else text
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
