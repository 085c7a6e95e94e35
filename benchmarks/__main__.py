"""All ratios in one run: `python -m benchmarks [--only WORD]... [--seconds 4] [--output FILE]`.

`--only lstm --only float64` times the problems whose names hold all these words.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks import ours, with_jax, with_torch
from benchmarks.problems import Problem, draw, problems
from benchmarks.processes import whole_processes
from benchmarks.report import markdown
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--seconds", type=float, default=4.0, help="per problem, at least 2 rounds")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "RESULTS.md")
    options = parser.parse_args()
    keep_freed_memory()  # as the command does; it serves every library in this process

    chosen = [p for p in problems() if all(word in str(p).split() for word in options.only)]
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "jax"))
    busy = [os.getloadavg()[0]]
    found: dict[Problem, dict[str, Times]] = {}
    write = partial(options.output.write_text, encoding="utf-8")
    for problem in chosen:
        print(problem, file=sys.stderr, flush=True)
        found[problem] = contest(problem, options.seconds)
        busy.append(os.getloadavg()[0])
        write(markdown(found, {}, busy, versions))  # what an interrupted run leaves
    write(markdown(found, whole_processes(rounds=3), busy, versions))
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
