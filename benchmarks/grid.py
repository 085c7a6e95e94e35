"""Every contestant on the problems of the grid, in this process; JSON lines on standard output.

    python -m benchmarks.grid [--only WORD]... [--seconds 4] [--cores N]

Which cores and threads other libraries have is up to whoever starts it (see __main__.py); with
more than one core, NumPy's BLAS is to have one thread, as in gradflow's command, which has threads
of its own. The bare products are then given as many of BLAS.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from threadpoolctl import ThreadpoolController

from benchmarks import ours, with_jax, with_torch
from benchmarks.problems import Problem, draw, problems
from benchmarks.timing import Task, Times, side_by_side
from gradflow.runs.scheduling.pages import keep_freed_memory

ROUNDS = 9


def contest(problem: Problem, seconds: float, cores: int = 1) -> dict[str, Times]:
    """Every contestant on one problem, in turn."""
    net = draw(problem)
    tasks = {
        "gradflow": ours.gradflow(net, threads=cores),
        "share": ours.gradflow(net, share=True, threads=cores),
        "loop": with_torch.loop(net),
        "fused": with_torch.fused(net),
        "scan": with_jax.scan(net),
        "products": ours.bare_products(net),
    }
    if cores > 1:
        tasks["alone"] = ours.gradflow(net, share=True)
        tasks["products"] = _by_blas(tasks["products"], cores)
    return side_by_side(tasks, rounds=ROUNDS, seconds=seconds)


def _by_blas(task: Task, threads: int) -> Task:
    """The task with so many threads of NumPy's BLAS."""
    controller = ThreadpoolController()

    def run() -> None:
        with controller.limit(limits=threads, user_api="blas"):
            task()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    keep_freed_memory()  # as the command does; it serves every library in this process
    for problem in problems():
        if all(word in str(problem).split() for word in options.only):
            print(problem, file=sys.stderr, flush=True)
            times = contest(problem, options.seconds, options.cores)
            seconds = {name: list(found.seconds) for name, found in times.items()}
            print(json.dumps({"problem": asdict(problem), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
