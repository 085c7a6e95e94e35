"""Where the rate crosses 1: the values that were tried, net by net."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import offset_copy

from gradflow.counts import many
from gradflow.criticality import Critical
from gradflow.errors import InputError
from gradflow.formats import words
from gradflow.formats.critical import alike, named, varied
from gradflow.formats.look import Look
from gradflow.formats.plots import sheet, style
from gradflow.formats.plots.layout import MOST_LINES, MOST_PANELS
from gradflow.formats.plots.scales import (
    along_numbers,
    and_more,
    apart,
    height_of,
    name_room,
    plain,
    shortened,
)
from gradflow.formats.plots.sheet import Panel
from gradflow.numerics.magnitudes import LN10

_MARKS = (
    0.001, 0.01, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10, 100,
)  # fmt: skip
_MOST_NOTES, _MOST_NAMED = 4, 6
_BELOW = 7  # points from the line of rate 1 to where theory is marked
_FARTHEST = 1.2  # decades of the rate on either side of 1 that are shown


def figure(content: Sequence[Critical], look: Look) -> Figure:
    """The rate against what is varied, a line a net; a dot where it crosses 1, a diamond where
    theory has it."""
    nets = [found for found in content if found.tried]
    if not nets:
        raise InputError("there is nothing to draw: no net has what is to be varied")
    kinds = alike(nets)
    axes = [axis for axis in varied(content) if axis != "seed"] or ["cell"]
    parts = [kinds[at : at + MOST_LINES] for at in range(0, len(kinds), MOST_LINES)]
    panels = [_panel(part, axes) for part in parts[:MOST_PANELS]]
    steps = max(found.run.sequence_length for found in content)
    said = [f"T={steps}"]
    if len({one.run.cell.label for one in content}) == 1:
        said = [named(content[0], ["cell"]), *said]
    more = len(parts) - len(panels)
    said += [f"{many(more, 'more panel')} not drawn"] if more else []
    notes = ["dot: the rate is 1"]
    notes += ["triangle: the rate is beyond the scale"] if any(map(_is_beyond, nets)) else []
    notes += ["between strokes: its interval"] if any(one.interval for one in nets) else []
    notes += ["diamond below: theory"] if any(one.predicted is not None for one in nets) else []
    notes += and_more(_alike_notes(content), _MOST_NOTES)
    return sheet.figure(sheet.in_rows(panels), look.title, said, [words.clean(n) for n in notes])


def _alike_notes(content: Sequence[Critical]) -> list[str]:
    """What there is to know of the nets, those of one note together."""
    found: dict[str, list[str]] = {}
    for one in content:
        if one.note:
            found.setdefault(one.note, []).append(named(one, varied(content)))
    return [f"{', '.join(and_more(names, _MOST_NAMED))}: {note}" for note, names in found.items()]


def _panel(kinds: Sequence[Sequence[Critical]], axes: Sequence[str]) -> Panel:
    """Nets of several kinds, each kind of as many as there are seeds."""
    first = kinds[0][0]

    def draw(ax: Axes) -> None:
        ax.axhline(0, color=style.FAINT, lw=0.6, zorder=1)
        colours = style.colours(len(kinds), ordered=False)
        for nets, colour in zip(kinds, colours, strict=True):
            for found in nets:
                _net(ax, found, colour, thin=len(nets) > 1)
        _scales(ax, [found for nets in kinds for found in nets])
        for nets, colour in zip(kinds, colours, strict=True):
            for found in nets:
                _beyond(ax, found, colour)
        _names(ax, kinds, axes, colours)

    return Panel(draw, "", "", words.symbol(first.vary), "rate per step", height=2.5)


def _net(ax: Axes, found: Critical, colour: str, thin: bool) -> None:
    points = [(p.value, p.log_rate / LN10) for p in found.tried]
    x, y = np.array([p for p in points if math.isfinite(p[1])]).reshape(-1, 2).T
    ax.plot(x, y, color=colour, lw=0.7 if thin else 1.1, alpha=0.8, marker=".", ms=2.5, zorder=2)
    if found.interval is not None:
        ax.plot(found.interval, [0, 0], color=colour, lw=2.0, marker="|", ms=8, mew=0.8,
                alpha=0.7, zorder=3)  # fmt: skip
    if found.predicted is not None:
        assert ax.figure is not None
        below = offset_copy(ax.transData, ax.figure, y=-_BELOW, units="points")  # type: ignore[arg-type]
        ax.plot([found.predicted], [0], "D", ms=3.6, mew=0.8, mfc="none", mec=colour, zorder=3,
                transform=below)  # fmt: skip
    if found.value is not None:
        ax.plot([found.value], [0], "o", ms=3.4, mew=0, color=colour, zorder=4)


def _beyond(ax: Axes, found: Critical, colour: str) -> None:
    """A triangle at the edge of the scale for each rate that is beyond."""
    low, high = ax.get_ylim()
    for point in found.tried:
        y = point.log_rate / LN10
        if not low <= y <= high and not math.isnan(y):
            marker, edge = ("^", high) if y > high else ("v", low)
            ax.plot([point.value], [edge], marker, ms=3.5, mew=0, color=colour, clip_on=False)


def _scales(ax: Axes, nets: Sequence[Critical]) -> None:
    tried = [p for found in nets for p in found.tried]
    values = sorted({p.value for p in tried})
    logs = [p.log_rate / LN10 for p in tried if math.isfinite(p.log_rate)]
    low, high = max(min([*logs, -0.05]), -_FARTHEST), min(max([*logs, 0.05]), _FARTHEST)
    room = 0.05 * (high - low)
    low, high = max(low - room, -_FARTHEST), min(high + room, _FARTHEST)
    ax.set_ylim(low, high)
    spaced = not nets[0].vary.startswith("cell.") and values[0] > 0
    if spaced:
        ax.set_xscale("log")
    along_numbers(ax.xaxis, spaced)
    ax.set_xlim(values[0], values[-1])
    ax.set_yticks(_few([math.log10(v) for v in _MARKS], low, high))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{10**y:.3g}"))


def _is_beyond(found: Critical) -> bool:
    return any(abs(point.log_rate) > _FARTHEST * LN10 for point in found.tried)


def _few(marks: Sequence[float], low: float, high: float) -> list[float]:
    """Those of the marks in a range that are not too near to each other, 1 among them."""
    least = (high - low) / 9
    found = [0.0]
    for mark in sorted((m for m in marks if low <= m <= high), key=abs):
        if all(abs(mark - other) >= least for other in found):
            found.append(mark)
    return sorted(found)


def _names(
    ax: Axes, kinds: Sequence[Sequence[Critical]], axes: Sequence[str], colours: Sequence[str]
) -> None:
    """Each kind's name and critical value, at the right end of its line."""
    low, high = ax.get_ylim()
    ends, names = [], []
    for nets in kinds:
        last = [p.log_rate / LN10 for one in nets for p in one.tried[-1:]]
        top = min(max([v for v in last if math.isfinite(v)], default=high), high)
        ends.append(min(max((top - low) / (high - low), 0.0), 1.0))
        values = sorted(one.value for one in nets if one.value is not None)
        found = f"{values[len(values) // 2]:.3g}" if values else "no crossing"
        if len(values) > 1 and f"{values[0]:.3g}" != f"{values[-1]:.3g}":
            found = f"{values[0]:.3g} to {values[-1]:.3g}"
        names.append(f"{shortened(named(nets[0], axes), name_room(ax))}\n{found}")
    for name, place, colour in zip(names, apart(ends, 21 / height_of(ax)), colours, strict=True):
        ax.annotate(
            plain(name), (1, place), xycoords="axes fraction", xytext=(4, 0), va="center",
            textcoords="offset points", fontsize=style.TINY, color=style.of_text(colour),
            linespacing=1.15,
        )  # fmt: skip
