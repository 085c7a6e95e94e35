"""From a curve against lag to what a person wants to know: rate, half-life, horizon, verdict."""

from __future__ import annotations

import math

import numpy as np

from gradflow.columns import Array
from gradflow.results import Diagnosis, GradientFlow

_LN10 = math.log(10.0)


def diagnose(flow: GradientFlow, thresholds: tuple[float, float]) -> Diagnosis:
    """Read a curve.

    Args:
        flow: the gradient against lag.
        thresholds: (vanishing, exploding), bounds on the gradient relative to lag 0.
    """
    log10 = flow.state.log10()
    rate, interval = _rate(log10)
    horizon, verdict = _horizon(flow.relative.log10(), thresholds)
    half_life = math.log(0.5) / math.log(rate) if rate is not None and 0 < rate < 1 else None
    return Diagnosis(verdict, rate, interval, half_life, horizon)


def _horizon(relative: Array, thresholds: tuple[float, float]) -> tuple[int | None, str]:
    """The first lag whose log10 relative gradient is out of bounds, and what that means.

    Where the gradient is exactly zero at lag 0 it reaches nowhere, not even the last state: it has
    vanished at lag 0. (Its relative gradient, 0/0, is NaN throughout.)
    """
    if math.isnan(relative[0]):
        return 0, "vanishing"
    low, high = (math.log10(t) for t in thresholds)
    out = (relative < low) | (relative > high)
    if len(arrived := np.flatnonzero(relative > -math.inf)):
        out[: arrived[0]] = False  # a lower layer's gradient first has to come down to it
    if not out.any():
        return None, "stable"
    lag = int(out.argmax())
    return lag, "vanishing" if relative[lag] < low else "exploding"


def _rate(log10: Array) -> tuple[float | None, tuple[float, float] | None]:
    """Factor per step: the slope of the least-squares line of ln(gradient) against lag, over the
    lags that have a gradient, with a 95 % interval.

    The log of a product of random Jacobians is a sum of step increments (Furstenberg and Kesten,
    Annals of Mathematical Statistics 31, 1960), so neighbouring lags are not independent. The
    slope is Σ w_j d_j, a weighted sum of the increments; its variance is taken from their scatter
    and their autocovariance (Newey and West, Econometrica 55, 1987).
    """
    lags = np.flatnonzero(np.isfinite(log10))
    if len(lags) < 2:
        return None, None
    y = log10[lags] * _LN10
    x = lags - lags.mean()
    slope = float((x @ y) / (x @ x))
    rate = math.exp(min(slope, 700.0))
    if len(lags) < 4:
        return rate, None
    weights = -np.cumsum(x)[:-1] / (x @ x)
    scatter = weights * (np.diff(y) - slope * np.diff(lags))
    width = 1.96 * math.sqrt(_long_run_variance(scatter))
    return rate, (math.exp(min(slope - width, 700.0)), math.exp(min(slope + width, 700.0)))


def _long_run_variance(a: Array) -> float:
    """Variance of the sum of `a`, a stationary sequence about zero (Bartlett weights)."""
    n = len(a)
    bandwidth = min(n - 1, int(4 * (n / 100) ** (2 / 9)))
    total = float(a @ a)
    for j in range(1, bandwidth + 1):
        total += 2 * (1 - j / (bandwidth + 1)) * float(a[j:] @ a[:-j])
    return max(total, 0.0) * n / max(n - 2, 1)
