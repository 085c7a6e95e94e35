"""1,000 small runs: a command each, one by one, in bundles, and in bundles on every core.

    python -m benchmarks.sweeps [--runs 1000] [--repeats 2]

Each figure is the whole of a fresh process, start-up included, as a user meets it. "One by one" is
a loop over the runs in one process, each through the engine alone; "a command each" is what a loop
in a shell takes, timed on twenty of them. The ways take turns, so that a busy machine is unfair to
none; the fastest turn of each counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time

SHAPE = {"hidden_size": 32, "sequence_length": 100, "batch_size": 16}
CELLS = ("rnn", "lstm", "gru")

WAYS = {
    "one by one": "alone",
    "in bundles (--jobs 1)": "bundles",
    "in bundles, every core (default)": "default",
}
A_COMMAND_EACH = "a command each"
COMMANDS = 20  # that are timed


def sweep(runs: int = 1000, repeats: int = 2) -> dict[str, dict[str, float]]:
    """Seconds by cell and way. Raises ValueError where two ways differ in any digit."""
    found: dict[str, dict[str, float]] = {}
    for cell in CELLS:
        best: dict[str, float] = {}
        for _ in range(repeats):
            digests = {}
            for name, how in WAYS.items():
                begin = time.perf_counter()
                digests[name] = _in_a_process(cell, runs, how)
                best[name] = min(best.get(name, float("inf")), time.perf_counter() - begin)
            if len(set(digests.values())) > 1:
                raise ValueError(f"{cell}: results differ: {digests}")
        begin = time.perf_counter()
        for seed in range(COMMANDS):
            _command(cell, seed)
        each = (time.perf_counter() - begin) / COMMANDS
        found[cell] = {A_COMMAND_EACH: each * runs, **best}
    return found


def _command(cell: str, seed: int) -> None:
    config = json.dumps({"cell": cell, "seed": seed, **SHAPE})
    command = [sys.executable, "-m", "gradflow", "analyze", "-", "--format", "csv"]
    subprocess.run(
        command, input=config.encode(), check=True, env=_environment(), stdout=subprocess.DEVNULL
    )


def _in_a_process(cell: str, runs: int, how: str) -> str:
    command = [sys.executable, "-m", "benchmarks.sweeps", "--work", cell, how, str(runs)]
    ended = subprocess.run(command, env=_environment(), check=True, stdout=subprocess.PIPE)
    return ended.stdout.decode().strip()


def _environment() -> dict[str, str]:
    """One BLAS thread, as the command sets it."""
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _work(cell: str, how: str, runs: int) -> str:
    """Run the sweep one way; a digest of its results."""
    from gradflow.api import load
    from gradflow.runs.bundle import run_bundle
    from gradflow.runs.runner import execute
    from gradflow.runs.scheduling.pages import keep_freed_memory
    from gradflow.runs.scheduling.workforce import workforce

    experiment = load({"cell": cell, "seed": list(range(runs)), **SHAPE})
    digest = hashlib.sha256()

    def note(results: object) -> None:
        for result in results:  # type: ignore[attr-defined]
            curve = result.flow.state
            digest.update(curve.mantissa.tobytes() + curve.exponent.tobytes())
            digest.update(result.flow.share_W_s.tobytes() + repr(result.diagnosis).encode())

    if how == "alone":
        for item in enumerate(experiment.runs):
            note(run_bundle([item], experiment.thresholds))
    else:
        keep_freed_memory()  # as the command does
        with workforce(experiment.runs, 1 if how == "bundles" else None) as (executor, workers):
            note(execute(experiment, executor=executor, workers=workers))
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--work", nargs=3, metavar=("CELL", "HOW", "RUNS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        cell, how, runs = options.work
        print(_work(cell, how, int(runs)))
        return
    for cell, best in sweep(options.runs, options.repeats).items():
        fastest = best["in bundles, every core (default)"]
        print(f"{cell}: {options.runs} runs, H = 32, T = 100, N = 16")
        for name, seconds in best.items():
            print(f"  {name:34} {seconds:7.2f} s  {seconds / fastest:5.1f} x")


if __name__ == "__main__":
    main()
