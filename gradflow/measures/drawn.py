"""How a measure is drawn, in plain data: what a figure's panels hold. Nothing here draws.

A measure's `drawn` is a list of panels, each of one of these kinds:

`Lags`      curves against lag, on a scale of powers of ten or of shares.
`Overlay`   one more curve in the panel of the gradient itself.
`Rows`      figures with a name each, side by side on one scale, with how far they spread.
`Spectrum`  figures in order, such as the exponents of one net, the largest first.

Where runs lie along a number (a heat map of a sweep), rows and spectra are drawn against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

Figures: TypeAlias = "Mapping[str, float | str | None]"
"""The figures of one run, as `Measured` has them."""


class Lags(NamedTuple):
    """Curves against lag.

    Attributes:
        title: of the panel.
        middle: the curve that is drawn in full, by its column.
        band: the columns of the lower and the upper edge of a band around it; None: no band.
        dashed: further columns, drawn dashed.
        named: what a curve is called at its end, by its column.
        relative: whether it is drawn over its own value at lag 0, as the gradient is.
        shares: whether the values are shares, on a plain scale from 0; else they are logarithms to
            base 10.
        label: what the scale is of, where that is not the relative gradient.
    """

    title: str
    middle: str
    band: tuple[str, str] | None = None
    dashed: tuple[str, ...] = ()
    named: Mapping[str, str] = {}
    relative: bool = False
    shares: bool = False
    label: str = "size"

    @property
    def columns(self) -> tuple[str, ...]:
        """All of its curves."""
        return (self.middle, *(self.band or ()), *self.dashed)


class Overlay(NamedTuple):
    """One more curve in the panel of the gradient: `column`, log10 of a gradient norm, dashed,
    called `name` at its end; where runs lie along `axis`, the figure `critical` is a value of it
    that is marked."""

    column: str
    name: str
    critical: str | None = None
    axis: str | None = None


class Row(NamedTuple):
    """One figure: its name, its value, and from where to where it spreads; `said`: in words."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    said: str = ""


class Rows(NamedTuple):
    """Figures with a name each.

    Attributes:
        title: of the panel.
        label: what their scale is of.
        of: from the figures of a run to the rows that it has.
        ends: of the scale, where that has its own ends; None: from 0 to the largest.
        mark: a value that means something, such as a factor of 1.
    """

    title: str
    label: str
    of: Callable[[Figures], Sequence[Row]]
    ends: tuple[float, float] | None = None
    mark: float | None = None


class Spectrum(NamedTuple):
    """Figures in order.

    Attributes:
        title: of the panel.
        label: what their scale is of.
        of: from the figures of a run to its values in order, each with how far it spreads (NaN:
            unknown).
        mark: a value that means something, such as an exponent of 0.
        said: what else there is to say of a run, in a line.
    """

    title: str
    label: str
    of: Callable[[Figures], Sequence[tuple[float, float]]]
    mark: float | None = None
    said: Callable[[Figures], str] = lambda figures: ""


Drawn: TypeAlias = "Lags | Overlay | Rows | Spectrum"


def numbered(figures: Figures, name: str) -> list[float]:
    """`name_1`, `name_2`, ... as far as they go; NaN where one is unknown."""
    found: list[float] = []
    while (key := f"{name}_{len(found) + 1}") in figures:
        value = figures[key]
        found.append(float(value) if isinstance(value, int | float) else float("nan"))
    return found


def known(figures: Figures, name: str) -> float | None:
    """A figure that is a number; None if there is none."""
    value = figures.get(name)
    return float(value) if isinstance(value, int | float) else None
