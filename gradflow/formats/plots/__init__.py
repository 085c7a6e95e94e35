"""Results as figures, with matplotlib: for a paper's column, a page, a slide.

`figure` draws, `content` gives the bytes of a file. Magnitudes are drawn from their logarithms, so
that one past float range has its place like any other. Pure: nothing here opens a window, and the
same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gradflow.errors import InputError
from gradflow.formats.view import View
from gradflow.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
"""The kinds of file, by their suffix."""

WHERE_TO_GET_IT = "figures need matplotlib: pip install matplotlib"


def figure(results: Sequence[Result], view: View) -> Figure:
    """The figure of an experiment: one run with its band, several as small multiples, a dozen or
    more along a number as a heat map.

    Raises:
        InputError: matplotlib is not installed; or there is nothing to draw.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(WHERE_TO_GET_IT) from None
    from gradflow.formats.plots import drawing

    return drawing.figure(results, view)


def into(ax: Axes, results: Sequence[Result], view: View) -> None:
    """Draw results that fit one panel into given axes.

    Raises:
        InputError: there is nothing to draw, or more than one panel of it.
    """
    from gradflow.formats.plots import drawing

    drawing.into(ax, results, view)


def content(results: Sequence[Result], view: View, kind: str) -> bytes:
    """The bytes of a file of this kind, one of FORMATS. An SVG follows the reader's choice of a
    light or a dark page."""
    found = figure(results, view)
    from gradflow.formats.plots import files

    return files.content(found, kind)


def svg(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Scalable, for a page or a paper; it follows the reader's choice of light or dark."""
    yield content(list(results), view, "svg")


def png(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Pixels, 200 an inch."""
    yield content(list(results), view, "png")


def pdf(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Scalable, for LaTeX."""
    yield content(list(results), view, "pdf")
