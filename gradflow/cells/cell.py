"""A cell with its options chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from gradflow.cells.contract import Params
from gradflow.cells.sized import SizedCell
from gradflow.equations.compile import Compiled, compiled, read
from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.mistakes import EquationsError
from gradflow.equations.step import Step

_Made = TypeVar("_Made")
_TYPICAL = 0.3  # an option that no equation can be simplified by


@dataclass(frozen=True)
class Cell:
    """A cell with its options chosen: `CELLS["lstm"](forget_bias=1.0)`.

    Attributes:
        equations: its declaration, with the options that it could have.
        chosen: every option's name and value.
    """

    equations: Equations
    chosen: tuple[tuple[str, float | int | str], ...]

    def __repr__(self) -> str:
        """`<cell lstm[forget_bias=1]>`."""
        return f"<cell {self.label}>"

    @staticmethod
    def of(equations: Equations, **options: float | int | str) -> Cell:
        """The cell with these options, the others at their defaults."""
        unknown = set(options) - set(equations.defaults)
        if unknown:
            raise TypeError(f"{equations.name} has no option {min(unknown)!r}")
        return Cell(equations, tuple({**equations.defaults, **options}.items()))

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.equations.name

    @property
    def options(self) -> dict[str, float | int | str]:
        """The options by name."""
        return dict(self.chosen)

    @property
    def label(self) -> str:
        """The short label: the name, then the options that differ from their default."""
        defaults = self.equations.defaults
        changed = [f"{k}={_short(v)}" for k, v in self.chosen if v != defaults[k]]
        return f"{self.name}[{' '.join(changed)}]" if changed else self.name

    @property
    def compiled(self) -> Compiled:
        """Its code; EquationsError where the equations are wrong."""
        return compiled(self.equations, self.options)

    def compiled_for(self, H: int, I: int) -> Compiled:  # noqa: E741
        """Its code; where the equations hold for these numbers alone (x_t next to h), code for
        them."""
        return self._at(compiled, H, I)

    def read_for(self, H: int, I: int) -> Step:  # noqa: E741
        """What its equations say, likewise, without the work of writing code."""
        return self._at(read, H, I)

    def _at(self, made: Callable[[Equations, Chosen], _Made], H: int, I: int) -> _Made:  # noqa: E741
        try:
            return made(self.equations, self.options)
        except EquationsError as wrong:
            try:
                return made(self.equations, {**self.options, "H": H, "I": I})
            except EquationsError:
                raise wrong from None

    @property
    def typical(self) -> Cell:
        """A cell that has the same roles and sizes, one for all values of the options that are
        numbers: where a config has thousands of them, what is asked of each is asked once. Whole
        numbers stay, since 0 and 1 take terms out of the equations."""
        return Cell(self.equations, tuple((name, _typical(value)) for name, value in self.chosen))

    @property
    def state_parts(self) -> tuple[str, ...]:
        """The names of the parts of the state."""
        return tuple(part for part, _ in self.equations.state)

    def sized(self, H: int, I: int) -> SizedCell:  # noqa: E741
        """The cell for these sizes."""
        return sized(self, H, I)

    def sized_for(self, params: Params, I: int) -> SizedCell:  # noqa: E741
        """The cell for the H that these parameters have, whatever their leading axes."""
        for name, shape in self.compiled.step.shapes.items():
            sizes = params[name].shape[-len(shape) :]
            for size, number in zip(shape, sizes, strict=True):
                if size.h:
                    return self.sized((number - size.n - size.i * I) // size.h, I)
        raise ValueError("no parameter has H: give the cell sized, cell.sized(H, I)")


@lru_cache(maxsize=256)
def sized(cell: Cell, H: int, I: int) -> SizedCell:  # noqa: E741
    """The cell for these sizes, made once."""
    return SizedCell(cell, cell.compiled_for(H, I), H, I)


def _typical(value: float | int | str) -> float | int | str:
    if isinstance(value, float) and value % 1 != 0:
        return math.copysign(_TYPICAL, value)
    return value


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
