"""Sizes, ink and colours of the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMN, PAGE = 3.5, 7.2
"""Inches: the width of a column of a paper, and of its page."""

INK, FAINT, SHADE, PAPER = "#262626", "#8c8c8c", "#f1f1f1", "#ffffff"

DARK = {INK: "#e6e6e6", FAINT: "#9a9a9a", SHADE: "#2a2a2a", PAPER: "#161616"}
"""What ink and paper become on a dark page."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, which people who see fewer colours tell apart; on light and dark."""

SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
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
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "figure.dpi": 100,
}
"""matplotlib's settings while a figure is drawn and written, whatever the user's own are."""


def line_colours(count: int, ordered: bool) -> Sequence[str]:
    """A colour for each of so many lines; `ordered` values take a stretch of one scale."""
    if not ordered and count <= len(COLOURS):
        return COLOURS[:count]
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    scale = mpl.colormaps["viridis"]
    return [to_hex(scale(0.05 + 0.8 * i / max(count - 1, 1))) for i in range(count)]
