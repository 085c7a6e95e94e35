"""The figure itself: curves with their band, small multiples, heat maps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from gradflow.errors import InputError
from gradflow.formats import words
from gradflow.formats.plots import style
from gradflow.formats.plots.layout import Panel, plan
from gradflow.formats.view import View
from gradflow.numerics.arrays import Array
from gradflow.results import GradientFlow, Result

_HEIGHT = 2.3  # inches of a panel
_LABEL = 0.052  # of a panel's height, that a line of text takes


def figure(results: Sequence[Result], view: View) -> Figure:
    """See `gradflow.formats.plots.figure`."""
    panels, more = plan(results)
    if not panels:
        raise InputError("there is nothing to draw: every run left float range going forward")
    with mpl.rc_context(style.SETTINGS):
        return _drawn(panels, more, results, view)


def into(ax: Axes, results: Sequence[Result], view: View) -> None:
    """See `gradflow.formats.plots.into`."""
    panels, more = plan(results)
    if not panels:
        raise InputError("there is nothing to draw: every run left float range going forward")
    if len(panels) + more > 1:
        raise InputError(f"these results take {len(panels) + more} panels: draw them without ax")
    [panel] = panels
    if panel.heat:
        _heat(ax, panel, view)
    else:
        lines = [_relative(result) for result in panel.results]
        _curves(ax, panel, _bounds(lines, view), view)
    ax.set_xlabel("lag: steps back from the last")
    ax.set_ylabel(words.symbol(panel.axis or "") if panel.heat else "relative gradient")


def _drawn(panels: Sequence[Panel], more: int, results: Sequence[Result], view: View) -> Figure:
    columns = min(len(panels), 3 if len(panels) != 4 else 2)
    rows = math.ceil(len(panels) / columns)
    width = style.PAGE if columns > 1 else style.COLUMN * 1.25
    made = Figure(figsize=(width, _HEIGHT * rows + 0.55), layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False, sharey=not panels[0].heat)
    axes = list(grid.flat)
    lines = [_relative(result) for panel in panels if not panel.heat for result in panel.results]
    ends = _bounds(lines, view)
    for panel, ax in zip(panels, axes, strict=False):
        if panel.heat:
            _heat(ax, panel, view)
        else:
            _curves(ax, panel, ends, view)
    for ax in axes[len(panels) :]:
        ax.remove()
    for number, ax in enumerate(axes[: len(panels)]):
        if number + columns >= len(panels):
            ax.set_xlabel("lag: steps back from the last")
        if number % columns == 0:
            panel = panels[number]
            ax.set_ylabel(words.symbol(panel.axis or "") if panel.heat else "relative gradient")
    _head(made, results, view, more)
    return made


def _head(made: Figure, results: Sequence[Result], view: View, more: int) -> None:
    """The title, and what all runs have in common."""
    title = words.clean(view.title) if view.title else None
    lost = sum(result.flow is None and not result.layers for result in results)
    said = [*words.settings(results)]
    said += [f"{lost} diverged, not drawn"] if lost else []
    said += [f"{more} more panels not drawn"] if more else []
    lines = _wrapped(said, " · ", int(made.get_figwidth() * 19))
    if title:
        made.suptitle(_plain(title), x=0.01, ha="left", fontsize=9, fontweight="bold")
    made.supxlabel(_plain("\n".join(lines)), x=0.01, ha="left", fontsize=6.5, color=style.FAINT)


def _wrapped(pieces: Sequence[str], between: str, width: int) -> list[str]:
    """The pieces in lines of at most `width` characters."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + len(between) + len(piece) <= width:
            lines[-1] += between + piece
        else:
            lines.append(piece)
    return lines


def _plain(text: str) -> str:
    """Text in which matplotlib finds no formula."""
    return text.replace("\\", "\\\\").replace("$", r"\$")


# Curves


def _curves(ax: Axes, panel: Panel, ends: tuple[float, float], view: View) -> None:
    """The relative gradient of each run against lag."""
    lines = [_relative(result) for result in panel.results]
    low, high = ends
    _thresholds(ax, view, low, high)
    colours = style.line_colours(len(lines), panel.axis is not None and len(lines) > 1)
    for line, result, colour in zip(lines, panel.results, colours, strict=True):
        if len(lines) == 1 and result.flow is not None:
            _band(ax, result.flow, colour)
        ax.plot(np.arange(len(line)), _finite(line), color=colour)
        _end_of(ax, line, colour)
    T = max(map(len, lines)) - 1
    ax.set_xlim(0, max(T, 1))
    ax.set_ylim(low, high)
    if len(lines) == 1:
        _horizon(ax, panel.results[0])
    else:
        _labels(ax, panel, lines, colours)
    _decades(ax)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if panel.title:
        ax.set_title(_plain(panel.title))


def _relative(result: Result) -> Array:
    """(T+1,): log10 of the relative gradient."""
    assert result.flow is not None
    return result.flow.relative.log10()


def _finite(line: Array) -> Array:
    return np.where(np.isfinite(line), line, np.nan)


def _bounds(lines: Sequence[Array], view: View) -> tuple[float, float]:
    """The ends of the scale: all curves, and the thresholds where that does not flatten them."""
    finite = np.concatenate([line[np.isfinite(line)] for line in lines] + [np.zeros(1)])
    vanishing, exploding = words.log10_thresholds(view)
    low, high = float(finite.min()), float(finite.max())
    low = min(low, vanishing - 0.5) if low < 0.4 * vanishing or high < 0.4 * exploding else low
    high = max(high, exploding + 0.5) if high > 0.4 * exploding else high
    room = 0.04 * max(high - low, 1.0)
    return low - room, max(high + room, 0.3)


def _thresholds(ax: Axes, view: View, low: float, high: float) -> None:
    """What lies beyond the thresholds is shaded."""
    vanishing, exploding = words.log10_thresholds(view)
    for start, stop in ((low, vanishing), (exploding, high)):
        if start < stop:
            ax.axhspan(start, stop, color=style.SHADE, lw=0, zorder=0)
    ax.axhline(0, color=style.FAINT, lw=0.5, zorder=1)


def _band(ax: Axes, flow: GradientFlow, colour: str) -> None:
    """The 10th to the 90th percentile of the samples, over what the curve is over."""
    if not len(flow.log10_percentiles):
        return
    start = (flow.state[0] if flow.start is None else flow.start)[np.newaxis].log10()[0]
    band = _finite(flow.log10_percentiles - start)
    lags = np.arange(len(band))
    ax.fill_between(lags, band[:, 0], band[:, 2], color=colour, alpha=0.2, lw=0)
    ax.plot(lags, band[:, 1], color=colour, lw=0.7, ls=(0, (1, 1.5)))


def _end_of(ax: Axes, line: Array, colour: str) -> None:
    """A cross where the gradient becomes exactly zero for good."""
    there = np.flatnonzero(np.isfinite(line))
    if len(there) and there[-1] + 1 < len(line):
        ax.plot(there[-1], line[there[-1]], marker="x", ms=4, color=colour)


def _horizon(ax: Axes, result: Result) -> None:
    """Where the gradient leaves the thresholds, and what the curve means."""
    found = result.diagnosis
    falls = found.verdict != "exploding"
    if found.horizon is not None and found.horizon > 0:
        ax.axvline(found.horizon, color=style.INK, lw=0.6, ls=(0, (4, 3)))
        T = result.sequence_length
        left = found.horizon > 0.7 * T
        ax.annotate(
            f"horizon {found.horizon}", (found.horizon, 0 if falls else 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if left else 3, 3 if falls else -3), textcoords="offset points",
            ha="right" if left else "left", va="bottom" if falls else "top", fontsize=7,
        )  # fmt: skip
    facts: list[str] = [found.verdict]
    facts += [f"rate {words.rate(found)} per step"] if found.rate is not None else []
    ax.annotate(
        "\n".join(facts), (0.98, 0.9 if falls else 0.03), xycoords="axes fraction", ha="right",
        va="top" if falls else "bottom", fontsize=7, color=style.INK,
    )  # fmt: skip


def _labels(ax: Axes, panel: Panel, lines: Sequence[Array], colours: Sequence[str]) -> None:
    """Each curve's name at its right end, moved apart where they would meet."""
    low, high = ax.get_ylim()
    ends = []
    for line in lines:
        finite = line[np.isfinite(line)]
        ends.append((float(finite[-1]) if len(finite) else low, len(line)))
    heights = [(end - low) / (high - low) for end, _ in ends]
    places = _apart(heights, _LABEL)
    for name, place, colour in zip(panel.names, places, colours, strict=True):
        ax.annotate(
            _plain(name), (1, place), xycoords="axes fraction", xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=6.5, color=colour,
        )  # fmt: skip


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """The heights, moved as little as it takes for neighbours to be `least` apart, within 0..1."""
    order = [int(i) for i in np.argsort(heights, kind="stable")]
    groups: list[list[float]] = []  # heights that were moved together, lowest first
    for index in order:
        groups.append([float(heights[index])])
        while len(groups) > 1 and _middle(groups[-1], least) - _middle(groups[-2], least) < (
            (len(groups[-1]) + len(groups[-2])) / 2 * least
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    found = [0.0] * len(heights)
    ranks = iter(order)
    for group in groups:
        lowest = _middle(group, least) - (len(group) - 1) / 2 * least
        for i in range(len(group)):
            found[next(ranks)] = lowest + i * least
    return found


def _middle(group: Sequence[float], least: float) -> float:
    """Where the middle of a group comes to lie, all of it within 0..1 if there is room."""
    half = (len(group) - 1) / 2 * least
    return min(max(sum(group) / len(group), half), max(1 - half, half))


def _decades(ax: Axes) -> None:
    """Powers of ten along a scale that holds their logarithms."""
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _power(y)))


def _power(y: float) -> str:
    whole = round(y)
    return {0: "1", 1: "10", -1: "0.1"}.get(whole, f"1e{whole}") if abs(y - whole) < 1e-6 else ""


# Heat maps


def _heat(ax: Axes, panel: Panel, view: View) -> None:
    """The relative gradient of every run, a row each: blue where it vanishes, red where it grows
    too large."""
    T = max(result.sequence_length for result in panel.results)
    vanishing, exploding = words.log10_thresholds(view)
    low, high = 3 * vanishing, 3 * exploding
    rows = np.full((len(panel.results), T + 1), np.nan)
    for row, result in zip(rows, panel.results, strict=True):
        line = _relative(result)
        row[: len(line)] = np.clip(line, low, high)
    edges = _edges(panel.values)
    mesh = ax.pcolormesh(
        np.arange(T + 2) - 0.5, edges, rows, cmap="RdBu_r", norm=TwoSlopeNorm(0, low, high),
        rasterized=True,
    )  # fmt: skip
    lags = np.arange(T + 1)
    if len(panel.results) > 1 and T > 0:
        centres = np.array(panel.values)
        for level, dashes in ((vanishing, "--"), (exploding, "--")):
            if np.nanmin(rows) < level < np.nanmax(rows):
                ax.contour(lags, centres, rows, [level], colors=style.INK, linewidths=0.6,
                           linestyles=dashes)  # fmt: skip
    if all(edge > 0 for edge in edges) and _is_log(panel.values):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.set_xlim(-0.5, T + 0.5)
    ax.set_ylim(edges[0], edges[-1])
    _critical(ax, panel)
    if panel.title:
        ax.set_title(_plain(panel.title))
    assert ax.figure is not None
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02, aspect=25)
    bar.set_ticks([low, vanishing, 0, exploding, high])
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _power(y)))
    bar.outline.set_linewidth(0.4)


def _critical(ax: Axes, panel: Panel) -> None:
    """Where the rate of neighbouring runs crosses 1."""
    rates = [result.diagnosis.rate for result in panel.results]
    values = panel.values
    logs = [None if rate is None or rate <= 0 else math.log(rate) for rate in rates]
    for i, (a, b) in enumerate(itertools.pairwise(logs)):
        if a is not None and b is not None and (a < 0) != (b < 0):
            value = values[i] + (values[i + 1] - values[i]) * a / (a - b)
            ax.axhline(value, color=style.INK, lw=0.9)
            ax.annotate(
                f"rate 1 at {value:.3g}", (1, value), xycoords=("axes fraction", "data"),
                xytext=(-3, 2), textcoords="offset points", ha="right", fontsize=6.5,
            )  # fmt: skip


def _is_log(values: Sequence[float]) -> bool:
    """Whether values lie more evenly on a log scale."""
    logs, steps = np.diff(np.log(values)), np.diff(values)
    return bool(len(steps) > 1 and np.std(logs) / np.mean(logs) < np.std(steps) / np.mean(steps))


def _edges(values: Sequence[float]) -> Array:
    """The borders between neighbouring rows."""
    v = np.array(values, dtype=np.float64)
    middle = (v[1:] + v[:-1]) / 2
    if np.all(v > 0) and _is_log(values):
        middle = np.sqrt(v[1:] * v[:-1])
        return np.concatenate([[v[0] ** 2 / middle[0]], middle, [v[-1] ** 2 / middle[-1]]])
    return np.concatenate([[2 * v[0] - middle[0]], middle, [2 * v[-1] - middle[-1]]])
