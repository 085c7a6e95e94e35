"""Every contestant on the problems of the grid, in this process; JSON lines on standard output.

    python -m benchmarks.grid [--only WORD]... [--seconds 4]

Which cores and threads it has is up to whoever starts it (see __main__.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from benchmarks import ours, with_jax, with_torch
from benchmarks.problems import Problem, draw, problems
from benchmarks.timing import Times, side_by_side
from gradflow.runs.scheduling.pages import keep_freed_memory

ROUNDS = 9


def contest(problem: Problem, seconds: float) -> dict[str, Times]:
    """Every contestant on one problem, in turn."""
    net = draw(problem)
    tasks = {
        "gradflow": ours.gradflow(net),
        "share": ours.gradflow(net, share=True),
        "loop": with_torch.loop(net),
        "fused": with_torch.fused(net),
        "scan": with_jax.scan(net),
        "products": ours.bare_products(net),
    }
    return side_by_side(tasks, rounds=ROUNDS, seconds=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    keep_freed_memory()  # as the command does; it serves every library in this process
    for problem in problems():
        if all(word in str(problem).split() for word in options.only):
            print(problem, file=sys.stderr, flush=True)
            times = contest(problem, options.seconds)
            seconds = {name: list(found.seconds) for name, found in times.items()}
            print(json.dumps({"problem": asdict(problem), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
