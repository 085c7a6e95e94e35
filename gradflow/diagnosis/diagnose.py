"""What a curve says: verdict, rate, half-life, and the horizons, reached and projected."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from gradflow.diagnosis.rate import Rate, is_u_shaped, rate_of
from gradflow.measures.batch import typical
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LN10
from gradflow.results import Diagnosis, GradientFlow, NoRate, Verdict

Leaving = tuple[int | None, Verdict]
"""The first lag out of bounds, None if there is none, and what that means."""


def diagnose(flow: GradientFlow, thresholds: tuple[float, float]) -> Diagnosis:
    """Read a curve, or how far the loss of any one step reaches, where that was measured.

    Args:
        flow: the gradient against lag, as `over_batch` gives it.
        thresholds: (vanishing, exploding), bounds on the gradient relative to its start.
    """
    bounds = math.log10(thresholds[0]), math.log10(thresholds[1])
    if len(flow.log_reach):
        relative = typical(flow.log_reach) / LN10
        horizon, verdict = _horizon(relative, bounds, dead=False)
        found = Diagnosis(verdict, horizon=horizon, horizon_typical=horizon, of_reach=True)
        return _with_rate(found, flow.log_reach, 0.0, bounds)
    (horizon, verdict), (horizon_typical, _) = leaves(flow, bounds)
    found = Diagnosis(verdict, horizon=horizon, horizon_typical=horizon_typical)
    return _with_rate(found, flow.log_samples, flow.log10_typical_start, bounds)


def leaves(flow: GradientFlow, bounds: tuple[float, float]) -> tuple[Leaving, Leaving]:
    """Where the curve leaves the bounds, and where the typical one does, never if there is none.

    Args:
        flow: the gradient against lag.
        bounds: (vanishing, exploding), as log10.
    """
    start = flow.state[flow.first] if flow.start is None else flow.start
    dead = bool(start.mantissa == 0)
    first = _horizon(flow.relative.log10(), bounds, dead, flow.first)
    if not len(flow.log10_typical):
        return first, (None, "stable")
    with np.errstate(invalid="ignore"):  # -inf - -inf where most samples have no gradient at all
        relative = flow.log10_typical - flow.log10_typical_start
    dead = flow.log10_typical_start == -math.inf
    return first, _horizon(relative, bounds, dead, flow.first)


def _with_rate(
    found: Diagnosis, samples: Array, log10_start: float, bounds: tuple[float, float]
) -> Diagnosis:
    """The diagnosis with what follows from the rate of the logs (T+1, N)."""
    rate, first, no_rate = _rate(samples)
    if rate is None:
        return replace(found, no_rate=no_rate)
    interval = None
    if rate.half_width is not None:
        interval = _exp(rate.slope - rate.half_width), _exp(rate.slope + rate.half_width)
    vanishes = interval is not None and interval[1] < 1
    return replace(
        found,
        rate=_exp(rate.slope),
        rate_ci=interval,
        half_life=math.log(0.5) / rate.slope if vanishes else None,
        projected_horizon=_projected(rate, first, len(samples) - 1, log10_start, bounds),
    )


def _exp(slope: float) -> float:
    return math.exp(min(slope, 700.0))


def _horizon(relative: Array, bounds: tuple[float, float], dead: bool, start: int = 0) -> Leaving:
    """The first lag whose log10 relative gradient is out of bounds, and what that means.

    Where the gradient is exactly zero at lag `start`, `dead`, it reaches nowhere, not even the
    state that the loss reads: it has vanished there. (Its relative gradient, 0/0, is NaN
    throughout.) One that is no number before it leaves the bounds says nothing.
    """
    if dead:
        return start, "vanishing"
    low, high = bounds
    out = (relative < low) | (relative > high)
    out[: _arrival(relative)] = False
    lost = np.isnan(relative)
    lost[:start] = False
    if not (out | lost).any():
        return None, "stable"
    lag = int((out | lost).argmax())
    if lost[lag]:
        return None, "unknown"
    return lag, "vanishing" if relative[lag] < low else "exploding"


def _arrival(logs: Array) -> int:
    """The first lag that has a gradient, 0 where none has: that of a lower layer first has to come
    down to it."""
    return int((logs > -np.inf).argmax())


def _rate(samples: Array) -> tuple[Rate | None, int, NoRate | None]:
    """The rate of the logs (T+1, N), the lag that it counts from, and why there is none. Samples
    whose gradient is exactly zero somewhere are left out."""
    first = _arrival(samples.max(axis=1))
    there = samples[first:]
    if np.isnan(there).any():
        return None, first, "lost"
    alive = np.asarray(np.isfinite(there).all(axis=0))
    if 2 * np.count_nonzero(alive) < len(alive):
        return None, first, "zero"
    y = there if alive.all() else there[:, alive]
    if len(y) < 2:
        return None, first, "short"
    found = rate_of(y)
    if found is None:
        return None, first, "u-shaped" if is_u_shaped(y) else "bent"
    return found, first, None


def _projected(
    rate: Rate, first: int, T: int, log10_start: float, bounds: tuple[float, float]
) -> int | None:
    """The lag, rounded up, at which the fitted line leaves the thresholds; None where that is
    within the curve, and where the interval of the rate holds 1. A rate without an interval is
    taken at its word."""
    if rate.slope == 0 or abs(rate.slope) <= (rate.half_width or 0.0):
        return None
    bound = bounds[0] if rate.slope < 0 else bounds[1]
    to_go = (log10_start + bound) * LN10 - rate.level
    lag = first + rate.centre + to_go / rate.slope
    return math.ceil(lag) if T < lag < 1e15 else None
