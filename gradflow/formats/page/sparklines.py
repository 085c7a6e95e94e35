"""Curves of a few characters' size within a table, which need no library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from gradflow.formats import charts
from gradflow.formats.lags import choose_lags
from gradflow.formats.look import Look
from gradflow.numerics.arrays import Array
from gradflow.results import Result

_WIDTH, _HEIGHT = 120, 24
_EDGE = 2


def sparklines(results: Sequence[Result], look: Look) -> list[Markup]:
    """Each run's relative gradient at the lags that tables show, all on one scale: the range that
    is there, between the thresholds; nothing for a run without one."""
    T = max((result.sequence_length for result in results), default=0)
    lags = np.array(choose_lags(T, "auto"))
    logs = [None if r.flow is None else r.flow.relative.log10() for r in results]
    there = [log[lags[lags < len(log)]] for log in logs if log is not None]
    lowest, highest = charts.bounds(np.concatenate(there) if there else np.zeros(1))
    least, most = look.log10_thresholds
    low, high = max(least, lowest), min(most, highest)
    x = _EDGE + np.arange(len(lags)) * (_WIDTH - 2 * _EDGE) / max(1, len(lags) - 1)
    return [
        Markup() if log is None else _curve(log, lags, x, low, high, result.diagnosis.verdict)
        for log, result in zip(logs, results, strict=True)
    ]


def _curve(log: Array, lags: Array, x: Array, low: float, high: float, mark: str) -> Markup:
    """One curve; it ends where it leaves the scale or the gradient is exactly zero."""
    there = lags < len(log)
    values = log[lags[there]]
    inside = np.flatnonzero(np.isfinite(values))
    if not len(inside):
        return Markup()
    outside = np.flatnonzero((values < low) | (values > high))
    outside = outside[outside > inside[0]]
    stop = int(outside[0]) if len(outside) else int(inside[-1])
    shown = np.arange(inside[0], stop + 1)
    heights = np.clip(np.nan_to_num(values[shown], neginf=low), low, high)
    y = _y(heights, low, high)
    points = [f"{a:.0f} {b:.0f}" for a, b in zip(x[there][shown], y, strict=True)]
    start = _y(np.zeros(1), low, high)[0]
    dot = points[-1].split()
    return Markup(
        '<svg class="curve {}" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">'
        '<path class="start" d="M0 {:.0f}H{}"/><path d="M{}"/>'
        '<circle cx="{}" cy="{}" r="2"/></svg>'
    ).format(mark, _WIDTH, _HEIGHT, start, _WIDTH, "L".join(points), *dot)


def _y(heights: Array, low: float, high: float) -> Array:
    """From the lower edge to the upper one."""
    share = (heights - low) / (high - low)
    found: Array = _HEIGHT - 3 - share * (_HEIGHT - 6)
    return found
