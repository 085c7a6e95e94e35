"""What a measure found of one run, in plain data: curves against lag, and figures of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradflow.counts import many
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes


@dataclass(frozen=True, eq=False)
class Measured:
    """What a measure found of one run, or of one place of it.

    Attributes:
        curves: by column name, (T+1,) or (T,) against lag: Magnitudes, or floats, of which NaN is
            unknown; logarithms are to base 10, -inf at an exact zero.
        figures: by flat name, a number or a word; None: unknown.
        note: in a sentence why this net has no such thing, in which case all else is empty; or
            what there is to know of the numbers.
    """

    curves: Mapping[str, Array | Magnitudes] = field(default_factory=dict)
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    note: str | None = None

    def __repr__(self) -> str:
        """`<Measured: log10_direct_path, direct_share, 2 figures>`."""
        figures = [many(n, "figure") for n in (len(self.figures),) if n]
        notes = [] if self.note is None else [self.note]
        return f"<Measured: {', '.join([*self.curves, *figures, *notes])}>"
