"""Markdown (GitHub's) that pastes into a pull request: a summary, then the gradient by lag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradflow.formats import words
from gradflow.formats.glossary import explained
from gradflow.formats.lags import choose_lags
from gradflow.formats.look import Look
from gradflow.formats.parts import with_parts
from gradflow.formats.totals import totals
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, Result

if TYPE_CHECKING:
    from gradflow.formats import layout

Column = tuple[str, Sequence[str]]
"""The head of a column and its texts, as they are to be read; two heads may be the same."""


def export(results: Iterable[Result], look: Look) -> Iterator[str]:
    """The title, what the runs have in common, a row per run, a row per lag."""
    shown = with_parts(list(results))
    yield from titled(look)
    if not shown:
        yield "No runs.\n"
        return
    yield f"{prose(' · '.join(words.settings(shown)))}\n\n"
    columns, left = summary_columns(shown)
    sums = [(f"‖∂L/∂{name}‖ total", texts) for name, texts in totals(shown).items()]
    yield from table([*columns, *sums], left)
    yield "\n"
    yield from (f"- {prose(line)}\n" for line in _lines(shown, look))
    if not words.shows_lags(shown, look):
        yield "\nFor the gradient lag by lag, add `--tables`.\n"
    elif len(shown) == 1 and shown[0].flow is not None:
        yield "\n"
        yield from table(lag_columns(shown[0], shown[0].flow, look))
        if measured := measured_columns(shown[0], look):
            yield "\n"
            yield from table(measured)
    elif any(result.flow is not None for result in shown):
        start = words.relative_to(shown)
        yield f"\n{prose(f'The gradient ‖∂L/∂s‖ at each lag over {start}:')}\n\n"
        yield from table(lag_columns_of_runs(shown, look))


def titled(look: Look) -> Iterator[str]:
    """The title as a heading; nothing if it has none."""
    if title := words.clean(look.title or ""):
        yield f"### {escaped(title)}\n\n"


def escaped(text: str) -> str:
    """`text` as Markdown that reads as it is, in a heading or in a table."""
    text = re.sub(r"[\\`*<|~&#]|\](?=[(:])", r"\\\g<0>", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # but W_s


def prose(text: str) -> str:
    """The same at the start of a paragraph or of a list's item."""
    text = re.sub(r"^(\d+)(?=[.)](\s|$))", r"\1\\", escaped(text))
    return re.sub(r"^([-+](?=\s|$)|[>\[=])", r"\\\1", text)


def table(columns: Sequence[Column], left: int = 0) -> Iterator[str]:
    """A table of columns, numbers at the right but for the first `left`."""
    return _aligned(columns, [at < left for at in range(len(columns))])


def grid(columns: Sequence[layout.Column]) -> Iterator[str]:
    """A terminal's table as one of Markdown."""
    shown = [(" ".join(c.heads), [one.text + one.mark for one in c.entries]) for c in columns]
    return _aligned(shown, [column.align == "left" for column in columns])


def _aligned(columns: Sequence[Column], at_left: Sequence[bool]) -> Iterator[str]:
    yield _row([escaped(head) for head, _ in columns])
    yield _row([":--" if left else "--:" for left in at_left])
    yield from map(_row, zip(*(map(escaped, texts) for _, texts in columns), strict=True))


def fenced(text: str, language: str) -> Iterator[str]:
    """A block of code, whatever is in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _row(fields: Iterable[str]) -> str:
    return f"| {' | '.join(fields)} |\n"


def summary_columns(results: Sequence[Result]) -> tuple[list[Column], int]:
    """How the runs differ, then what each came to; and how many columns are of words."""
    diagnoses = [result.diagnosis for result in results]
    names = words.identity(results) if len(results) > 1 else {}
    if results[0].over is not None:
        return [*names.items(), *_over_seeds(results)], len(names) + 1
    columns: list[Column] = [
        *names.items(),
        ("verdict", [diagnosis.verdict for diagnosis in diagnoses]),
        ("rate per step", [words.rate(diagnosis) for diagnosis in diagnoses]),
        ("95 % interval", [words.interval(diagnosis) for diagnosis in diagnoses]),
        ("half-life in steps", [words.half_life(diagnosis) for diagnosis in diagnoses]),
        ("horizon (lag)", [words.horizon(result) for result in results]),
    ]
    return columns, len(names) + 1


def _over_seeds(results: Sequence[Result]) -> Iterator[Column]:
    """Medians, and what the seeds range over."""
    yield "verdict", [words.outcome(result) for result in results]
    yield "seeds", [str(result.over.seeds) for result in results if result.over is not None]
    for head, figure in {
        "rate per step": "rate",
        "half-life in steps": "half_life",
        "horizon (lag)": "horizon",
    }.items():
        yield head, [words.spread(result, figure) for result in results]


def _lines(results: Sequence[Result], look: Look) -> Iterator[str]:
    """How far back the gradient of each run reaches, and what else there is to say of it."""
    for result in results:
        name = f"{words.name(result)}: " if len(results) > 1 else ""
        if len(results) <= words.FEW_RUNS or result.flow is None:
            yield name + words.reach(result, look)
        yield from (name + words.clean(note) for note in result.notes)
        for measure, pieces in words.measured(result) if len(results) == 1 else ():
            yield f"{measure}: {(' ' if result.measures[measure].note else ', ').join(pieces)}"
    if len(results) > 1:
        yield words.verdicts(results)
        yield from explained(results, look)
    yield from words.explanations(results, interval="95 % interval")


def lag_columns(result: Result, flow: GradientFlow, look: Look) -> list[Column]:
    """The gradient of one run against lag, and the terms of its weights."""
    lags = choose_lags(result.sequence_length, look.lags)
    shown = {"‖∂L/∂s‖": flow.state, f"relative to lag {flow.first}": flow.relative}
    shown |= {f"∂L/∂{name} term": flow.terms[name] for name in ("W_s", "W_x") if name in flow.terms}
    if "W_s" in flow.terms:
        shown["W_s share"] = Magnitudes.of(flow.share_W_s)
    columns = [(head, _texts(values, lags)) for head, values in shown.items()]
    return [("lag", [*map(str, lags)]), *columns]


def measured_columns(result: Result, look: Look) -> list[Column]:
    """What else was measured, against lag; empty where that is nothing."""
    lags = choose_lags(result.sequence_length, look.lags)
    measured = words.measured_curves(result, lags)
    return [("lag", [*map(str, lags)]), *measured.items()] if measured else []


def lag_columns_of_runs(results: Sequence[Result], look: Look) -> list[Column]:
    """The relative gradient of each run against lag."""
    flows = [(result, result.flow.relative) for result in results if result.flow is not None]
    lags = choose_lags(max(result.sequence_length for result, _ in flows), look.lags)
    columns = [(words.name(result), _texts(relative, lags)) for result, relative in flows]
    return [("lag", [*map(str, lags)]), *columns]


def _texts(values: Magnitudes, lags: Sequence[int]) -> list[str]:
    """The values at `lags`, blank past their end."""
    there = np.array([lag for lag in lags if lag < len(values)], dtype=np.int64)
    texts = [words.short(text) for text in values[there].texts()]
    return texts + [""] * (len(lags) - len(there))
