"""Two saved results next to each other, in each format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from gradflow import __version__
from gradflow.checks.compare import Comparison, Pair
from gradflow.counts import many
from gradflow.formats.checks import STYLES, compared
from gradflow.formats.csv import record
from gradflow.formats.layout import Column, Entry, blocks, fold, grid, render
from gradflow.formats.look import Look
from gradflow.formats.markdown import prose
from gradflow.formats.markdown import table as markdown_table
from gradflow.formats.words import clean

HEADS = ("outcome", "run", "largest of", "decades", "lag", "before", "after")
"""Of the columns of its table."""

_CSV = ("run_before", "run_after", "name", "held", "change", "quantity", "decades", "lag")
_NUMBERS = ("decades", "lag")


def table(comparison: Comparison, look: Look) -> Iterator[str]:
    """A line a run: where it differs most."""
    rows = [row_of(pair) for pair in comparison.pairs]
    columns = [
        Column(
            (head,),
            [Entry(row[at], STYLES.get(row[0], "") * (at == 0)) for row in rows],
            "right" if head in _NUMBERS else "left",
        )
        for at, head in enumerate(HEADS)
        if any(row[at] for row in rows)
    ]
    for block in blocks(columns[2:], columns[:2], look.width) if rows else ():
        yield from (render(line, look.colour) for line in grid(block))
        yield "\n"
    for text in sentences(comparison):
        for line in fold(clean(text).split(" "), " ", look.width):
            yield render(line, look.colour)


def row_of(pair: Pair) -> list[str]:
    """Its fields, in the order of HEADS."""
    outcome = pair.change or ("held" if pair.held else "missed")
    name = clean(pair.name)
    largest = pair.largest
    if largest is None:
        return [outcome, name, "", "", "", "", ""]
    lag = "" if largest.lag is None else str(largest.lag)
    texts = (largest.before, largest.after) if largest.before != largest.after else ("", "")
    return [outcome, name, largest.name, decades(largest.decades), lag, *map(clean, texts)]


def decades(value: float) -> str:
    """A distance as people read it."""
    if math.isinf(value):
        return "infinite"
    return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.3g}"


def sentences(comparison: Comparison) -> Iterator[str]:
    """What is to be said below a table."""
    for pair in comparison.pairs:
        if pair.chaotic is not None:
            yield f"{pair.name}: {pair.chaotic}."
    if comparison.unpaired:
        yield comparison.unpaired
    said = f"{len(comparison.close)} within {comparison.within}"
    if comparison.alike:
        said += f", {len(comparison.alike)} by the rates' intervals"
    yield f"{many(len(comparison.pairs), 'run')}: {said}."


def to_markdown(comparison: Comparison, look: Look) -> Iterator[str]:
    """The same as a table of Markdown."""
    rows = [row_of(pair) for pair in comparison.pairs]
    if rows:
        columns = list(zip(HEADS, zip(*rows, strict=True), strict=True))
        yield from markdown_table([(head, list(fields)) for head, fields in columns], left=3)
        yield "\n"
    yield from (f"- {prose(clean(line))}\n" for line in sentences(comparison))


def to_csv(comparison: Comparison, look: Look) -> Iterator[str]:
    """A row for everything that was compared, of every run."""
    yield record([*_CSV, "before", "after"])
    for pair in comparison.pairs:
        before, after = pair.runs
        start = [before, after, pair.name, str(pair.held).lower(), pair.change]
        if not pair.deviations:
            yield record([*start, None, None, None, None, None])
        for one in pair.deviations:
            yield record([*start, one.name, float(one.decades), one.lag, one.before, one.after])


def to_json(comparison: Comparison, look: Look) -> Iterator[str]:
    """Everything that was compared."""
    content = {"gradflow": __version__, "format": 1, **compared(comparison)}
    yield json.dumps(content, indent=1, allow_nan=False) + "\n"
