"""All cores against one: `python -m benchmarks.cores [--only WORD]... [--seconds 4] [--steps 50]`

One run with every curve and the share of W_s, on one core and on all of them in turn, in one
process; and next to it the bare recurrent products, their blocks of rows dealt out to as many
threads that never wait for each other, which is as much as there is to be gained. Rounds in which
other processes took part of the cores are left out (Linux).
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gradflow.machine.blas import kernel, use_one_thread

use_one_thread()  # before anything imports NumPy

import numpy as np  # noqa: E402

from benchmarks import ours  # noqa: E402
from benchmarks.problems import Problem, draw, problems  # noqa: E402
from benchmarks.timing import Ratio, Task, Times  # noqa: E402
from gradflow.machine.threads import cores  # noqa: E402
from gradflow.numerics.products import product  # noqa: E402
from gradflow.runs.scheduling.pages import keep_freed_memory  # noqa: E402

LEAST = 256  # H
OTHERS = 0.1  # cores that other processes may take, in a round that counts
_STAT = Path("/proc/stat")


def table(chosen: list[Problem], threads: int, seconds: float) -> Iterator[str]:
    """A line a problem, as they are found."""
    yield f"| cell | dtype | T, H, N | one core | {threads} cores | bare products | rounds |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for problem in chosen:
        net = draw(problem)
        one, many = (ours.gradflow(net, share=True, threads=n) for n in (1, threads))
        alone, shared = rounds(one, many, seconds)
        bare = Ratio.of(*rounds(*(dealt_out(problem, n) for n in (1, threads)), seconds / 4))
        found = Ratio.of(alone, shared)
        row = [
            problem.cell,
            problem.dtype,
            f"{problem.T}, {problem.H}, {problem.N}",
            f"{1e3 * alone.median:.3g} ms",
            f"{found.of_medians:.2f} ({found.low:.2f}-{found.high:.2f})",
            f"{bare.of_medians:.2f}",
            f"{len(alone.seconds)}",
        ]
        yield f"| {' | '.join(row)} |"


def rounds(one: Task, many: Task, seconds: float) -> tuple[Times, Times]:
    """Times of two tasks in turn, of the rounds that no other process disturbed, or of all if there
    were none."""
    one(), many()
    found: list[tuple[float, float, bool]] = []
    deadline = time.perf_counter() + seconds
    while len(found) < 3 or time.perf_counter() < deadline:
        others = _of_others()
        start = time.perf_counter()
        one()
        middle = time.perf_counter()
        many()
        end = time.perf_counter()
        quiet = others() < OTHERS * (end - start)
        found.append((middle - start, end - middle, quiet))
    kept = [times for *times, quiet in found if quiet] or [times for *times, _ in found]
    first, second = zip(*kept, strict=True)
    return Times(first), Times(second)


def dealt_out(problem: Problem, threads: int) -> Task:
    """A recurrent product forward and one backward for every step, the rows dealt out."""
    weights = draw(problem).params.W_s[None]
    rng = np.random.default_rng(0)
    tasks = [
        (W, rng.standard_normal((1, W.shape[-1], problem.N)).astype(problem.dtype))
        for W in (weights, np.ascontiguousarray(weights.mT))
    ]

    def of(thread: int) -> None:
        for W, columns in tasks:
            rows = W.shape[-2]
            part = W[:, rows * thread // threads : rows * (thread + 1) // threads]
            out = np.empty((1, part.shape[-2], problem.N), problem.dtype)
            for _ in range(problem.T):
                product(part, columns, out=out)

    def run() -> None:
        helpers = [threading.Thread(target=of, args=(n,)) for n in range(1, threads)]
        for helper in helpers:
            helper.start()
        of(0)
        for helper in helpers:
            helper.join()

    return run


def _of_others() -> Callable[[], float]:
    """Asked later: the seconds of the cores that others have used since."""
    busy, own = _busy(), time.process_time()
    return lambda: (_busy() - busy) - (time.process_time() - own)


def _busy() -> float:
    """The seconds that all cores have worked, by the system; 0 where it does not say."""
    try:
        fields = [int(field) for field in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cores", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--seconds", type=float, default=4.0, help="a problem, at least 3 rounds")
    parser.add_argument("--steps", type=int, default=50, help="T")
    options = parser.parse_args()
    keep_freed_memory()  # as the command does
    chosen = [
        Problem(problem.cell, options.steps, problem.H, problem.N, problem.dtype)
        for problem in problems()
        if problem.H >= LEAST and all(word in str(problem).split() for word in options.only)
    ]
    print(f"OpenBLAS's kernel: {kernel()}.\n")
    for line in table(chosen, cores(), options.seconds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
