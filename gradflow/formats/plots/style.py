"""Sizes, ink and colours of the figures, on a light page and on a dark one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb

COLUMN, PAGE = 3.5, 7.2
"""Inches: the width of a column of a paper, and of its page."""

HEAD, TITLE, LABEL, SMALL, TINY = 9.0, 8.0, 7.5, 7.0, 6.5
"""Points: of the title of a figure and of a panel, of what a scale is of, of what is said in a
panel, of names and notes."""

INK, FAINT, SHADE, PAPER = "#262626", "#6e6e6e", "#f0f0f0", "#ffffff"

ON_MAP = "#101010"
"""Ink on a heat map, whose colours are the same on any page."""

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#b3589a", "#a67c00", "#3fa0dc", "#666666", "#882255",
)  # fmt: skip
"""After Okabe and Ito, for people who see fewer colours, darker where a name would be hard to
read."""

_TURNED = {
    INK: "#e6e6e6", FAINT: "#a6a6a6", SHADE: "#2a2a2a", PAPER: "#161616",
    "#0072b2": "#4aa8e8", "#d55e00": "#ff8a3d", "#009e73": "#2fc99a", "#b3589a": "#e29bcb",
    "#a67c00": "#e6c14a", "#3fa0dc": "#9ad7ff", "#666666": "#b0b0b0", "#882255": "#e07a9e",
}  # fmt: skip

_ORDERED, _ORDERED_TURNED = (0.02, 0.68), (0.42, 0.93)
"""The stretch of a scale from dark to light that ordered lines take, on a light and a dark page."""

MOST_ORDERED = 16

_READ = 4.8
"""Contrast of text with a paper; 4.5 by WCAG, and a little for pages that are less black."""

FONTS = ["DejaVu Sans"]
"""What comes with matplotlib: the same figure everywhere."""

SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": FONTS,
    "font.size": TITLE,
    "axes.titlesize": TITLE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": LABEL,
    "axes.labelpad": 2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "figure.dpi": 100,
}
"""What differs from matplotlib's own settings while a figure is drawn and written."""


_NOT_OF_FIGURES = ("backend", "backend_fallback", "interactive", "timezone", "date.epoch")
"""What matplotlib's users choose of its windows and clocks, and not of what is drawn."""


@contextmanager
def own(**more: Any) -> Iterator[None]:
    """matplotlib as it comes, with SETTINGS and some more, whatever its user has set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        given: dict[Any, Any] = dict(mpl.rcParamsDefault.items())
    drawing = {key: value for key, value in given.items() if key not in _NOT_OF_FIGURES}
    drawing.update({**SETTINGS, **more})
    with mpl.rc_context(drawing):
        yield


@contextmanager
def any_letter() -> Iterator[None]:
    """Letters that the font lacks (they are drawn as a box; an SVG has them as text) go without
    matplotlib's warnings."""
    with warnings.catch_warnings():
        for said in ("Glyph .* missing", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", said, UserWarning)
        yield


def colours(count: int, ordered: bool) -> Sequence[str]:
    """A colour for each of so many lines; `ordered` ones take a stretch of one scale."""
    if ordered or count > len(COLOURS):
        return _scale(count, *_ORDERED)
    return COLOURS[:count]


@cache
def _scale(count: int, start: float, stop: float) -> tuple[str, ...]:
    scale, step = mpl.colormaps["plasma"], (stop - start) / max(count - 1, 1)
    return tuple(to_hex(scale(start + step * i)) for i in range(count))


@cache
def turned() -> dict[str, str]:
    """What every colour becomes on a dark page."""
    lines = _lines_turned()
    dark = lines[PAPER]
    return lines | {of_text(one): _readable(other, dark, "#ffffff") for one, other in lines.items()
                    if one not in (INK, FAINT, SHADE, PAPER)}  # fmt: skip


@cache
def _lines_turned() -> dict[str, str]:
    """The same of lines and areas."""
    found = dict(_TURNED)
    for count in range(1, MOST_ORDERED + 1):
        light, dark = _scale(count, *_ORDERED), _scale(count, *_ORDERED_TURNED)
        found |= dict(zip(light, dark, strict=True))
    return found


@cache
def of_text(colour: str) -> str:
    """The colour of small text next to a line of this one: as dark as it takes to be read, and
    always another, as it has its own on a dark page."""
    found = _readable(colour, PAPER, "#000000")
    return found if found != colour else _mixed(colour, "#000000", 0.01)


def _readable(colour: str, paper: str, towards: str) -> str:
    """A colour, moved until it can be told from the paper as text has to be."""
    shares = (share / 50 for share in range(51))
    return next(one for share in shares
                if contrast(one := _mixed(colour, towards, share), paper) >= _READ)  # fmt: skip


def _mixed(colour: str, other: str, share: float) -> str:
    start, end = np.array(to_rgb(colour)), np.array(to_rgb(other))
    red, green, blue = start + (end - start) * share
    return to_hex((red, green, blue))


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21, as WCAG 2 has it."""
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
