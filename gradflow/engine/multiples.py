"""Parameters whose terms are multiples of another's: used in the same slot with the same operand.
They are measured as one, as often as they count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gradflow.cells.contract import Use
from gradflow.numerics.arrays import Array


def _is_simple(use: Use) -> bool:
    return use.kind != "diagonal" and not use.transposed and use[4:] == (1.0, False, 1)


def is_multiple(use: Use) -> bool:
    """Whether a use alone is a number times a whole slot's cotangent with its operand."""
    return _is_simple(use._replace(factor=1.0))


def counted(
    alone: Sequence[tuple[str, Use]],
) -> tuple[list[tuple[str, Use]], list[tuple[str, Use]], dict[int, float]]:
    """The simple uses that are measured by themselves, the multiples that are, and by their first
    row how often slots count for the multiples that are not."""
    slots: dict[int, dict[str, list[Use]]] = {}
    for curve, use in sorted(alone, key=lambda pair: pair[1].factor != 1):
        slots.setdefault(use.rows.start, {}).setdefault(curve, []).append(use)
    dropped: set[int] = set()
    times: dict[int, float] = {}
    for start, by_curve in slots.items():
        (_, *others), *more = by_curve.values()
        factors = sorted(use.factor for use in others)
        alike = all(sorted(use.factor for use in uses[1:]) == factors for uses in more)
        if factors and alike and all(map(_is_of_one, by_curve.values())):
            times[start] = math.sqrt(1 + sum(factor**2 for factor in factors))
            dropped |= {id(use) for uses in by_curve.values() for use in uses[1:]}
    left = [(curve, use) for curve, use in alone if id(use) not in dropped]
    simple = [pair for pair in left if _is_simple(pair[1])]
    return simple, [pair for pair in left if not _is_simple(pair[1])], times


def _is_of_one(uses: Sequence[Use]) -> bool:
    """Whether the terms of these uses of a slot are multiples of the first's."""
    first = uses[0]
    return _is_simple(first) and all(
        (use.rows, use.operand) == (first.rows, first.operand) for use in uses
    )


def rows_counted(by_curve: Mapping[str, Sequence[Use]], times: Mapping[int, float]) -> Array | None:
    """What each row of these slots counts, (rows, 1); None where all count once."""
    slots = next(iter(by_curve.values()))
    counts = [times.get(use.rows.start, 1.0) for use in slots]
    if all(count == 1 for count in counts):
        return None
    return np.repeat(counts, [use.rows.stop - use.rows.start for use in slots])[:, None]
