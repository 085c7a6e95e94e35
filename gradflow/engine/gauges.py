"""Where gauges begin.

Where all that an entry m of a gauge scales is 0, as at the start, any m says the same, and weighs
nothing. An m of 0 would yet be what the first gates are compared with: one far below it would lose
its digits, and in the end all that comes in. So m is what the first step makes of -inf, by which
what comes in alone decides: as published code has it, which starts from -inf in effect.
"""

from __future__ import annotations

import numpy as np

from gradflow.cells.contract import Bound
from gradflow.cells.sized import SizedCell
from gradflow.numerics.arrays import Array, laid


def with_gauges(cell: SizedCell, w: Bound, x: Array, s: Array) -> Array:
    """A state (..., N, S_all) that the input `x` (..., N, I) comes after, with gauges that weigh
    nothing as this step has them; any other, and one that would be no number, as it is."""
    found = s
    for gauge, scaled in cell.gauge.items():
        rows = cell.parts[gauge].rows
        weightless = np.ones(s[..., rows].shape, dtype=bool)
        for part in scaled:
            own = s[..., cell.parts[part].rows]
            weightless &= ~own.reshape(*weightless.shape, -1).any(axis=-1)
        lowest = laid(s.copy())
        lowest[..., rows][weightless] = -np.inf
        with np.errstate(all="ignore"):
            m = cell.one_step(np.broadcast_to(x, (*s.shape[:-1], cell.I)), lowest, w, s.dtype)
        m = m[..., rows]
        found = laid(found.copy())
        np.copyto(found[..., rows], m, where=weightless & np.isfinite(m))
    return found
