"""A cell with its options chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gradflow.cells.contract import Params
from gradflow.cells.sized import SizedCell
from gradflow.equations.compile import Compiled, compiled
from gradflow.equations.declaration import Equations
from gradflow.equations.mistakes import EquationsError


@dataclass(frozen=True)
class Cell:
    """A cell with its options chosen."""

    equations: Equations
    chosen: tuple[tuple[str, float | int | str], ...]

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
        """Its code; where the equations hold for these numbers alone (x_t beside h), code for
        them."""
        try:
            return self.compiled
        except EquationsError as wrong:
            try:
                return compiled(self.equations, {**self.options, "H": H, "I": I})
            except EquationsError:
                raise wrong from None

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
        raise ValueError("no parameter tells H: give the cell sized, cell.sized(H, I)")


@lru_cache(maxsize=256)
def sized(cell: Cell, H: int, I: int) -> SizedCell:  # noqa: E741
    """The cell for these sizes, made once."""
    return SizedCell(cell, cell.compiled_for(H, I), H, I)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
