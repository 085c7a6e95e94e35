"""The gradient's reach over the checkpoints of a training."""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from gradflow.axes import PLACE_AXES
from gradflow.counts import many
from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.plots import curves, measured, sheet, style
from gradflow.formats.plots.layout import MOST_PANELS, Group, plan
from gradflow.formats.plots.runs import gradients, in_grid, nothing
from gradflow.formats.plots.scales import along_numbers, and_more, plain, shortened
from gradflow.formats.plots.sheet import Panel
from gradflow.results import Result
from gradflow.tracking import CHECKPOINT

_TICKS = 5
_MOST_LOST = 4  # names of checkpoints
_TICK = 0.65  # inches of the longest of two names along a scale
_SHARED = 0.45  # inches of what all names begin with, or end


def figure(results: Sequence[Result], look: Look) -> Figure:
    """The gradient of every checkpoint against lag; below it its rate and horizon."""
    named, pattern = _named(results)
    groups = plan(named)
    if not groups:
        raise nothing(results)
    groups, more = groups[:MOST_PANELS], max(0, len(groups) - MOST_PANELS)
    aspects = [
        [replace(panel, y=panel.y or pattern) for panel in gradients(groups, look)],
        [_rate(group, pattern) for group in groups],
        [_horizon(group, pattern) for group in groups],
    ]
    asked = measured.asked(look)
    aspects += [measured.panels(groups, *one, look) for one in measured.drawings(asked)]
    aspects = [aspect for aspect in aspects if aspect]
    said = words.settings(named)
    lost = [str(one.axes[CHECKPOINT]) for one in named if one.flow is None]
    said += [f"diverged, not drawn: {', '.join(and_more(lost, _MOST_LOST))}"] if lost else []
    said += [f"{many(more, 'more panel')} not drawn"] if more else []
    notes = [*curves.notes(groups, look, asked), "bars: 95 % interval of the rate"]
    notes += ["triangle: beyond the last lag"] if any(_beyond(r) for r in named) else []
    notes += measured.notes(named, asked)
    return sheet.figure(in_grid(aspects, len(groups)), look.title, said, notes)


def _named(results: Sequence[Result]) -> tuple[list[Result], str]:
    """The results by short names of their checkpoints, without what all names share, and what
    that is: `ckpt-*.npz`."""
    names = [words.clean(os.path.basename(str(result.axes[CHECKPOINT]))) for result in results]
    if len(set(names)) < len({result.axes[CHECKPOINT] for result in results}):
        names = [words.clean(str(result.axes[CHECKPOINT])) for result in results]
    start, end = _shared(names)
    short = [name[len(start) : len(name) - len(end)] for name in names]
    if len(set(names)) < 2 or not all(short):
        start, end, short = "", "", names
    found = [
        replace(
            result,
            axes={**result.axes, CHECKPOINT: name},
            varied=tuple(axis for axis in result.varied if axis not in PLACE_AXES),
        )
        for result, name in zip(results, short, strict=True)
    ]
    start, end = (shortened(own, _SHARED, style.LABEL) for own in (start, end))
    return found, f"checkpoint {start}*{end}" if start or end else "checkpoint"


def _shared(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin and end with, no number cut in two."""
    start = re.sub(r"\d+$", "", _beginning(names))
    end = _beginning([name[len(start) :][::-1] for name in names])[::-1]
    return start, re.sub(r"^\d+", "", end)


def _beginning(names: Sequence[str]) -> str:
    """What all of them begin with."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def _along(ax: Axes, group: Group) -> None:
    """A scale of the checkpoints, in order."""
    count = len(group.results)
    ax.set_xlim(-0.4, count - 0.6)
    longest = max(len(str(result.axes[CHECKPOINT])) for result in group.results)
    ticks = max(2, min(_TICKS, 26 // max(longest, 1)))
    at = range(0, count, -(-count // ticks))
    ax.xaxis.set_major_locator(FixedLocator([float(i) for i in at]))
    names = [str(group.results[i].axes[CHECKPOINT]) for i in at]
    ax.set_xticklabels([plain(shortened(name, _TICK, style.SMALL)) for name in names])


def _rate(group: Group, pattern: str) -> Panel:
    """The rate per step of each checkpoint with its interval."""

    def draw(ax: Axes) -> None:
        ax.axhline(1, color=style.FAINT, lw=0.6, zorder=1)
        found = [result.diagnosis for result in group.results]
        rates = [math.nan if one.rate is None else one.rate for one in found]
        x = np.arange(len(rates))
        colour = style.COLOURS[0]
        for at, one in enumerate(found):
            if one.rate_ci is not None and math.isfinite(one.rate_ci[1]):
                ax.plot([at, at], one.rate_ci, color=colour, lw=2.4, alpha=0.35,
                        solid_capstyle="butt")  # fmt: skip
        ax.plot(x, rates, color=colour, lw=1.0, marker="o", ms=3.4, mew=0)
        along_numbers(ax.yaxis, log=False)
        _along(ax, group)

    return Panel(draw, group.title, "", pattern, "rate per step", height=1.7)


def _beyond(result: Result) -> bool:
    known = result.flow is not None and result.diagnosis.verdict != "unknown"
    return known and result.diagnosis.horizon is None


def _lag(result: Result) -> float:
    if result.diagnosis.verdict == "unknown":
        return np.nan
    return result.diagnosis.horizon or 0


def _horizon(group: Group, pattern: str) -> Panel:
    """The horizon of each checkpoint, at T with a triangle where it is beyond."""
    T = max(result.sequence_length for result in group.results)

    def draw(ax: Axes) -> None:
        reached = [r.sequence_length if _beyond(r) else _lag(r) for r in group.results]
        colour = style.COLOURS[2]
        ax.plot(np.arange(len(reached)), reached, color=colour, lw=1.0)
        for at, (result, lag) in enumerate(zip(group.results, reached, strict=True)):
            marker, size = ("^", 5.0) if _beyond(result) else ("o", 3.4)
            ax.plot([at], [lag], marker, ms=size, mew=0, color=colour, clip_on=False)
        ax.set_ylim(0, 1.04 * T)
        along_numbers(ax.yaxis, log=False)
        _along(ax, group)

    return Panel(draw, group.title, "", pattern, "horizon", f"horizon {T}", height=1.7)
