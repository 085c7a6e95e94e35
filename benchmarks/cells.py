"""Every cell's time next to the LSTM's: `python -m benchmarks.cells [--rounds 9] [--output FILE]`

Forward, backward and all curves but the share, one thread, float64, initial values of the cell: a
table of milliseconds, and of the time of a step per component of the state, relative to the
LSTM's; likewise what a step and its chain rule take of multiplications by matrices, of passes over
entries and of calls. CELLS.md has the last one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import Task, Times, side_by_side
from gradflow.cells import CELLS
from gradflow.engine.flow import unroll
from gradflow.machine.blas import one_thread
from gradflow.measures.flows import backpropagate
from gradflow.runs.experiment import Run
from gradflow.runs.scheduling.pages import keep_freed_memory

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


class Counted(np.ndarray):  # type: ignore[type-arg]
    """Counts what NumPy does with it, and with what comes of it."""

    multiplied = passed = calls = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):  # type: ignore[no-untyped-def]
        bare = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in inputs]
        if out:
            options["out"] = tuple(a.view(np.ndarray) for a in out)
        result = getattr(ufunc, method)(*bare, **options)
        Counted.calls += 1
        if ufunc is np.matmul:
            Counted.multiplied += result.size * bare[0].shape[-1]
        else:
            Counted.passed += max(np.size(result), *map(np.size, bare))
        return out[0] if out else result.view(Counted)

    def __setitem__(self, key, value):  # type: ignore[no-untyped-def]
        super().__setitem__(key, value)
        Counted.calls += 1
        Counted.passed += np.size(self[key])


class Effort(NamedTuple):
    """What a step of one sample, its partials and its chain rule take for a component of the
    state: multiplications by matrices, entries that NumPy passes over, and calls of NumPy."""

    multiplied: float
    passed: float
    calls: float

    @staticmethod
    def of(name: str) -> Effort:
        """That of a cell at H and I of this benchmark."""
        cell = CELLS[name]().sized(H, I)
        rng = np.random.default_rng(0)
        params = {p.name: 0.1 + rng.random((1, *p.shape)) for p in cell.parameters.values()}
        w = cell.bind(params, 1)
        for key, value in vars(w).items():
            if isinstance(value, np.ndarray):
                setattr(w, key, value.view(Counted))
        widths = (cell.G, cell.saved, cell.S_all, cell.S_all, I, cell.local, cell.S_all)
        z, saved, s, s_next, x, local, ds = (
            rng.random((1, 1, width)).view(Counted) for width in widths
        )
        dz, ds_prev = (rng.random((1, 1, n)).view(Counted) for n in (cell.G_all, cell.S_all))
        Counted.multiplied = Counted.passed = Counted.calls = 0
        with np.errstate(all="ignore"):
            cell.prepare(z, saved, x, w)
            cell.step(cell.forward_views(z, saved, s, s_next, x), w)
            cell.linearize(z, saved, s, s_next, x, local, w)
            cell.settle(local, ds, dz, w)
            cell.pullback(cell.backward_views(local, ds, dz, ds_prev), w)
        counts = (Counted.multiplied, Counted.passed, Counted.calls)
        return Effort(*(count / cell.S for count in counts))


def table(times: dict[str, Times], sizes: dict[str, int]) -> Iterable[str]:
    """The file, line by line."""
    yield f"{HEADING}\n"
    yield (
        f"Written by `python -m benchmarks.cells`. T={T}, H={H}, N={N}, one thread, float64, "
        "processor time, the least of the rounds. S: components of the state; a step's time per "
        f"component, over the LSTM's, which has {sizes['lstm']}.\n"
    )
    yield "| cell | S | ms | per component | multiplications | passes | calls |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    base, lstm = times["lstm"].least / sizes["lstm"], Effort.of("lstm")
    above = []
    for name, found in times.items():
        ratio = found.least / sizes[name] / base
        counts = [own / its for own, its in zip(Effort.of(name), lstm, strict=True)]
        figures = " | ".join(f"{figure:.2f}" for figure in (ratio, *counts))
        yield f"| {name} | {sizes[name]} | {1e3 * found.least:.1f} | {figures} |"
        above += [name] if ratio > MOST else []
    yield f"\nMore than {MOST} times the LSTM's: {', '.join(above) or 'none'}."
    yield (
        "Multiplications by matrices, entries that NumPy passes over and its calls, in a step, its "
        "partials and its chain rule, all per component, over the LSTM's.\n\n"
        "Why what is above, or near, is there: a GRU and CfC have three products of H x H "
        "for H components where the LSTM has four for 2 H: 1.5 times as many multiplications, and "
        "so it is forward, backward and in the terms of the weights. (CfC has a fourth pair of "
        "weights, whose terms are multiples of the third's and are taken with them.) Cells of H "
        "components make as many calls of NumPy for half of the LSTM's: what a call costs besides "
        f"its entries, a fifth of the time here, as H = 4 shows, counts twice. {_normalised(lstm)}"
    )


def _normalised(lstm: Effort) -> str:
    """What layer norm takes at least."""
    own, rows, each = lstm.passed * 2, 9, 10
    least = (own + rows * each) / own
    return (
        f"The LSTM passes {own:.0f} times over H rows. Layer norm brings 4 H, 4 H and H rows to "
        f"mean 0 and variance 1, which is at least {each} passes over each: v less its mean, its "
        "square, times the inverse root, times the gain; and back dy times the gain, times y, y "
        "times the mean of that, plus the mean of dy, dy less both, times the inverse root. That "
        f"makes {own + rows * each:.0f}, {least:.2f} times as many; and the output passes through "
        "a sum of biases besides."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    keep_freed_memory()  # as the command does
    made = {name: task(name) for name in CELLS}
    sizes = {name: size for name, (_, size) in made.items()}
    tasks = {name: run for name, (run, _) in made.items()}
    with one_thread():
        times = side_by_side(tasks, rounds=options.rounds, seconds=60, clock=time.process_time)
    text = "\n".join(table(times, sizes)) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
