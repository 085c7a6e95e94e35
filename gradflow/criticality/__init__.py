"""Where the gradient neither vanishes nor explodes: the value of a setting at which the rate is 1.

For each net of an experiment the setting is looked for at which the typical factor per step, the
rate of `diagnosis.rate`, crosses 1. All values of one net are tried with the same draws (common
random numbers): another `ws_scale` is the same base matrix times another number. So the log of the
rate is a continuous function of the setting, and its zero is found by bracketing: values over the
whole range first, then regula falsi within the first change of sign (Dowell and Jarratt, BIT 11,
1971, the Illinois rule). All nets take each step of the search together, as one set of runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gradflow.counts import many
from gradflow.criticality.search import GRID, MOST, Critical, Point, Search, point
from gradflow.criticality.settings import Setting
from gradflow.measures.contract import Asked
from gradflow.results import Result
from gradflow.runs.experiment import Experiment, Run
from gradflow.runs.runner import time_steps

__all__ = ["LEAST_STEPS", "Critical", "Evaluate", "Point", "find", "most_time_steps"]

Evaluate = Callable[[Experiment], Iterable[Result]]
"""Runs an experiment and gives its results in order, as `runner.execute` does."""

LEAST_STEPS = 200
"""A net is run at least so long, since the ends of a curve are bent."""

LONGER = 4
"""How many times longer a net is looked at once more, near what was found, where that is vague:
driven weakly, a net takes hundreds of steps to settle near its critical scale."""

_VAGUE = 0.05  # of the value, or of the range of an option: an interval so wide says little
_NEAR, _AGAIN = 1.5, 6  # how far from what was found, and how many values at most, besides three


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
    longer: bool = True,
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
        longer: whether nets whose value is vague are looked at over LONGER times as many steps.

    Raises:
        InputError: `vary` is nothing that can be varied, or the range is empty or out of bounds.
    """
    setting = Setting(vary, between, experiment.runs)
    nets = [_lengthened(run, least_steps) for run in _apart(experiment.runs, setting)]
    searches = [Search(run, setting, grid, most) for run in nets]
    found = _searched(searches, experiment, evaluate)
    if longer:
        found = _looked_at_longer(found, setting, experiment, evaluate)
    return _with_theory(found, experiment, evaluate) if vary == "ws_scale" and theory else found


def _searched(
    searches: Sequence[Search], experiment: Experiment, evaluate: Evaluate
) -> list[Critical]:
    """What the searches come to; all take each step together."""
    while wanted := [(s, x) for s in searches for x in s.wanted()]:
        runs = tuple(search.setting.applied(search.run, value) for search, value in wanted)
        for (search, value), result in zip(
            wanted, evaluate(replace(experiment, runs=runs)), strict=True
        ):
            search.add(point(value, result))
    return [search.found(number) for number, search in enumerate(searches)]


def _looked_at_longer(
    found: Sequence[Critical], setting: Setting, experiment: Experiment, evaluate: Evaluate
) -> list[Critical]:
    """What was found, of nets whose value is vague by longer runs, unless these say less."""
    vague = [one for one in found if _is_vague(one, setting) and one.run.input.values is None]
    searches = []
    for one in vague:
        own = Setting(setting.key, _near(one, setting), (one.run,))
        run = replace(one.run, sequence_length=LONGER * one.run.sequence_length)
        searches.append(Search(run, own, 3, _AGAIN))
    better = {
        one.number: _merged(one, again)
        for one, again in zip(vague, _searched(searches, experiment, evaluate), strict=True)
        if again.value is not None
    }
    return [better.get(one.number, one) for one in found]


def _merged(first: Critical, again: Critical) -> Critical:
    """What longer runs found of a net, which keeps its own length."""
    steps, more = first.run.sequence_length, again.run.sequence_length
    note = f"found over {many(more, 'step')}, as {steps} leave it vague"
    return replace(
        again,
        number=first.number,
        run=replace(again.run, sequence_length=steps),
        ends=first.ends,
        crossings=first.crossings,
        tried=tuple(sorted((*first.tried, *again.tried), key=lambda p: p.value)),
        note=note if first.note is None else f"{first.note}; {note}",
    )


def _is_vague(found: Critical, setting: Setting) -> bool:
    if found.value is None:
        return False
    if found.interval is None:
        return True
    low, high = found.interval
    return high - low > _VAGUE * (found.value if setting.log else setting.high - setting.low)


def _near(found: Critical, setting: Setting) -> tuple[float, float]:
    """The range around what was found."""
    assert found.value is not None
    width = math.log(_NEAR) if setting.log else (setting.high - setting.low) / 10
    at = setting.at(found.value)
    return max(setting.low, setting.back(at - width)), min(setting.high, setting.back(at + width))


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
    return sum(map(time_steps, nets)) * (GRID + MOST + 1 + LONGER * (3 + _AGAIN))


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
