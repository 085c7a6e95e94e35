"""A row a run: its settings, its diagnosis, its totals and what was measured, without lags.

Every figure has one flat name, the same in a check's `expect`; those of a place of a net have its
layer behind the name, `rate_l0`, `rate_l0_reverse`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gradflow.axes import AXES, KNOWN, NET_AXES
from gradflow.diagnosis.figures import FIGURES
from gradflow.formats import words
from gradflow.formats.csv import pointed
from gradflow.formats.layout import Cell, Column, Line, blocks, fold, grid, render
from gradflow.formats.markdown import escaped, prose
from gradflow.formats.markdown import table as markdown_table
from gradflow.formats.view import View
from gradflow.logspace import Magnitudes
from gradflow.measures.terms import TOTALS
from gradflow.results import GradientFlow, LayerResult, Result

Value = str | float | int | bool | Magnitudes | None


def settings(result: Result, options: Sequence[str]) -> dict[str, Value]:
    """What a run is: its number, axes and options."""
    axes: dict[str, Value] = {name: result.axes.get(name) for name in (*AXES, *NET_AXES)}
    return {"run": result.run, **axes, **{name: result.options.get(name) for name in options}}


def figures(result: Result) -> dict[str, Value]:
    """Every figure of a run by its flat name, those of a net's places behind those of the whole."""
    found: dict[str, Value] = {"loss": result.loss, **_of(result)}
    for part in result.layers:
        suffix = f"_l{part.layer}" + ("_reverse" if part.direction == "reverse" else "")
        found |= {f"{name}{suffix}": value for name, value in _of(part).items()}
    return found


def _of(part: Result | LayerResult) -> dict[str, Value]:
    found: dict[str, Value] = {
        figure.name: _plain(figure.of(part.diagnosis))
        for figure in FIGURES
        if figure.kind != "interval"
    }
    found |= _totals(part.flow)
    for measured in part.measures.values():
        found |= {name: _plain(value) for name, value in measured.figures.items()}
    return found


def _plain(value: object) -> Value:
    return value if isinstance(value, str | float | int) else None


def _totals(flow: GradientFlow | None) -> dict[str, Value]:
    totals = {} if flow is None else flow.totals
    return {f"total_{name}": totals.get(name) for name in TOTALS}


def rows(results: Sequence[Result], view: View) -> tuple[list[str], list[list[Value]]]:
    """The names of the columns, and a row a run; what a run has not is None."""
    own = [{**settings(result, view.options), **figures(result)} for result in results]
    names = list(dict.fromkeys(name for row in own for name in row))
    return names, [[row.get(name) for name in names] for row in own]


def to_csv(results: Iterable[Result], view: View) -> Iterator[str]:
    """The header, then a row a run."""
    names, lines = rows(list(results), view)
    for line in ([*names], *([_field(value) for value in row] for row in lines)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(line)
        yield text.getvalue()


def _field(value: Value) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Magnitudes):
        return pointed(_text(value))
    return pointed(repr(value)) if isinstance(value, float) else str(value)


def _text(value: Magnitudes) -> str:
    return value.reshape(1).texts()[0]


def table(results: Iterable[Result], view: View) -> Iterator[str]:
    """A row a run, in as many blocks of columns as the width asks for."""
    for line in _page(list(results), view):
        yield render(line, view.colour)


def _page(results: Sequence[Result], view: View) -> Iterator[Line]:
    if view.title and (title := words.clean(view.title)):
        yield from fold(title.split(" "), " ", view.width, "bold")
    if not results:
        return
    yield from fold(words.settings(results), " · ", view.width, "dim")
    yield []
    key, *columns = (
        Column((head,), [Cell(text) for text in texts], "right")
        for head, texts in shown(results, view)
    )
    for block in blocks(columns, [key], view.width):
        yield from grid(block)
        yield []


def to_markdown(results: Iterable[Result], view: View) -> Iterator[str]:
    """A row a run, in one table."""
    found = list(results)
    if view.title and (title := words.clean(view.title)):
        yield f"### {escaped(title)}\n\n"
    if not found:
        return
    yield f"{prose(' · '.join(words.settings(found)))}\n\n"
    yield from markdown_table(list(shown(found, view)))


def shown(results: Sequence[Result], view: View) -> Iterator[tuple[str, list[str]]]:
    """The columns that people are shown: what differs between the runs, and every figure that any
    of them has."""
    names, lines = rows(results, view)
    varied = {"run", *results[0].varied}
    for at, name in enumerate(names):
        values = [line[at] for line in lines]
        is_setting = name in KNOWN or name in view.options
        texts = [_said(name, value, r) for value, r in zip(values, results, strict=True)]
        if (is_setting and name not in varied) or all(text == words.UNKNOWN for text in texts):
            continue
        head = words.symbol(name) if is_setting else name
        yield head, texts


def _said(name: str, value: Value, result: Result) -> str:
    if value is None and name in ("horizon", "horizon_typical") and result.flow is not None:
        return f"> {result.sequence_length}"
    if isinstance(value, Magnitudes):
        return words.short(_text(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return words.UNKNOWN if value is None else words.number(value)
