"""The typical factor per step of a net, and what its interval is of.

For each sample n the log of its own gradient norm, y[n, k], is a sum of increments d[n, k], whose
mean tends to the largest Lyapunov exponent (Furstenberg and Kesten, Annals of Mathematical
Statistics 31, 1960). Either end of the curve is bent: the first lags by the direction in which the
loss points, the last by the state that the net was started in. The RMS over the batch follows its
largest sample, so the mean of the logs is taken.

A window of the lags is looked for in which the mean curve is straight; a curve of fewer than 15
lags, which gets no interval, is read where it bends least. How the increments in it
change is read from their cosine sums C_j = sqrt(2/m) sum_i d_i cos(pi j (i - 1/2) / m), which of a
straight curve are of one size for all small j. Where samples scatter, a window of at least 9/10 of
the lags is straight if C_1 and C_2 are within what the scatter explains. Failing that, the longest
window of at least 6/10 is taken in which C_1 and C_2 are not above C_3 to C_6.

The rate is the mean over samples of the least-squares slopes. The half-width of its interval comes
from the scatter of samples and from the cosine sums of the mean curve, which hold what all samples
share (fixed-b asymptotics: Müller, Journal of Econometrics 141, 2007; Sun, Journal of Econometrics
178, 2014): from C_1..C_6 where the curve is straight by its scatter, and the larger of that and
what C_1, C_2 alone say where it may be bent. There is none where increments are few and follow each
other closely. `benchmarks/RESULTS.md` has how often it covers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gradflow.numerics.arrays import Array

_GRID = 20  # windows begin and end at multiples of T / 20
_STRAIGHT = 0.9  # of the lags, the least that a window straight by its scatter has
_LEAST = 0.6  # of the lags, the least that any window has
_SAMPLES = 8  # from so many on, their scatter says something
_COSINES = 6
FEWEST = 15  # the fewest increments that carry an interval; measured


class Window(NamedTuple):
    """The lags start..stop, and the cosine sums C_1..C_6 of the mean curve's increments there.

    Attributes:
        by_scatter: whether the samples' scatter says that it is straight.
    """

    start: int
    stop: int
    cosines: Array
    by_scatter: bool


class Rate(NamedTuple):
    """The slope of the typical curve in a window.

    Attributes:
        slope: natural logarithm of the factor per step.
        half_width: of the 95 % interval of the slope; None: the data cannot carry one.
        centre: the lag in the middle of the window.
        level: the fitted line there, a natural logarithm.
    """

    slope: float
    half_width: float | None
    centre: float
    level: float


def rate_of(y: Array) -> Rate | None:
    """The rate of the curves y (T+1, N), natural logarithms, all finite; None: none is straight."""
    if len(y) < 2:
        return None
    d = np.diff(y, axis=0)
    noise = 2.0**-48 * float(np.abs(y).max())  # what rounding makes of an increment
    scatters = y.shape[1] >= _SAMPLES and bool(
        np.any(d.std(axis=1) > noise + 1e-9 * np.abs(d).max())
    )
    window = _window(d, scatters, noise)
    if window is None and len(d) < FEWEST:
        window = _least_bent(d)  # too short for its bends to be known from chance
    if window is None or (not window.by_scatter and is_u_shaped(y)):
        return None
    start, stop = window.start, window.stop
    weights = _slope_weights(stop - start)
    slopes = weights @ d[start:stop]
    half_width = None
    if not (scatters and _is_too_slow(d[start:stop])):
        half_width = _half_width(window, slopes, weights, scatters, noise)
    return Rate(
        slope=float(slopes.mean()),
        half_width=half_width,
        centre=(start + stop) / 2,
        level=float(y[start : stop + 1].mean()),
    )


def _window(d: Array, scatters: bool, noise: float) -> Window | None:
    """The window in which the curve with the increments d (T, N) is straight."""
    T, N = d.shape
    mean = d.mean(axis=1)
    if scatters:
        for start, stop in _windows(T, _STRAIGHT):
            own = _cosine_sums(d[start:stop], 2)  # (2, N)
            error = own.std(axis=1, ddof=1) / math.sqrt(N)
            if np.all(np.abs(own.mean(axis=1)) <= 2 * error):
                return Window(start, stop, _cosine_sums(mean[start:stop]), by_scatter=True)
    for start, stop in _windows(T, _LEAST):
        sums = _cosine_sums(mean[start:stop])
        rest = math.sqrt(np.mean(sums[2:] ** 2)) if len(sums) > 2 else 0.0
        if np.all(np.abs(sums[:2]) <= 3 * rest + noise) or stop - start == 1:
            return Window(start, stop, sums, by_scatter=False)
    return None


def _least_bent(d: Array) -> Window:
    """The window in which the cosine sums are least conspicuous."""
    mean = d.mean(axis=1)
    found = ((a, b, _cosine_sums(mean[a:b])) for a, b in _windows(len(d), _LEAST))
    start, stop, sums = min(found, key=lambda window: float((window[2][:2] ** 2).sum()))
    return Window(start, stop, sums, by_scatter=False)


def _windows(T: int, least: float) -> Iterator[tuple[int, int]]:
    """(start, stop) of windows of at least this share of T increments, the longest first."""
    grid = sorted({round(T * i / _GRID) for i in range(_GRID + 1)})
    found = [(a, b) for a in grid for b in grid if b - a >= max(least * T, 1) - 1e-9]
    yield from sorted(found, key=lambda ends: (ends[0] - ends[1], ends[0]))


def _cosine_sums(d: Array, count: int = _COSINES) -> Array:
    """(count, ...): C_1, C_2, ... of the increments d (m, ...), or as many as there are, m - 1."""
    m = len(d)
    angles = np.pi * (np.arange(m) + 0.5) / m
    orders = np.arange(1, min(count, m - 1) + 1)
    return np.asarray(math.sqrt(2 / m) * (np.cos(np.outer(orders, angles)) @ d))


def _slope_weights(m: int) -> Array:
    """What each of m increments adds to the least-squares slope."""
    i = np.arange(1, m + 1, dtype=np.float64)
    return np.asarray(6 * i * (m + 1 - i) / (m * (m + 1.0) * (m + 2.0)))


def _half_width(
    window: Window, slopes: Array, weights: Array, scatters: bool, noise: float
) -> float | None:
    """Half of the 95 % interval of the mean slope."""
    m, N = len(weights), len(slopes)
    squares = window.cosines**2
    if m > 1 and not scatters and squares.max() <= noise**2:
        return 0.0  # an exactly straight curve
    if m < FEWEST:
        return None
    if window.by_scatter:
        counts: tuple[int, ...] = (6,)
    else:
        counts = (2, 6) if scatters else (2, 4)
    length = math.sqrt(float(weights @ weights))
    shared = max(_T95[n] * length * math.sqrt(squares[:n].mean()) for n in counts)
    if not scatters:
        return shared
    return max(shared, t95(N - 1) * float(slopes.std(ddof=1)) / math.sqrt(N))


_T95 = {2: 4.302652729749462, 4: 2.7764451051977934, 6: 2.4469118511449692}
"""The 97.5th percentile of Student's t, by degrees of freedom."""


def t95(df: int) -> float:
    """The same for df >= 7, to four digits: the expansion of Abramowitz and Stegun, 26.7.5."""
    z = 1.959963984540054
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / df**power for power, term in enumerate(terms))


def _is_too_slow(d: Array) -> bool:
    """Whether increments d (m, N) that scatter follow each other so closely, and are so few, that
    the start of the net may still be in all of them (leaky units, T of a few time constants)."""
    independent = _independent(d)
    return independent < min(60.0, 0.6 * len(d))


def _independent(d: Array) -> float:
    """To how many independent increments those of d (m, N) come by the correlation of neighbours,
    if that falls off exponentially."""
    rest = d - d.mean(axis=0)
    square = float(np.vdot(rest, rest))
    r = float(np.vdot(rest[1:], rest[:-1])) / square if square else 0.0
    return len(d) * (1 - r) / (1 + r)


def is_u_shaped(y: Array) -> bool:
    """Whether the curves y (T+1, N) fall at first and rise in the end, both beyond doubt: by three
    standard errors of the mean slope over a quarter of the lags, a tenth left out at either end."""
    d = np.diff(y, axis=0)
    end, quarter = len(d) // 10, max(len(d) // 4, 1)
    first, last = d[end : end + quarter], d[len(d) - end - quarter : len(d) - end]
    return _mean_and_error(first, 3) < 0 < _mean_and_error(last, -3)


def _mean_and_error(d: Array, errors: float) -> float:
    """The mean increment of d (m, N) plus so many standard errors."""
    if d.shape[1] >= _SAMPLES:
        own = d.mean(axis=0)
        return float(own.mean() + errors * own.std(ddof=1) / math.sqrt(len(own)))
    mean = d.mean(axis=1)
    count = max(_independent(mean[:, None]), 1.0)
    return float(mean.mean() + errors * mean.std() / math.sqrt(count))
