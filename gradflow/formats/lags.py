"""Which lags are shown."""

from __future__ import annotations

import numpy as np

from gradflow.formats.look import Lags
from gradflow.numerics.arrays import Array

_ABOUT_20 = 24
_STEPS_PER_DECADE = (
    (10, 12, 15, 20, 25, 30, 40, 50, 60, 80),
    (10, 15, 20, 30, 50, 70),
    (10, 20, 30, 50),
    (10, 20, 50),
    (10, 30),
    (10,),
)


def choose_lags(T: int, lags: Lags) -> list[int]:
    """The lags to show of 0..T, ascending.

    `auto` gives 0, T and round numbers between them, evenly spaced on a log scale: all lags
    up to T = 20, at most 24 beyond.
    """
    if lags == "all" or (lags == "auto" and T <= 20):
        return list(range(T + 1))
    if lags == "auto":
        choices = (_round_lags(T, steps) for steps in _STEPS_PER_DECADE)
        return next(chosen for chosen in choices if len(chosen) <= _ABOUT_20)
    return sorted({lag for lag in lags if 0 <= lag <= T})


def _round_lags(T: int, steps: tuple[int, ...]) -> list[int]:
    """0, T, and the whole numbers among `steps` times a power of ten between them."""
    powers = range(-1, len(str(T)))
    scaled = (step * 10**power for power in powers for step in steps)
    return sorted({0, T, *(int(lag) for lag in scaled if lag <= T and lag == int(lag))})


def all_lags(T: int, lags: Lags) -> Array:
    """The lags that CSV and JSON hold, ascending: 0..T, or of a tuple those that are there."""
    return np.array(choose_lags(T, lags if isinstance(lags, tuple) else "all"), dtype=np.int64)
