"""Heat maps: the relative gradient of many runs, a row each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.ticker import FixedLocator, FuncFormatter

from gradflow.formats.look import Look
from gradflow.formats.plots import style
from gradflow.formats.plots.curves import overlays, relative
from gradflow.formats.plots.layout import Group
from gradflow.formats.plots.scales import (
    SEVERAL,
    along_lags,
    along_numbers,
    is_log,
    name_room,
    number,
    plain,
    power,
    shortened,
)
from gradflow.measures.drawn import known
from gradflow.numerics.arrays import Array

_BEYOND = 3  # times as many decades as the thresholds: where colours end
_MOST_NAMES = 40
_MOST_ROWS = 1000  # of which each has a pixel
_MOST_APART = 24  # blocks of rows with a line between them
_COARSE = 10  # times one of two neighbours: the other, between which no place is known


def draw(ax: Axes, group: Group, look: Look, measures: Sequence[str] = ()) -> ScalarMappable:
    """The relative gradients, and where their rate crosses 1."""
    found = [relative(result) for result in group.results]
    mesh = curves_as_rows(ax, group, found, look, passing=True)
    if group.numeric or group.inside == (group.axis, "seed"):
        _critical(ax, group, measures)
    return mesh


def curves_as_rows(
    ax: Axes, group: Group, curves: Sequence[Array | None], look: Look, *, passing: bool
) -> ScalarMappable:
    """Logarithms against lag: blue what is small, red what is large; if `passing`, dashed where
    they pass the thresholds, which are of relative gradients."""
    vanishing, exploding = look.log10_thresholds
    low, high = _BEYOND * vanishing, _BEYOND * exploding
    rows = _rows(curves, low, high)
    T = rows.shape[1] - 1
    edges = _edges(group)
    mesh = ax.pcolormesh(
        np.arange(T + 2) - 0.5, edges, rows, cmap="RdBu_r", norm=TwoSlopeNorm(0, low, high),
        rasterized=True,
    )  # fmt: skip
    if passing and T > 0 and np.isfinite(rows).any():
        for level in (vanishing, exploding):
            _passing(ax, group, rows, level, edges)
    along_lags(ax, T)
    ax.set_xlim(-0.5, T + 0.5)
    ax.set_ylim(edges[0], edges[-1])
    if group.numeric:
        if is_log(group.values):
            ax.set_yscale("log")
        along_numbers(ax.yaxis, is_log(group.values))
    else:
        named_rows(ax, group)
    return mesh


def named_rows(ax: Axes, group: Group) -> None:
    """The names of the runs along a scale of rows, the first at the top."""
    places, names = _named_blocks(group) if group.inside else _named_each(group.names)
    ax.yaxis.set_major_locator(FixedLocator(places))
    room = name_room(ax, SEVERAL) if group.inside else name_room(ax)
    ax.set_yticklabels([plain(shortened(name, room)) for name in names], fontsize=style.TINY)
    ax.set_ylim(len(group.names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    outer = blocks(group.parts, 1) if group.inside else []
    for start, _ in outer[1:] if len(outer) <= _MOST_APART else ():
        ax.axhline(start - 0.5, color=style.ON_MAP, lw=0.5)


def _named_each(names: Sequence[str]) -> tuple[list[float], list[str]]:
    """Where a row is named, and how: each, or so many."""
    shown = range(0, len(names), -(-len(names) // _MOST_NAMES))
    return [float(at) for at in shown], [names[at] for at in shown]


def _named_blocks(group: Group) -> tuple[list[float], list[str]]:
    """The same of rows that lie along several settings: what a row has in common with the one
    above goes without saying; where the rows are many, the name of each block of them."""
    parts = group.parts
    depth = _named_depth(parts)
    found = blocks(parts, depth)
    names = [parts[start][:depth] for start, _ in found]
    told = [names[0], *(_new(*pair) for pair in itertools.pairwise(names))]
    places, shown = _named_each([" ".join(filter(None, name)) for name in told])
    middles = [(start + stop - 1) / 2 for start, stop in found]
    return [middles[int(at)] for at in places], shown


def _new(above: Sequence[str], parts: Sequence[str]) -> Sequence[str]:
    """From where on a row differs from the one above."""
    same = next((at for at, (a, b) in enumerate(zip(above, parts, strict=True)) if a != b), 0)
    return parts[same:]


def _named_depth(parts: Sequence[tuple[str, ...]]) -> int:
    """Of how many settings rows are named: of all, or as far as there is room for the names."""
    deep = range(len(parts[0]), 0, -1)
    return next((n for n in deep if len(blocks(parts, n)) <= _MOST_NAMES), 1)


def blocks(parts: Sequence[tuple[str, ...]], depth: int) -> list[tuple[int, int]]:
    """The first row, and that after the last, of those next to each other that have the same of so
    many settings."""
    starts = [at for at, one in enumerate(parts) if not at or one[:depth] != parts[at - 1][:depth]]
    return list(zip(starts, [*starts[1:], len(parts)], strict=True))


def notes(groups: Sequence[Group]) -> list[str]:
    """What of their rows cannot be seen."""
    most = max((len(group.results) for group in groups if group.heat), default=0)
    return [f"{most:,} rows in a panel, more than it has pixels"] if most > _MOST_ROWS else []


def unnamed(group: Group) -> str:
    """What the rows within one name are of; "" where each row has its own."""
    parts = group.parts
    if not group.inside or (depth := _named_depth(parts)) == len(group.inside):
        return ""
    found = [list(dict.fromkeys(filter(None, part))) for part in zip(*parts, strict=True)]
    return "rows within: " + ", ".join(
        f"{names[0]} to {names[-1].split()[-1]}" for names in found[depth:] if names
    )


def _rows(curves: Sequence[Array | None], low: float, high: float) -> Array:
    """(runs, T+1), cut off where the colours end; NaN if there is none."""
    longest = max(0 if curve is None else len(curve) for curve in curves)
    rows = np.full((len(curves), longest), np.nan)
    for row, curve in zip(rows, curves, strict=True):
        if curve is not None:
            row[: len(curve)] = np.clip(curve, low, high)
    return rows


def _passing(ax: Axes, group: Group, rows: Array, level: float, edges: Array) -> None:
    """A dashed line where the gradient passes a level: along numbers a curve between the rows,
    else a stroke in each row."""
    lags, values = np.arange(rows.shape[1]), group.values
    if not np.nanmin(rows) < level < np.nanmax(rows):
        return
    if group.numeric and len(values) > 1:
        ax.contour(lags, np.array(values), rows, [level], colors=style.ON_MAP, linewidths=0.7,
                   linestyles="--")  # fmt: skip
        return
    for row, low, high in zip(rows, edges[:-1], edges[1:], strict=True):
        beyond = np.flatnonzero(row < level if level < 0 else row > level)
        if len(beyond):
            ax.plot([beyond[0] - 0.5] * 2, [low, high], color=style.ON_MAP, lw=0.7, ls="--")


def _critical(ax: Axes, group: Group, measures: Sequence[str]) -> None:
    """Where the rate of neighbouring runs, of several seeds its mean, crosses 1, and what theory
    says of it."""
    if group.axis == "seed":
        return
    rows = blocks(group.parts, 1) if group.inside else [(i, i + 1) for i in range(len(group.names))]
    runs = [group.results[start:stop] for start, stop in rows]
    values = [float(some[0].axes[group.axis or ""]) for some in runs]  # type: ignore[arg-type]
    scaled = is_log(values) or (group.axis or "").endswith("_scale")
    middles = [(start + stop - 1) / 2 for start, stop in rows]

    def mark(signed: Sequence[float | None], called: str, dashes: str, *, below: bool) -> None:
        for crossing in _crossings(values, signed, scaled):
            at = crossing.place(values, middles, scaled) if group.inside else crossing.at
            _line(ax, at, f"{called} {crossing.said}", dashes, below=below)

    mark([_mean([math.log(rate) if rate else None for rate in (r.diagnosis.rate for r in some)])
          for some in runs], "rate 1", "-", below=False)  # fmt: skip
    for name, one in overlays(measures):
        if one.critical is None or one.axis != group.axis:
            continue
        critical = [[known(r.measures[name].figures, one.critical) if name in r.measures else None
                     for r in some] for some in runs]  # fmt: skip
        above = [_mean([None if c is None else _apart(v, c) for c in some])
                 for v, some in zip(values, critical, strict=True)]  # fmt: skip
        mark(above, one.name, ":", below=True)


def _mean(values: Sequence[float | None]) -> float | None:
    """Of those that there are."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _apart(value: float, other: float) -> float:
    """How far a value is above another, in logarithms where both have one."""
    return math.log(value) - math.log(other) if value > 0 < other else value - other


class Crossing(NamedTuple):
    """Where something changes its sign: between which two values, and whether these are
    neighbours."""

    at: float
    low: float
    high: float
    close: bool = True

    @property
    def said(self) -> str:
        """In words, to a tenth of what lies between the two; of two more than a decade apart only
        these."""
        if self.high > _COARSE * abs(self.low) > 0:
            return f"between {number(self.low)} and {number(self.high)}"
        unit = math.floor(math.log10((self.high - self.low) / 10) + 1e-9)
        digits = max(1, math.floor(math.log10(abs(self.at))) - unit + 1) if self.at else 1
        rounded = float(f"{self.at:.{digits}g}")
        plainly = rounded == 0 or 1e-4 <= abs(rounded) < 1e6
        text = f"{rounded:.{max(-unit, 0)}f}" if plainly else number(rounded)
        return f"at {text}" if self.close else f"near {text}"

    def place(self, values: Sequence[float], rows: Sequence[float], scaled: bool) -> float:
        """Where between rows of these values it lies."""
        if scaled and values[0] > 0:
            return float(np.interp(math.log(self.at), np.log(values), rows))
        return float(np.interp(self.at, values, rows))


def _crossings(
    values: Sequence[float], signed: Sequence[float | None], scaled: bool
) -> Iterator[Crossing]:
    """Where what belongs to the values changes its sign, on the line between the nearest two that
    have it; if `scaled`, on that over their logarithms."""
    there = [(at, value, sign)
             for at, (value, sign) in enumerate(zip(values, signed, strict=True))
             if sign is not None]  # fmt: skip
    for (i, low, a), (j, high, b) in itertools.pairwise(there):
        if (a < 0) == (b < 0):
            continue
        share = a / (a - b)
        if scaled and low > 0:
            at = math.exp(math.log(low) + (math.log(high) - math.log(low)) * share)
        else:
            at = low + (high - low) * share
        yield Crossing(at, low, high, j == i + 1)


def _line(ax: Axes, value: float, text: str, dashes: str, *, below: bool) -> None:
    """A value that is marked, its name above it, or below."""
    low, high = ax.get_ylim()
    if not min(low, high) <= value <= max(low, high):
        return
    log = ax.get_yscale() == "log"
    share = (value - low) / (high - low)
    if log:
        share = math.log10(value / low) / (math.log10(high) - math.log10(low))
    below = share > 0.92 or (below and share > 0.08)
    ax.axhline(value, color=style.ON_MAP, lw=0.9, ls=dashes)
    ax.annotate(
        plain(text), (0, value), xycoords=("axes fraction", "data"),
        xytext=(5, -3.5 if below else 3.5), textcoords="offset points",
        ha="left", va="top" if below else "bottom", fontsize=style.TINY, color=style.ON_MAP,
        bbox={"facecolor": "#fefefe", "alpha": 0.8, "lw": 0, "pad": 0.8}, zorder=5,
    )  # fmt: skip


def _edges(group: Group) -> Array:
    """The borders between neighbouring rows."""
    v = np.array(group.values, dtype=np.float64)
    if len(v) == 1 or not group.numeric or (np.diff(v) <= 0).any():
        return np.arange(len(v) + 1) - 0.5
    middle = (v[1:] + v[:-1]) / 2
    if is_log(group.values):
        middle = np.sqrt(v[1:] * v[:-1])
        return np.concatenate([[v[0] ** 2 / middle[0]], middle, [v[-1] ** 2 / middle[-1]]])
    return np.concatenate([[2 * v[0] - middle[0]], middle, [2 * v[-1] - middle[-1]]])


def bar(ax: Axes, mapped: ScalarMappable) -> None:
    """The colour bar of a map, or of the maps of a row at the last of them."""
    norm = mapped.norm
    assert isinstance(norm, TwoSlopeNorm)
    assert norm.vmin is not None
    assert norm.vmax is not None
    place = ax.inset_axes((1.03, 0.0, 0.035, 1.0))
    found = ax.figure.colorbar(mapped, cax=place, extend="both", extendfrac=0.03)
    found.set_ticks([norm.vmin, norm.vmin / _BEYOND, 0, norm.vmax / _BEYOND, norm.vmax])
    found.ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: power(y)))
    found.ax.tick_params(length=2)
    found.outline.set_linewidth(0.4)
