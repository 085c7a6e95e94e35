"""The page of a search: where the rate per step is 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.criticality import Critical
from gradflow.formats import critical, words
from gradflow.formats.look import Look
from gradflow.formats.page.common import cells_of, provenance, titled
from gradflow.formats.page.content import Answer, Page, Prose, Section, Table, Tile
from gradflow.formats.page.drawing import drawings
from gradflow.formats.page.tables import column, columns

_SHOWN = 6  # nets that have their own figure in the short answer


def page(content: Sequence[Critical], look: Look) -> Page:
    """The page."""
    vary = words.clean(content[0].vary)
    named = cells_of(found.run.cell.label.partition("[")[0] for found in content)
    title = titled(look, f"{named}: the critical {vary}")
    ran = [f"{vary} is varied", f"T={max(found.run.sequence_length for found in content)}"]
    return Page("Where the rate is 1", title, ran, _answer(content), list(_sections(content, look)))


def _answer(content: Sequence[Critical]) -> Answer:
    """The value, or the range of the values, and how many nets have none."""
    there = [found for found in content if found.value is not None]
    vary = words.clean(content[0].vary)
    if not there:
        return Answer(f"No {vary} was found at which the rate per step is 1.")
    values = sorted(found.value for found in there if found.value is not None)
    ends = f"{values[0]:.4g}" + (f" to {values[-1]:.4g}" if len(there) > 1 else "")
    lost = len(content) - len(there)
    without = f"; {lost} of {len(content)} nets have none" if lost else ""
    tiles = [
        Tile(critical.called(found, content), f"{found.value:.4g}", _interval(found))
        for found in there[: _SHOWN if len(there) <= _SHOWN else 0]
    ]
    return Answer(f"The rate per step is 1 at {vary} {ends}{without}.", tiles=tiles)


def _interval(found: Critical) -> str:
    return "" if found.interval is None else "{:.4g} to {:.4g}".format(*found.interval)


def _sections(content: Sequence[Critical], look: Look) -> Iterator[Section]:
    drawn = drawings("critical", content, look, *_CAPTION)
    if drawn:
        yield Section("figure", "Figure", drawn)
    heads, lines = critical.rows(content)
    found = columns(zip(heads, zip(*lines, strict=True), strict=True))
    prose = [*critical.sentences(content)]
    table = Table("nets", critical.about(content), found)
    yield Section("nets", "Nets", [table, Prose(prose)] if prose else [table])
    tried = [(critical.called(one, content), point) for one in content for point in one.tried]
    if tried:
        points = [
            column("net", [name for name, _ in tried]),
            column(content[0].vary, [f"{point.value:.6g}" for _, point in tried]),
            column("rate per step", [f"{point.rate:.6g}" for _, point in tried], "rate"),
        ]
        prose = [
            "0: most samples have no gradient at all. inf: the forward state left float range."
        ]
        table = Table("tried", "Every value that was tried, and the rate there", points, prose)
        yield Section("tried", "Values tried", [table])
    yield provenance(look)


_CAPTION = (
    "The rate per step against the setting that is varied, of each net; the table below has the "
    "values at which it is 1.",
    "The rate per step against the setting that is varied; critical is where it is 1.",
)
