"""Advances runs of equal shape together: draws each net, sends all through the engine, reads the
curves. This is the unit of work that a scheduler hands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradflow import sampling
from gradflow.cells import Params
from gradflow.diagnose import diagnose
from gradflow.experiment import Run
from gradflow.flow import Progress, backpropagate, unroll
from gradflow.logspace import Array
from gradflow.losses import objective
from gradflow.results import Diagnosis, GradientFlow, Result


def run_stack(
    numbered: Sequence[tuple[int, Run]],
    thresholds: tuple[float, float],
    progress: Progress = lambda steps: None,
) -> Iterator[Result]:
    """The results of runs of equal `shape`, each with its number in the sweep.

    No result depends on which runs are in the stack. `varied` is left empty.
    """
    runs = [run for _, run in numbered]
    objectives = [objective(run) for run in runs]
    cell = runs[0].cell
    params = Params(*map(np.stack, zip(*map(sampling.parameters, runs), strict=True)))
    x = np.stack(_inputs(runs), axis=1)
    s0 = np.stack([sampling.initial_state(run) for run in runs])

    trajectory = unroll(cell, params, x, s0, progress=lambda k: progress(k * len(runs)))
    last = trajectory.last
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [float(o.value(s).mean()) for o, s in zip(objectives, last, strict=True)]
        ds_T = np.stack([o.gradient(s) for o, s in zip(objectives, last, strict=True)])
    lost = ~np.isfinite(ds_T).all(axis=(1, 2))
    diverged_at = np.where(lost & (trajectory.diverged_at == 0), len(x), trajectory.diverged_at)

    good = np.flatnonzero(diverged_at == 0)
    flows: dict[int, GradientFlow] = {}
    if len(good):
        kept = trajectory if len(good) == len(runs) else trajectory.select(good)
        found = backpropagate(kept, ds_T[good], progress=lambda k: progress(k * len(good)))
        flows = dict(zip(good.tolist(), found, strict=True))
    for r, (number, run) in enumerate(numbered):
        flow = flows.get(r)
        if flow is not None and (outer := objectives[r].output_gradient) is not None:
            flow = replace(flow, totals={**flow.totals, "W_o": outer(last[r])})
        if flow is None:
            progress(run.sequence_length)
        yield Result(
            run=number,
            axes=run.axes,
            varied=(),
            loss=losses[r],
            diagnosis=diagnose(flow, thresholds) if flow else Diagnosis("diverged"),
            flow=flow,
            diverged_at=int(diverged_at[r]) or None,
        )


def _inputs(runs: Sequence[Run]) -> list[Array]:
    """One array for each run, or a single one where they all share it."""
    first = runs[0]
    if all(run.seed == first.seed and run.input is first.input for run in runs):
        return [sampling.inputs(first)]
    return [sampling.inputs(run) for run in runs]
