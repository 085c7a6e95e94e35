"""Names and rows: what the code calls its arrays, and which rows of the engine's they are."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gradflow.equations.sizes import Shape

RUNTIME = frozenset(
    [
        "np",
        "w",
        "views",
        "H",
        "I",
        "sigmoid",
        "rest_from",
        "sigmoid_slope_from",
        "fresh",
        "finite",
        "larger",
        "smaller",
        "normalise",
        "normalise_back",
        "merged",
    ]
)
"""Names that the code has already."""

_NAME = re.compile(r"[A-Za-z_]\w*")


class Entry(NamedTuple):
    """Rows of an array: as many as `shape` has entries."""

    name: str
    shape: Shape


class View(NamedTuple):
    """A name of the code: the rows of entries `first` to `last` of an array.

    form      shape
    rows      (..., rows, N)
    entries   (..., entries, rows of each, N)
    matrix    (..., a, b, N)
    merged    (..., a, b·N)
    """

    name: str
    array: str
    first: int
    last: int
    form: str = "rows"


@dataclass
class Names:
    """Names of one function, none given twice."""

    given: set[str] = field(default_factory=lambda: set(RUNTIME))

    def new(self, wanted: str) -> str:
        """`wanted`, or with a number behind it where it is taken."""
        wanted = "".join(c if c.isalnum() or c == "_" else "_" for c in wanted)[:40] or "v"
        name, count = wanted, 1
        while name in self.given or keyword.iskeyword(name) or keyword.issoftkeyword(name):
            count += 1
            name = f"{wanted}{count}"
        self.given.add(name)
        return name


@dataclass
class Rows:
    """The entries of one array, in order, each once."""

    array: str
    entries: list[Entry] = field(default_factory=list)
    at: dict[object, int] = field(default_factory=dict)

    def add(self, key: object, name: str, shape: Shape) -> int:
        """The number of the entry of `key`, made where it is not there."""
        if key not in self.at:
            self.at[key] = len(self.entries)
            self.entries.append(Entry(name, shape))
        return self.at[key]


@dataclass
class Views:
    """The views that one function is given, in order."""

    names: Names
    views: list[View] = field(default_factory=list)
    _by_key: dict[tuple[str, int, int, str], str] = field(default_factory=dict)

    def of(self, rows: Rows, keys: Sequence[object], wanted: str, form: str | None = None) -> str:
        """The name of the rows of these keys, which lie side by side."""
        first, last = rows.at[keys[0]], rows.at[keys[-1]]
        if form is None:
            form = "matrix" if len(rows.entries[first].shape) == 2 else "rows"
        key = (rows.array, first, last, form)
        if key not in self._by_key:
            name = self.names.new(wanted)
            self._by_key[key] = name
            self.views.append(View(name, *key))
        return self._by_key[key]

    def keep(self, lines: Sequence[str]) -> None:
        """Leave out the views that no line names."""
        named = {name for line in lines for name in _NAME.findall(line)}
        self.views = [view for view in self.views if view.name in named]
