"""Reports as one HTML file that needs nothing else: to be looked at, passed on, printed.

A report is put into a `Page` (`content`): the short answer first, then what was run, figures,
tables, and with what it all was made. `rendering` makes HTML of it, with jinja2. Figures are those
of `plots`, where matplotlib is installed; sparklines need nothing. The same report gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gradflow.formats.look import Look
from gradflow.results import Result

if TYPE_CHECKING:
    from gradflow.checks.checked import Checked
    from gradflow.checks.compare import Comparison
    from gradflow.criticality import Critical
    from gradflow.explanation import Explanation
    from gradflow.formats.page.content import Page


def of_results(content: Iterable[Result], look: Look) -> Iterator[bytes]:
    """The runs of an experiment."""
    from gradflow.formats.page.results import page

    yield _rendered(page(list(content), look), look)


def of_runs(content: Iterable[Result], look: Look) -> Iterator[bytes]:
    """The same with every figure of every run, and no lags."""
    from gradflow.formats.page.results import page

    yield _rendered(page(list(content), look, of_runs=True), look)


def of_tracking(content: Sequence[Result], look: Look) -> Iterator[bytes]:
    """The checkpoints of a training."""
    from gradflow.formats.page.tracking import page

    yield _rendered(page(content, look), look)


def of_critical(content: Sequence[Critical], look: Look) -> Iterator[bytes]:
    """Where the rate is 1."""
    from gradflow.formats.page.critical import page

    yield _rendered(page(content, look), look)


def of_explanation(content: Sequence[Explanation], look: Look) -> Iterator[bytes]:
    """Why each run does what it does."""
    from gradflow.formats.page.explanation import page

    yield _rendered(page(content, look), look)


def of_check(checked: Checked, look: Look) -> Iterator[bytes]:
    """What was expected, and what was found."""
    from gradflow.formats.page.checks import of_check

    yield _rendered(of_check(checked, look), look)


def of_comparison(found: Comparison, look: Look) -> Iterator[bytes]:
    """Two saved results next to each other."""
    from gradflow.formats.page.checks import of_comparison

    yield _rendered(of_comparison(found, look), look)


def _rendered(page: Page, look: Look) -> bytes:
    from gradflow.formats.page.rendering import rendered

    return rendered(page, look.theme)
