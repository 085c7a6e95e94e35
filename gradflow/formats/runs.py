"""A row a run: its settings, its diagnosis, its totals and what was measured, without lags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gradflow.axes import KNOWN
from gradflow.formats import words
from gradflow.formats.csv import record
from gradflow.formats.flat import HIGH, HORIZONS, LOW, Value, always, figures, settings
from gradflow.formats.layout import Column, Entry, Line, blocks, fold, grid, heading, render
from gradflow.formats.look import Look
from gradflow.formats.markdown import prose, titled
from gradflow.formats.markdown import table as markdown_table
from gradflow.formats.merging import SEEDS
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import Result


def rows(results: Sequence[Result], look: Look) -> tuple[list[str], list[list[Value]]]:
    """The names of the columns, and a row a run; what a run has not is None."""
    own = [{**settings(result, look.options), **figures(result)} for result in results]
    every = own or [dict.fromkeys(always(look.options, look.measures))]
    names = list(dict.fromkeys(name for row in every for name in row))
    return names, [[row.get(name) for name in names] for row in own]


def to_csv(results: Iterable[Result], look: Look) -> Iterator[str]:
    """The header, then a row a run."""
    names, lines = rows(list(results), look)
    yield record(names)
    yield from map(record, lines)


def _text(value: Magnitudes) -> str:
    return value.reshape(1).texts()[0]


def table(results: Iterable[Result], look: Look) -> Iterator[str]:
    """A row a run, in as many blocks of columns as the width asks for."""
    for line in _page(list(results), look):
        yield render(line, look.colour)


def _page(results: Sequence[Result], look: Look) -> Iterator[Line]:
    yield from heading(words.clean(look.title or ""), look.width)
    if not results:
        return
    yield from fold(words.settings(results), " · ", look.width, "dim")
    yield []
    key, *columns = (
        Column((head,), [Entry(text) for text in texts], "right")
        for head, texts in shown(results, look)
    )
    for block in blocks(columns, [key], look.width):
        yield from grid(block)
        yield []


def to_markdown(results: Iterable[Result], look: Look) -> Iterator[str]:
    """A row a run, in one table."""
    found = list(results)
    yield from titled(look)
    if not found:
        return
    yield f"{prose(' · '.join(words.settings(found)))}\n\n"
    yield from markdown_table(list(shown(found, look)))


def shown(results: Sequence[Result], look: Look) -> Iterator[tuple[str, list[str]]]:
    """The columns that people are shown: what differs between the runs, and every figure that any
    of them has."""
    names, lines = rows(results, look)
    varied = {"run", SEEDS, *results[0].varied}
    for at, name in enumerate(names):
        values = [line[at] for line in lines]
        is_setting = name in KNOWN or name in look.options
        texts = [_said(name, value, r) for value, r in zip(values, results, strict=True)]
        if (is_setting and name not in varied) or all(text == words.UNKNOWN for text in texts):
            continue
        head = words.symbol(name) if is_setting else name
        yield head, texts


def _said(name: str, value: Value, result: Result) -> str:
    figure = name.removesuffix(LOW).removesuffix(HIGH)
    if value is None and figure in HORIZONS and result.flow is not None:
        return f"> {result.sequence_length}"
    if isinstance(value, Magnitudes):
        return words.short(_text(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (figure in HORIZONS and isinstance(value, float)):
        return f"{value:g}"
    return words.UNKNOWN if value is None else words.number(value)
