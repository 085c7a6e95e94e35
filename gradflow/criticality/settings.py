"""What can be varied to find where the rate is 1, and over which range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradflow.cells import Cell
from gradflow.equations.mistakes import nearest
from gradflow.errors import Fault, InputError
from gradflow.runs.experiment import Run

SCALES = ("ws_scale", "wx_scale", "bias_scale")
"""The keys that can be varied; besides them every number among a cell's options."""

_SCALE_RANGE = (0.1, 10.0)
_OPTION_RANGE = (-10.0, 10.0)


class Setting:
    """What is varied, and over which range."""

    def __init__(self, vary: str, between: tuple[float, float] | None, runs: Sequence[Run]) -> None:
        self.key = vary
        self.option = vary.removeprefix("cell.") if vary.startswith("cell.") else None
        names = [*SCALES, *(f"cell.{name}" for name in _numbers(runs))]
        if vary not in names:
            listed = f": expected one of {', '.join(names)}"
            is_option = any(self.option in run.cell.options for run in runs)
            hint = listed if is_option else nearest(vary, names) or listed
            raise InputError(Fault(f"{vary!r} cannot be varied{hint}", key="--vary"))
        self.low, self.high = between or self._range(runs)
        self._check(runs)
        self.log = self.low > 0 and self.option is None

    def _range(self, runs: Sequence[Run]) -> tuple[float, float]:
        """Where no range is given."""
        if self.option is None:
            return _SCALE_RANGE
        low, high = _OPTION_RANGE
        for bounds in (self._bounds(run.cell) for run in runs):
            low = max(low, bounds.get("ge", low), _above(bounds.get("gt")))
            high = min(high, bounds.get("le", high), -_above(_negative(bounds.get("lt"))))
        return low, high

    def _bounds(self, cell: Cell) -> dict[str, float]:
        return dict(dict(cell.equations.bounds).get(self.option or "", ()))

    def _check(self, runs: Sequence[Run]) -> None:
        """That the range is one, within what the setting may be."""
        faults = []
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            faults.append(f"expected two numbers, the smaller first, found {self.low:g} "
                          f"{self.high:g}")  # fmt: skip
        if self.key == "bias_scale" and self.low < 0:
            faults.append(f"expected at least 0 for bias_scale, found {self.low:g}")
        for bounds in {id(r.cell.equations): self._bounds(r.cell) for r in runs}.values():
            holds = {
                "gt": self.low > bounds.get("gt", -math.inf),
                "ge": self.low >= bounds.get("ge", -math.inf),
                "lt": self.high < bounds.get("lt", math.inf),
                "le": self.high <= bounds.get("le", math.inf),
            }
            signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
            faults += [f"expected {signs[kind]} {bounds[kind]:g} for {self.key}"
                       for kind, fits in holds.items() if kind in bounds and not fits]  # fmt: skip
        if faults:
            raise InputError(*(Fault(fault, key="--between") for fault in dict.fromkeys(faults)))

    def values(self, count: int) -> list[float]:
        """So many values, evenly spaced over the range."""
        ends = self.at(self.low), self.at(self.high)
        inside = [self.back(float(x)) for x in np.linspace(*ends, count)[1:-1]]
        return [self.low, *inside, self.high]

    def at(self, value: float) -> float:
        """The value on the scale on which it is searched."""
        return math.log(value) if self.log else value

    def back(self, x: float) -> float:
        """The value at a point of that scale."""
        return math.exp(x) if self.log else x

    def applied(self, run: Run, value: float) -> Run:
        """The run with this value."""
        if self.option is not None:
            options = {**run.cell.options, self.option: value}
            return replace(run, cell=Cell.of(run.cell.equations, **options))
        scales: dict[str, Any] = {self.key: value}
        return replace(run, **scales)

    def missing(self, run: Run) -> str | None:
        """Why the net has nothing to vary, in one line; None where it has."""
        roles = {p.role for cell in run.cells.values() for p in cell.parameters.values()}
        if self.option is not None and self.option not in run.cell.options:
            return f"{run.cell.name} has no option {self.option}"
        if self.key == "ws_scale" and "recurrent" not in roles:
            return f"{run.cell.name} has no recurrent weights"
        return None


def _numbers(runs: Sequence[Run]) -> list[str]:
    """The options that are numbers of any of the cells, sizes left out."""
    found: dict[str, None] = {}
    for cell in {run.cell.equations: run.cell for run in runs}.values():
        for name, given in cell.equations.options:
            if isinstance(given, float):
                found[name] = None
    return list(found)


def _above(bound: float | None) -> float:
    """A number just above an open bound."""
    return -math.inf if bound is None else bound + max(1e-3, 1e-3 * abs(bound))


def _negative(bound: float | None) -> float | None:
    return None if bound is None else -bound
