"""Names that an option of a cell cannot have, since it is next to them: a column of the results, a
key of the config, and in it of the cell's own declaration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.axes import AXES, NET_AXES, PLACE_AXES
from gradflow.config.model import Config
from gradflow.diagnosis.figures import FIGURES
from gradflow.equations.declaration import KEYS, Equations
from gradflow.equations.mistakes import At, Mistake
from gradflow.measures import MEASURES
from gradflow.measures.contract import Figure
from gradflow.measures.terms import TOTALS

_OF_RUNS = (
    *("run", "lag", "totals", "diagnosis", "objective", "diverged_at", "notes", "places"),
    *("measured", "first", "start", "of_reach", "seeds"),
)
_PREFIXES = ("grad_", "log10_")
_OF_PLACES_AND_SEEDS = re.compile(r"(_l\d+(_reverse)?)?(_seeds_(low|high))?$")


def taken(name: str) -> str | None:
    """What the name of an option is already, or None."""
    if name in (*_OF_RUNS, *AXES, *NET_AXES, *PLACE_AXES) or name.startswith(_PREFIXES):
        return "a column of the results"
    if name in MEASURES:
        return "a measure"
    if name in KEYS or name in Config.model_fields:
        return "a key of the config"
    plain = _OF_PLACES_AND_SEEDS.sub("", name)
    if name in _curves():
        return "a column of the results"
    if any(one.pattern.fullmatch(plain) for one in _figures()):
        return "a figure of the results"
    return None


def mistaken(equations: Equations) -> list[Mistake]:
    """The options of a cell whose names are taken."""
    found = ((name, taken(name)) for name, _ in equations.options)
    return [
        Mistake(f"options.{name}", At(1, 1), f"'{name}' is {what} already: choose another name")
        for name, what in found
        if what is not None
    ]


def _figures() -> Iterator[Figure]:
    """Every figure that there can be of a run."""
    yield from FIGURES
    for name in ("loss", *(f"total_{name}" for name in TOTALS)):
        yield Figure(name, "number", "")
    for measure in MEASURES.values():
        yield from measure.figures


def _curves() -> set[str]:
    """Every column against lag."""
    return {curve.name for measure in MEASURES.values() for curve in measure.curves}
