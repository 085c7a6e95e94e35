"""Two saved results next to each other: how far each run is apart, and the curves of those that
are apart most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from gradflow.checks.compare import Comparison, Pair, parts
from gradflow.checks.deviations import Deviation, log10_curves
from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.formats.look import Look
from gradflow.formats.plots import sheet, style
from gradflow.formats.plots.scales import (
    LAG,
    SEVERAL,
    along_lags,
    bounds,
    decades,
    finite,
    name_room,
    named_ends,
    plain,
    power,
    shortened,
    wide,
    with_room,
)
from gradflow.formats.plots.sheet import Panel
from gradflow.formats.words import clean, short
from gradflow.numerics.arrays import Array
from gradflow.results import Result

_MOST_ROWS, _MOST_CURVES, _MOST_HELD = 40, 5, 2
_HELD, _MISSED = style.COLOURS[0], style.COLOURS[1]
_LEAST, _LARGEST = -6.0, 3.0  # log10 of decades: the ends of the scale of distances
_ROOM = 2.0  # powers of ten that the scale has on either side of the tolerance, at least


def figure(comparison: Comparison, look: Look) -> Figure:
    """A row a run with its largest distance; then the curves before and now, the most distant
    first."""
    pairs = comparison.pairs
    if not pairs:
        raise InputError("there is nothing to draw: neither file has a run")
    worst = sorted(pairs, key=lambda pair: (pair.held, -_decades(pair)))
    most = _MOST_CURVES if not comparison.held else _MOST_HELD
    curves = [panel for pair in worst if (panel := _curves(pair)) is not None][:most]
    held = sum(pair.held for pair in pairs)
    said = [f"{many(len(pairs), 'run')}: {held} within {comparison.within}"]
    notes = ["grey: before", "coloured: now"] if curves else []
    notes += [clean(comparison.unpaired)] if comparison.unpaired else []
    more = len(pairs) - _MOST_ROWS
    notes += [f"{many(more, 'more run')}, nearer to each other, not drawn"] if more > 0 else []
    distances = _distances(worst[:_MOST_ROWS], comparison.tolerance)
    if distances.alone:
        return sheet.figure([[distances], *sheet.in_rows(curves)], look.title, said, notes)
    return sheet.figure(sheet.in_rows([distances, *curves]), look.title, said, notes)


def _decades(pair: Pair) -> float:
    if pair.change is not None:
        return math.inf
    return pair.largest.decades if pair.largest is not None else 0.0


def _distances(pairs: Sequence[Pair], tolerance: float) -> Panel:
    """A row a run, the most distant at the top."""

    least, largest = _ends(tolerance)

    def draw(ax: Axes) -> None:
        for at, pair in enumerate(pairs):
            value = _decades(pair)
            log = math.log10(value) if 0 < value < math.inf else math.copysign(math.inf, value - 1)
            beyond = not least <= log <= largest
            x = min(max(log, least), largest)
            colour = _HELD if pair.held else _MISSED
            ax.plot([least, x], [at, at], color=colour, lw=0.8, alpha=0.5)
            marker = (">" if log > 0 else "<") if beyond else "o"
            ax.plot([x], [at], marker, ms=4.5, mew=0, color=colour, clip_on=False)
        if tolerance > 0:
            ax.axvline(math.log10(tolerance), color=style.INK, lw=0.6, ls=(0, (4, 3)))
            ax.annotate("tolerance", (math.log10(tolerance), len(pairs) - 0.1), xytext=(3, 0),
                        textcoords="offset points", va="center", fontsize=style.TINY)  # fmt: skip
        ax.set_xlim(least, largest)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: power(x)))
        ax.yaxis.set_major_locator(FixedLocator([float(i) for i in range(len(pairs))]))
        ax.set_yticklabels([_called(ax, pair) for pair in pairs], fontsize=style.TINY)
        ax.set_ylim(len(pairs) + 0.4, -0.6)
        ax.tick_params(axis="y", length=0)

    height = max(2.2, 0.135 * len(pairs) + 0.7)
    return Panel(draw, "largest distance", "", "decades", height=height, alone=height > 2.2)


def _called(ax: Axes, pair: Pair) -> str:
    """The name of a run, and on which side alone it is."""
    if pair.change is None:
        return plain(shortened(clean(pair.name), name_room(ax)))
    change = f", {pair.change}"
    room = max(name_room(ax, SEVERAL) - wide(change, style.TINY), 0.3)
    return plain(shortened(clean(pair.name), room) + change)


def _ends(tolerance: float) -> tuple[float, float]:
    """log10 of the ends of the scale of distances, the tolerance well within."""
    at = math.log10(tolerance) if 0 < tolerance < math.inf else 0.0
    return min(_LEAST, math.floor(at - _ROOM)), max(_LARGEST, math.ceil(at + _ROOM))


def _curves(pair: Pair) -> Panel | None:
    """What is apart most against lag, or else the gradient, before and now; None where neither
    side has such a thing."""
    name, before, after = _most_distant(pair)
    lines = [(line, called, colour)
             for line, called, colour in ((before, "before", style.FAINT),
                                          (after, "now", _HELD if pair.held else _MISSED))
             if line is not None and len(line)]  # fmt: skip
    if not lines:
        return None

    def draw(ax: Axes) -> None:
        for line, _, colour in lines:
            under = len(lines) > 1 and colour == style.FAINT
            ax.plot(np.arange(len(line)), finite(line), color=colour, lw=2.4 if under else 1.2,
                    alpha=0.6 if under else 1.0)  # fmt: skip
        ax.set_ylim(*with_room(*bounds([line for line, _, _ in lines], zero=False)))
        along_lags(ax, max(len(line) for line, _, _ in lines) - 1)
        decades(ax)
        at = _of_a_curve(pair)
        if at is not None and at.lag is not None:
            ax.axvline(at.lag, color=style.INK, lw=0.6, ls=(0, (1, 1.6)))
        named_ends(ax, *zip(*lines, strict=True))

    return Panel(draw, clean(pair.name), _said(pair), LAG, name)


def _most_distant(pair: Pair) -> tuple[str, Array | None, Array | None]:
    """The name of a curve, and its logarithms on either side."""
    one, other = pair.results
    shown = _of_a_curve(pair)
    if one is not None and other is not None and shown is not None:
        for ending, a, b in parts(one, other):
            for name, before, after in log10_curves(a, b):
                if name + ending == shown.name:
                    return shown.name.removeprefix("log10_"), before, after
    return "grad_norm", _gradient(one), _gradient(other)


def _of_a_curve(pair: Pair) -> Deviation | None:
    """The largest distance of a curve; None where none was compared."""
    return next((one for one in pair.deviations if one.lag is not None), None)


def _gradient(result: Result | None) -> Array | None:
    """That of the whole net, or of its lowest layer where it has no one state."""
    if result is None:
        return None
    flows = [result.flow, *(layer.flow for layer in result.layers)]
    found = next((flow for flow in flows if flow is not None), None)
    return None if found is None else found.state.log10()


def _said(pair: Pair) -> str:
    """Where the two are apart most."""
    shown = _of_a_curve(pair) or pair.largest
    if pair.change is not None or shown is None:
        return pair.change or ""
    far = "on one side only" if math.isinf(shown.decades) else many(short(shown.decades), "decade")
    lag = "" if shown.lag is None else f", lag {shown.lag}"
    return f"{clean(shown.name)}: {far}{lag}"
