"""What `gradflow verify` compared: for people, in Markdown, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

import numpy as np
from rich.cells import cell_len

from gradflow import __version__
from gradflow.cells.contract import CURVES
from gradflow.counts import many
from gradflow.formats import markdown, words
from gradflow.formats.layout import GAP, Column, Entry, Line, Span, blocks, fold, grid, render
from gradflow.formats.look import Look
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.runs.bundle import DIRECTIONS
from gradflow.verification import ComparedGradient, Verification

_NAMES = {"s": "∂L/∂s, the state", **{name: f"∂L/∂{name} term" for name in CURVES.values()}}
"""What was compared, in the order in which it is shown."""


def table(verifications: Sequence[Verification], look: Look) -> Iterator[str]:
    """A line a run, and all of those in which something differs; of one run, or on demand
    (`look.tables`), of each quantity at how many lags it was compared, and the largest error."""
    for line in _page(verifications, look):
        yield render(line, look.colour)


def _page(verifications: Sequence[Verification], look: Look) -> Iterator[Line]:
    names = [_name(verification, look) for verification in verifications]
    named = list(zip(names, verifications, strict=True))
    if look.tables or len(verifications) == 1:
        shown = named
    else:
        width = max(map(cell_len, names), default=0)
        for name, verification in named:
            padding = " " * (width - cell_len(name))
            pieces = [name + padding, *_in_a_line(verification)]
            yield from fold(pieces, GAP * " ", look.width)
        shown = [(name, verification) for name, verification in named if not verification.holds]
        if shown:
            yield []
    for name, verification in shown:
        yield from _block(name, verification, look)
    for text in _verdict(verifications):
        yield from fold(text.split(" "), " ", look.width)


def _name(verification: Verification, look: Look) -> str:
    """A run in the words of other tables: `rnn W_s×0.5`."""
    axes = verification.run.axes
    there = [name for name in look.varied if axes[name] is not None and name != "cell"]
    return " ".join([str(axes["cell"]), *(words.phrase(name, axes[name]) for name in there)])


def _in_a_line(verification: Verification) -> list[str]:
    """What came of a run."""
    comparisons = verification.comparisons
    skipped = [f"not compared: {verification.skipped}"] if verification.skipped else []
    if verification.unfounded:
        return ["holds: NO, a gauge is none"]
    if not comparisons:
        return skipped
    wrong = sum(not c.holds for c in comparisons)
    worst = max(c.error for c in comparisons)
    outcome = f"NO, {wrong} differ" if wrong else "yes"
    said = [f"{len(comparisons)} compared", f"largest error {worst:<7.1e}", f"holds: {outcome}"]
    return [*said, *skipped]


def _block(name: str, verification: Verification, look: Look) -> Iterator[Line]:
    """Every quantity of a run."""
    yield [Span(name, "bold")]
    heads = ("quantity", "lags", "backpropagated", "complex step", "error", "holds")
    rows = [_row(quantity, group) for quantity, group in _by_quantity(verification)]
    columns = [
        Column((head,), [*map(Entry, texts)], "left")
        for head, texts in zip(heads, zip(*rows, strict=True), strict=False)
    ]
    for block in blocks(columns[1:], columns[:1], look.width) if columns else ():
        yield from grid(block)
    if verification.skipped:
        yield from fold(f"not compared: {verification.skipped}".split(" "), " ", look.width)
    for text in verification.unfounded:
        yield from fold(words.clean(text).split(" "), " ", look.width)
    yield []


def to_markdown(verifications: Sequence[Verification], look: Look) -> Iterator[str]:
    """A row per run and quantity; what was not compared, and how many comparisons hold."""
    rows = []
    notes = []
    for number, verification in enumerate(verifications):
        axes = verification.run.axes
        for name, group in _by_quantity(verification):
            worst, span = _worst(group)
            numbers = [_short(value) for value in (worst.backpropagated, worst.complex_step)]
            there = [axes[axis] for axis in look.varied]
            settings = ["" if one is None else words.clean(str(one)) for one in there]
            error, holds = f"{worst.error:.1e}", _holds(group)
            rows.append([str(number), *settings, name, span, *numbers, error, holds])
        if verification.skipped:
            notes.append(f"run {number}: not compared: {verification.skipped}")
        notes += [f"run {number}: {one}" for one in verification.unfounded]
    heads = ["run", *map(words.symbol, look.varied), "quantity", "lags"]
    heads += ["backpropagated", "complex step", "error", "holds"]
    if rows:
        columns = list(zip(heads, zip(*rows, strict=True), strict=True))
        yield from markdown.table(columns, left=len(look.varied) + 3)
        yield "\n"
    lines = [*notes, *_verdict(verifications)]
    yield from (f"- {markdown.prose(words.clean(line))}\n" for line in lines)


def to_json(verifications: Sequence[Verification], look: Look) -> Iterator[str]:
    """Every comparison, a run a line."""
    yield json.dumps({"gradflow": __version__, "format": 1})[:-1] + ', "runs": [\n'
    runs = (_plain(number, found) for number, found in enumerate(verifications))
    yield ",\n".join(json.dumps(run, allow_nan=False) for run in runs) + "\n]}\n"


def _plain(number: int, verification: Verification) -> dict[str, object]:
    return {
        "run": number,
        **verification.run.axes,
        **verification.run.cell.options,
        "skipped": verification.skipped,
        "unfounded_gauges": list(verification.unfounded),
        "comparisons": [
            {
                "quantity": c.quantity,
                "layer": c.place[0],
                "direction": DIRECTIONS[c.place[1]],
                "lag": c.lag,
                "backpropagated": _magnitude(c.backpropagated),
                "complex_step": _magnitude(c.complex_step),
                "error": _number(c.error),
                "tolerance": c.tolerance,
                "holds": bool(c.holds),
            }
            for c in verification.comparisons
        ],
    }


def _magnitude(number: Magnitudes) -> float | str | None:
    """A number, or its decimal text where it lies past float range; None where it is none."""
    value = float(number.floats())
    if math.isnan(value):
        return None
    inside = math.isfinite(value) and (value != 0 or number.mantissa == 0)
    return value if inside else _text(number)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _by_quantity(verification: Verification) -> Iterator[tuple[str, list[ComparedGradient]]]:
    """The comparisons of each quantity, by its name for people."""
    order = list(_NAMES)
    ordered = sorted(verification.comparisons, key=lambda c: order.index(c.quantity))
    for quantity, group in groupby(ordered, key=lambda c: c.quantity):
        yield _NAMES[quantity], list(group)


def _verdict(verifications: Sequence[Verification]) -> Iterator[str]:
    """How many comparisons hold, in a sentence, if any were made."""
    comparisons = [c for v in verifications for c in v.comparisons]
    wrong = sum(not c.holds for c in comparisons)
    if comparisons:
        worst = max(c.error for c in comparisons)
        allowed = comparisons[0].tolerance
        yield (
            f"{many(len(comparisons), 'comparison')}: {len(comparisons) - wrong} hold, {wrong} "
            f"differ; largest relative error {worst:.1e}, allowed {allowed:.0e}."
        )


def _worst(comparisons: Sequence[ComparedGradient]) -> tuple[ComparedGradient, str]:
    """The comparison with the largest error, and the lags of all."""
    lags = [c.lag for c in comparisons]
    return max(comparisons, key=lambda c: c.error), f"{min(lags)}..{max(lags)} ({len(lags)})"


def _holds(comparisons: Sequence[ComparedGradient]) -> str:
    if all(c.holds for c in comparisons):
        return "yes"
    return f"NO, at lag {_worst(comparisons)[0].lag}"


def _row(name: str, comparisons: list[ComparedGradient]) -> list[str]:
    worst, span = _worst(comparisons)
    numbers = [_short(worst.backpropagated), _short(worst.complex_step), f"{worst.error:.1e}"]
    return [name, span, *numbers, _holds(comparisons)]


def _short(number: Magnitudes) -> str:
    """A scalar of any size in eight digits."""
    if np.isnan(number.mantissa):
        return "no number"
    return f"{Decimal(_text(number)):.8g}"


def _text(number: Magnitudes) -> str:
    [text] = Magnitudes(np.atleast_1d(number.mantissa), np.atleast_1d(number.exponent)).texts()
    return text
