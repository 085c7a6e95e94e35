"""Advances runs of equal shape together: draws each net, sends all through the engine, reads the
curves. This is the unit of work that a scheduler hands out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gradflow.cells import Params
from gradflow.diagnosis import diagnose
from gradflow.engine.flow import Progress
from gradflow.engine.network import NetTrajectory, Place, unroll_net
from gradflow.measures.batch import over_batch
from gradflow.measures.flows import backpropagate_net, whole_net
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes, log_norms_joined, root_sum_of_squares
from gradflow.results import NO_SAMPLES, Diagnosis, Direction, GradientFlow, LayerResult, Result
from gradflow.runs import reach, sampling
from gradflow.runs.experiment import Run
from gradflow.runs.measuring import Measuring, Of
from gradflow.runs.reach import Reach
from gradflow.runs.readings import Readings

DIRECTIONS: tuple[Direction, Direction] = ("forward", "reverse")


def run_bundle(
    numbered: Sequence[tuple[int, Run]],
    thresholds: tuple[float, float],
    progress: Progress = lambda steps: None,
) -> Iterator[Result]:
    """The results of runs of equal `shape`, each with its number in the sweep.

    No result depends on which runs are in the bundle. `varied` is left empty.
    """
    readings, net = _forward([run for _, run in numbered], progress)
    losses = readings.values
    diverged_at = np.where(net.diverged_at == 0, readings.lost_at, net.diverged_at)
    good = np.flatnonzero(diverged_at == 0)
    backward = _Backward.of(readings, net, good, progress) if len(good) else None
    for r, (number, run) in enumerate(numbered):
        result = Result(
            run=number,
            axes=run.axes,
            varied=(),
            loss=losses[r],
            diagnosis=Diagnosis("diverged"),
            flow=None,
            diverged_at=int(diverged_at[r]) or None,
            notes=run.trained.notes if run.trained else (),
            options=run.cell.options,
            objective=run.objective,
        )
        if backward is None or result.diverged_at is not None:
            progress(backward_passes(run) * run.sequence_length * len(run.places))
            yield result
            continue
        row = int(np.searchsorted(good, r))
        own = {at: found[row] for at, found in backward.flows.items()}
        its = backward.reaches[row] if backward.reaches else None
        W_o = readings.output_gradient(r)
        read = _with_lost(_read(result, run, own, its, W_o, thresholds))
        yield _with_measures(read, backward.measured[row]) if run.measures else read


def _forward(runs: Sequence[Run], progress: Progress) -> tuple[Readings, NetTrajectory]:
    """The forward pass, and the losses that are read on the way."""
    readings = Readings(runs)
    net = unroll_net(
        runs[0].cells,
        _one_set([sampling.parameters(run) for run in runs]),
        np.stack(_inputs(runs), axis=1),
        _joined([sampling.initial_state(run) for run in runs]),
        merge=runs[0].merge,
        budget=runs[0].tape_memory * len(runs),
        watch=readings.watch,
        progress=lambda steps: progress(steps * len(runs)),
    )
    readings.close()
    return readings, net


class _Backward(NamedTuple):
    """What the backward passes give, of runs that did not diverge, in their order."""

    flows: dict[Place, list[GradientFlow]]
    measured: list[dict[Of, dict[str, Measured]]]
    reaches: list[Reach] | None

    @staticmethod
    def of(readings: Readings, net: NetTrajectory, good: Array, progress: Progress) -> _Backward:
        """Of the runs `good` (indices)."""
        kept = net if len(good) == len(readings.runs) else net.select(good)
        ds_T, entering = readings.entering(kept, good)
        asked = [readings.runs[r] for r in good]
        measuring = Measuring(asked, kept, ds_T, entering, readings.one_loss(good))

        def advanced(steps: int) -> None:
            progress(steps * len(good))

        flows = backpropagate_net(
            kept, ds_T, losses=entering, watching=measuring.watchers, progress=advanced
        )
        measured = measuring.found()
        return _Backward(flows, measured, reach.measure(kept, readings, good, advanced))


def backward_passes(run: Run) -> int:
    """How often a run is gone back through."""
    return 1 + reach.passes(run)


def _read(
    result: Result,
    run: Run,
    flows: dict[Place, GradientFlow],
    reached: Reach | None,
    W_o: Magnitudes | None,
    thresholds: tuple[float, float],
) -> Result:
    """The result with the curves of its places put together and diagnosed."""
    of_output = {"W_o": W_o} if W_o is not None else {}
    flows = {at: _placed(run, at, flow, reached) for at, flow in flows.items()}
    for _, direction in run.top_places:
        own = {at: flow for at, flow in flows.items() if at[1] == direction}
        flows |= _with_start(own)
    found = {at: diagnose(flow, thresholds) for at, flow in flows.items()}
    layers = tuple(
        LayerResult(at[0], DIRECTIONS[at[1]], found[at], _kept(flow))
        for at, flow in flows.items()
        if len(flows) > 1
    )
    if run.bidirectional:
        first = min(found.values(), key=_leaves)
        return replace(result, diagnosis=first, layers=layers)
    if len(flows) == 1:
        ((diagnosis, whole),) = zip(found.values(), flows.values(), strict=True)
    else:
        whole = over_batch(_placed(run, None, whole_net(list(flows.values())), reached))
        diagnosis = diagnose(whole, thresholds)
    whole = _kept(replace(whole, totals={**whole.totals, **of_output}))
    return replace(result, diagnosis=diagnosis, flow=whole, layers=layers)


def _leaves(found: Diagnosis) -> float:
    """When a part leaves the thresholds, for the order of several: one of which that is unknown
    may have been the first."""
    if found.verdict == "unknown":
        return -math.inf
    return math.inf if found.horizon is None else found.horizon


def _with_lost(result: Result) -> Result:
    """The result with a note of the gradients that are no numbers, and without the totals and the
    terms of which nothing is one."""
    lost = dict.fromkeys(
        name
        for flow in result.flows.values()
        for name, found in (("the state", flow.state), *flow.terms.items(), *flow.totals.items())
        if not np.isfinite(found.mantissa).all()
    )
    if not lost:
        return result
    note = (
        f"the gradient by {', '.join(lost)} is no number at some lags, which are empty: "
        "a derivative within the step left float range"
    )
    return replace(
        result,
        flow=None if result.flow is None else _without_lost(result.flow),
        layers=tuple(replace(part, flow=_without_lost(part.flow)) for part in result.layers),
        notes=(*result.notes, note),
    )


def _without_lost(flow: GradientFlow) -> GradientFlow:
    terms = {name: own for name, own in flow.terms.items() if not np.isnan(own.mantissa).all()}
    totals = {name: own for name, own in flow.totals.items() if np.isfinite(own.mantissa).all()}
    return replace(flow, terms=terms, totals=totals)


def _placed(run: Run, at: Place | None, flow: GradientFlow, reached: Reach | None) -> GradientFlow:
    """The curves of a place, or of the whole of a one-way net, with the lag of the last loss, and
    how far the loss of any one step reaches."""
    first = run.sequence_length - int(run.own_loss_steps(at or run.places[0]).max())
    return replace(flow, first=first, log_reach=reached.at(at) if reached else NO_SAMPLES)


def _with_measures(result: Result, found: Mapping[Of, Mapping[str, Measured]]) -> Result:
    """The result with what else was measured, of the whole net and of its places."""
    layers = tuple(
        replace(part, measures=found.get((part.layer, DIRECTIONS.index(part.direction)), {}))
        for part in result.layers
    )
    return replace(result, measures=found.get(None, {}), layers=layers)


def _with_start(flows: Mapping[Place, GradientFlow]) -> dict[Place, GradientFlow]:
    """The curves of layers upon each other, next to the gradient of all of them at its first
    lag."""
    first = next(iter(flows.values())).first
    start = root_sum_of_squares([flow.state[first] for flow in flows.values()])
    samples = log_norms_joined([flow.log_samples[first] for flow in flows.values()])
    return {at: over_batch(replace(flow, start=start), samples) for at, flow in flows.items()}


def _kept(flow: GradientFlow) -> GradientFlow:
    """What a result keeps of the curves: not each sample's own."""
    return replace(flow, log_samples=NO_SAMPLES, log_reach=NO_SAMPLES)


def _joined(arrays: Sequence[Mapping[Place, Array]]) -> dict[Place, Array]:
    """One array by place, the runs on the first axis."""
    return {at: np.stack([run[at] for run in arrays]) for at in arrays[0]}


def _one_set(params: Sequence[Mapping[Place, Params]]) -> dict[Place, Params]:
    """One set of parameters by place, the runs on the first axis."""
    return {
        at: {name: np.stack([run[at][name] for run in params]) for name in own}
        for at, own in params[0].items()
    }


def _inputs(runs: Sequence[Run]) -> list[Array]:
    """One array for each run, or a single one where they all share it."""
    first = runs[0]
    if all(run.seed == first.seed and run.input is first.input for run in runs):
        return [sampling.inputs(first)]
    return [sampling.inputs(run) for run in runs]
