"""Single values of a file of results, each known to be of its kind or named by its path."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from gradflow.numerics.arrays import Array

LARGEST = 10**15
"""The largest whole number that such a file may hold."""


class DamagedError(Exception):
    """What was expected where, and what was found."""


def damaged(at: str, expected: str, found: object) -> NoReturn:
    """Raises DamagedError."""
    if isinstance(found, list | dict):
        short = f"{'a list' if isinstance(found, list) else 'an object'} of {len(found)}"
    else:
        text = json.dumps(found)
        short = text if len(text) <= 40 else text[:37] + "..."
    raise DamagedError(f"{at}: expected {expected}, found {short}")


def member(data: Mapping[str, Any], key: str, at: str) -> Any:
    """What is at a key of the object at `at`."""
    if key not in data:
        raise DamagedError(f"{at + '.' if at else ''}{key} is missing")
    return data[key]


def an_object(value: Any, at: str) -> Mapping[str, Any]:
    """`value`, an object."""
    if not isinstance(value, dict):
        damaged(at, "an object", value)
    return value


def texts(value: Any, at: str) -> tuple[str, ...]:
    """`value`, a list of texts."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        damaged(at, "a list of texts", value)
    return tuple(value)


def a_text(value: Any, at: str) -> str:
    """`value`, a text."""
    if not isinstance(value, str):
        damaged(at, "text", value)
    return value


def one_of(value: Any, at: str, known: tuple[Any, ...]) -> Any:
    """`value`, one of those known."""
    if value not in known:
        damaged(at, f"one of {', '.join(known)}", value)
    return value


def number(value: Any, at: str) -> float:
    """`value`, a number within float range."""
    if type(value) not in (int, float):
        damaged(at, "a number", value)
    return float(floats([value], at, math.nan)[0])


def whole(value: Any, at: str, most: int = LARGEST) -> int | None:
    """`value`, a whole number that is not negative, or None."""
    if value is not None and not (type(value) is int and 0 <= value <= most):
        damaged(at, f"a whole number up to {most:,} or null", value)
    return value


def floats(values: list[Any], at: str, null: float) -> Array:
    """`values`, numbers within float range; `null` is what null means."""
    odd = next((v for v in values if type(v) not in (float, int, type(None))), values)
    if odd is not values:
        damaged(at, "numbers", odd)
    try:
        found = np.array(values, dtype=np.float64)
    except OverflowError:
        damaged(at, "numbers within float range", "a larger one")
    if np.isinf(found).any():
        damaged(at, "numbers within float range", "a larger one")
    return np.where(np.isnan(found), null, found)
