"""CSV (RFC 4180, LF): one header, one row per run and lag, written as the runs arrive.

A float always has a point and an unknown number is empty, so that every reader takes a column for
what it is, whichever rows it looks at.

Columns become text as wholes and rows are joined here: the `csv` module takes 1.4 times as long for
the same rows, and leaves a carriage return without quotes, where its own reader ends the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from gradflow.formats.columns import (
    CURVES,
    LAG,
    MORE_CURVES,
    NET,
    PLACE,
    RUN,
    Field,
    asked_curves,
    part_curves,
    values,
)
from gradflow.formats.lags import all_lags
from gradflow.formats.look import Look
from gradflow.formats.parts import from_the_top
from gradflow.measures.contract import Curve, Values
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, Result

_BLOCK = 4096  # rows held as text at a time


def header(
    options: Sequence[str] = (), parts: Sequence[str] = (), measures: Sequence[str] = ()
) -> tuple[str, ...]:
    """The names of the columns, the last ones of these parts of states, options of cells, and
    measures asked for."""
    shown: list[Curve | Field] = [*RUN, LAG, *CURVES, *NET, *PLACE, *MORE_CURVES]
    shown += part_curves(parts)
    asked = (curve.name for curve in asked_curves(measures))
    return (*(column.name for column in shown), *options, *asked)


def export(results: Iterable[Result], look: Look) -> Iterator[str]:
    """The header, then the rows of each run in blocks of some thousand."""
    yield record(header(look.options, look.parts, look.measures))
    more = (*MORE_CURVES, *part_curves(look.parts))
    asked = asked_curves(look.measures)
    for result in results:
        facts = {"run": result.run, **result.axes}
        start = _fields([facts[field.name] for field in RUN])
        net = [facts[field.name] for field in NET]
        options = [_fields([result.options.get(name) for name in look.options])]
        lags = all_lags(result.sequence_length, look.lags)
        for flow, measured, *place in _curves(result):
            middle = _fields([*net, *place])
            left, right, last = (
                [values(curve, flow, measured) for curve in curves]
                for curves in (CURVES, more, asked)
            )
            ends = [middle, *right, *(options if look.options else []), *last]
            for at in range(0, len(lags), _BLOCK):
                yield _block(start, lags[at : at + _BLOCK], [*left, *ends])


def _pointed(text: str) -> str:
    """A float's text with a point: `1.0e-05`, which no reader takes for a whole number."""
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _curves(
    result: Result,
) -> Iterator[tuple[GradientFlow | None, Mapping[str, Measured], int | None, str | None]]:
    """(curve, measures, layer, direction): the whole net, where it has one state, then each
    part."""
    if result.flow is not None or not result.layers:
        yield result.flow, result.measures, None, None
    for part in from_the_top(result):
        yield part.flow, part.measures, part.layer, part.direction


def record(values: Iterable[object]) -> str:
    """A line: text, numbers (a magnitude is one) and truths; what is None or NaN is empty."""
    return _fields(values) + "\n"


def _fields(values: Iterable[object]) -> str:
    """Neighbouring fields."""
    return ",".join(_quoted(_text(value)) for value in values)


def _text(value: object) -> str:
    if isinstance(value, Magnitudes):
        return _pointed(value.reshape(1).texts()[0])
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _pointed(float.__repr__(value)) if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    """`text` as a CSV field, in quotes only where it has to be."""
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _block(start: str, lags: Array, columns: Iterable[Values | str]) -> str:
    """The rows of some lags; a text at the start or among the columns is the same in every row."""
    texts = [[start] * len(lags), list(map(str, lags.tolist()))]
    texts += [_texts(column, lags) for column in columns]
    return "\n".join(map(",".join, zip(*texts, strict=True))) + "\n"


def _texts(column: Values | str, lags: Array) -> list[str]:
    """The column's fields at `lags`, empty past its end and where it is NaN."""
    if column is None or isinstance(column, str):
        return [column or ""] * len(lags)
    there = lags[: np.searchsorted(lags, len(column))]
    if isinstance(column, Magnitudes):
        texts = column[there].texts()
    else:
        texts = ["" if value != value else repr(value) for value in column[there].tolist()]
    return [*map(_pointed, texts), *[""] * (len(lags) - len(there))]
