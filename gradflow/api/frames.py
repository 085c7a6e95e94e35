"""Results as columns: what a data frame is made of, with the names of the CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gradflow.axes import Kind
from gradflow.diagnosis.figures import FIGURES
from gradflow.errors import InputError
from gradflow.formats import csv, flat, runs
from gradflow.formats.columns import (
    CURVES,
    LAG,
    MORE_CURVES,
    NET,
    PLACE,
    RUN,
    asked_curves,
    part_curves,
    values,
)
from gradflow.formats.look import Look
from gradflow.formats.parts import from_the_top
from gradflow.measures import MEASURES
from gradflow.measures.contract import Values
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, LayerResult, Result

Rows = Literal["lags", "runs"]

_KINDS: dict[str, Kind] = {one.name: one.kind for one in (*RUN, LAG, *NET, *PLACE)}
_KINDS |= {figure.name: figure.kind for figure in FIGURES}
_PLACED = re.compile(r"(_l\d+(_reverse)?)?(_seeds_low|_seeds_high)?$")


def columns(results: Sequence[Result], look: Look, rows: Rows) -> dict[str, Any]:
    """The columns by name, in the order of the CSV: numbers as arrays of floats, 0 or inf where a
    magnitude lies outside float range and NaN if there is none; text and truths as lists.

    Raises:
        InputError: `rows` is neither `lags` nor `runs`.
    """
    known = kinds(look)

    def kind(name: str) -> Kind | None:  # a layer is missing of a whole net: always floats
        return "number" if name == "layer" else known(name)

    if rows == "runs":
        names, lines = runs.rows(results, look)
        found = {name: [line[at] for line in lines] for at, name in enumerate(names)}
        return {name: _column(own, kind(name)) for name, own in found.items()}
    if rows != "lags":
        raise InputError(f"expected rows='lags' or rows='runs', found {rows!r}")
    pieces = [_lags(part, result, look) for result in results for part in _parts(result)]
    if not pieces:
        header = csv.header(look.options, look.parts, look.measures)
        return {name: _column([], kind(name)) for name in header}
    lags = [piece["lag"] for piece in pieces]
    return {
        name: _joined([piece[name] for piece in pieces], lags, kind(name)) for name in pieces[0]
    }


def kinds(look: Look) -> Callable[[str], Kind | None]:
    """What the values of a column are, whatever they happen to be; None: an option of a cell."""
    asked = [figure for name in look.measures for figure in MEASURES[name].figures]
    known = {**_KINDS, **{figure.name: figure.kind for figure in asked}}

    def kind(name: str) -> Kind | None:
        plain = _PLACED.sub("", name)
        return None if plain in look.options else known.get(plain, "number")

    return kind


def _parts(result: Result) -> list[Result | LayerResult]:
    """The whole net, where it has one state, then each of its places."""
    whole = [result] if result.flow is not None or not result.layers else []
    return [*whole, *from_the_top(result)]


def _lags(part: Result | LayerResult, result: Result, look: Look) -> dict[str, Any]:
    """The columns of one net or place; a single value is that of all lags."""
    lags = np.arange(result.sequence_length + 1)
    place = (part.layer, part.direction) if isinstance(part, LayerResult) else (None, None)
    settings = flat.settings(result, look.options)
    left = {name: settings[name] for name in settings if name not in look.options}
    net = {name: left.pop(name) for name in ("layers", "bidirectional")}
    more = (*MORE_CURVES, *part_curves(look.parts))
    return {
        **left,
        "lag": lags,
        **_curves(CURVES, part.flow, part.measures, len(lags)),
        **net,
        "layer": place[0],
        "direction": place[1],
        **_curves(more, part.flow, part.measures, len(lags)),
        **{name: settings[name] for name in look.options},
        **_curves(asked_curves(look.measures), part.flow, part.measures, len(lags)),
    }


def _curves(
    curves: Sequence[Any], flow: GradientFlow | None, measured: Mapping[str, Any], length: int
) -> dict[str, Array]:
    return {curve.name: _padded(values(curve, flow, measured), length) for curve in curves}


def _padded(found: Values, length: int) -> Array:
    """As floats, NaN past the end."""
    padded = np.full(length, np.nan)
    if found is not None:
        padded[: len(found)] = found.floats() if isinstance(found, Magnitudes) else found
    return padded


def _joined(pieces: Sequence[Any], lags: Sequence[Array], kind: Kind | None) -> Any:
    """One column of all nets and places."""
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    return _column([value for value, own in zip(pieces, lags, strict=True) for _ in own], kind)


def _column(found: Sequence[Any], kind: Kind | None) -> Any:
    """Whole numbers and numbers as arrays, where one is missing of floats; all else as a list."""
    kind = _kind_of(found) if kind is None else kind
    if kind == "whole" and None not in found:
        return np.array(found, dtype=np.int64)
    if kind in ("whole", "number"):
        return np.array([np.nan if v is None else float(v) for v in found], dtype=np.float64)
    return list(found)


def _kind_of(found: Sequence[object]) -> Kind:
    """That of the values of an option."""
    there = [value for value in found if value is not None]
    if all(isinstance(value, int) for value in there):
        return "whole"
    return "number" if all(isinstance(value, int | float) for value in there) else "word"
