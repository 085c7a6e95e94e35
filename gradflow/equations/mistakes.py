"""What is wrong with a text of equations, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gradflow import errors

_MOST = 50  # mistakes that are kept of one text


class At(NamedTuple):
    """A position in a text: line and column from 1, and how many characters are meant."""

    line: int
    column: int
    length: int = 1


class Mistake(NamedTuple):
    """One mistake: what it is in, where, and what was expected.

    `where` is `step`, `output`, or the key of a declaration, such as `parameters.W.init`.
    """

    where: str
    at: At
    message: str


class EquationsError(Exception):
    """Equations that cannot be compiled, with every mistake that was found."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        texts = (f"{m.where}:{m.at.line}:{m.at.column}: {m.message}" for m in self.mistakes)
        super().__init__("\n".join(texts))


@dataclass
class Mistakes:
    """Collects the mistakes of one declaration; one a position."""

    found: list[Mistake] = field(default_factory=list)
    _positions: set[tuple[str, int, int]] = field(default_factory=set)

    def add(self, where: str, at: At, message: str) -> None:
        """Something is wrong at `at`."""
        position = (where, at.line, at.column)
        if position not in self._positions and len(self.found) < _MOST:
            self._positions.add(position)
            self.found.append(Mistake(where, at, message))

    def stop_if_any(self) -> None:
        """Raise what was found."""
        if self.found:
            raise EquationsError(self.found)


def marked(text: str, at: At) -> str:
    """The line of `text` that is meant, and below it the position, marked."""
    lines = text.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    start, shown = at.column - 1, 100
    first = max(0, start - shown // 2)
    seen = line[first : first + shown].replace("\t", " ")
    length = max(1, min(at.length, len(seen) - (start - first)))
    return f"{seen}\n{' ' * (start - first)}{'^' * length}"


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'W_f'?`, or nothing where no known name is near."""
    near = errors.nearest(name, known)
    return "" if near is None or near == name else f": did you mean '{near}'?"
