"""What was measured besides the gradient, as the measures gave it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradflow.measures import MEASURES
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.saved.curves import Curves
from gradflow.saved.values import a_text, an_object, damaged, member, whole


def measured(run: Mapping[str, Any], at: str, T: int) -> dict[str, Measured]:
    """By the name of the measure, of a run or a place that the file has at `at`."""
    found = an_object(member(run, "measured", at), f"{at}.measured")
    return {name: _one(name, one, run, at, T) for name, one in found.items()}


def _one(name: str, found: Any, run: Mapping[str, Any], at: str, T: int) -> Measured:
    here = f"{at}.measured.{name}"
    if name not in MEASURES:
        damaged(here, f"one of {', '.join(MEASURES)}", name)
    found = an_object(found, here)
    note = member(found, "note", here)
    curves = an_object(member(found, "curves", here), f"{here}.curves")
    figures = an_object(member(found, "figures", here), f"{here}.figures")
    any_size = {curve.name for curve in MEASURES[name].curves if curve.any_size}
    read = Curves(run, at, T)
    return Measured(
        curves={
            curve: _curve(curve, read, an_object(how, f"{here}.{curve}"), curve in any_size)
            for curve, how in curves.items()
        },
        figures={key: _figure(value, f"{here}.{key}") for key, value in figures.items()},
        note=None if note is None else a_text(note, f"{here}.note"),
    )


def _curve(name: str, read: Curves, how: Mapping[str, Any], any_size: bool) -> Magnitudes | Array:
    """The values, with infinities where they were."""
    at = f"{read.at}.{name}"
    length = whole(member(how, "length", at), f"{at}.length", read.T + 1) or 0
    if any_size:
        found = read.magnitudes(name, length, null=math.nan)
        return Magnitudes.of(np.zeros(0)) if found is None else found
    values = read.floats(name, math.nan, length)
    for sign in ("-inf", "inf"):
        lags = how.get(sign, [])
        if not isinstance(lags, list) or any(
            type(k) is not int or not 0 <= k < length for k in lags
        ):
            damaged(f"{at}.{sign}", f"lags below {length}", lags)
        values[np.array(lags, dtype=np.int64)] = float(sign)
    return values


def _figure(value: Any, at: str) -> float | str | None:
    if isinstance(value, dict):
        if value not in ({"float": "inf"}, {"float": "-inf"}, {"float": "nan"}):
            damaged(at, "a number that is not finite", value)
        return float(value["float"])
    if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
        return value
    return damaged(at, "a number or a word", value)
