"""How far apart one part of a net is on two sides, in decades, whatever the figure: of two curves
the largest distance at any lag; of two horizons how far the other curve is from its threshold at
that lag, so that a horizon moves no further than the curves do.

The half-life and the projected horizon follow from the rate, and are not compared again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradflow.checks.figures import curves, values_of
from gradflow.diagnosis.figures import FIGURES
from gradflow.measures import MEASURES, UNASKED
from gradflow.measures.contract import Curve
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LN10, Magnitudes
from gradflow.results import NO_LAGS, Diagnosis, GradientFlow, LayerResult, Result

Part = Result | LayerResult

_NOT_BY_THEMSELVES = (
    *("horizon", "horizon_typical", "verdict", "no_rate", "rate_ci"),
    *("half_life", "projected_horizon"),
)
"""Figures of the diagnosis that are compared as curves are, or by others that they follow from."""

_ALIKE = 1e-3  # what figures of measures may differ by without being put in decades


@dataclass(frozen=True)
class Deviation:
    """How far apart one thing is.

    Attributes:
        name: of a curve, a figure of the diagnosis or a total, with its place: `grad_norm_l0`.
        decades: the distance; inf where only one side has it.
        lag: where it is largest; None where it is no curve.
        before, after: what a figure was and is, as people read it; empty for a curve.
    """

    name: str
    decades: float
    lag: int | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Seen:
    """A part of a net, and the thresholds that its horizons were read with."""

    part: Part
    thresholds: tuple[float, float]

    @property
    def log10_thresholds(self) -> tuple[float, float]:
        """(vanishing, exploding)."""
        low, high = self.thresholds
        return math.log10(low), math.log10(high)


def deviations(a: Seen, b: Seen, ending: str) -> Iterator[Deviation]:
    """Of everything that a part has on either side; `ending` is that of the names."""
    for name, one, other in log10_curves(a.part, b.part):
        yield _curve(name + ending, one, other)
    yield from _totals(a.part.flow, b.part.flow, ending)
    for figure in FIGURES:
        if figure.name not in _NOT_BY_THEMSELVES:
            values = [figure.of(seen.part.diagnosis) for seen in (a, b)]
            yield _figure(figure.name + ending, *map(_plain, values))
    if a.part.flow is not None and b.part.flow is not None:
        yield from _horizons(a, b, ending)
    yield from _measured(a.part, b.part, ending)


def log10_curves(a: Part, b: Part) -> Iterator[tuple[str, Array | None, Array | None]]:
    """(name, log10 of the one, of the other) of every column that either side has."""
    parts = dict.fromkeys(name for p in (a, b) if p.flow is not None for name in p.flow.parts)
    asked = [name for name in dict.fromkeys([*a.measures, *b.measures]) if name in MEASURES]
    for name, curve in curves(parts, asked).items():
        if name == curve.name and name != "log10_grad_norm":
            one, other = (_log10(curve, part) for part in (a, b))
            if one is not None or other is not None:
                yield name, one, other
    typical = [p.flow.log10_typical if p.flow is not None else None for p in (a, b)]
    if any(one is not None and len(one) for one in typical):
        yield "log10_typical", typical[0], typical[1]


def _log10(curve: Curve, part: Part) -> Array | None:
    """A curve as logarithms; None if there is none."""
    values = values_of(curve, part)
    if values is None or isinstance(values, Magnitudes):
        return None if values is None else values.log10()
    if curve.is_log10:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.abs(values))


def _curve(name: str, one: Array | None, other: Array | None) -> Deviation:
    if one is None or other is None or len(one) != len(other):
        return Deviation(name, math.inf, 0)
    with np.errstate(invalid="ignore"):
        distance = np.abs(one - other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    distance = np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))
    lag = int(distance.argmax()) if len(distance) else 0
    return Deviation(name, float(distance[lag]) if len(distance) else 0.0, lag)


def _totals(a: GradientFlow | None, b: GradientFlow | None, ending: str) -> Iterator[Deviation]:
    ours, theirs = (flow.totals if flow is not None else {} for flow in (a, b))
    for name in dict.fromkeys([*ours, *theirs]):
        logs = [np.atleast_1d(t[name].log10()) if name in t else None for t in (ours, theirs)]
        yield replace(_curve(f"total_{name}{ending}", *logs), lag=None)


def _plain(value: object) -> float | str | None:
    return value if isinstance(value, float | int | str) else None


def _figure(name: str, one: float | str | None, other: float | str | None) -> Deviation:
    if isinstance(one, str) or isinstance(other, str):
        decades = 0.0 if one == other else math.inf
    else:
        decades = apart(one, other)
    return Deviation(name, decades, None, _text(one), _text(other))


def _text(value: float | str | None) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:.6g}"


def apart(one: float | None, other: float | None) -> float:
    """The distance of two figures in decades; inf where only one is known, or has another sign."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)) or (one > 0) != (other > 0):
        return math.inf
    return abs(math.log10(one / other)) if one * other else math.inf


def _measured(a: Part, b: Part, ending: str) -> Iterator[Deviation]:
    """The figures of what else was measured. A natural logarithm, which may have either sign, is
    compared as it is, over ln 10. What nobody asked for is compared where both sides have it."""
    measures = [*dict.fromkeys([*a.measures, *b.measures])]
    if not (UNASKED in a.measures and UNASKED in b.measures):
        measures = [name for name in measures if name != UNASKED]
    ours, theirs = (
        {n: v for m in measures if m in part.measures for n, v in part.measures[m].figures.items()}
        for part in (a, b)
    )
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        if isinstance(one, str) or isinstance(other, str):
            decades = 0.0 if one == other else math.inf
        else:
            decades = apart(one, other)
            linear = abs(one - other) if one is not None and other is not None else math.nan
            if linear <= _ALIKE or (linear < math.inf and _is_log(measures, name)):
                decades = linear / LN10
        yield Deviation(name + ending, decades, None, _text(one), _text(other))


def _is_log(measures: Sequence[str], name: str) -> bool:
    found = (MEASURES[measure].declared(name) for measure in measures if measure in MEASURES)
    return any(figure is not None and figure.is_log for figure in found)


# Horizons and verdicts


def _horizons(a: Seen, b: Seen, ending: str) -> Iterator[Deviation]:
    """Of the horizons, and of the verdict that the first of them gives."""
    if a.part.diagnosis.of_reach or b.part.diagnosis.of_reach:
        yield from _reaches(a, b, ending)
        return
    for name in ("horizon", "horizon_typical"):
        logs = [_relative(seen.part.flow, name) for seen in (a, b)]
        lags = [getattr(seen.part.diagnosis, name) for seen in (a, b)]
        if any(len(one) == 0 for one in logs):
            continue
        moved = max(
            _from_threshold(a, logs[0], lags[1], logs[1]),
            _from_threshold(b, logs[1], lags[0], logs[0]),
        )
        verdicts = (a.part.diagnosis.verdict, b.part.diagnosis.verdict)
        same = verdicts[0] == verdicts[1]
        moved = moved if same or "unknown" not in verdicts else math.inf
        decades = 0.0 if lags[0] == lags[1] and same else moved
        texts = [_lag(lag, curve) for lag, curve in zip(lags, logs, strict=True)]
        yield Deviation(name + ending, decades, None, *texts)
        if name == "horizon":
            yield Deviation(f"verdict{ending}", 0.0 if same else moved, None, *verdicts)


def of_places(
    a: Diagnosis, b: Diagnosis, T: int, found: Sequence[Deviation]
) -> Iterator[Deviation]:
    """Horizons and verdict of a net that has no curves itself, which are those of one of its
    places: they move no further than those of the places, `found`, do."""
    for name in ("horizon", "horizon_typical", "verdict"):
        one, other = (getattr(side, name) for side in (a, b))
        moved = [d.decades for d in found if d.name.startswith(f"{name}_l")]
        texts = [f"> {T}" if side is None else str(side) for side in (one, other)]
        decades = 0.0 if one == other else max(moved, default=math.inf)
        yield Deviation(name, decades, None, *texts)


def _reaches(a: Seen, b: Seen, ending: str) -> Iterator[Deviation]:
    """The same of how far the loss of any one step reaches, whose curve is not kept: the ratio of
    the horizons, beyond T one more than that."""
    found = [seen.part.diagnosis for seen in (a, b)]
    T = max(len(seen.part.flow.state) - 1 for seen in (a, b) if seen.part.flow is not None)
    lags = [T + 1 if one.horizon is None else one.horizon for one in found]
    moved = apart(float(lags[0]), float(lags[1]))
    if found[0].of_reach != found[1].of_reach:
        moved = math.inf
    texts = [f"> {T}" if one.horizon is None else str(one.horizon) for one in found]
    yield Deviation(f"horizon{ending}", moved, None, *texts)
    verdicts = (found[0].verdict, found[1].verdict)
    same = verdicts[0] == verdicts[1]
    moved = math.inf if not same and "unknown" in verdicts else moved
    yield Deviation(f"verdict{ending}", 0.0 if same else moved, None, *verdicts)


def _relative(flow: GradientFlow | None, name: str) -> Array:
    """The log10 of the curve that a horizon is read from, over its start."""
    if flow is None:
        return NO_LAGS
    if name == "horizon":
        return flow.relative.log10()
    with np.errstate(invalid="ignore"):
        return np.asarray(flow.log10_typical - flow.log10_typical_start)


def _from_threshold(seen: Seen, logs: Array, lag: int | None, others: Array) -> float:
    """How far a curve is, at the horizon of the other one, from having left its thresholds on the
    same side; 0 where the other never leaves them."""
    if lag is None or (np.isnan(logs[lag]) and np.isnan(others[lag])):
        return 0.0
    if np.isnan(logs[lag]) or np.isnan(others[lag]):
        return math.inf
    low, high = seen.log10_thresholds
    gap = logs[lag] - low if others[lag] < 0 else high - logs[lag]
    return max(0.0, float(gap))


def _lag(lag: int | None, logs: Array) -> str:
    return f"> {len(logs) - 1}" if lag is None else str(lag)
