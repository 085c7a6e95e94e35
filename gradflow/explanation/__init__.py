"""Why a run's gradient does what it does, and what would change that; every number is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradflow.criticality import Evaluate
from gradflow.explanation.advice import MOST_RUNS, Advice, advice_on, measured
from gradflow.explanation.expansion import Expansion, can_expand, expand
from gradflow.explanation.factors import Factor, Factors, factors_of
from gradflow.results import Result
from gradflow.runs.experiment import Experiment
from gradflow.runs.runner import time_steps

__all__ = ["Advice", "Expansion", "Explanation", "Factor", "Factors", "explain"]


@dataclass(frozen=True)
class Explanation:
    """One run, explained.

    Attributes:
        result: the run, with the measures that the factors come from.
        factors: what its rate is the product of, of each place of a net by name, '' for a net of
            one; a cell or a curve that has none is left out.
        advice: what would change it, tried; None where it was not asked for.
        expansions: the sums over k of a run of few steps, factor by factor.
    """

    result: Result
    factors: dict[str, Factors]
    advice: tuple[Advice, ...] | None
    expansions: tuple[Expansion, ...] = ()

    def __repr__(self) -> str:
        """`<Explanation of run 0: rnn, vanishing, rate 0.6471, horizon 17>`."""
        return f"<Explanation of run {self.result.run}: {self.result}>"


def explain(
    experiment: Experiment, run_all: Evaluate, advice: bool = True
) -> Iterator[Explanation]:
    """Explain every run of an experiment, one after the other.

    Args:
        experiment: its runs.
        run_all: runs an experiment and gives its results in order (`runner.execute`).
        advice: whether changes are tried, which takes up to about 20 more runs each.
    """
    asked = replace(experiment, runs=measured(experiment.runs))
    for run, result in zip(asked.runs, run_all(asked), strict=True):
        tried = tuple(advice_on(result, run, experiment, run_all)) if advice else None
        sums = tuple(expand(run)) if can_expand(run) else ()
        yield Explanation(result, _by_place(result), tried, sums)


def most_time_steps(experiment: Experiment, advice: bool = True) -> int:
    """The time steps that `explain` takes at most."""
    runs = 1 + MOST_RUNS if advice else 1
    return runs * sum(map(time_steps, experiment.runs))


def _by_place(result: Result) -> dict[str, Factors]:
    found = {"": factors_of(result.diagnosis, result.measures)}
    for part in result.layers:
        found[part.place] = factors_of(part.diagnosis, part.measures)
    return {name: own for name, own in found.items() if own is not None}
