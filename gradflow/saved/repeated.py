"""What a file of results says twice, held to what follows from the rest: logarithms of curves and
relative ones, figures of a diagnosis and of measures by a second name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradflow.axes import KNOWN
from gradflow.formats.json import of_place, of_run
from gradflow.results import Result
from gradflow.saved.values import an_object, damaged, member

_NEAR = 1e-9  # what another machine may make of a logarithm


def check_repeated(run: Mapping[str, Any], at: str, found: Result) -> None:
    """Hold a run, as the file has it at `at`, to what would be written of what was read from it.

    Raises:
        DamagedError: something differs by more than rounding.
    """
    _agree(run, of_run(found), at)
    for i, (place, part) in enumerate(zip(run["places"], found.layers, strict=True)):
        _agree(place, of_place(part), f"{at}.places[{i}]")


def _agree(found: Any, written: object, at: str) -> None:
    if isinstance(written, Mapping):
        found = an_object(found, at)
        for key, value in written.items():
            if key in found or not _may_lack(at, key):
                _agree(member(found, key, at), value, f"{at}.{key}")
    elif isinstance(written, list):
        if not isinstance(found, list) or len(found) != len(written):
            damaged(at, f"a list of {len(written)}", found)
        if found != written or bool in map(type, found):  # true is 1 to Python
            for one, other in zip(found, written, strict=True):
                _agree(one, other, at)
    elif not _same(found, written, spare=_NEAR if ".log10_" in at else 0.0):
        known = "null" if written is None else str(written)
        damaged(at, f"{known}, as follows from the rest", found)


def _may_lack(at: str, key: str) -> bool:
    """Whether an older file has no such key: an axis that says what goes without saying, a figure
    of a diagnosis, whose others are looked at where they are read."""
    return at.endswith(".diagnosis") or (key in KNOWN and KNOWN[key].plain is not None)


def _same(found: object, written: object, spare: float) -> bool:
    """Whether both are the same; numbers as far as machines agree on them, logarithms with a
    distance to `spare`."""
    if isinstance(found, bool) or isinstance(written, bool):
        return found is written
    if isinstance(found, float | int) and isinstance(written, float | int):
        return math.isclose(found, written, rel_tol=_NEAR, abs_tol=spare)
    return found == written
