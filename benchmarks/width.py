"""A wide net: `python -m benchmarks.width [--hidden-size 4096]`, every cell, T = 10, N = 8."""

from __future__ import annotations

import argparse
import resource
import time

from benchmarks.ours import bare_products, gradflow
from benchmarks.problems import NAMES, Problem, draw
from gradflow.runs.scheduling.pages import keep_freed_memory


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.width", description=__doc__)
    parser.add_argument("--hidden-size", type=int, default=4096)
    H = parser.parse_args().hidden_size
    keep_freed_memory()  # as the command does
    print(
        "| cell | dtype | seconds | over the products | peak MiB so far |\n|---|---|---:|---:|---:|"
    )
    for dtype in ("float32", "float64"):
        for name in NAMES:
            net = draw(Problem(name, 10, H, 8, dtype))
            seconds = []
            for task in (gradflow(net), bare_products(net)):
                task()
                start = time.perf_counter()
                task()
                seconds.append(time.perf_counter() - start)
            ours, products = seconds
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            row = (name, dtype, f"{ours:.2f}", f"{ours / products:.2f}", f"{peak:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
