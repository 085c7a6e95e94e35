"""Which runs share a panel: the plan of a figure, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gradflow.axes import KNOWN
from gradflow.formats.merging import SEEDS
from gradflow.formats.parts import WHOLE, with_parts
from gradflow.formats.words import clean, phrase
from gradflow.results import Result
from gradflow.tracking import CHECKPOINT

HEAT_FROM = 12
"""From so many runs on they become a heat map."""

LEAST_ROWS = 4
"""Of a heat map of several panels; what has fewer takes in the rows of others."""

MOST_LINES = 8
"""Lines in a panel; what else there is has its own panels."""

MOST_PANELS = 12
"""Groups of runs in a figure; where there were more, they take in each other's."""


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
        inside: of the rows of a map that lie along several settings, these, the outermost first;
            empty: they lie along one.
    """

    title: str
    results: tuple[Result, ...]
    names: tuple[str, ...]
    axis: str | None = None
    ordered: bool = False
    heat: bool = False
    inside: tuple[str, ...] = ()

    @property
    def parts(self) -> list[tuple[str, ...]]:
        """What each row has of each setting inside."""
        return [tuple(_name(result, [axis]) for axis in self.inside) for result in self.results]

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


def plan(results: Sequence[Result], most: int = MOST_PANELS) -> list[Group]:
    """The groups of a figure, at most so many; of checkpoints as many as there are."""
    shown = [result for result in with_parts(_spelled(results)) if result.flow is not None]
    if not shown:
        return []
    varied = [axis for axis in shown[0].varied if _count(shown, axis) > 1]
    along = _along(shown, varied)
    heat = len(shown) >= HEAT_FROM
    if along == CHECKPOINT:
        heat = heat and _count(shown, along) >= LEAST_ROWS
    elif not (heat and along is not None and _count(shown, along) >= LEAST_ROWS):
        along = _widest(shown, varied) or along
    apart = [axis for axis in varied if axis != along]
    if not heat and len(shown) <= MOST_LINES and len(varied) <= 1:
        apart = []
    while along != CHECKPOINT and apart and _is_scattered(shown, apart, heat, most):
        apart.remove("seed" if "seed" in apart else apart[-1])
    inside = sorted((axis for axis in varied if axis not in apart), key=lambda axis: axis == "seed")
    found = (_groups(group, apart, inside, along, heat) for group in _by(shown, apart))
    return [group for groups in found for group in groups]


def each(results: Sequence[Result]) -> list[Group]:
    """A group for each run, or its parts."""
    shown = [result for result in with_parts(_spelled(results)) if result.flow is not None]
    varied = [axis for axis in shown[0].varied if _count(shown, axis) > 1] if shown else []
    return [Group(_name(result, varied), (result,), ("",)) for result in shown]


def _is_scattered(shown: Sequence[Result], apart: Sequence[str], heat: bool, most: int) -> bool:
    """Whether runs that are this far apart are too many panels, or these have too few rows."""
    groups = _by(shown, apart)
    return len(groups) > most or (heat and max(map(len, groups)) < LEAST_ROWS)


def _by(results: Sequence[Result], axes: Sequence[str]) -> list[list[Result]]:
    """The results that have the same of these settings, in the order of the first of each."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        found.setdefault(tuple(str(result.axes[axis]) for axis in axes), []).append(result)
    return list(found.values())


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
    group: list[Result], apart: Sequence[str], inside: Sequence[str], along: str | None, heat: bool
) -> list[Group]:
    """One group, or as many as its lines need."""
    title = _name(group[0], apart)
    for axis in reversed(inside):  # the outermost last, as each sort keeps what is equal
        group.sort(key=_order(group, axis))
    numbers = along is not None and all(_is_number(r.axes.get(along)) for r in group)
    ordered = numbers or along == CHECKPOINT
    if heat and len(group) > 1:
        names, several = tuple(_row(r, inside) for r in group), len(inside) > 1
        return [Group(title, tuple(group), names, along, ordered and not several, True,
                      tuple(inside) if several else ())]  # fmt: skip
    size = HEAT_FROM - 1 if ordered else MOST_LINES
    pieces = [group[at : at + size] for at in range(0, len(group), size)]
    return [
        Group(title, tuple(some), tuple(_name(r, inside) for r in some), along, ordered)
        for some in pieces
    ]


def _order(group: Sequence[Result], axis: str) -> Callable[[Result], float]:
    """The place of a run along a setting: its number, or else where its value comes first."""
    if axis != CHECKPOINT and all(_is_number(result.axes.get(axis)) for result in group):
        return lambda result: float(result.axes[axis])  # type: ignore[arg-type]
    first = {value: at for at, value in enumerate(dict.fromkeys(
        str(result.axes.get(axis)) for result in group))}  # fmt: skip
    return lambda result: first[str(result.axes.get(axis))]


def _row(result: Result, inside: Sequence[str]) -> str:
    """The name of a row; the bare value where that says of itself what it is of."""
    if len(inside) == 1 and inside[0] not in KNOWN:
        return clean(str(result.axes[inside[0]]))
    return _name(result, inside)


def _name(result: Result, inside: Sequence[str]) -> str:
    """How a run differs from the others of its group."""
    there = [axis for axis in inside if result.axes.get(axis) is not None]
    return clean(" ".join(_phrase(axis, result.axes[axis]) for axis in there))


def _phrase(axis: str, value: object) -> str:
    if axis == CHECKPOINT:
        return str(value)
    return "all layers" if (axis, value) == ("layer", WHOLE) else phrase(axis, value)
