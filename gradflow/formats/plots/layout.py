"""Which runs share a panel: the plan of a figure, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from gradflow.formats.parts import with_parts
from gradflow.formats.words import clean, phrase
from gradflow.results import Result

HEAT_FROM = 12
"""From so many runs on, those along a number become a heat map."""

MOST_LINES = 8
"""Lines in a panel; what else there is has panels of its own."""

MOST_PANELS = 12


@dataclass(frozen=True)
class Panel:
    """Runs that are drawn together.

    Attributes:
        title: what they have in common.
        results: the runs, in order.
        names: what tells each from the others.
        axis: the setting along which they lie, where that is one number; None otherwise.
        heat: whether they are drawn as a heat map.
    """

    title: str
    results: tuple[Result, ...]
    names: tuple[str, ...]
    axis: str | None
    heat: bool = False

    @property
    def values(self) -> list[float]:
        """The numbers along `axis`."""
        return [_number(result, self.axis or "") for result in self.results]


def plan(results: Sequence[Result]) -> tuple[list[Panel], int]:
    """The panels of a figure, and how many more there would be beyond MOST_PANELS."""
    shown = [result for result in with_parts(results) if result.flow is not None]
    if not shown:
        return [], 0
    varied = [axis for axis in shown[0].varied if len({str(r.axes[axis]) for r in shown}) > 1]
    along = _along(shown, varied)
    heat = len(shown) >= HEAT_FROM and along is not None and _count(shown, along) >= 4
    apart = [axis for axis in varied if axis != along]
    if not heat and len(shown) <= MOST_LINES and len(varied) <= 1:
        apart = []
    panels = []
    key = {id(r): tuple(str(r.axes[axis]) for axis in apart) for r in shown}
    ordered = sorted(shown, key=lambda r: list(key.values()).index(key[id(r)]))
    for _, group in groupby(ordered, key=lambda r: key[id(r)]):
        panels += _panels(list(group), apart, varied, along, heat)
    return panels[:MOST_PANELS], max(0, len(panels) - MOST_PANELS)


def _along(results: Sequence[Result], varied: Sequence[str]) -> str | None:
    """The setting along which runs lie in a panel: the number with the most values, the seed only
    where there is no other."""
    numbers = [axis for axis in varied if all(_is_number(r.axes[axis]) for r in results)]
    named = [axis for axis in numbers if axis not in ("seed", "layer")]
    return max(named or numbers, key=lambda axis: _count(results, axis), default=None)


def _count(results: Sequence[Result], axis: str) -> int:
    return len({str(result.axes[axis]) for result in results})


def _number(result: Result, axis: str) -> float:
    value = result.axes[axis]
    return float(value) if isinstance(value, int | float) else math.nan


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _panels(
    group: list[Result], apart: Sequence[str], varied: Sequence[str], along: str | None, heat: bool
) -> list[Panel]:
    """The panel of one group, or as many as its lines need."""
    title = clean(" ".join(phrase(axis, group[0].axes[axis]) for axis in apart))
    inside = [axis for axis in varied if axis not in apart]
    if along is not None:
        group.sort(key=lambda r: _number(r, along))
    size = len(group) if heat else MOST_LINES
    found = []
    for at in range(0, len(group), size):
        some = group[at : at + size]
        names = tuple(clean(" ".join(phrase(a, r.axes[a]) for a in inside)) for r in some)
        found.append(Panel(title, tuple(some), names, along, heat and len(some) > 1))
    return found
