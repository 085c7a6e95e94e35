"""The diagnosis of a net or a place, known to be of the curves that the file has with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, get_args

import numpy as np

from gradflow.diagnosis import leaves
from gradflow.diagnosis.figures import FIGURES
from gradflow.numerics.magnitudes import LN10
from gradflow.results import Diagnosis, GradientFlow, NoRate, Verdict
from gradflow.saved.values import LARGEST, a_text, an_object, damaged, member, number, one_of, whole

_NEAR = 1e-9  # decades that a logarithm may be off by on another machine
_FEW = 1.0  # what samples below the 10th percentile, if their gradient becomes zero, do to a slope
_LEAVING = ("vanishing", "exploding")


def diagnosis(
    run: Mapping[str, Any],
    at: str,
    T: int,
    flow: GradientFlow | None,
    thresholds: tuple[float, float],
) -> Diagnosis:
    """What the file says of a net or a place.

    Args:
        run: a run or a place, as the file has it.
        at: where it is in the file.
        flow: its curves; None where it has none.
        thresholds: (vanishing, exploding), which its horizons were read with.
    """
    of_reach = member(run, "of_reach", at)
    if not isinstance(of_reach, bool):
        damaged(f"{at}.of_reach", "true or false", of_reach)
    at = f"{at}.diagnosis"
    found = _read(an_object(member(run, "diagnosis", at), at), at, T, of_reach)
    _check_rate(found, at)
    _check_horizon(found, at, T)
    if flow is not None and not of_reach:
        _check_curves(found, at, flow, thresholds)
    return found


def _read(found: Mapping[str, Any], at: str, T: int, of_reach: bool) -> Diagnosis:
    def figure(key: str) -> float | None:
        value = member(found, key, at)
        value = None if value is None else number(value, f"{at}.{key}")
        if value is not None and value < 0:
            damaged(f"{at}.{key}", "no negative number", value)
        return value

    def lag(key: str, most: int = LARGEST) -> int | None:
        return whole(member(found, key, at), f"{at}.{key}", most)

    interval = member(found, "rate_ci", at)
    if interval is not None:
        if not isinstance(interval, list) or len(interval) != 2:
            damaged(f"{at}.rate_ci", "two numbers", interval)
        low, high = (math.inf if end is None else number(end, f"{at}.rate_ci") for end in interval)
        interval = low, high
    why = member(found, "no_rate", at)
    known = {
        "verdict": one_of(member(found, "verdict", at), f"{at}.verdict", get_args(Verdict)),
        "rate": figure("rate"),
        "rate_ci": interval,
        "half_life": figure("half_life"),
        "horizon": lag("horizon", T),
        "horizon_typical": lag("horizon_typical", T),
        "projected_horizon": lag("projected_horizon"),
        "no_rate": None if why is None else one_of(why, f"{at}.no_rate", get_args(NoRate)),
        "of_reach": of_reach,
    }
    return Diagnosis(**known, **_later(found, at, known))


def _later(found: Mapping[str, Any], at: str, known: Collection[str]) -> dict[str, Any]:
    """Figures that have come since `format` is 1: where the file has none, at their defaults."""
    fields = {field.name for field in dataclasses.fields(Diagnosis)} - set(known)
    there = [one for one in FIGURES if one.name in fields and found.get(one.name) is not None]
    return {
        one.name: (a_text if one.kind in ("text", "word") else number)(
            found[one.name], f"{at}.{one.name}"
        )
        for one in there
    }


def _check_rate(found: Diagnosis, at: str) -> None:
    """The interval holds the rate, the half-life follows from it, and what is not there is told."""
    rate, interval, half_life = found.rate, found.rate_ci, found.half_life
    if (rate is None) != (found.no_rate is not None or found.verdict == "diverged"):
        damaged(f"{at}.no_rate", "why there is no rate, where there is none", found.no_rate)
    if interval is not None and (rate is None or not 0 <= interval[0] <= rate <= interval[1]):
        expected = "an interval from 0 that holds the rate, its lower end first"
        damaged(f"{at}.rate_ci", expected, list(interval))
    if (half_life is None) != (interval is None or interval[1] >= 1):
        damaged(f"{at}.half_life", "one where the whole interval lies below 1", half_life)
    if half_life is not None:
        halves = math.exp(math.log(0.5) / half_life) if half_life else 0.0
        if not math.isclose(halves, rate or 0.0, rel_tol=1e-9, abs_tol=1e-300):
            damaged(f"{at}.half_life", "ln 1/2 / ln rate", half_life)


def _check_horizon(found: Diagnosis, at: str, T: int) -> None:
    """There is a horizon where the verdict says that the thresholds are left."""
    if (found.horizon is not None) != (found.verdict in _LEAVING):
        damaged(f"{at}.horizon", f"a lag or null, as of {found.verdict}", found.horizon)
    projected = found.projected_horizon
    if projected is not None and projected <= T:
        damaged(f"{at}.projected_horizon", f"a lag beyond {T} or null", projected)


def _check_curves(
    found: Diagnosis, at: str, flow: GradientFlow, thresholds: tuple[float, float]
) -> None:
    """Horizons, verdict and rate are of the curves, as far as their last digit says."""
    low, high = (math.log10(bound) for bound in thresholds)
    early, late = (leaves(flow, (low + near, high - near)) for near in (_NEAR, -_NEAR))
    lags = {"horizon": found.horizon, "horizon_typical": found.horizon_typical}
    for (name, lag), one, other in zip(lags.items(), early, late, strict=True):
        if name == "horizon_typical" and not len(flow.log10_typical):
            continue
        if not _sooner(one[0]) <= _sooner(lag) <= _sooner(other[0]):
            damaged(f"{at}.{name}", f"{_said(other[0])}, as its curve has it", lag)
    verdicts = early[0][1], late[0][1]
    if found.verdict not in verdicts:
        damaged(f"{at}.verdict", f"{verdicts[1]}, as its curve has it", found.verdict)
    if found.rate and math.log(found.rate) > _steepest(flow):
        damaged(f"{at}.rate", "no more than its curve grows by anywhere", found.rate)
    _check_projected(found, at, flow, thresholds)


def _check_projected(
    found: Diagnosis, at: str, flow: GradientFlow, thresholds: tuple[float, float]
) -> None:
    """The projected horizon is where a line of the rate leaves the thresholds that touches the
    typical curve: that which is fitted to a part of it lies between the lowest and the highest."""
    at, projected = f"{at}.projected_horizon", found.projected_horizon
    low, high = found.rate_ci or (found.rate or 0.0,) * 2
    if projected is not None and (found.rate is None or low < 1 < high):
        damaged(at, "null, as of its rate", projected)
    arrival = _arrival(flow)
    logs = flow.log10_typical[arrival:] * LN10
    there = np.isfinite(flow.log10_percentiles[arrival:]).all()  # else it may be of fewer samples
    if low <= 1 <= high or not found.rate or not there or len(logs) < 2:
        return
    slope = math.log(found.rate)
    bound = (flow.log10_typical_start + math.log10(thresholds[slope > 0])) * LN10
    lags = np.arange(arrival, arrival + len(logs)) + (bound - logs) / slope
    spare = 1 + _FEW / abs(slope)
    first, last = (float(end) * (1 + _NEAR) for end in (lags.min() - spare, lags.max() + spare))
    needed = first > len(flow.state) and last < LARGEST
    if needed if projected is None else not first <= projected <= last:
        known = f"about {first:.0f} to {last:.0f}" if last > len(flow.state) else "null"
        damaged(at, f"{known}, as of its rate and curve", projected)


def _sooner(lag: int | None) -> float:
    return math.inf if lag is None else lag


def _said(lag: int | None) -> str:
    return "null" if lag is None else str(lag)


def _arrival(flow: GradientFlow) -> int:
    """The first lag that any sample arrives at."""
    return int((flow.state.mantissa > 0).argmax())


def _steepest(flow: GradientFlow) -> float:
    """What the slope of no part of the typical curve is above, a natural logarithm; inf where the
    rate may be of fewer samples, since the gradient of others is exactly zero somewhere."""
    arrival = _arrival(flow)
    logs = flow.log10_typical[arrival:]
    if len(logs) < 2 or not np.isfinite(flow.log10_percentiles[arrival:]).all():
        return math.inf
    return float(np.diff(logs).max()) * LN10 + _FEW
