"""What was measured besides the gradient, on a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gradflow.formats import words
from gradflow.formats.figures import nested
from gradflow.formats.page.common import sentence
from gradflow.formats.page.content import Column, Facts, Part, Prose, Section, Table
from gradflow.formats.page.tables import column
from gradflow.measures import MEASURES
from gradflow.measures.measured import Measured
from gradflow.results import Result

_FEW, _WIDE = 4, 8  # runs side by side, figures side by side
_DEEP = re.compile(r"_([4-9]|\d\d+)$")  # of many numbered figures; JSON has them all


def measured(results: Sequence[Result]) -> Iterator[Section]:
    """Every measure with what it means, its figures and what there is to note."""
    parts: list[Part] = []
    for name in dict.fromkeys(name for result in results for name in result.measures):
        found = [(words.name(r), r.measures[name]) for r in results if name in r.measures]
        said = f"{name}: {sentence(MEASURES[name].meaning)}"
        notes = sorted({sentence(words.clean(m.note)) for _, m in found if m.note is not None})
        if not any(one.figures for _, one in found):
            parts += [Prose([said, *notes])] if notes else []
        elif len(results) > 1:
            parts.append(Table(f"measure-{name}", said, list(_columns(name, found)), notes))
        else:
            parts += [*_of_one(name, found[0][1], said), *([Prose(notes)] if notes else [])]
    if parts:
        yield Section("measures", "Measured besides", parts)


def _columns(name: str, found: Sequence[tuple[str, Measured]]) -> Iterator[Column]:
    """A row a run, a column a figure; of few runs with many figures the other way round."""
    runs = [of for of, _ in found]
    figures = dict.fromkeys(f for _, one in found for f in one.figures if not _DEEP.search(f))
    heads = [figure.removeprefix(f"{name}_") for figure in figures]
    table = [
        [words.number(one.figures[figure]) if figure in one.figures else "" for _, one in found]
        for figure in figures
    ]
    if len(runs) <= _FEW and len(figures) > _WIDE:
        yield column("figure", heads)
        yield from map(column, runs, zip(*table, strict=True))
        return
    yield column("run", runs)
    yield from map(column, heads, table, figures)


def _of_one(name: str, found: Measured, said: str) -> Iterator[Part]:
    """The figures of a single run: those of gates in rows and columns, the others one by one."""
    figures = {figure: v for figure, v in found.figures.items() if not _DEEP.search(figure)}
    nest = nested(MEASURES[name], figures)
    of_gates = {gate: inner for gate, inner in nest.items() if isinstance(inner, dict)}
    others = [
        (figure.removeprefix(f"{name}_"), _number(value))
        for figure, value in nest.items()
        if figure not in of_gates
    ]
    if of_gates:
        heads = dict.fromkeys(head for inner in of_gates.values() for head in inner)
        columns = [
            column(head, [_number(row[head]) if head in row else "" for row in of_gates.values()])
            for head in heads
        ]
        gates = column("gate", list(of_gates))
        yield Table(f"measure-{name}", said, [gates, *columns])
    if others:
        yield Facts(others, caption="" if of_gates else said)


def _number(value: object) -> str:
    """A figure, or the first of numbered ones."""
    if isinstance(value, list):
        return ", ".join(map(words.number, value))
    return words.number(value)
