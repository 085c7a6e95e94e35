"""From a valid config to its runs: every combination of what is swept, and what only a run shows to
be wrong: sizes that its equations do not hold for, a gauge that is none, memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from gradflow.config.arrays import Read, check_initial_state
from gradflow.config.cells import Choice
from gradflow.config.faults import Faults
from gradflow.config.losses import loss_of
from gradflow.config.model import SWEPT, Config, FileState
from gradflow.config.numbers import MOST_RUNS
from gradflow.config.recurrent import idle_keys
from gradflow.equations.initial import uses_drawn
from gradflow.equations.mistakes import At, EquationsError, Mistake
from gradflow.measures.contract import Asked
from gradflow.runs.experiment import Run
from gradflow.runs.initializers import Base
from gradflow.runs.memory import too_large
from gradflow.runs.sampling import initial_state, inputs, parameters


def expanded(
    config: Config, choices: Sequence[Choice], read: Read, asked: tuple[Asked, ...], faults: Faults
) -> tuple[Run, ...]:
    """Every combination of the keys that hold lists, in their order in the config; a cell that
    has nothing to scale or draw as the keys of W_s say has one run for all their values."""
    axes = {name: getattr(config, name) for name in SWEPT if name != "cell"}
    for name in ("ws_init", "wx_init"):
        axes[name] = [v if isinstance(v, str) else Base(**v.model_dump()) for v in axes[name]]
    own = [
        {"cell": [choice.cell], **axes, **{key: [None] for key in idle}}
        for choice, idle in zip(choices, idle_keys(config, choices, faults), strict=True)
    ]
    count = sum(math.prod(map(len, one.values())) for one in own)
    if count > MOST_RUNS:
        longest = max(axes, key=lambda name: len(axes[name]))
        longest = longest if len(axes[longest]) > len(choices) else "cell"
        faults.add((longest,), f"expected at most {MOST_RUNS:,} runs in all, found {count:,}")
    faults.stop_if_any()
    fixed: dict[str, Any] = {
        "input_size": config.input_size,
        "output_size": config.output_size,
        "batch_size": config.batch_size,
        "input": read.input,
        "initial_state": read.initial_state,
        "loss": loss_of(config.loss, read.target),
        "dtype": config.dtype,
        "bidirectional": config.bidirectional,
        "tape_memory": config.tape_memory,
        "measures": asked,
    }
    runs = tuple(
        Run(**dict(zip(one, point, strict=True)), **fixed)
        for one in own
        for point in itertools.product(*one.values())
    )
    _check_sizes(runs, faults)
    _check_radius(runs, faults)
    return runs


def _check_sizes(runs: Sequence[Run], faults: Faults) -> None:
    """Add cells whose equations do not hold for the sizes of some run."""
    found = set()
    typical = {cell: cell.typical for cell in dict.fromkeys(run.cell for run in runs)}
    apart = {
        (typical[r.cell], r.hidden_size, r.input_size, min(r.layers, 2)): r for r in runs
    }  # fmt: skip
    for run in apart.values():
        try:
            for layer in range(min(run.layers, 2)):
                run.cell_of_layer(layer)
        except EquationsError as wrong:  # noqa: PERF203 (once for each shape)
            sizes = f"with hidden_size {run.hidden_size} and input_size {run.input_size}"
            message = f"{run.cell.name} {sizes}: {wrong.mistakes[0].message}"
            if message not in found:
                found.add(message)
                faults.add(("cell",), message)
    faults.stop_if_any()


def _check_radius(runs: Sequence[Run], faults: Faults) -> None:
    """Add recurrent weights that are drawn and have no spectral radius, since they are not
    square."""
    found: dict[str, None] = {}
    asked = [run for run in runs if isinstance(run.ws_init, Base) and run.ws_init.spectral_radius]
    apart = {(run.cell, run.hidden_size, min(run.layers, 2)): run for run in asked}
    for run in apart.values():
        for cell in (run.cell_of_layer(layer) for layer in range(min(run.layers, 2))):
            for one in cell.parameters.values():
                rows, columns = one.shape[0] // one.blocks, one.shape[-1]
                drawn = one.role == "recurrent" and one.trained and uses_drawn(one.init)
                if drawn and len(one.shape) == 2 and rows != columns:
                    what = f"{one.name} of {run.cell.name} is {rows} x {columns}"
                    found[f"{what}, not square, and has no spectral radius: leave it out"] = None
    for message in found:
        faults.add(("ws_init",), message)
    faults.stop_if_any()


def check_runs(config: Config, runs: Sequence[Run], faults: Faults) -> None:
    """The runs have the states that a file gives them, and room in memory. Raises InputError."""
    if isinstance(config.initial_state, FileState):
        check_initial_state(runs, config.initial_state.file, faults)
    for path, message in too_large(runs):
        faults.add(path, message)
    faults.stop_if_any()


_TRIED = 8  # runs of a sweep in which a gauge is tried


def try_gauges(choices: Sequence[Choice], runs: Sequence[Run]) -> None:
    """Add cells of the user's own that call a part a gauge which is none to the faults; one for
    all values of options that are numbers."""
    own = {c.cell: c.add for c in choices if c.add is not None and c.cell.equations.gauge}
    if not own:
        return
    from gradflow.invariance import unfounded

    alike: dict[object, list[Run]] = {}
    for run in runs:
        if run.cell in own:
            alike.setdefault(run.cell.typical, []).append(run)
    for its in alike.values():
        for run in (*its[:: -(-len(its) // _TRIED)], its[-1]):
            mistakes = [
                Mistake(f"gauge.{found.gauge}", At(1, 1), found.message)
                for found in unfounded(
                    run.cells[0, 0], parameters(run)[0, 0], inputs(run), initial_state(run)[0, 0]
                )
            ]
            if mistakes:
                own[run.cell](EquationsError(mistakes))
                break
