"""What bounds a number among a cell's options: a number, or another of its options."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.mistakes import At, Mistakes, nearest


class Sign(NamedTuple):
    """How a bound bounds: in words, whether a value is within, and the sign seen from the bound."""

    words: str
    holds: Callable[[Any, Any], bool]
    turned: str


SIGNS: Mapping[str, Sign] = {
    "gt": Sign("more than", operator.gt, "lt"),
    "ge": Sign("at least", operator.ge, "le"),
    "lt": Sign("less than", operator.lt, "gt"),
    "le": Sign("at most", operator.le, "ge"),
}
OR = "or"
"""A value that an option may have besides those within its bounds: `chrono: {ge: 2, or: 0}`."""

KINDS = (*SIGNS, OR)


class Bound(NamedTuple):
    """A bound at which a number is known.

    Attributes:
        sign: a key of SIGNS.
        number: what bounds.
        option: the option whose value that is; None: it is declared so.
    """

    sign: str
    number: float
    option: str | None = None

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return SIGNS[self.sign].holds(value, self.number)

    def __str__(self) -> str:
        number = f"{self.number:g}"
        found = number if self.option is None else f"{self.option}, which is {number}"
        return f"{SIGNS[self.sign].words} {found}"


def bounds_of(equations: Equations, option: str, chosen: Chosen) -> list[Bound]:
    """What bounds an option where the others have these values: what is declared of it, and what is
    declared of others by its name."""
    own = dict(equations.bounds).get(option, ())
    found = [
        Bound(sign, float(chosen[by]), by) if isinstance(by, str) else Bound(sign, by)
        for sign, by in own
        if sign != OR
    ]
    found += [
        Bound(SIGNS[sign].turned, float(chosen[other]), other)
        for other, bounds in equations.bounds
        for sign, by in bounds
        if by == option
    ]
    return found


def crossed(equations: Equations, chosen: Chosen) -> Iterator[tuple[str, str, str]]:
    """The options that are not on the right side of another: option, sign, the other."""
    for option, bounds in equations.bounds:
        for sign, by in bounds:
            if isinstance(by, str) and not SIGNS[sign].holds(chosen[option], chosen[by]):
                yield option, sign, by


def check_bounds(equations: Equations, mistakes: Mistakes) -> None:
    """Find bounds that are none, as a declaration from code may have them."""
    numbers = [name for name, given in equations.options if isinstance(given, float)]
    for option, bounds in equations.bounds:
        for sign, by in bounds:
            if option not in numbers or sign not in KINDS:
                message = f"expected {', '.join(KINDS)} of an option that is a number with a point"
                mistakes.add(f"bounds.{option}", At(1, 1), message)
            elif isinstance(by, str) and (by not in numbers or by == option or sign == OR):
                message = f"'{by}' is no other option with a point{nearest(by, numbers)}"
                mistakes.add(f"bounds.{option}.{sign}", At(1, 1), message)
