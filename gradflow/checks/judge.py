"""Whether results are what they were to be: held, missed, or undecided where an interval holds
the bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Literal

from gradflow.axes import phrase
from gradflow.checks.figures import Found, NotMeasuredError, Number, read
from gradflow.checks.wanted import Wanted, setting_text, strays
from gradflow.counts import many
from gradflow.errors import Fault, InputError
from gradflow.results import Result

_BARE = ("cell", "checkpoint")  # what needs no name next to its value

Outcome = Literal["held", "missed", "undecided"]


@dataclass(frozen=True)
class Judgement:
    """One expectation of one run.

    Attributes:
        wanted: what was asked for.
        run, name: the run's number, and how it differs from the others; empty if it is alone.
        outcome: held, missed or undecided.
        got: what was found, as people read it.
        value: the same as a number or word; None: unknown.
        off: by how much a bound was missed, as people read it; empty if there is no such thing.
    """

    wanted: Wanted
    run: int
    name: str
    outcome: Outcome
    got: str
    value: Number | str | None = None
    off: str = ""

    @property
    def fails(self) -> bool:
        """Whether it fails the check."""
        undecided = self.outcome == "undecided" and not self.wanted.allow_undecided
        return self.outcome == "missed" or undecided


def settings(result: Result) -> Mapping[str, object]:
    """What a `where` is compared with."""
    return {**result.options, **result.axes}


def judge(wanted: Sequence[Wanted], results: Iterable[Result]) -> list[Judgement]:
    """Every expectation of every run that it is about, in the order of the expectations.

    Raises:
        InputError: with every expectation that is about no run, or that a run has no figure for.
    """
    results = list(results)
    of_runs = [settings(result) for result in results]
    judgements, faults = [], []
    for one in wanted:
        meant = [result for result in results if one.matches(settings(result))]
        for name, values in one.where.items() if meant else ():
            for i in strays(values, name, of_runs):
                message = f"where.{name}: {setting_text(values[i])} matches no run"
                faults.append(_fault(one, message))
        if not meant:
            faults.append(_fault(one, f"matches no run: none has {one.scope}"))
        result = None
        try:
            for result in meant:
                judgements.append(judge_run(one, result))
        except NotMeasuredError as why:
            assert result is not None
            faults.append(_fault(one, f"run {result.run} ({label(result)}): {why}"))
    if faults:
        raise InputError(*dict.fromkeys(faults))
    return judgements


def label(result: Result) -> str:
    """How a run differs from the others; the cell of one that is alone."""
    axes = result.varied or ("cell",)
    return " ".join(
        str(result.axes[axis]) if axis in _BARE else phrase(axis, result.axes[axis])
        for axis in axes
    )


def judge_run(wanted: Wanted, result: Result) -> Judgement:
    """One expectation of one run.

    Raises:
        NotMeasuredError: the run has no such figure.
    """
    if result.diverged_at is not None:
        if wanted.figure == "verdict" and "diverged" in wanted.one_of:
            return Judgement(wanted, result.run, label(result), "held", "diverged", "diverged")
        got = f"diverged at step {result.diverged_at}"
        return Judgement(wanted, result.run, label(result), "missed", got)
    found = read(result, wanted)
    outcome = outcome_of(wanted, found)
    off = "" if outcome == "held" else _off(wanted, found)
    return Judgement(wanted, result.run, label(result), outcome, found.text, found.value, off)


def outcome_of(wanted: Wanted, found: Found) -> Outcome:
    """Whether a figure is what it was to be, as far as its interval says."""
    if wanted.one_of and isinstance(wanted.one_of[0], str):
        return "held" if found.value in wanted.one_of else "missed"
    if found.lost:
        return "missed"
    if found.low is None or found.high is None:
        return "undecided"
    least, most = _bounds(wanted)
    if found.low >= least and found.high <= most:
        return "held"
    return "missed" if found.high < least or found.low > most else "undecided"


def _bounds(wanted: Wanted) -> tuple[float, float]:
    if wanted.one_of:
        (only,) = wanted.one_of
        return float(only), float(only)
    least = -math.inf if wanted.least is None else wanted.least
    return least, math.inf if wanted.most is None else wanted.most


def _off(wanted: Wanted, found: Found) -> str:
    """How far the figure lies from the bound that it misses."""
    value = found.value
    if value is None or isinstance(value, str):
        return ""
    least, most = _bounds(wanted)
    small = value < least or (found.low is not None and found.low < least)
    bound, side = (least, "too small") if small else (most, "too large")
    if not small and not (value > most or (found.high is not None and found.high > most)):
        return ""
    if math.isinf(bound) or (isinstance(value, float) and math.isinf(value)):
        return f"infinitely {side}"
    if found.unit == "decades" and bound > 0 and value > 0:
        distance = abs(_log10(value) - math.log10(bound))
        return f"{many(f'{distance:.3g}', 'decade')} {side}"
    if value == bound:
        return "at the bound"
    within = (value < bound) != small
    if within:
        return f"{abs(float(value) - bound):.3g} within it"
    return f"{abs(float(value) - bound):.3g} {side}"


def _log10(value: Number) -> float:
    return float(value.log10()) if isinstance(value, Decimal) else math.log10(value)


def _fault(wanted: Wanted, message: str) -> Fault:
    return Fault(message, wanted.source, wanted.line, key=f"expect[{wanted.item}].{wanted.name}")


def first_misses(judgements: Iterable[Judgement]) -> Iterator[tuple[Judgement, int]]:
    """Of each expectation the first run that fails it, and how many do."""
    for _, group in groupby(judgements, key=lambda one: id(one.wanted)):
        failing = [one for one in group if one.fails]
        if failing:
            yield failing[0], len(failing)
