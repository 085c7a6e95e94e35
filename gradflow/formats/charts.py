"""Bars and sparklines on a log scale, in characters: texts for columns of a table, where rich's
bars are lines of a console by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradflow.numerics.arrays import Array

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_LEVELS = "▁▂▃▄▅▆▇█"


def bounds(logs: Array) -> tuple[int, int]:
    """The whole powers of ten that hold all finite `logs` and 0, at least one decade below it."""
    finite = logs[np.isfinite(logs)]
    low = math.floor(min(finite, default=0.0))
    high = math.ceil(max(finite, default=0.0))
    return min(low, -1), max(high, 0)


def bar(log: float, low: float, high: float, width: int) -> str:
    """A bar from `low` to `log`; none for what is not finite, a trace for what is lowest."""
    if not math.isfinite(log):
        return ""
    eighths = max(1, round((log - low) / (high - low) * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def sparkline(logs: Array, places: Iterable[int], low: float, high: float) -> str:
    """One character per place among the lags, from `low` to `high`; `·` below, `↑` above them."""
    return "".join(_level(logs[place], low, high) for place in places if place < len(logs))


def _level(log: float, low: float, high: float) -> str:
    if math.isnan(log):
        return " "
    if log < low:
        return "·"
    if log > high:
        return "↑"
    return _LEVELS[min(7, int((log - low) / (high - low) * 8))]


def ends(left: str, right: str, width: int) -> str:
    """Two words at the ends of a scale; the left one alone where it is too short."""
    blanks = width - len(left) - len(right)
    return left + " " * blanks + right if blanks > 0 else left[:width]
