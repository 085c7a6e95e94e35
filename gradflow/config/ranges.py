"""A range in place of a list of numbers: `{from: 0.5, to: 2, count: 7, scale: log}`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
from pydantic import ValidationError

from gradflow.config.faults import Faults
from gradflow.config.messages import faults_in, misspelt, one_of, shown, unknown_key
from gradflow.config.model import NUMBERS, Config
from gradflow.config.numbers import MOST_RUNS, RANGE_SCALES
from gradflow.config.tree import Path, Tree

_KEYS = ("from", "to", "count", "scale")
FORM = "a range such as {from: 0.5, to: 2, count: 7, scale: log}"

_DIGITS = 15
"""To so many significant digits, which keeps a sixth of 0 to 0.6 from being 0.09999999999999999."""


class AddFault(Protocol):
    """Takes what is wrong with the value, or the key, at a path."""

    def __call__(self, path: Path, message: str, key: bool = False) -> None:
        """`key`: whether the key is at fault, not its value."""


def with_ranges(data: Mapping[str, Tree], faults: Faults) -> dict[str, Tree]:
    """The config's data with a list for every range at one of its own keys; a key whose range is
    at fault is left out. (Those of cells are read with their options.)"""
    found = dict(data)
    for key, whole in NUMBERS.items():
        value = data.get(key)
        if not is_range(value):
            continue
        before = len(faults.found)
        numbers = numbers_of(cast("dict[str, Tree]", value), (key,), whole, faults.add)
        if numbers is not None:
            _check_ends(key, numbers, faults)
        if numbers is None or len(faults.found) > before:
            del found[key]
        else:
            found[key] = list(numbers)
    return found


def is_range(value: Tree) -> bool:
    """Whether a value is meant to be a range: a mapping with a key of one, or almost."""
    if not isinstance(value, dict):
        return False
    return bool(set(value) & set(_KEYS)) or misspelt(value, list(_KEYS)) is not None


def _check_ends(key: str, numbers: Sequence[float], faults: Faults) -> None:
    """Whether the key takes such numbers: where it takes both ends, it takes all between them."""
    data: dict[str, Tree] = {"cell": "rnn", key: [numbers[0], numbers[-1]]}
    try:
        Config.model_validate(data)
    except ValidationError as error:
        paths, words = faults_in(error, data)
        for index in range(len(paths)):
            path, _, message = words(index)
            faults.add((key, "to" if path[1:] == (1,) else "from"), message)


def numbers_of(
    given: Mapping[str, Tree], path: Path, whole: bool, add: AddFault
) -> list[float] | list[int] | None:
    """The numbers of a range, the ends as they are given; None where something is wrong with it.
    Whole ones are rounded, each of them once."""
    sound = True

    def fault(name: str, message: str, key: bool = False) -> None:
        nonlocal sound
        sound = False
        add((*path, name), message, key)

    for name in given:
        if name not in _KEYS:
            fault(name, unknown_key(name, _KEYS), key=True)
    if not sound:
        return None
    for name in ("from", "to", "count"):
        if name not in given:
            fault(name, f"this key is required: expected {FORM}")
        elif name == "count" or whole:
            _check_whole(name, given[name], fault)
        elif not _is_number(given[name]):
            fault(name, f"expected a finite number, found {shown(given[name])}")
    scale = given.get("scale", RANGE_SCALES[0])
    if scale not in RANGE_SCALES:
        fault("scale", one_of(RANGE_SCALES, scale))
    if not sound:
        return None
    first, last, count = (_number(given[name]) for name in ("from", "to", "count"))
    if not 2 <= count <= MOST_RUNS:
        bound = "at least 2" if count < 2 else f"at most {MOST_RUNS:,}"
        fault("count", f"expected {bound}, found {count:,.0f}")
    if first == last:
        fault("to", f"expected another number than `from`, found {shown(given['to'])}")
    elif scale == "log" and not first * last > 0:
        for name, end in (("from", first), ("to", last)):
            if end == 0 or name == "to":
                expected = "a number that is not 0" if end == 0 else "the sign of `from`"
                fault(name, f"expected {expected} on a log scale, found {shown(given[name])}")
                break
    return _spaced(first, last, int(count), str(scale), whole) if sound else None


def _spaced(
    first: float, last: float, count: int, scale: str, whole: bool
) -> list[float] | list[int]:
    values = (np.geomspace if scale == "log" else np.linspace)(first, last, count)
    if whole:
        return list(dict.fromkeys(map(int, np.rint(values).tolist())))
    inner = (float(f"{value:.{_DIGITS}g}") for value in values[1:-1].tolist())
    return [first, *inner, last]


def _check_whole(name: str, value: Tree, fault: Any) -> None:
    if not _is_number(value) or _number(value) % 1 != 0:
        fault(name, f"expected a whole number, found {shown(value)}")


def _is_number(value: Tree) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) <= 1e300  # type: ignore[arg-type]


def _number(value: Tree) -> float:
    return float(value)  # type: ignore[arg-type]
