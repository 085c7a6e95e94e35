"""All passes, one after the other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from gradflow.equations.arrange import arrange
from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.differentiate import differentiate
from gradflow.equations.emit import Code, emit
from gradflow.equations.infer import infer
from gradflow.equations.initial import check_values
from gradflow.equations.mistakes import At, EquationsError, Mistakes
from gradflow.equations.reduce import reduce
from gradflow.equations.step import Step

T = TypeVar("T")

_DEEPEST = 50_000  # calls within each other
_STACK = 2**28  # bytes that they may take


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
    return _read(equations, tuple(options.items()))


@lru_cache(maxsize=256)
def _read(equations: Equations, options: tuple[tuple[str, float | int | str], ...]) -> Step:
    mistakes = Mistakes()
    chosen = dict(options)
    step = infer(equations, chosen, mistakes)
    if step is not None:
        check_values(equations, chosen, step.shapes, mistakes)
        mistakes.stop_if_any()
    if step is None:
        raise EquationsError(mistakes.found)
    return step


@lru_cache(maxsize=256)
def _compiled(equations: Equations, options: tuple[tuple[str, float | int | str], ...]) -> Compiled:
    return with_room(lambda: _passes(equations, dict(options)))


def _passes(equations: Equations, options: Chosen) -> Compiled:
    step = read(equations, options)
    reduced = reduce(step)
    derivatives = differentiate(reduced, [scale for scale, _ in equations.gauge])
    arranged = arrange(reduced, derivatives)
    return Compiled(step, emit(equations.name, step.state, reduced, derivatives, arranged))


def with_room(work: Callable[[], T]) -> T:
    """What `work` gives. Equations that follow from each other line after line are gone through in
    recursion, hundreds deep: where Python's limit ends that, once more in a thread with the room.

    Raises:
        EquationsError: that is not enough either.
    """
    try:
        return work()
    except RecursionError:
        pass
    found: list[T] = []
    errors: list[BaseException] = []

    def deep() -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_DEEPEST)
        try:
            found.append(work())
        except BaseException as error:  # raised by who waits
            errors.append(error)
        finally:
            sys.setrecursionlimit(limit)

    stack = threading.stack_size(_STACK)
    try:
        thread = threading.Thread(target=deep)
        thread.start()
    finally:
        threading.stack_size(stack)
    thread.join()
    if errors and isinstance(errors[0], RecursionError):
        mistakes = Mistakes()
        mistakes.add("step", At(1, 1), "its lines follow from each other too deeply: shorten it")
        raise EquationsError(mistakes.found)
    if errors:
        raise errors[0]
    return found[0]
