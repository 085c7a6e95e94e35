"""Reports as figures, with matplotlib: for a paper's column, a page, a slide.

`figure` draws a report, `content` gives the bytes of a file. Magnitudes are drawn from their
logarithms, so that one past float range has its place like any other. Pure: nothing here opens a
window, and the same results give the same bytes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from gradflow.errors import InputError
from gradflow.formats import DRAWN, PICTURES, Report
from gradflow.formats.look import Look
from gradflow.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 40  # characters of what was given in the place of axes
WHERE_TO_GET_IT = "figures need matplotlib: pip install matplotlib"


def figure(report: Any, look: Look, kind: Report = "results") -> Figure:
    """The figure of a report: of results one run with its band, several as small multiples, a
    dozen or more along a number as a heat map, each measure in a panel.

    Args:
        report: what is drawn: results, checkpoints, critical values, a comparison.
        look: how it is shown.
        kind: which report it is, one of DRAWN.

    Raises:
        InputError: matplotlib is not installed; or there is nothing to draw.
    """
    try:
        _load()
    except ImportError:
        raise InputError(WHERE_TO_GET_IT) from None
    found: Figure = import_module(f"{__name__}.{DRAWN[kind]}").figure(report, look)
    if look.theme == "dark":
        from gradflow.formats.plots.saving import turn

        turn(found)
    return found


def _load() -> None:
    """Import matplotlib, whatever its users have chosen for windows: a backend that it does not
    know ends its import."""
    try:
        import matplotlib
    except ValueError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # what of it had been loaded
        chosen = os.environ.pop("MPLBACKEND", None)
        try:
            import matplotlib  # noqa: F401
        finally:
            if chosen is not None:
                os.environ["MPLBACKEND"] = chosen


def into(ax: object, results: Sequence[Result], look: Look) -> None:
    """Draw the gradient of results into given axes, one, or an array or list of as many as there
    are panels, or runs.

    Raises:
        InputError: they are no axes, hold data on a log scale, or are neither as many as panels
            nor as runs; or there is nothing to draw.
    """
    axes = _axes(ax)
    from gradflow.formats.plots import given

    given.into(axes, results, look)


def _axes(given: object) -> list[Axes]:
    """Axes, in the order of their rows; nothing but matplotlib makes them, so it is there."""
    matplotlib = sys.modules.get("matplotlib.axes")
    flat = list(np.ravel(np.asarray(given, dtype=object)))
    if matplotlib is None or not flat or not all(isinstance(a, matplotlib.Axes) for a in flat):
        found = shown if len(shown := repr(given)) <= _LONGEST else type(given).__name__
        raise InputError(f"ax: expected matplotlib axes, or an array of them, found {found}")
    for ax in flat:
        if ax.name != "rectilinear":
            raise InputError(f"ax: expected axes of two straight scales, found {ax.name} axes")
    return flat


def content(report: Any, look: Look, suffix: str, kind: Report = "results") -> bytes:
    """The bytes of a file, `suffix` one of PICTURES; `kind` as for `figure`. An SVG follows the
    reader's choice of a light or a dark page where the look has no theme."""
    found = figure(report, look, kind)
    from gradflow.formats.plots import saving

    return saving.content(found, suffix, look.theme)


def _show(kind: Report, suffix: str) -> Callable[[Any, Look], Iterator[bytes]]:
    def show(report: Any, look: Look) -> Iterator[bytes]:
        found = report if kind == "comparison" else list(report)
        yield content(found, look, suffix, kind)

    return show


def __getattr__(name: str) -> Callable[[Iterable[Any], Look], Iterator[bytes]]:
    """`results_svg`, `tracking_png` and so on: what shows a report in a kind of file."""
    for report, suffix in product(DRAWN, PICTURES):
        if name == f"{report}_{suffix}":
            return _show(report, suffix)
    raise AttributeError(name)
