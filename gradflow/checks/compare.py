"""Two sets of results, run by run: how far apart their curves and what is read from them are.

Runs are paired by their settings and options; `deviations` measures the distance.

Where the gradient grows by more than 1e10 from end to end, the net can amplify the last digit of
one processor until nothing is left of it in a curve. Where curves are further apart than the
tolerance there, the intervals of the rates have to overlap, and nothing else counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

from gradflow.checks.deviations import Deviation, Part, Seen, apart, deviations, of_places
from gradflow.checks.judge import label, settings
from gradflow.counts import many
from gradflow.errors import Fault, InputError
from gradflow.results import Result

TOLERANCE = 0.05
"""Decades that two results may be apart, where nobody says otherwise."""

CHAOS = 10.0
"""Decades of growth from end to end beyond which curves that are apart do not count."""

ROUNDING = 2.0**-23
"""What a rate may be off by, as a share of it, because its steps are rounded: to float32 at worst.
The interval of an exactly straight curve has no width to hold that."""


@dataclass(frozen=True)
class Pair:
    """A run of the one side and that of the other.

    Attributes:
        name: how it differs from the others.
        runs: its number on either side; None where it is not there.
        deviations: the largest first.
        held: whether it is within the tolerance, or else, where it is chaotic, the intervals of
            the rates overlap.
        chaotic: that the intervals of the rates decided, and why; None: they did not.
        results: what it came to on either side.
    """

    name: str
    runs: tuple[int | None, int | None]
    deviations: tuple[Deviation, ...]
    held: bool
    chaotic: str | None = None
    results: tuple[Result | None, Result | None] = field(default=(None, None), repr=False)

    @property
    def largest(self) -> Deviation | None:
        """The largest deviation; None if there is nothing to compare."""
        return self.deviations[0] if self.deviations else None

    @property
    def change(self) -> str | None:
        """`appeared` or `disappeared`; None where both sides have it."""
        before, after = self.runs
        return "appeared" if before is None else "disappeared" if after is None else None


@dataclass(frozen=True)
class Comparison:
    """All runs of both sides, in the order of the later one; what disappeared is last."""

    pairs: tuple[Pair, ...]
    tolerance: float

    @property
    def close(self) -> tuple[Pair, ...]:
        """The runs that are within the tolerance."""
        return tuple(pair for pair in self.pairs if pair.held and pair.chaotic is None)

    @property
    def alike(self) -> tuple[Pair, ...]:
        """Those that are held by the intervals of their rates instead."""
        return tuple(pair for pair in self.pairs if pair.held and pair.chaotic is not None)

    @property
    def within(self) -> str:
        """How far apart curves may be: `0.05 decades`."""
        return many(f"{self.tolerance:g}", "decade")

    @property
    def held(self) -> bool:
        """Whether every run is there on both sides and as it was."""
        return all(pair.held for pair in self.pairs)

    @property
    def unlike(self) -> dict[str, tuple[object, object]]:
        """Why runs have no counterpart: settings that have one value in all such runs of the one
        side and another in all of the other, by name with both; empty if there are none."""
        gone = [b for b, a in (pair.results for pair in self.pairs) if a is None and b is not None]
        new = [a for b, a in (pair.results for pair in self.pairs) if b is None and a is not None]
        sides = [[settings(result) for result in side] for side in (gone, new)]
        if not all(sides):
            return {}
        values = [{n: {repr(one.get(n)) for one in side} for n in side[0]} for side in sides]
        alike = [{n for n, found in own.items() if len(found) == 1} for own in values]
        there = [name for name in sides[0][0] if name in alike[0] & alike[1]]
        return {
            name: (sides[0][0][name], sides[1][0][name])
            for name in there
            if values[0][name] != values[1][name]
        }

    @property
    def unpaired(self) -> str:
        """The same in a sentence; empty if nothing is to be said."""
        said = [f"{name} {before} before, {after} after"
                for name, (before, after) in self.unlike.items()]  # fmt: skip
        if not said:
            return ""
        return f"Runs are paired by their settings, and these differ: {', '.join(said)}."


@dataclass(frozen=True)
class Side:
    """Results, and the thresholds that their horizons were read with."""

    results: Sequence[Result]
    thresholds: tuple[float, float]


def check_tolerance(tolerance: object, key: str = "tolerance") -> None:
    """Raises InputError, which names the key, where it is no number of decades."""
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, Real)
        or not 0 <= float(tolerance) < math.inf
    ):
        found = f"{tolerance:g}" if isinstance(tolerance, float) else repr(tolerance)
        raise InputError(Fault(f"expected decades from 0, found {found}", key=key))


def compare(before: Side, after: Side, tolerance: float = TOLERANCE) -> Comparison:
    """Compare two sets of results.

    Args:
        before, after: the one side and the other.
        tolerance: in decades.
    """
    left = _by_settings(before.results)
    pairs = []
    for key, result in _by_settings(after.results).items():
        other = left.pop(key, None)
        if other is None:
            sides = (None, result)
            pairs.append(Pair(label(result), (None, result.run), (), held=False, results=sides))
        else:
            pair = _pair(other, result, before, after, tolerance)
            pairs.append(replace(pair, results=(other, result)))
    pairs += [
        Pair(label(gone), (gone.run, None), (), held=False, results=(gone, None))
        for gone in left.values()
    ]
    return Comparison(tuple(pairs), tolerance)


def _by_settings(results: Iterable[Result]) -> dict[tuple[object, int], Result]:
    """By what differs between runs; of runs that are alike, by their order too."""
    seen: defaultdict[object, int] = defaultdict(int)
    found: dict[tuple[object, int], Result] = {}
    for result in results:
        key: object = tuple(sorted((name, repr(value)) for name, value in settings(result).items()))
        found[key, seen[key]] = result
        seen[key] += 1
    return found


def _pair(a: Result, b: Result, before: Side, after: Side, tolerance: float) -> Pair:
    name, runs = label(b), (a.run, b.run)
    if a.diverged_at is not None or b.diverged_at is not None:
        same = (a.diverged_at is None) == (b.diverged_at is None)
        only = Deviation("verdict", 0.0 if same else math.inf, None, _diverged(a), _diverged(b))
        return Pair(name, runs, (only,), held=same)
    if len(a.layers) != len(b.layers):
        only = Deviation("layers", math.inf, None, *(str(len(one.layers)) for one in (a, b)))
        return Pair(name, runs, (only,), held=False)
    found = _deviations(a, b, before, after)
    if found[0].decades <= tolerance:
        return Pair(name, runs, found, held=True)
    growth = max(_growth(a), _growth(b))
    if growth > CHAOS:
        return replace(_by_rate(a, b, growth), name=name, runs=runs)
    return Pair(name, runs, found, held=False)


def _deviations(a: Result, b: Result, before: Side, after: Side) -> tuple[Deviation, ...]:
    """Of everything that either side has, the largest first; that of the loss is always there."""
    found = [
        deviation
        for ending, one, other in parts(a, b)
        for deviation in deviations(
            Seen(one, before.thresholds), Seen(other, after.thresholds), ending
        )
    ]
    if a.flow is None and b.flow is None:
        found += of_places(a.diagnosis, b.diagnosis, b.sequence_length, found)
    found.append(Deviation("loss", apart(a.loss, b.loss), None, f"{a.loss:.6g}", f"{b.loss:.6g}"))
    return tuple(sorted(found, key=lambda one: -one.decades))


def _diverged(result: Result) -> str:
    if result.diverged_at is None:
        return result.diagnosis.verdict
    return f"diverged at step {result.diverged_at}"


def parts(a: Result, b: Result) -> Iterator[tuple[str, Part, Part]]:
    """The net as a whole, then its places: the end of their names, and either side."""
    yield "", a, b
    for one, other in zip(a.layers, b.layers, strict=True):
        yield f"_{one.place}", one, other


# Chaos


def _growth(result: Result) -> float:
    """log10 of rate^T, the largest of the net and its places."""
    parts: list[Part] = [result, *result.layers]
    rates = [part.diagnosis.rate for part in parts]
    logs = [math.log10(rate) for rate in rates if rate]
    return max(logs, default=-math.inf) * result.sequence_length


def _by_rate(a: Result, b: Result, growth: float) -> Pair:
    """Whether the intervals of the rates overlap, of the net and of every place."""
    found, held = [], True
    for ending, one, other in parts(a, b):
        overlap = _overlap(one, other)
        held &= overlap
        decades = apart(one.diagnosis.rate, other.diagnosis.rate)
        found.append(Deviation(f"rate{ending}", decades, None, _rate(one), _rate(other)))
    found.sort(key=lambda one: -one.decades)
    factor = f"1e{growth:.0f}" if growth < 1e6 else "far"
    chaotic = (
        f"the gradient grows by {factor} from end to end: the rates' intervals "
        f"{'overlap' if held else 'do not overlap'}, curves do not count"
    )
    return Pair("", (None, None), tuple(found), held=held, chaotic=chaotic)


def _overlap(one: Part, other: Part) -> bool:
    """Whether the intervals do, but for rounding. Without an interval a rate is one point; without
    a rate nothing overlaps but nothing."""
    a, b = one.diagnosis, other.diagnosis
    if a.rate is None or b.rate is None:
        return a.rate is b.rate and (a.no_rate == "lost") == (b.no_rate == "lost")
    (low_a, high_a), (low_b, high_b) = (d.rate_ci or (d.rate, d.rate) for d in (a, b))
    room = 1 + ROUNDING
    return bool(low_a <= high_b * room and low_b <= high_a * room)  # type: ignore[operator]


def _rate(part: Part) -> str:
    found = part.diagnosis
    if found.rate is None:
        return f"no rate ({found.no_rate})"
    if found.rate_ci is None:
        return f"{found.rate:.6g}"
    return f"{found.rate:.6g} ({found.rate_ci[0]:.6g} to {found.rate_ci[1]:.6g})"
