"""Very long sequences: time against T and peak memory. `python -m benchmarks.length [--longest T]`

An LSTM, H = 64, N = 1, float64, each T in its own process; the tape is bounded by recomputing
it from checkpoints.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.ours import gradflow
from benchmarks.problems import Problem, draw
from gradflow.runs.scheduling.pages import keep_freed_memory

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)


def one(T: int) -> None:
    """Print seconds and peak MiB of one pass."""
    keep_freed_memory()  # as the command does
    task = gradflow(draw(Problem("lstm", T, 64, 1, "float64")))
    start = time.perf_counter()
    task()
    seconds = time.perf_counter() - start
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seconds, kibibytes / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.length", description=__doc__)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], metavar="T")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one)
        return
    lengths = [T for T in LENGTHS if options.longest >= T]
    seconds = []
    print("| T | seconds | peak MiB |\n|---:|---:|---:|")
    for T in lengths:
        command = [sys.executable, "-m", "benchmarks.length", "--one", str(T)]
        passes = [_pass(command) for _ in range(3 if T < 100_000 else 1)]
        took, peak = min(passes)
        seconds.append(took)
        print(f"| {T:,} | {took:.3g} | {peak:.0f} |", flush=True)
    exponent = np.polyfit(np.log(lengths), np.log(seconds), 1)[0]
    print(f"\ntime ~ T^{exponent:.3f}")


def _pass(command: list[str]) -> tuple[float, float]:
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took, peak = map(float, output.split())
    return took, peak


if __name__ == "__main__":
    main()
