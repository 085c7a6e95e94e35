"""Sizes as they are written: `H`, `I`, whole numbers and their sums, numbers only later."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """h x H + i x I + n."""

    h: int = 0
    i: int = 0
    n: int = 0

    def at(self, H: int, I: int) -> int:  # noqa: E741 (I is the field's letter)
        """The number that it is for these sizes."""
        return self.h * H + self.i * I + self.n

    def plus(self, other: Size) -> Size:
        """The sum."""
        return Size(self.h + other.h, self.i + other.i, self.n + other.n)

    def minus(self, other: Size) -> Size:
        """The difference."""
        return Size(self.h - other.h, self.i - other.i, self.n - other.n)

    def times(self, other: Size) -> Size | None:
        """The product, where it is a size; None for H x H and the like."""
        for one, two in ((self, other), (other, self)):
            if one[:2] == (0, 0):
                return Size(one.n * two.h, one.n * two.i, one.n * two.n)
        return None

    def __str__(self) -> str:
        letters = [
            name if count == 1 else f"{count}*{name}"
            for count, name in ((self.h, "H"), (self.i, "I"))
            if count
        ]
        number = [str(self.n)] if self.n or not letters else []
        return " + ".join([*letters, *number]).replace("+ -", "- ")


ZERO, ONE, H, I = Size(), Size(n=1), Size(h=1), Size(i=1)  # noqa: E741

Shape = tuple[Size, ...]
"""() of a number, (n,) of a vector, (rows, columns) of a matrix."""


def spelled(shape: Shape) -> str:
    """A shape as a user writes it."""
    if len(shape) == 1:
        return str(shape[0])
    return f"[{', '.join(map(str, shape))}]" if shape else "a number"
