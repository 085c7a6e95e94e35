"""Where the time of a step goes: what holds gradflow where it is.

    python -m benchmarks.profile [--only WORD]... [--share]

On one thread, by the functions of the engine and the cells, each without what it calls, so that
NumPy's work counts for whoever asks for it. Beside it the bare matrix products of the same shapes,
and what as many NumPy operations as a step makes cost on 32 numbers: the time below which no
step can be, however small.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path

from gradflow.machine.blas import use_one_thread

use_one_thread()  # before anything imports NumPy

import numpy as np  # noqa: E402

from benchmarks import ours  # noqa: E402
from benchmarks.problems import OPERATIONS, draw, problems  # noqa: E402
from gradflow.engine.backward import unwatched  # noqa: E402
from gradflow.runs.scheduling.pages import keep_freed_memory  # noqa: E402

KINDS: dict[str, Callable[[str, str], bool]] = {
    "recurrent products": lambda file, name: file == "products.py",
    "input product": lambda file, name: name in ("_input_product", "multiply"),
    "forward, by element": lambda file, name: (
        name in ("step", "sigmoid", "_sigmoid_of", "rest_from")
    ),
    "local derivatives": lambda file, name: name == "linearize" or file == "functions.py",
    "backward, by element": lambda file, name: name == "pullback",
    "terms of the weights": lambda file, name: (
        file in ("terms.py", "uses.py", "outer.py", "stretches.py", "running.py")
        or "ascontiguousarray" in name
    ),
    "norms, range checks": lambda file, name: (
        file in ("gradient.py", "magnitudes.py", "backward.py") or "reduce" in name
    ),
    "everything else": lambda file, name: True,
}
"""A function counts for the first kind that it fits."""


def by_kind(task: Callable[[], object], steps: int) -> dict[str, float]:
    """Microseconds a time step; scaled to the time without the profiler."""
    task()
    begin = time.perf_counter()
    task()
    alone = time.perf_counter() - begin
    profile = cProfile.Profile()
    profile.runcall(task)
    found = dict.fromkeys(KINDS, 0.0)
    for (path, _, name), row in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        kind = next(kind for kind, fits in KINDS.items() if fits(Path(path).name, name))
        found[kind] += row[2]
    factor = 1e6 * alone / sum(found.values()) / steps
    return {kind: seconds * factor for kind, seconds in found.items()}


def of_one_element() -> float:
    """Microseconds of a NumPy operation that has next to nothing to do."""
    a, b, c = (np.ones((1, 32, 1)) for _ in range(3))
    count = 20_000
    with unwatched():
        begin = time.perf_counter()
        for _ in range(count):
            np.add(a, b, out=c)
        return 1e6 * (time.perf_counter() - begin) / count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--only", action="append", default=["float64"], metavar="WORD")
    parser.add_argument("--share", action="store_true", help="with the column share_W_s")
    options = parser.parse_args()
    keep_freed_memory()
    print(f"| cell | T, H, N | all | {' | '.join(KINDS)} | bare products | operations alone |")
    print(f"|---|---|{'---:|' * (len(KINDS) + 3)}")
    for problem in problems():
        if not all(word in str(problem).split() for word in options.only):
            continue
        net = draw(problem)
        kinds = by_kind(ours.gradflow(net, share=options.share), problem.T)
        bare = ours.bare_products(net)
        bare()
        begin = time.perf_counter()
        bare()
        products = 1e6 * (time.perf_counter() - begin) / problem.T
        alone = OPERATIONS[problem.cell] * of_one_element()
        figures = [sum(kinds.values()), *kinds.values(), products, alone]
        row = [problem.cell, f"{problem.T}, {problem.H}, {problem.N}"]
        print(f"| {' | '.join([*row, *(f'{figure:.3g}' for figure in figures)])} |", flush=True)


if __name__ == "__main__":
    main()
