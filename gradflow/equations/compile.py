"""All passes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gradflow.equations.arrange import arrange
from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.differentiate import differentiate
from gradflow.equations.emit import Code, emit
from gradflow.equations.infer import infer
from gradflow.equations.initial import check_values
from gradflow.equations.mistakes import EquationsError, Mistakes
from gradflow.equations.reduce import reduce
from gradflow.equations.step import Step


@dataclass(frozen=True, eq=False)
class Compiled:
    """A cell's code, and what was found about its parameters."""

    step: Step
    code: Code


def compiled(equations: Equations, options: Chosen) -> Compiled:
    """The code of a cell with its options chosen; EquationsError with every mistake."""
    return _compiled(equations, tuple(options.items()))


def read(equations: Equations, options: Chosen) -> Step:
    """The step of a cell with its options chosen: the passes in which mistakes are found, without
    those that write code. EquationsError with every mistake."""
    mistakes = Mistakes()
    step = infer(equations, options, mistakes)
    if step is not None:
        check_values(equations, options, step.shapes, mistakes)
        mistakes.stop_if_any()
    if step is None:
        raise EquationsError(mistakes.found)
    return step


@lru_cache(maxsize=256)
def _compiled(equations: Equations, options: tuple[tuple[str, float | int | str], ...]) -> Compiled:
    step = read(equations, dict(options))
    reduced = reduce(step)
    derivatives = differentiate(reduced, [scale for scale, _ in equations.gauge])
    arranged = arrange(reduced, derivatives)
    return Compiled(step, emit(equations.name, step.state, reduced, derivatives, arranged))
