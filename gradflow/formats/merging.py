"""`--over seed`: runs that differ in the seed alone become one, with geometric means for curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from gradflow.diagnosis.figures import FIGURES
from gradflow.formats.flat import HORIZONS, Value, own
from gradflow.formats.look import Look
from gradflow.measures import MEASURES
from gradflow.measures.contract import Measure
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from gradflow.results import (
    NO_SAMPLES,
    Diagnosis,
    GradientFlow,
    LayerResult,
    OverSeeds,
    Result,
    Spread,
    Verdict,
)

_WORDS = {figure.name for figure in FIGURES if figure.kind in ("text", "word")}

SEEDS = "seeds"
"""The column that says how many runs became one."""


def over_seeds(results: Iterable[Result]) -> list[Result]:
    """The runs, those that differ in the seed alone as one, numbered anew in the order in which
    they first come."""
    groups: dict[object, list[Result]] = {}
    for result in results:
        axes = tuple((name, value) for name, value in result.axes.items() if name != "seed")
        key = (axes, tuple(result.options.items()), result.objective)
        groups.setdefault(key, []).append(result)
    return [_one(number, group) for number, group in enumerate(groups.values())]


def look_over_seeds(look: Look) -> Look:
    """How such runs are shown: none differ in the seed, and each says how many it is made of."""
    varied = tuple(name for name in look.varied if name != "seed")
    return replace(look, varied=varied, options=(*look.options, SEEDS), over="seed")


def _one(number: int, group: Sequence[Result]) -> Result:
    """One result of runs that differ in the seed."""
    first = group[0]
    there = [result for result in group if result.diverged_at is None]
    flows = [result.flow for result in there if result.flow is not None]
    over = replace(_over(group), log10_band=_band(flows))
    diverged = [result.diverged_at for result in group if result.diverged_at is not None]
    places = dict.fromkeys((part.layer, part.direction) for run in there for part in run.layers)
    return replace(
        first,
        run=number,
        axes={**first.axes, "seed": None},
        varied=tuple(name for name in first.varied if name != "seed"),
        loss=_number(over, "loss", math.nan),
        diagnosis=_diagnosis(over, group[0].diagnosis.of_reach),
        flow=_mean_flow(flows) if flows else None,
        diverged_at=None if there else min(diverged),
        layers=tuple(_layer([_at(run, place) for run in there]) for place in places),
        notes=tuple(dict.fromkeys(note for run in group for note in run.notes)),
        options={**first.options, SEEDS: len(group)},
        measures=_measures([result.measures for result in there], over),
        over=over,
    )


def _at(result: Result, place: tuple[int, str]) -> LayerResult:
    return next(part for part in result.layers if (part.layer, part.direction) == place)


def _layer(group: Sequence[LayerResult]) -> LayerResult:
    flows = [part.flow for part in group]
    over = replace(_over(group), log10_band=_band(flows))
    return replace(
        group[0],
        diagnosis=_diagnosis(over, group[0].diagnosis.of_reach),
        flow=_mean_flow(flows),
        measures=_measures([part.measures for part in group], over),
        over=over,
    )


# Figures


def _over(group: Sequence[Result | LayerResult]) -> OverSeeds:
    """Every figure that any of them has, over those that have it."""
    all_figures = [own(one) for one in group]
    unknown = [one.diagnosis.verdict in ("diverged", "unknown") for one in group]
    names = dict.fromkeys(name for one in all_figures for name in one)
    found = {}
    for name in names:
        values = [one.get(name) for one in all_figures]
        if name in HORIZONS:
            pairs = zip(values, unknown, strict=True)
            values = [math.inf if v is None and not gone else v for v, gone in pairs]
        found[name] = _spread(values) if name not in _WORDS else _counts(values)
    verdicts = Counter(one.diagnosis.verdict for one in group)
    return OverSeeds(len(group), dict(verdicts.most_common()), found)


def _spread(values: Sequence[Value]) -> Spread | str:
    """The median, minimum and maximum of numbers; of words how often each came."""
    if any(isinstance(value, str) for value in values):
        return _counts(values)
    if magnitudes := [value for value in values if isinstance(value, Magnitudes)]:
        return _spread_of_magnitudes(magnitudes)
    numbers = [value for value in values if isinstance(value, int | float) and value == value]
    if not numbers:
        return Spread(None, None, None, 0)
    found = sorted(numbers)
    middle = (found[(len(found) - 1) // 2], found[len(found) // 2])
    median, low, high = map(_finite, (float(sum(middle) / 2), found[0], found[-1]))
    return Spread(median, low, high, len(found))


def _counts(values: Sequence[Value]) -> str:
    words = Counter(value for value in values if isinstance(value, str))
    return ", ".join(f"{count} {word}" for word, count in words.most_common())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _spread_of_magnitudes(values: Sequence[Magnitudes]) -> Spread:
    found = sorted(values, key=lambda value: float(value.log10()))
    a, b = found[(len(found) - 1) // 2], found[len(found) // 2]
    apart = np.maximum(a.exponent - b.exponent, -1100).astype(np.int64)
    middle = Magnitudes.of((np.ldexp(a.mantissa, apart) + b.mantissa) / 2, b.exponent)
    return Spread(middle, found[0], found[-1], len(found))


def _number(over: OverSeeds, name: str, missing: float) -> float:
    value = _middle(over, name)
    return missing if value is None else value


def _middle(over: OverSeeds, name: str) -> float | None:
    spread = over.figures.get(name)
    if not isinstance(spread, Spread) or not isinstance(spread.middle, int | float):
        return None
    return float(spread.middle)


def _diagnosis(over: OverSeeds, of_reach: bool) -> Diagnosis:
    """The medians; the verdict that most came to."""
    low, high = _middle(over, "rate_low"), _middle(over, "rate_high")
    lags = [_middle(over, name) for name in (*HORIZONS, "projected_horizon")]
    horizon, typical, projected = (None if lag is None else round(lag) for lag in lags)
    return Diagnosis(
        cast(Verdict, next(iter(over.verdicts))),
        _middle(over, "rate"),
        None if low is None or high is None else (low, high),
        _middle(over, "half_life"),
        horizon,
        typical,
        projected,
        of_reach=of_reach,
    )


# Curves


def _mean_flow(flows: Sequence[GradientFlow]) -> GradientFlow:
    """The geometric means of the curves, and the medians of the totals."""
    first = flows[0]
    starts = [flow.start for flow in flows if flow.start is not None]
    logs = [
        np.mean([getattr(flow, name) for flow in flows], axis=0)
        for name in ("log10_percentiles", "log10_typical", "log10_typical_start")
    ]
    return GradientFlow(
        state=_mean([flow.state for flow in flows]),
        parts={name: _mean([flow.parts[name] for flow in flows]) for name in first.parts},
        terms={name: _mean([flow.terms[name] for flow in flows]) for name in first.terms},
        share_W_s=_mean_of_floats([flow.share_W_s for flow in flows]),
        totals=dict(_median_totals(flows)),
        start=_mean(starts) if starts else None,
        log10_percentiles=logs[0],
        log10_typical=logs[1],
        log10_typical_start=float(logs[2]),
        first=first.first,
    )


def _band(flows: Sequence[GradientFlow]) -> Array:
    """(T+1, 2): the lowest and the highest relative gradient, NaN where one has none."""
    curves = [flow.relative.log10() for flow in flows]
    return (
        np.stack([np.min(curves, axis=0), np.max(curves, axis=0)], axis=1) if curves else NO_SAMPLES
    )


def _median_totals(flows: Sequence[GradientFlow]) -> Iterator[tuple[str, Magnitudes]]:
    for name in flows[0].totals:
        yield name, cast(Magnitudes, _spread([flow.totals[name] for flow in flows])[0])


def _mean(curves: Sequence[Magnitudes]) -> Magnitudes:
    """The geometric mean, at any size: zero where any is, NaN where any is unknown."""
    mantissa = np.stack([curve.mantissa for curve in curves])
    exponent = np.stack([curve.exponent for curve in curves])
    zero = (mantissa == 0).any(axis=0)
    whole, rest = np.divmod(np.where(zero, 0, exponent).sum(axis=0), len(curves))
    logs = np.log2(np.where(zero, 1.0, mantissa)).sum(axis=0)
    mean = np.where(
        zero & ~np.isnan(mantissa).any(axis=0), 0.0, np.exp2((logs + rest) / len(curves))
    )
    found = Magnitudes.of(mean, whole)
    return Magnitudes(found.mantissa, np.where(found.mantissa == 0, ZERO_EXPONENT, found.exponent))


def _mean_of_floats(curves: Sequence[Array]) -> Array:
    """The same of floats that are not negative."""
    with np.errstate(divide="ignore"):
        mean: Array = np.exp(np.mean(np.log(np.stack(curves)), axis=0))
    return mean


def _measures(found: Sequence[Mapping[str, Measured]], over: OverSeeds) -> Mapping[str, Measured]:
    """What else was measured: curves as geometric means, the mean of those that are logarithms;
    figures as medians."""
    names = dict.fromkeys(name for one in found for name in one)
    return {
        name: _measure(MEASURES[name], [one[name] for one in found if name in one], over)
        for name in names
    }


def _measure(measure: Measure, group: Sequence[Measured], over: OverSeeds) -> Measured:
    full = [one for one in group if one.figures or one.curves]
    if not full:
        return group[0]
    logs = {curve.name for curve in measure.curves if curve.is_log10}
    curves: dict[str, Array | Magnitudes] = {}
    for name in full[0].curves:
        values = [one.curves[name] for one in full if name in one.curves]
        magnitudes = [value for value in values if isinstance(value, Magnitudes)]
        floats = [value for value in values if not isinstance(value, Magnitudes)]
        if magnitudes:
            curves[name] = _mean(magnitudes)
        elif name in logs:
            curves[name] = np.mean(floats, axis=0)
        else:
            curves[name] = _mean_of_floats(floats)
    figures: dict[str, float | str | None] = {}
    for name in full[0].figures:
        spread = over.figures[name]
        words = {one.figures.get(name) for one in full}
        alike = next(iter(words)) if len(words) == 1 else spread or None
        figures[name] = _middle(over, name) if isinstance(spread, Spread) else alike  # type: ignore[assignment]
    return Measured(curves, figures, full[0].note)
