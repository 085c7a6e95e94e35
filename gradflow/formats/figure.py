"""Results as a figure: what is drawn is in `plots`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradflow.formats.view import View
from gradflow.results import Result


def svg(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Scalable, for a page or a paper; it follows the reader's choice of light or dark."""
    return _file(results, view, "svg")


def png(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Pixels, 200 an inch."""
    return _file(results, view, "png")


def pdf(results: Iterable[Result], view: View) -> Iterator[bytes]:
    """Scalable, for LaTeX."""
    return _file(results, view, "pdf")


def _file(results: Iterable[Result], view: View, kind: str) -> Iterator[bytes]:
    from gradflow.plots import content

    yield content(list(results), view, kind)
