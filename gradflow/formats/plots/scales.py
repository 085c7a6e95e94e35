"""Scales of logarithms, names at the ends of curves, and text that keeps its distance."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from gradflow.formats.plots import style
from gradflow.numerics.arrays import Array

LAG = "lag: steps back"
RELATIVE = "relative gradient"

_NAME = 0.45  # of the width of its column, that a name next to a panel may take
SEVERAL = 0.6  # the same of names of several settings
_MOST = 600  # letters: more are on no line, and are not measured
_BETWEEN = ((1.2, (1, 1.5, 2, 3, 5, 7)), (2.2, (1, 3)))
"""The numbers that are marked in each decade of a scale of less than so many."""
_LINE = 9.5  # points that a line of small text takes
_SUBS = ((75, (1, 2, 3, 5)), (46, (1, 2, 5)), (30, (1, 3)), (0, (1,)))
"""The points that a decade has to be wide to have these numbers in it."""
_UPRIGHT = 0.6
"""The share of these that it has to be high, on an upright scale."""


def plain(text: str) -> str:
    """Text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


def finite(line: Array) -> Array:
    """A curve with gaps where it is no number."""
    return np.where(np.isfinite(line), line, np.nan)


def bounds(curves: Sequence[Array], zero: bool = True) -> tuple[float, float]:
    """The ends of all finite values, with 0 among them if `zero`; 0 if there are none."""
    values = np.concatenate([np.ravel(curve) for curve in curves] + [np.zeros(1 if zero else 0)])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def with_room(low: float, high: float, share: float = 0.04) -> tuple[float, float]:
    """The ends of a scale that leaves some room at both."""
    room = share * max(high - low, 0.5)
    return low - room, high + room


def decades(ax: Axes) -> None:
    """Powers of ten along a scale that holds their logarithms; where they are few, numbers between
    them."""
    low, high = ax.get_ylim()
    marks = next((marks for most, marks in _BETWEEN if high - low < most), None)
    if marks is not None:
        numbers = [k + math.log10(m) for k in range(math.floor(low), math.ceil(high))
                   for m in marks]  # fmt: skip
        shown = [y for y in numbers if low <= y <= high]
        within = FixedLocator(shown) if len(shown) > 1 else MaxNLocator(4)
        ax.yaxis.set_major_locator(within)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _number(y)))
        return
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 3, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: power(y)))


def _number(y: float) -> str:
    """10 to any number, as people write it."""
    whole = math.floor(y + 1e-9)
    digits = f"{10 ** (y - whole):.5g}"
    return f"{float(digits) * 10.0**whole:.6g}" if abs(whole) < 3 else f"{digits}e{whole}"


def power(y: float) -> str:
    """10 to a whole number as people write it; of another nothing."""
    whole = round(y)
    if abs(y - whole) > 1e-6:
        return ""
    return {0: "1", 1: "10", -1: "0.1"}.get(whole, f"1e{whole}")


def along_lags(ax: Axes, T: int) -> None:
    """The scale of lags 0..T."""
    ax.set_xlim(0, max(T, 1))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))


def along_numbers(axis: object, log: bool) -> None:
    """The ticks of a scale of plain numbers, few on a log scale."""
    assert isinstance(axis, Axis)
    if log:
        axis.set_major_locator(_Logs(subs=_SUBS[0][1]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def number(value: float) -> str:
    """A number as scales have it: `0.5`, `1e-5`, `1e100`."""
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:g}")


class _Logs(LogLocator):
    """Few numbers to each power of ten, fewer where this has no room for them side by side."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        axis = self.axis
        if 0 < vmin < vmax:
            assert isinstance(axis, Axis)
            box, lies = axis.axes.bbox, isinstance(axis, XAxis)
            points = (box.width if lies else box.height / _UPRIGHT) * 72 / _dpi(axis.axes)
            room = points / (math.log10(vmax) - math.log10(vmin))
            self.set_params(subs=next(subs for least, subs in _SUBS if room >= least))
        return super().tick_values(vmin, vmax)


def is_log(values: Sequence[float]) -> bool:
    """Whether numbers, ascending, lie more evenly on a log scale."""
    v = np.array(values, dtype=np.float64)
    if len(v) < 3 or not (v > 0).all() or not (np.diff(v) > 0).all():
        return False
    logs, steps = np.diff(np.log(v)), np.diff(v)
    return bool(np.std(logs) / np.mean(logs) < np.std(steps) / np.mean(steps))


def named_ends(
    ax: Axes,
    lines: Sequence[Array],
    names: Sequence[str],
    colours: Sequence[str],
    *,
    label: str = "",
) -> None:
    """Each curve's name at its right end, which it follows on another scale, moved apart where
    they would meet; at the lower end of the scale that of a curve of logarithms that ends in exact
    zeros, with the lag of the first."""
    low, high = ax.get_ylim()
    heights = [_end(line, low, high) for line in lines]
    heights_apart = apart(heights, _LINE / height_of(ax))
    room = name_room(ax)
    for line, name, height, colour in zip(lines, names, heights_apart, colours, strict=True):
        zeros = zeros_of(line)
        said = f": {zeros}" if zeros else ""
        ax.annotate(
            plain(shortened(name, max(room - wide(said, style.TINY), 0.3)) + said),
            (1, height if zeros else low + height * (high - low)),
            xycoords="axes fraction" if zeros else ("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=style.TINY, annotation_clip=True,
            color=style.of_text(colour), label=label,
        )  # fmt: skip


def _end(line: Array, low: float, high: float) -> float:
    """The height in a scale, 0..1, of where a curve ends: its last number, or zero."""
    there = line[~np.isnan(line)]
    last = float(there[-1]) if len(there) else low
    return min(max((last - low) / (high - low), 0.0), 1.0)


def zeros_of(logs: Array) -> str:
    """From which lag on a curve of logarithms is exactly zero for good; "" if it is not."""
    there = np.flatnonzero(~np.isneginf(logs))
    first = int(there[-1]) + 1 if len(there) else 0
    return f"0 from lag {first}" if first < len(logs) else ""


def height_of(ax: Axes) -> float:
    """Points that a panel is high, about: its height is found only when all is drawn."""
    return max(float(ax.bbox.height) * 72 / _dpi(ax), 60.0)


def name_room(ax: Axes, share: float = _NAME) -> float:
    """Inches that a name next to a panel may take, of the width of its column."""
    figure, spec = ax.figure, ax.get_subplotspec()
    assert figure is not None
    columns = 1 if spec is None else spec.get_gridspec().ncols
    return share * float(figure.bbox.width) / _dpi(ax) / columns


def _dpi(ax: Axes) -> float:
    assert ax.figure is not None
    return float(ax.figure.dpi)


def apart(heights: Sequence[float], least: float) -> list[float]:
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


def wrapped(
    pieces: Sequence[str], between: str, inches: float, size: float, bold: bool = False
) -> list[str]:
    """The pieces in lines that are at most so wide; a longer piece is broken at its blanks."""
    lines: list[str] = []
    for piece in pieces:
        joined = lines[-1] + between + piece if lines else piece
        if lines and wide(joined, size, bold) <= inches:
            lines[-1] = joined
        elif " " in piece and wide(piece, size, bold) > inches:
            lines += wrapped(piece.split(" "), " ", inches, size, bold)
        else:
            lines.append(piece)
    return lines


def few(
    lines: Sequence[str], most: int, inches: float, size: float, bold: bool = False
) -> list[str]:
    """The first of the lines, each no wider than that; an ellipsis if more follow."""
    kept = list(lines[:most])
    if len(lines) > most:
        while " " in kept[-1] and wide(kept[-1] + " …", size, bold) > inches:
            kept[-1] = kept[-1].rpartition(" ")[0]
        kept[-1] += " …"
    return [shortened(line, inches, size, bold) for line in kept]


def and_more(pieces: Sequence[str], most: int) -> list[str]:
    """The first of some pieces of text, and how many more there are."""
    more = len(pieces) - most
    return [*pieces[:most], *([f"and {more} more"] if more > 0 else [])]


def shortened(text: str, inches: float, size: float = style.TINY, bold: bool = False) -> str:
    """The text, its middle cut out where it is wider than that."""
    if len(text) <= _MOST and wide(text, size, bold) <= inches:
        return text
    low, high = 2, min(len(text) - 1, _MOST)
    while low < high:
        middle = (low + high + 1) // 2
        if wide(_cut(text, middle), size, bold) <= inches:
            low = middle
        else:
            high = middle - 1
    return _cut(text, low)


def _cut(text: str, letters: int) -> str:
    """So many letters of a text, from both its ends."""
    end = letters // 2
    return f"{text[: letters - end]}…{text[len(text) - end :]}"


@lru_cache(maxsize=4096)
def wide(text: str, size: float, bold: bool = False) -> float:
    """The inches that a text takes."""
    font = FontProperties(
        family=style.FONTS, style="normal", variant="normal", stretch="normal", size=size,
        weight="bold" if bold else "normal",
    )  # fmt: skip
    with style.any_letter():
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72
