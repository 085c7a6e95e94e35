"""What a check came to: for a terminal, in Markdown, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from gradflow import __version__
from gradflow.checks.checked import Checked, Line
from gradflow.checks.compare import Comparison, Pair
from gradflow.checks.judge import Judgement
from gradflow.formats.layout import Column, Entry, blocks, fold, grid, render
from gradflow.formats.look import Look
from gradflow.formats.markdown import escaped, prose
from gradflow.formats.markdown import table as markdown_table
from gradflow.formats.words import clean

FORMAT = 1
"""What `format` says; another number where a key changes its meaning or goes away."""

STYLES = {"held": "green", "missed": "bold red", "undecided": "yellow"}
"""The colour of an outcome; one that is allowed has none."""

HEADS = ("outcome", "asked for in", "expected", "of", "found", "off")
"""Of the columns of its table."""


def table(checked: Checked, look: Look) -> Iterator[str]:
    """A line for each expectation that all its runs hold, and for each run that does not."""
    lines = checked.lines
    rows = [[clean(text) for text in row_of(line)] for line in lines]
    styles = [STYLES.get(line.outcome, "") for line in lines]
    columns = [
        Column(
            (head,), [Entry(row[at], styles[i] * (at == 0)) for i, row in enumerate(rows)], "left"
        )
        for at, head in enumerate(HEADS)
        if any(row[at] for row in rows)
    ]
    for block in blocks(columns[1:], columns[:1], look.width) if columns else ():
        yield from (render(line, look.colour) for line in grid(block))
        yield "\n"
    style = "green" if checked.held else "bold red"
    for line in fold(clean(checked.summary).split(" "), " ", look.width, style):
        yield render(line, look.colour)


def row_of(line: Line) -> list[str]:
    """Its fields, in the order of HEADS."""
    return [line.outcome, line.asked_at, line.what, line.of, line.got, line.off]


def to_markdown(checked: Checked, look: Look) -> Iterator[str]:
    """The same as a table of Markdown, what fails first in bold words."""
    title = clean(checked.title or checked.source)
    verdict = "held" if checked.held else "missed"
    yield f"### gradflow check: {escaped(title)}: {verdict}\n\n"
    rows = [[clean(text) for text in row_of(line)] for line in checked.lines]
    if rows:
        columns = list(zip(HEADS, zip(*rows, strict=True), strict=True))
        yield from markdown_table([(head, list(fields)) for head, fields in columns], left=6)
        yield "\n"
    yield f"{prose(clean(checked.summary))}\n"


def to_json(checked: Checked, look: Look) -> Iterator[str]:
    """Every expectation of every run, and every curve of every run compared with the baseline."""
    content = {
        "gradflow": __version__,
        "format": FORMAT,
        "config": checked.source,
        "held": checked.held,
        "expectations": [_judgement(one) for one in checked.judgements],
        "baseline": checked.baseline,
        "comparison": None if checked.comparison is None else compared(checked.comparison),
    }
    yield json.dumps(content, indent=1, allow_nan=False) + "\n"


def _judgement(one: Judgement) -> dict[str, object]:
    wanted = one.wanted
    number = one.value
    if isinstance(number, float) and not math.isfinite(number):
        number = None
    bounds = {"min": wanted.least, "max": wanted.most, "is": list(wanted.one_of) or None}
    return {
        "item": wanted.item,
        "line": wanted.line,
        "figure": wanted.name,
        "lag": wanted.lag,
        **{name: _finite(bound) for name, bound in bounds.items()},
        "where": {name: list(values) for name, values in wanted.where.items()},
        "run": one.run,
        "name": one.name,
        "outcome": one.outcome,
        "fails": one.fails,
        "value": number if isinstance(number, float) or number is None else str(number),
        "got": one.got,
        "off": one.off,
    }


def _finite(bound: object) -> object:
    """JSON has no infinity: as text."""
    if isinstance(bound, list):
        return [_finite(one) for one in bound]
    return str(bound) if isinstance(bound, float) and not math.isfinite(bound) else bound


def compared(comparison: Comparison) -> dict[str, object]:
    """A comparison as plain data; a distance that is infinite is null."""
    return {
        "tolerance": comparison.tolerance,
        "held": comparison.held,
        "runs": [_pair(pair) for pair in comparison.pairs],
    }


def _pair(pair: Pair) -> dict[str, object]:
    before, after = pair.runs
    return {
        "before": before,
        "after": after,
        "name": pair.name,
        "held": pair.held,
        "change": pair.change,
        "chaotic": pair.chaotic,
        "deviations": [
            {
                "name": one.name,
                "decades": one.decades if math.isfinite(one.decades) else None,
                "lag": one.lag,
                "before": one.before or None,
                "after": one.after or None,
            }
            for one in pair.deviations
        ],
    }
