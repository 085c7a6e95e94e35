"""Every cell's time next to the LSTM's: `python -m benchmarks.cells [--rounds 9] [--output FILE]`

Forward, backward and all curves but the share, one core, float64, initial values of the cell: a
table of milliseconds, and of the time of a step per component of the state, relative to the
LSTM's. CELLS.md has the last one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.timing import Task, Times, side_by_side
from gradflow.cells import CELLS
from gradflow.engine.flow import unroll
from gradflow.machine.blas import use_one_thread
from gradflow.measures.flows import backpropagate
from gradflow.runs.experiment import Run

HEADING = "# Every cell next to the LSTM"
MOST = 1.5  # times the LSTM's time per component, aimed at
T, H, N, I = 100, 64, 16, 16  # noqa: E741


def task(name: str) -> tuple[Task, int]:
    """One pass of a cell, and how many components its state has."""
    import gradflow
    from gradflow.runs.sampling import inputs, parameters

    config = {"cell": name, "sequence_length": T, "hidden_size": H, "batch_size": N}
    (run,) = gradflow.load({**config, "input_size": I}).runs
    assert isinstance(run, Run)
    cell = run.cells[0, 0]
    params = {key: a[None] for key, a in parameters(run)[0, 0].items()}
    x, s0 = inputs(run)[:, None], np.zeros((1, N, cell.S_all))
    ds_T = np.random.default_rng(1).standard_normal((1, N, cell.S_all))

    def pass_() -> object:
        return backpropagate(unroll(cell, params, x, s0), ds_T, share=False)

    return pass_, cell.S


def table(times: dict[str, Times], sizes: dict[str, int]) -> Iterable[str]:
    """The file, line by line."""
    yield f"{HEADING}\n"
    yield (
        f"Written by `python -m benchmarks.cells`. T={T}, H={H}, N={N}, one core, float64, "
        "medians. S: components of the state; a step's time per component, over the LSTM's, which "
        f"has {sizes['lstm']}.\n"
    )
    yield "| cell | S | ms | per component |"
    yield "|---|---:|---:|---:|"
    base = times["lstm"].median / sizes["lstm"]
    for name, found in times.items():
        ratio = found.median / sizes[name] / base
        yield f"| {name} | {sizes[name]} | {1e3 * found.median:.1f} | {ratio:.2f} |"
    above = [name for name in times if times[name].median / sizes[name] / base > MOST]
    yield f"\nMore than {MOST} times the LSTM's: {', '.join(above) or 'none'}."
    yield (
        "A cell with H components that takes as many products as an LSTM, which has 2 H, takes "
        "about twice as long per component; layernorm takes a dozen passes over 4 H rows each way."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    made = {name: task(name) for name in CELLS}
    sizes = {name: size for name, (_, size) in made.items()}
    use_one_thread()
    tasks = {name: run for name, (run, _) in made.items()}
    times = side_by_side(tasks, rounds=options.rounds, seconds=60)
    text = "\n".join(table(times, sizes)) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
