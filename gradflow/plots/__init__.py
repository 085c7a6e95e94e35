"""Results as figures, with matplotlib: for a paper's column, a page, a slide.

`figure` draws, `content` gives the bytes of a file. Magnitudes are drawn from their logarithms, so
that one past float range has its place like any other. Pure: nothing here opens a window, and the
same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradflow.errors import InputError
from gradflow.formats.view import View
from gradflow.results import Result

if TYPE_CHECKING:
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
    from gradflow.plots import drawing

    return drawing.figure(results, view)


def content(results: Sequence[Result], view: View, kind: str) -> bytes:
    """The bytes of a file of this kind, one of FORMATS. An SVG follows the reader's choice of a
    light or a dark page."""
    found = figure(results, view)
    from gradflow.plots import files

    return files.content(found, kind)
