"""What results are held to, in plain data: one figure of some runs, and its bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gradflow.results import Direction

Setting = str | float | bool

_PLACE = re.compile(r"(.+)_l([0-9]{1,9})(_reverse)?")
_WRITTEN = re.compile(r"\s*([A-Za-z_][\w.]*?)\s*(>=|<=|==?|≥|≤)\s*(\S+)\s*")


@dataclass(frozen=True)
class Wanted:
    """What one figure is to be.

    Attributes:
        figure: its flat name, without the place.
        place: (layer, direction) of a part of the net; None: the net as a whole.
        lag: of a column against lag.
        least, most: the bounds, themselves allowed.
        one_of: what it may be; words, or one number.
        where: the settings and options of the runs that are meant, by name the values allowed.
        allow_undecided: whether an interval that holds a bound passes.
        source, line: where it was asked for, as the user named it.
        item: its number in the list of expectations, from 0.
    """

    figure: str
    place: tuple[int, Direction] | None = None
    lag: int | None = None
    least: float | None = None
    most: float | None = None
    one_of: tuple[str | float, ...] = ()
    where: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    allow_undecided: bool = False
    source: str | None = None
    line: int | None = None
    item: int = 0

    @property
    def name(self) -> str:
        """The flat name, with the place: `rate_l0_reverse`."""
        if self.place is None:
            return self.figure
        layer, direction = self.place
        return f"{self.figure}_l{layer}" + ("_reverse" if direction == "reverse" else "")

    @property
    def what(self) -> str:
        """The name with the lag: `relative at lag 50`."""
        return self.name if self.lag is None else f"{self.name} at lag {self.lag}"

    @property
    def bounds(self) -> str:
        """What it is to be: `at least 100`."""
        if self.one_of:
            return " or ".join(one if isinstance(one, str) else f"{one:g}" for one in self.one_of)
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f"at least {self.least:g}" if self.most is None else f"at most {self.most:g}"

    @property
    def scope(self) -> str:
        """Which runs are meant: `cell lstm, ws_scale 1`; empty: every run."""
        return ", ".join(
            f"{name} {' or '.join(setting_text(value) for value in values)}"
            for name, values in self.where.items()
        )

    def matches(self, settings: Mapping[str, object]) -> bool:
        """Whether a run with these settings and options is meant."""
        return all(allows(values, name, settings) for name, values in self.where.items())


def setting_text(value: Setting) -> str:
    """A setting as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"


def allows(values: tuple[Setting, ...], name: str, settings: Mapping[str, object]) -> bool:
    """Whether one of the values is that of the setting; a cell's may be its type or its label."""
    if name not in settings:
        return False
    found = settings[name]
    if name == "cell":
        return found in values or str(found).partition("[")[0] in values
    # True is not 1 here.
    return any(isinstance(v, bool) == isinstance(found, bool) and v == found for v in values)


def strays(
    values: Sequence[Setting], name: str, settings: Iterable[Mapping[str, object]]
) -> list[int]:
    """Which of the values no run has, of runs with these settings and options."""
    found = [one[name] for one in settings if name in one]
    if name == "cell":
        found += [str(cell).partition("[")[0] for cell in found]
    there = {(isinstance(value, bool), value) for value in found}
    return [i for i, value in enumerate(values) if (isinstance(value, bool), value) not in there]


def without_place(name: str) -> tuple[str, tuple[int, Direction] | None]:
    """`rate_l0_reverse` as (`rate`, (0, `reverse`))."""
    found = _PLACE.fullmatch(name)
    if found is None:
        return name, None
    return found[1], (int(found[2]), "reverse" if found[3] else "forward")


def written(text: str) -> tuple[str, str, str] | None:
    """`horizon>=100` as its name, `min`, `max` or `is`, and the bound; None: it is not so."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    signs = {">=": "min", "≥": "min", "<=": "max", "≤": "max"}
    return found[1], signs.get(found[2], "is"), found[3]
