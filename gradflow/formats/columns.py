"""Every column that CSV, JSON, its schema and docs/outputs.md have: what differs between the
runs, and the curves that the measures declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gradflow.axes import AXES, KNOWN, NET_AXES, Kind
from gradflow.measures import ALWAYS, MEASURES
from gradflow.measures.contract import Curve, Values
from gradflow.measures.gradient import part_curve
from gradflow.measures.measured import Measured
from gradflow.results import GradientFlow


class Field(NamedTuple):
    """One thing in which runs, or places of their nets, differ."""

    name: str
    kind: Kind
    meaning: str


def _setting(name: str) -> Field:
    return Field(name, KNOWN[name].kind, KNOWN[name].meaning)


RUN = (Field("run", "whole", "the run's number, from 0"), *map(_setting, AXES))
"""What differs between the runs, left of the lag."""

LAG = Field("lag", "whole", "k = 0..T; 0 is the last state")

_ALWAYS = tuple(curve for name in ALWAYS for curve in MEASURES[name].curves)

CURVES = tuple(curve for curve in _ALWAYS if not curve.later)
"""What is measured at each lag."""

NET = tuple(map(_setting, NET_AXES))
"""How the layers of the net are arranged, right of what is measured."""

PLACE = (
    Field("layer", "whole", "from 0, the lowest; empty in the rows of the whole net"),
    Field("direction", "text", "forward or reverse; empty in the rows of the whole net"),
)
"""Which part of the net the row is of."""

MORE_CURVES = tuple(curve for curve in _ALWAYS if curve.later)
"""More of what is measured at each lag, right of the place: columns are only ever added."""

PARTS_MEANING = "one column, `grad_` and its name, for each part of a state that is neither h nor c"


def values(curve: Curve, flow: GradientFlow | None, measured: Mapping[str, Measured]) -> Values:
    """A curve of a run, or of a place, with these results; None where it has no such thing."""
    if curve.of is not None:
        return None if flow is None else curve.of(flow)
    found = (one.curves[curve.name] for one in measured.values() if curve.name in one.curves)
    return next(found, None)


def part_curves(parts: Iterable[str]) -> tuple[Curve, ...]:
    """The curves of the parts of a state without their own column."""
    return tuple(part_curve(part) for part in dict.fromkeys(parts) if part not in ("h", "c"))


def asked_curves(names: Iterable[str]) -> tuple[Curve, ...]:
    """The curves of the measures that are asked for, right of all others."""
    return tuple(curve for name in names for curve in MEASURES[name].curves)


OPTIONS_MEANING = "one column for each option of the cells: `forget_bias`, `reset`, …"


def documented() -> str:
    """The columns of the CSV as a Markdown table; neighbours of one meaning share a row."""
    shown = [(field.name, field.meaning) for field in (*RUN, LAG)]
    shown += [(curve.name, curve.meaning) for curve in CURVES]
    shown += [(field.name, field.meaning) for field in (*NET, *PLACE)]
    shown += [(curve.name, curve.meaning) for curve in MORE_CURVES]
    rows: list[tuple[list[str], str]] = []
    for name, meaning in shown:
        if not (rows and rows[-1][1] == meaning):
            rows.append(([], meaning))
        rows[-1][0].append(f"`{name}`")
    lines = [f"| {', '.join(names)} | {meaning} |" for names, meaning in rows]
    lines += [f"| … | {PARTS_MEANING} |", f"| … | {OPTIONS_MEANING} |"]
    return "\n".join(["| column | meaning |", "|---|---|", *lines]) + "\n"
