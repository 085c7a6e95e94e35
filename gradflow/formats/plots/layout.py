"""Which runs share a panel: the plan of a figure, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from gradflow.axes import KNOWN
from gradflow.formats.merging import SEEDS
from gradflow.formats.parts import WHOLE, with_parts
from gradflow.formats.words import clean, phrase
from gradflow.results import Result
from gradflow.tracking import CHECKPOINT

HEAT_FROM = 12
"""From so many runs on, those along a number, or so many cells, become a heat map."""

MOST_LINES = 8
"""Lines in a panel; what else there is has its own panels."""

MOST_PANELS = 12
"""Groups of runs in a figure; what else there is is counted."""


@dataclass(frozen=True)
class Group:
    """Runs that are drawn together.

    Attributes:
        title: what they have in common.
        results: the runs, in order.
        names: how each differs from the others.
        axis: the setting along which they lie; None: they differ in several, or are alone.
        ordered: whether that is a number, or the checkpoints of a training, which are in order
            like numbers.
        heat: whether they are drawn as a heat map.
    """

    title: str
    results: tuple[Result, ...]
    names: tuple[str, ...]
    axis: str | None = None
    ordered: bool = False
    heat: bool = False

    @property
    def values(self) -> list[float]:
        """Where each run lies along the axis: its number, or else its place in the order."""
        numbers = [self._number(result) for result in self.results]
        return numbers if self.numeric else [float(i) for i in range(len(numbers))]

    @property
    def numeric(self) -> bool:
        """Whether they lie along numbers, each its own."""
        found = [self._number(result) for result in self.results]
        return self.ordered and not any(map(math.isnan, found)) and len(set(found)) == len(found)

    def _number(self, result: Result) -> float:
        value = result.axes.get(self.axis or "")
        return float(value) if _is_number(value) else math.nan  # type: ignore[arg-type]


def plan(results: Sequence[Result]) -> tuple[list[Group], int]:
    """The groups of a figure, and how many more there would be beyond MOST_PANELS."""
    shown = [result for result in with_parts(_spelled(results)) if result.flow is not None]
    if not shown:
        return [], 0
    varied = [axis for axis in shown[0].varied if _count(shown, axis) > 1]
    along = _along(shown, varied)
    heat = along is not None and len(shown) >= HEAT_FROM and _count(shown, along) >= 4
    if not heat and (kinds := _widest(shown, varied)) is not None:
        along, heat = kinds, True
    apart = [axis for axis in varied if axis != along]
    if not heat and len(shown) <= MOST_LINES and len(varied) <= 1:
        apart = []
    keys = {id(r): tuple(str(r.axes[axis]) for axis in apart) for r in shown}
    order = {key: place for place, key in enumerate(dict.fromkeys(keys.values()))}
    ordered = sorted(shown, key=lambda r: order[keys[id(r)]])
    groups = []
    for _, group in groupby(ordered, key=lambda r: keys[id(r)]):
        groups += _groups(list(group), apart, varied, along, heat)
    return groups[:MOST_PANELS], max(0, len(groups) - MOST_PANELS)


def _spelled(results: Sequence[Result]) -> list[Result]:
    """The runs, those options that differ as their own axes if all cells are of one kind."""
    kinds = {str(result.axes["cell"]).partition("[")[0] for result in results}
    names = dict.fromkeys(name for result in results for name in result.options)
    differ = [
        name for name in names
        if name != SEEDS and len({str(result.options.get(name)) for result in results}) > 1
    ]  # fmt: skip
    clash = any(name in result.axes for name in differ for result in results)
    if len(kinds) != 1 or "cell" not in (results[0].varied if results else ()) or clash:
        return list(results)
    varied = [
        one for axis in results[0].varied for one in (differ if axis == "cell" else [axis])
    ]  # fmt: skip
    cell = kinds.pop()
    return [
        replace(result, axes={**result.axes, "cell": cell,
                **{name: result.options[name] for name in differ}}, varied=tuple(varied))
        for result in results
    ]  # fmt: skip


def _along(results: Sequence[Result], varied: Sequence[str]) -> str | None:
    """The setting along which runs lie in a panel: the checkpoints, the number with the most
    values, the seed only if there is no other."""
    if CHECKPOINT in varied:
        return CHECKPOINT
    numbers = [
        axis for axis in varied
        if all(_is_number(r.axes[axis]) or r.axes[axis] is None for r in results)
    ]  # fmt: skip
    named = [axis for axis in numbers if axis not in ("seed", "layer")]
    return max(named or numbers, key=lambda axis: _count(results, axis), default=None)


def _widest(results: Sequence[Result], varied: Sequence[str]) -> str | None:
    """The setting with the most values, if these are so many that they become a heat map."""
    widest = max(varied, key=lambda axis: _count(results, axis), default=None)
    if widest is None or _count(results, widest) < HEAT_FROM:
        return None
    return widest


def _count(results: Sequence[Result], axis: str) -> int:
    return len({str(result.axes.get(axis)) for result in results} - {"None"})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _groups(
    group: list[Result], apart: Sequence[str], varied: Sequence[str], along: str | None, heat: bool
) -> list[Group]:
    """One group, or as many as its lines need."""
    title = _name(group[0], apart, None)
    inside = [axis for axis in varied if axis not in apart]
    numbers = along is not None and all(_is_number(r.axes.get(along)) for r in group)
    if numbers:
        group.sort(key=lambda r: float(r.axes[along]))  # type: ignore[index, arg-type]
    ordered = numbers or along == CHECKPOINT
    size = len(group) if heat else HEAT_FROM - 1 if ordered else MOST_LINES
    found = []
    for at in range(0, len(group), size):
        some = tuple(group[at : at + size])
        names = tuple(_name(r, inside, along if heat else None) for r in some)
        found.append(Group(title, some, names, along, ordered, heat and len(some) > 1))
    return found


def _name(result: Result, inside: Sequence[str], along: str | None) -> str:
    """How a run differs from the others of its group; the bare value along the rows of a map."""
    if along is not None and along not in KNOWN:
        return clean(str(result.axes[along]))
    there = [axis for axis in inside if result.axes.get(axis) is not None]
    return clean(" ".join(_phrase(axis, result.axes[axis]) for axis in there))


def _phrase(axis: str, value: object) -> str:
    if axis == CHECKPOINT:
        return str(value)
    return "all layers" if (axis, value) == ("layer", WHOLE) else phrase(axis, value)
