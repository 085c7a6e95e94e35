"""The curves of many runs, each in a line of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradflow.formats import charts
from gradflow.formats.lags import choose_lags
from gradflow.formats.layout import Column, Entry
from gradflow.formats.look import Look
from gradflow.numerics.arrays import Array
from gradflow.results import Result

LEAST = 8
"""The fewest characters of a sparkline."""


@dataclass
class Curves:
    """Each run's relative gradient as a sparkline, all on one scale and at the same lags."""

    logs: list[Array | None]
    styles: Sequence[str]
    lags: list[int]
    low: float
    high: float
    thresholds: tuple[float, float]
    shown: bool = False

    @staticmethod
    def of(results: Sequence[Result], styles: Sequence[str], look: Look) -> Curves:
        """At the lags that tables show; the scale is the range that is there, in whole decades,
        between the thresholds."""
        lags = choose_lags(max(result.sequence_length for result in results), "auto")
        logs = [None if r.flow is None else r.flow.relative.log10() for r in results]
        there = [log[[lag for lag in lags if lag < len(log)]] for log in logs if log is not None]
        lowest, highest = charts.bounds(np.concatenate(there) if there else np.zeros(1))
        least, most = look.log10_thresholds
        low, high = max(least, lowest), min(most, highest)
        return Curves(logs, styles, lags, low, high, look.thresholds)

    def column(self, width: int) -> Column:
        """The sparklines; if there is no room for all lags, at some of them."""
        self.shown = True
        if len(self.lags) > width:
            chosen = np.linspace(0, len(self.lags) - 1, width).round().astype(np.int64)
            self.lags = [self.lags[at] for at in chosen]
        curves = [
            "" if log is None else charts.sparkline(log, self.lags, self.low, self.high)
            for log in self.logs
        ]
        cells = [Entry(curve, style) for curve, style in zip(curves, self.styles, strict=True)]
        width = max(len(self.lags), LEAST)
        return Column((charts.ends("lag 0", str(self.lags[-1]), width),), cells, "left")

    def scale(self) -> str:
        """What the characters mean."""
        low, high = (f"{10**log:.6g}" for log in (self.low, self.high))
        marks = [
            text for sign, text in {"·": "· below", "↑": "↑ above"}.items() if self._holds(sign)
        ]
        last = self.lags[-1]
        which = "every lag" if len(self.lags) == last + 1 else "log-spaced lags"
        said = [f"▁ {low} to █ {high}", *marks]
        return f"Curves: relative gradient at {which} up to {last}, log scale: {', '.join(said)}."

    def _holds(self, sign: str) -> bool:
        there = (log for log in self.logs if log is not None)
        return any(sign in charts.sparkline(log, self.lags, self.low, self.high) for log in there)
