"""What would change how far a gradient reaches: settings that are tried, and what they gave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradflow.cells import Cell
from gradflow.counts import many
from gradflow.criticality import Evaluate, find
from gradflow.explanation.factors import MEASURES
from gradflow.measures.contract import Asked
from gradflow.results import LayerResult, Result
from gradflow.runs.experiment import Experiment, Run

KEEPING = ("forget_bias", "update_bias")
"""Options that are added to the argument of the gate that keeps the state."""

_GRID, _MOST = 4, 7  # runs that the search for the critical scale takes
MOST_RUNS = 20
"""How many runs the advice on one run takes at most."""

_SHRUNK = (0.5, 0.25, 0.125)  # of the input's scale
_SATURATED, _FREE = 0.2, 0.1


@dataclass(frozen=True)
class Advice:
    """A change that was tried.

    Attributes:
        settings: keys of the config and their values.
        why: what it does, in a phrase.
        result: what running it gave.
    """

    settings: Mapping[str, float]
    why: str
    result: Result


def advice_on(result: Result, run: Run, experiment: Experiment, run_all: Evaluate) -> list[Advice]:
    """What would change the gradient's reach, each tried once; nothing where the gradient is
    stable, or the weights are trained."""
    if run.trained is not None or result.diagnosis.verdict in ("stable", "unknown"):
        return []
    own = replace(experiment, runs=(run,))
    found = [*_critical(result, run, own, run_all)]
    if result.diagnosis.verdict == "vanishing":
        found += _kept(result, run, own, run_all)
        found += _unsaturated(result, run, own, run_all)
    return found


def _critical(result: Result, run: Run, own: Experiment, run_all: Evaluate) -> Iterator[Advice]:
    """The scale of W_s at which the rate is 1."""
    scale = abs(run.ws_scale or 0.0)
    if scale == 0:
        return
    vanishes = result.diagnosis.verdict == "vanishing"
    between = (scale, 10 * scale) if vanishes else (scale / 10, scale)
    plain = replace(run, measures=())
    [found] = find(
        replace(own, runs=(plain,)), run_all, "ws_scale", between,
        grid=_GRID, most=_MOST, least_steps=run.sequence_length, theory=False, longer=False,
    )  # fmt: skip
    if found.value is None:
        return
    value = float(f"{found.value:.4g}")
    tried = replace(run, ws_scale=value, measures=())
    [outcome] = run_all(replace(own, runs=(tried,)))
    yield Advice({"ws_scale": value}, "the critical scale, where the rate is 1", outcome)


def _kept(result: Result, run: Run, own: Experiment, run_all: Evaluate) -> Iterator[Advice]:
    """The bias with which the gate that keeps the state halves it in T/2 steps: σ(b)^(T/2) = ½, of
    a gate that keeps 1 - f of it σ(-b)."""
    T = run.sequence_length
    gate = _figure(result, "factors", "factors_gate")
    for option in KEEPING:
        if option not in run.cell.options or not isinstance(gate, str) or T < 4:
            continue
        sign = -1.0 if gate.startswith("1-") else 1.0
        bias = sign * float(f"{-math.log(2.0 ** (2 / T) - 1):.3g}")
        if sign * (bias - float(run.cell.options[option])) <= 0:
            continue
        cell = Cell.of(run.cell.equations, **{**run.cell.options, option: bias})
        [outcome] = run_all(replace(own, runs=(replace(run, cell=cell, measures=()),)))
        why = f"what {gate} keeps then halves in T/2 = {many(f'{T / 2:g}', 'step')}"
        yield Advice({f"cell.{option}": bias}, why, outcome)


def _unsaturated(result: Result, run: Run, own: Experiment, run_all: Evaluate) -> Iterator[Advice]:
    """An input scale at which few slopes are small, where many are and the input drives them."""
    if _saturated(result) < _SATURATED or run.input.kind == "zeros" or run.wx_scale == 0:
        return
    scales = [float(f"{run.wx_scale * share:.4g}") for share in _SHRUNK]
    tried = tuple(replace(run, wx_scale=scale) for scale in scales)
    outcomes = list(run_all(replace(own, runs=tried)))
    free = [i for i, outcome in enumerate(outcomes) if _saturated(outcome) < _FREE]
    at = free[0] if free else len(scales) - 1
    why = f"the input saturates less: {_saturated(outcomes[at]):.0%} of the slopes are below 0.1"
    yield Advice({"wx_scale": scales[at]}, why, outcomes[at])


def _saturated(result: Result) -> float:
    """The share of slopes below 0.1; 0 if there are none."""
    value = _figure(result, "slopes", "slopes_saturated")
    return float(value) if isinstance(value, int | float) else 0.0


def _figure(result: Result, measure: str, name: str) -> object:
    """A figure of the first place of a net that has it."""
    parts: list[Result | LayerResult] = [result, *result.layers]
    for part in parts:
        found = part.measures.get(measure)
        if found is not None and found.figures.get(name) is not None:
            return found.figures[name]
    return None


def measured(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, with what an explanation needs measured."""
    asked: Any = tuple(Asked(name) for name in MEASURES)
    return tuple(replace(run, measures=asked) for run in runs)
