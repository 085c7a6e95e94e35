"""The search of one net: which values are tried next, and what they come to.

Within a bracket it is the Illinois method. SciPy's root searches call a function; this one is asked
for values and given points, so that all nets take each step together, side by side, and knows
points that have no number.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

from gradflow.criticality.settings import Setting
from gradflow.numerics.magnitudes import LN10
from gradflow.results import Result
from gradflow.runs.experiment import Run

GRID = 9
"""How many values are tried over the whole range."""

MOST = 12
"""How many more at most, within a bracket."""

_CLOSE = 1e-4  # of the bracket: relative on a log scale, of the range on a linear one
_ONE = 1e-9  # a log of the rate that counts as zero


@dataclass(frozen=True)
class Point:
    """One value that was tried.

    Attributes:
        value: of the setting.
        log_rate: natural logarithm of the typical factor per step; -inf where most samples have
            no gradient at all, inf where the forward state left float range.
        half_width: of its 95 % interval; None: none could be given.
    """

    value: float
    log_rate: float
    half_width: float | None = None

    @property
    def rate(self) -> float:
        """The typical factor per step, inf and 0 included."""
        return math.inf if self.log_rate == math.inf else math.exp(min(self.log_rate, 700.0))


@dataclass(frozen=True)
class Critical:
    """What was found for one net.

    Attributes:
        number: of the net, from 0, in the order of the experiment.
        run: the net at the value found, or else as it was given.
        vary: the setting.
        value: where the rate is 1; None: nowhere between the ends, or the cell has no such thing.
        interval: the values at which the ends of the rate's interval cross 1; None: unknown.
        ends: the points at the ends of the range; None where nothing was run.
        crossings: how many changes of sign the values over the range show.
        tried: every point, by value.
        note: why there is no value, or what else is to be known, in one line.
        predicted: what the theory of wide random nets says of `ws_scale`, driven as the run is;
            None if there is none.
    """

    number: int
    run: Run
    vary: str
    value: float | None
    interval: tuple[float, float] | None
    ends: tuple[Point, Point] | None
    crossings: int
    tried: tuple[Point, ...]
    note: str | None = None
    predicted: float | None = None

    def __repr__(self) -> str:
        """`<Critical 0: rnn, ws_scale 1.869>`."""
        found = f"{self.vary} {self.value:.4g}" if self.value is not None else f"no {self.vary}"
        return f"<Critical {self.number}: {self.run.cell.label}, {found}>"


def point(value: float, result: Result) -> Point:
    """What one run says."""
    found = result.diagnosis
    if result.diverged_at is not None:
        return Point(value, math.inf)
    if found.rate is not None:
        half = None
        if found.rate_ci is not None and found.rate_ci[0] > 0:
            half = math.log(found.rate_ci[1] / found.rate_ci[0]) / 2
        return Point(value, math.log(found.rate) if found.rate > 0 else -math.inf, half)
    return Point(value, math.nan if found.no_rate == "lost" else _slope(result))


def _slope(result: Result) -> float:
    """The mean log of the factor per step where no stretch of the curve is straight: over the
    last three quarters of the lags, the start at the loss left out."""
    flows = [result.flow] if result.flow is not None else [part.flow for part in result.layers]
    slopes = []
    for flow in flows:
        curve = flow.log10_typical
        first = len(curve) // 4
        if len(curve) < 2 or not math.isfinite(curve[first]) or curve[-1] == -math.inf:
            slopes.append(-math.inf)
        else:
            slopes.append((curve[-1] - curve[first]) / (len(curve) - 1 - first) * LN10)
    return max(slopes, default=-math.inf)


class Search:
    """The search of one net: says which values it wants next, and is given their points."""

    def __init__(self, run: Run, setting: Setting, grid: int = GRID, most: int = MOST) -> None:
        self.run, self.setting, self._grid = run, setting, grid
        self.why = setting.missing(run)
        self.points: list[Point] = []
        self.bracket: tuple[Point, Point] | None = None
        self._weights = [1.0, 1.0]  # of the ends of the bracket
        self._last: Literal["low", "high"] | None = None
        self._left = most
        self._lost = False  # whether the gradient of a point is no number

    def wanted(self) -> list[float]:
        """The values to try next; none once the search is over."""
        if self.why is not None:
            return []
        if not self.points:
            return self.setting.values(self._grid)
        if self.bracket is None or self._left == 0 or self._is_close():
            return []
        self._left -= 1
        return [self._between()]

    def add(self, point: Point) -> None:
        """A point that was asked for."""
        self.points.append(point)
        if math.isnan(point.log_rate):
            self._lost = True
        if self.bracket is not None and math.isnan(point.log_rate):
            self._left = 0
        elif self.bracket is not None:
            self._narrow(point)
        elif len(self.points) == self._grid:
            changes = self._changes()
            self.bracket = changes[0] if changes else None

    def _changes(self) -> list[tuple[Point, Point]]:
        """Neighbours on different sides of 1, over the first values."""
        grid = [p for p in self.points[: self._grid] if not math.isnan(p.log_rate)]
        return [
            (a, b) for a, b in itertools.pairwise(grid)
            if (a.log_rate < 0) != (b.log_rate < 0)
        ]  # fmt: skip

    def _is_close(self) -> bool:
        assert self.bracket is not None
        low, high = self.bracket
        width = self.setting.at(high.value) - self.setting.at(low.value)
        whole = 1.0 if self.setting.log else self.setting.high - self.setting.low
        return width <= _CLOSE * whole or min(abs(low.log_rate), abs(high.log_rate)) <= _ONE

    def _between(self) -> float:
        """Where the line between the ends is zero; their middle where one has no number."""
        assert self.bracket is not None
        (low, high), at = self.bracket, self.setting.at
        a, b = at(low.value), at(high.value)
        rates = [p.log_rate * w for p, w in zip(self.bracket, self._weights, strict=True)]
        share = 0.5
        if all(map(math.isfinite, rates)) and rates[0] != rates[1]:
            share = min(max(rates[0] / (rates[0] - rates[1]), 0.02), 0.98)
        return self.setting.back(a + share * (b - a))

    def _narrow(self, point: Point) -> None:
        """Take the point in place of the end on its side; an end that stays twice counts half."""
        assert self.bracket is not None
        low, high = self.bracket
        side: Literal["low", "high"] = (
            "low" if (point.log_rate < 0) == (low.log_rate < 0) else "high"
        )
        stays = 1 if side == "low" else 0
        self._weights = [1.0, 1.0] if self._last != side else self._weights
        if self._last == side:
            self._weights[stays] /= 2
            self._weights[1 - stays] = 1.0
        self._last = side
        self.bracket = (point, high) if side == "low" else (low, point)

    def found(self, number: int) -> Critical:
        """What the search came to."""
        setting = self.setting
        if self.why is not None:
            return Critical(number, self.run, setting.key, None, None, None, 0, (), self.why)
        grid, tried = self.points[: self._grid], tuple(sorted(self.points, key=lambda p: p.value))
        ends = grid[0], grid[-1]
        crossings = len(self._changes())
        if self._lost and (self.bracket is None or self._left == 0):
            note = f"the gradient is no number at some values of {setting.key}"
            return Critical(number, self.run, setting.key, None, None, ends, 0, tried, note)
        if self.bracket is None:
            where = "below" if grid[0].log_rate < 0 else "above"
            note = (
                f"no crossing: the rate is {where} 1 from {setting.key} {setting.low:g} to "
                f"{setting.high:g}"
            )
            return Critical(number, self.run, setting.key, None, None, ends, 0, tried, note)
        value = self._root()
        more = f"{crossings} crossings: the lowest is shown" if crossings > 1 else None
        return Critical(
            number, setting.applied(self.run, value), setting.key, value, self._interval(value),
            ends, crossings, tried, more,
        )  # fmt: skip

    def _root(self) -> float:
        """The zero of the line between the ends of the bracket."""
        assert self.bracket is not None
        for point in self.bracket:
            if abs(point.log_rate) <= _ONE:
                return point.value
        self._weights = [1.0, 1.0]
        return self._between()

    def _interval(self, value: float) -> tuple[float, float] | None:
        """The values at which the ends of the rate's interval cross 1, along the line through the
        points on either side that lie so far apart that their difference is more than chance."""
        assert self.bracket is not None
        widths = [p.half_width for p in self.bracket if p.half_width is not None]
        if not widths:
            return None
        half, x = max(widths), self.setting.at(value)
        usable = sorted(
            (abs(self.setting.at(p.value) - x), p) for p in self.points
            if math.isfinite(p.log_rate) and abs(p.log_rate) > 2 * half
        ) if half else []  # fmt: skip
        sides = [next((p for _, p in usable if (p.log_rate < 0) == below), None)
                 for below in (True, False)]  # fmt: skip
        if half == 0:
            return value, value
        if sides[0] is None or sides[1] is None:
            return None
        run = self.setting.at(sides[1].value) - self.setting.at(sides[0].value)
        step = abs(half * run / (sides[1].log_rate - sides[0].log_rate))
        return self.setting.back(x - step), self.setting.back(x + step)
