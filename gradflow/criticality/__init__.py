"""Where the gradient neither vanishes nor explodes: the value of a setting at which the rate is 1.

For each net of an experiment the setting is looked for at which the typical factor per step, the
rate of `diagnosis.rate`, crosses 1. All values of one net are tried with the same draws (common
random numbers): another `ws_scale` is the same base matrix times another number. So the log of the
rate is a continuous function of the setting, and its zero is found by bracketing: values over the
whole range first, then regula falsi within the first change of sign (Dowell and Jarratt, BIT 11,
1971, the Illinois rule). All nets take each step of the search together, as one sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gradflow.criticality.search import GRID, MOST, Critical, Point, Search, point
from gradflow.criticality.settings import SCALES, Setting
from gradflow.measures.contract import Asked
from gradflow.results import Result
from gradflow.runs.experiment import Experiment, Run
from gradflow.runs.runner import time_steps

__all__ = ["LEAST_STEPS", "SCALES", "Critical", "Evaluate", "Point", "find", "most_time_steps"]

Evaluate = Callable[[Experiment], Iterable[Result]]
"""Runs an experiment and gives its results in order, as `runner.execute` does."""

LEAST_STEPS = 200
"""A net is run at least so long, since the ends of a curve are bent."""


def find(
    experiment: Experiment,
    evaluate: Evaluate,
    vary: str = "ws_scale",
    between: tuple[float, float] | None = None,
    *,
    grid: int = GRID,
    most: int = MOST,
    least_steps: int = LEAST_STEPS,
    theory: bool = True,
) -> list[Critical]:
    """The critical value of `vary` for each net of an experiment.

    Args:
        experiment: its runs, but for those that differ only in `vary`.
        evaluate: runs an experiment and gives its results in order (`runner.execute`).
        vary: one of SCALES, or `cell.OPTION`, an option that is a number.
        between: the range; the default is 0.1 to 10 for a scale, and for an option -10 to 10, as
            far as its bounds allow.
        grid: how many values are tried over the whole range.
        most: how many more at most, within a bracket.
        least_steps: a run that is shorter is made so long.
        theory: whether what theory predicts is found too.

    Raises:
        InputError: `vary` is nothing that can be varied, or the range is empty or out of bounds.
    """
    setting = Setting(vary, between, experiment.runs)
    nets = [_lengthened(run, least_steps) for run in _apart(experiment.runs, setting)]
    searches = [Search(run, setting, grid, most) for run in nets]
    while wanted := [(s, x) for s in searches for x in s.wanted()]:
        runs = tuple(setting.applied(search.run, value) for search, value in wanted)
        for (search, value), result in zip(
            wanted, evaluate(replace(experiment, runs=runs)), strict=True
        ):
            search.add(point(value, result))
    found = [search.found(number) for number, search in enumerate(searches)]
    return _with_theory(found, experiment, evaluate) if vary == "ws_scale" and theory else found


def _with_theory(
    found: Sequence[Critical], experiment: Experiment, evaluate: Evaluate
) -> list[Critical]:
    """What was found, next to what the theory says at that scale, or at the one that was given."""
    runs = tuple(replace(one.run, measures=(Asked("theory"),)) for one in found)
    results = evaluate(replace(experiment, runs=runs))
    predicted = [_predicted(result) for result in results]
    return [replace(one, predicted=value) for one, value in zip(found, predicted, strict=True)]


def _predicted(result: Result) -> float | None:
    measured = result.measures.get("theory")
    value = measured.figures.get("critical_predicted") if measured is not None else None
    return float(value) if isinstance(value, int | float) else None


def most_time_steps(experiment: Experiment, vary: str) -> int:
    """The time steps that `find` takes at most."""
    setting = Setting(vary, None, experiment.runs)
    nets = [_lengthened(run, LEAST_STEPS) for run in _apart(experiment.runs, setting)]
    return sum(map(time_steps, nets)) * (GRID + MOST + 1)


def _apart(runs: Sequence[Run], setting: Setting) -> list[Run]:
    """The runs, of those that differ only in the setting the first."""
    nets: dict[object, Run] = {}
    for run in runs:
        axes = {name: value for name, value in run.axes.items() if name != "cell"}
        options: Mapping[str, object] = run.cell.options
        if setting.option is None:
            axes.pop(setting.key)
        else:
            options = {n: v for n, v in options.items() if n != setting.option}
        key = (run.cell.equations, tuple(axes.items()), tuple(options.items()))
        nets.setdefault(key, run)
    return list(nets.values())


def _lengthened(run: Run, least: int) -> Run:
    """A run that is long enough; one over a user's series has the length that it has."""
    if run.input.values is not None or run.sequence_length >= least:
        return run
    return replace(run, sequence_length=least)
