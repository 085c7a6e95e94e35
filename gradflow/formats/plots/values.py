"""Figures of runs: side by side with their spread, or in order, or against what is swept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from gradflow.formats import words
from gradflow.formats.plots import style
from gradflow.formats.plots.heat import named_rows
from gradflow.formats.plots.layout import Group
from gradflow.formats.plots.scales import (
    along_numbers,
    is_log,
    name_room,
    named_ends,
    plain,
    shortened,
)
from gradflow.formats.plots.sheet import Panel
from gradflow.measures.drawn import Row, Rows, Spectrum
from gradflow.numerics.arrays import Array
from gradflow.results import Result

_SPREAD = 0.62  # of the distance of two rows, over which the dots of several runs are spread
_TALLEST = 7.0  # inches of a panel
_FEW = 24  # exponents that have a dot each


def _titled(group: Group, title: str, said: str = "") -> tuple[str, str]:
    """The title and the facts of a panel."""
    return (group.title, title) if group.title else (title, said)


# Figures with a name each


def rows(group: Group, name: str, drawn: Rows) -> Panel:
    """The rows of every run: as dots; against what is swept where the runs are many."""
    found = [_rows_of(result, name, drawn) for result in group.results]
    names = list(dict.fromkeys(row.name for own in found for row in own))
    title, facts = _titled(group, drawn.title)

    def dots(ax: Axes) -> None:
        _dots(ax, group, drawn, found, names)

    def swept(ax: Axes) -> None:
        _swept(ax, group, drawn, found, names)

    def listed(ax: Axes) -> None:
        _listed(ax, group, drawn, found, names)

    if not group.heat:
        return Panel(dots, title, facts, drawn.label)
    if group.numeric:
        return Panel(swept, title, facts, words.symbol(group.axis or ""), drawn.label,
                     shares=f"{name} {drawn.title} {_scale(drawn, found)}")  # fmt: skip
    return Panel(listed, title, facts, drawn.label, height=tall(group))


def tall(group: Group) -> float:
    """Inches of a panel with a row a run: what a name takes, as far as each row has one."""
    count = len(group.names)
    return min(max(2.2, 0.135 * min(count, 40) + 0.012 * max(count - 40, 0) + 0.6), _TALLEST)


def _rows_of(result: Result, name: str, drawn: Rows) -> list[Row]:
    measured = result.measures.get(name)
    return [] if measured is None else list(drawn.of(measured.figures))


def _scale(drawn: Rows, found: Sequence[Sequence[Row]]) -> tuple[float, float]:
    if drawn.ends is not None:
        low, high = drawn.ends
        return low - 0.03 * (high - low), high + 0.03 * (high - low)
    values = [v for own in found for row in own for v in (row.value, row.low, row.high)
              if v is not None and math.isfinite(v)]  # fmt: skip
    high = max([*values, drawn.mark or 0.0, 1e-300])
    low = min([*values, 0.0])
    return low - 0.03 * (high - low), high + 0.06 * (high - low)


def _mark(ax: Axes, value: float | None, upright: bool) -> None:
    if value is not None:
        (ax.axvline if upright else ax.axhline)(value, color=style.FAINT, lw=0.5, zorder=1)


def _dots(
    ax: Axes, group: Group, drawn: Rows, found: Sequence[Sequence[Row]], names: Sequence[str]
) -> None:
    alone = len(found) == 1
    colours = style.colours(len(found), group.ordered and not alone)
    offsets = _offsets(len(found))
    _mark(ax, drawn.mark, upright=True)
    for own, colour, offset in zip(found, colours, offsets, strict=True):
        for row in own:
            _dot(ax, row, names.index(row.name) + offset, colour)
    if alone:
        for row in found[0]:
            said = words.short(row.value) + (f"\n{row.said}" if row.said else "")
            ax.annotate(
                plain(said), (1, names.index(row.name)), xycoords=("axes fraction", "data"),
                xytext=(4, 0), textcoords="offset points", va="center", fontsize=style.TINY,
                linespacing=1.2,
            )  # fmt: skip
    ax.set_xlim(*_scale(drawn, found))
    along_numbers(ax.xaxis, log=False)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.yaxis.set_major_locator(FixedLocator([float(i) for i in range(len(names))]))
    ax.set_yticklabels([plain(shortened(text, name_room(ax), style.SMALL)) for text in names])
    ax.tick_params(axis="y", length=0)


def _offsets(count: int) -> Array:
    """How far so many dots of one row are from its middle."""
    step = min(_SPREAD / max(count - 1, 1), 0.22)
    return (np.arange(count) - (count - 1) / 2) * step


def _dot(ax: Axes, row: Row, y: float, colour: str) -> None:
    if row.low is not None and row.high is not None:
        ax.plot([row.low, row.high], [y, y], color=colour, lw=2.4, alpha=0.35,
                solid_capstyle="butt")  # fmt: skip
    ax.plot([row.value], [y], "o", ms=3.8, color=colour, mew=0)


def _swept(
    ax: Axes, group: Group, drawn: Rows, found: Sequence[Sequence[Row]], names: Sequence[str]
) -> None:
    """Against the number along which the runs lie."""
    low, high = _scale(drawn, found)
    ax.set_ylim(low, high)
    _mark(ax, drawn.mark, upright=False)
    x, lines = np.array(group.values), []
    colours = style.colours(len(names), ordered=False)
    for called, colour in zip(names, colours, strict=True):
        own = [next((row for row in rows if row.name == called), None) for rows in found]
        value, below, above = (
            np.array([math.nan if row is None or (v := getattr(row, what)) is None else v
                      for row in own])
            for what in ("value", "low", "high")
        )  # fmt: skip
        ax.fill_between(x, below, above, color=colour, alpha=0.15, lw=0)
        ax.plot(x, value, color=colour)
        lines.append(value)
    _along(ax, group)
    named_ends(ax, lines, names, colours)


def _along(ax: Axes, group: Group) -> None:
    log = is_log(group.values)
    if log:
        ax.set_xscale("log")
    along_numbers(ax.xaxis, log)
    ax.set_xlim(group.values[0], group.values[-1])


def _listed(
    ax: Axes, group: Group, drawn: Rows, found: Sequence[Sequence[Row]], names: Sequence[str]
) -> None:
    """A row a run, the figures in it by colour: those that most runs have."""
    counts = Counter(row.name for own in found for row in own)
    shown = sorted(names, key=lambda name: -counts[name])[: len(style.COLOURS)]
    colours = dict(zip(shown, style.COLOURS, strict=False))
    _mark(ax, drawn.mark, upright=True)
    room = name_room(ax)
    for called, colour in colours.items():
        ax.plot([], [], "o", ms=3.8, mew=0, color=colour, label=plain(shortened(called, room)))
    for y, rows in enumerate(found):
        own = [row for row in rows if row.name in colours]
        for row, offset in zip(own, _offsets(len(own)), strict=True):
            _dot(ax, row, y + offset, colours[row.name])
    if len(names) > len(shown):
        ax.plot([], [], " ", label=f"and {len(names) - len(shown)} more")
    ax.set_xlim(*_scale(drawn, found))
    along_numbers(ax.xaxis, log=False)
    named_rows(ax, group)
    ax.legend(fontsize=style.TINY, frameon=False, loc="center left", handletextpad=0, borderpad=0,
              bbox_to_anchor=(1, 0.5))  # fmt: skip


# Figures in order


def spectrum(group: Group, name: str, drawn: Spectrum) -> Panel:
    """The spectrum of every run: against its order; against what is swept where the runs are
    many."""
    found = [
        list(drawn.of(result.measures[name].figures)) if name in result.measures else []
        for result in group.results
    ]
    said = ""
    if len(found) == 1 and found[0]:
        largest = f"largest {words.short(found[0][0][0])}"
        more = drawn.said(group.results[0].measures[name].figures)
        said = ", ".join(filter(None, [largest, more]))
    title, facts = _titled(group, drawn.title, said)

    def ordered(ax: Axes) -> None:
        _ordered(ax, group, drawn, found)

    def swept(ax: Axes) -> None:
        _spectra_swept(ax, group, drawn, found)

    def listed(ax: Axes) -> None:
        _spectra_listed(ax, group, drawn, found)

    if not group.heat:
        return Panel(ordered, title, facts, "number, the largest first", drawn.label)
    if group.numeric:
        return Panel(swept, title, facts, words.symbol(group.axis or ""), drawn.label)
    return Panel(listed, title, facts, drawn.label, height=tall(group))


Spectra = Sequence[Sequence[tuple[float, float]]]


def _ordered(ax: Axes, group: Group, drawn: Spectrum, found: Spectra) -> None:
    alone = len(found) == 1
    colours = style.colours(len(found), group.ordered and not alone)
    most = max(map(len, found))
    _mark(ax, drawn.mark, upright=False)
    lines, names, inks = [], [], []
    for own, colour, called in zip(found, colours, group.names, strict=True):
        if not own:
            continue
        values, spread = np.array(own).T
        values = np.where(np.isfinite(values), values, math.nan)
        x = np.arange(1, len(values) + 1)
        ax.fill_between(x, values - spread, values + spread, color=colour, alpha=0.2, lw=0)
        dots = {"marker": "o", "ms": 3, "mew": 0} if most <= _FEW else {}
        ax.plot(x, values, color=colour, lw=1.0, **dots)  # type: ignore[arg-type]
        lines.append(values)
        names.append(called)
        inks.append(colour)
    ax.set_xlim(0.5, most + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    along_numbers(ax.yaxis, log=False)
    ax.set_ylim(*ax.get_ylim())
    if not alone:
        named_ends(ax, lines, names, inks)


def _spectra_swept(ax: Axes, group: Group, drawn: Spectrum, found: Spectra) -> None:
    _mark(ax, drawn.mark, upright=False)
    table = np.full((len(found), max(map(len, found))), math.nan)
    for line, own in zip(table, found, strict=True):
        line[: len(own)] = [value for value, _ in own]
    table[~np.isfinite(table)] = math.nan
    colour = style.COLOURS[0]
    ax.plot(group.values, table[:, 1:], color=colour, lw=0.4, alpha=0.5)
    ax.plot(group.values, table[:, 0], color=colour)
    along_numbers(ax.yaxis, log=False)
    _along(ax, group)


def _spectra_listed(ax: Axes, group: Group, drawn: Spectrum, found: Spectra) -> None:
    _mark(ax, drawn.mark, upright=True)
    for y, own in enumerate(found):
        values = [value for value, _ in own if math.isfinite(value)]
        ax.plot(values, [y] * len(values), "|", ms=5, mew=0.6, color=style.COLOURS[0])
    along_numbers(ax.xaxis, log=False)
    named_rows(ax, group)
