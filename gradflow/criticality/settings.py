"""What can be varied to find where the rate is 1, and over which range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradflow.axes import SCALES
from gradflow.cells import Cell
from gradflow.equations.bounds import Bound, bounds_of
from gradflow.equations.effects import effects
from gradflow.equations.mistakes import nearest
from gradflow.errors import Fault, InputError
from gradflow.runs.experiment import Run

_SCALE_RANGE = (0.1, 10.0)
_OPTION_RANGE = (-10.0, 10.0)


class Setting:
    """What is varied, and over which range: a scale, or a number among the options of a cell."""

    def __init__(self, vary: str, between: tuple[float, float] | None, runs: Sequence[Run]) -> None:
        if not isinstance(vary, str):
            raise InputError(Fault(f"expected a setting by name, found {vary!r}", key="vary"))
        self.key = vary
        self.option = vary.removeprefix("cell.") if vary.startswith("cell.") else None
        names = [*SCALES, *(f"cell.{name}" for name in _numbers(runs))]
        if vary not in names:
            listed = f": expected one of {', '.join(names)}"
            is_option = any(self.option in run.cell.options for run in runs)
            hint = listed if is_option else nearest(vary, names) or listed
            raise InputError(Fault(f"{vary!r} cannot be varied{hint}", key="vary"))
        idle = [self._idle(run) for run in runs if self.option in run.cell.options]
        if idle and all(idle):
            raise InputError(Fault(f"{vary} {str(idle[0]).partition(' ')[2]}", key="vary"))
        self.low, self.high = self._range(runs) if between is None else _pair(between)
        self._check(runs)
        self.log = self.low > 0 and self.option is None

    def _range(self, runs: Sequence[Run]) -> tuple[float, float]:
        """Where no range is given."""
        if self.option is None:
            return _SCALE_RANGE
        low, high = _OPTION_RANGE
        for bound in self._bounds(runs):
            if bound.sign in ("ge", "gt"):
                low = max(low, bound.number if bound.sign == "ge" else _above(bound.number))
            else:
                high = min(high, bound.number if bound.sign == "le" else -_above(-bound.number))
        return low, high

    def _bounds(self, runs: Sequence[Run]) -> list[Bound]:
        """What bounds the option in any of the cells, each once."""
        cells = dict.fromkeys(run.cell for run in runs if self.option in run.cell.options)
        found = [bounds_of(c.equations, self.option or "", c.options) for c in cells]
        return list(dict.fromkeys(itertools.chain.from_iterable(found)))

    def _check(self, runs: Sequence[Run]) -> None:
        """That the range is one, within what the setting may be."""
        faults = []
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            faults.append(f"expected two numbers, the smaller first, found {self.low:g} "
                          f"{self.high:g}")  # fmt: skip
        if self.key == "bias_scale" and self.low < 0:
            faults.append(f"expected at least 0 for bias_scale, found {self.low:g}")
        ends = {"gt": self.low, "ge": self.low, "lt": self.high, "le": self.high}
        broken = (bound for bound in self._bounds(runs) if not bound.holds(ends[bound.sign]))
        faults += [f"expected {bound} for {self.key}" for bound in broken]
        if faults:
            raise InputError(*(Fault(fault, key="between") for fault in dict.fromkeys(faults)))

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
        if (idle := self._idle(run)) is not None:
            return idle
        if self.key == "ws_scale" and "recurrent" not in roles:
            return f"{run.cell.name} has no recurrent weights"
        if self.key == "ws_scale" and run.ws_scale is None:
            return f"the recurrent weights of {run.cell.name} have their own `init`"
        return None

    def _idle(self, run: Run) -> str | None:
        """That nothing of the net reads the option; None where something does."""
        of_file = run.trained is not None and run.trained.as_is
        given = frozenset(run.trained.params[0, 0]) if run.trained and of_file else ()
        options = run.cell.options
        idle = (one for one in effects(run.cell.equations).idle(options, given)
                if one.option == self.option)  # fmt: skip
        return next((f"{self.option} {one.of(options)}" for one in idle), None)


def _pair(between: object) -> tuple[float, float]:
    """The two numbers of a range."""
    given = (
        list(between) if isinstance(between, Sequence | np.ndarray) and len(between) == 2 else []
    )
    if not given or not all(isinstance(end, int | float | np.number) for end in given):
        message = f"expected two numbers, the smaller first, found {between!r}"
        raise InputError(Fault(message, key="between"))
    return float(given[0]), float(given[1])


def _numbers(runs: Sequence[Run]) -> list[str]:
    """The options that are numbers of any of the cells, sizes left out."""
    found: dict[str, None] = {}
    for cell in {run.cell.equations: run.cell for run in runs}.values():
        for name, given in cell.equations.options:
            if isinstance(given, float):
                found[name] = None
    return list(found)


def _above(bound: float) -> float:
    """A number just above an open bound."""
    return bound + max(1e-3, 1e-3 * abs(bound))
