"""The theory of `meanfield` for a leaky rnn, h_t = (1-a) h_{t-1} + a φ(g W h_{t-1} + drive_t).

What is kept makes pre-activations at different steps alike, so that it takes their covariance at
every distance τ, C(τ), in place of one number: that of h is the one of φ through the filter of the
leak, and that of z is g² of it plus the drive's (Sompolinsky et al. 1988). A cotangent's own
covariance κ(τ) e^{λ(t+t')} then solves, with E = e^λ and R(τ) = ⟨φ'(z_t) φ'(z_{t+τ})⟩,

    (E² + (1-a)²) κ(τ) - (1-a) E (κ(τ+1) + κ(τ-1)) = a² g² R(τ) κ(τ),

whose largest E is the rate: √χ where nothing leaks, and 1 - a + a g where φ is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gradflow.measures.meanfield import LARGEST, average, nodes, slope, value
from gradflow.numerics.arrays import Array

Of = Callable[[str, Array], Array]
_ORDERS = 48
_CLOSE = 1e-8
_MOST_ROUNDS = 200


class Leaky(NamedTuple):
    """The mean square of pre-activations, LARGEST where it grows without bound, and the rate."""

    q: float
    rate: float


def length_of(share: float) -> int:
    """How many distances say all of a covariance that decays with 1 - a a step."""
    return int(min(2048, max(64, 20 / share)))


def leaky(activation: str, g: float, share: float, drive: Array) -> Leaky:
    """The fixed point and the rate.

    Args:
        activation: φ.
        g: the gain of W_s.
        share: a.
        drive: (L,) the autocovariance of the drive at distances 0, 1, ...
    """
    keep = 1 - share
    C = _covariance(activation, g, share, drive)
    if C is None:
        C = np.full_like(drive, LARGEST)  # what grows without bound, grows alike at all steps
    q = float(C[0])
    return Leaky(q, _rate(keep, share * g, _gaussian(slope, activation, q, C)))


def critical(activation: str, share: float, drive: Array) -> float | None:
    """The g at which the rate is 1, to four digits; None: not between 0.1 and 100."""
    if activation == "linear":
        return 1.0  # 1 - a + a g

    def explodes(g: float) -> bool:
        return leaky(activation, g, share, drive).rate >= 1

    low, high = 0.1, 100.0
    if explodes(low) or not explodes(high):
        return None
    while high > low * (1 + 1e-4):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if explodes(middle) else (middle, high)
    return math.sqrt(low * high)


def _covariance(activation: str, g: float, share: float, drive: Array) -> Array | None:
    """(L,): C(τ) of pre-activations; None where they grow without bound."""
    L = len(drive)
    omega = np.pi * np.arange(L + 1) / L
    passed = share**2 / np.abs(1 - (1 - share) * np.exp(-1j * omega)) ** 2
    C = drive + np.where(np.arange(L) == 0, 1e-3, 0.0)
    for _ in range(_MOST_ROUNDS):
        phi = _gaussian(value, activation, float(C[0]), C)
        around = np.concatenate([phi, phi[-1:], phi[:0:-1]])  # of one period, 2 L
        h = np.fft.irfft(np.fft.rfft(around).real * passed, 2 * L)[:L]
        new = g * g * h + drive
        if not new[0] < LARGEST:
            return None
        if np.abs(new - C).max() <= _CLOSE * new[0] + 1e-300:
            return new
        C = new
    return C


@lru_cache(maxsize=1)
def _polynomials() -> Array:
    """(orders, nodes): normalised Hermite polynomials, times the weights of an average."""
    zeta, weights = nodes()
    found = [np.zeros_like(zeta), np.ones_like(zeta)]
    for n in range(_ORDERS - 1):
        found.append((zeta * found[-1] - math.sqrt(n) * found[-2]) / math.sqrt(n + 1))
    return np.array(found[1:]) * weights


def _gaussian(of: Of, activation: str, q: float, C: Array) -> Array:
    """⟨of(z) of(z')⟩ of Gaussian z, z' with variance q and covariances C, by Mehler's expansion;
    what its orders leave out of the mean square counts as of the next one."""
    rho = np.clip(C / q, -1, 1) if q > 0 else np.ones_like(C)
    squares = (_polynomials() @ of(activation, math.sqrt(q) * nodes()[0])) ** 2
    left = max(float(average(of, activation, np.array(q))) - squares.sum(), 0.0)
    return np.asarray(np.polynomial.polynomial.polyval(rho, [*squares, left]))


def _rate(keep: float, gain: float, R: Array) -> float:
    """The largest E."""
    low, high = keep, keep + gain * math.sqrt(R[0])
    while high > low * (1 + 1e-9) + 1e-300:
        middle = (low + high) / 2
        low, high = (low, middle) if _is_beyond(middle, keep, gain, R) else (middle, high)
    return high


def _is_beyond(E: float, keep: float, gain: float, R: Array) -> bool:
    """Whether E lies above every solution: whether what is left of the equation is positive
    definite, from the pivots of its tridiagonal matrix, even in τ and level at its end."""
    diagonal = (E * E + keep * keep - gain * gain * R).tolist()
    off_diagonal = keep * E
    diagonal[-1] -= off_diagonal
    pivot, squared = float(diagonal[0]), 2 * off_diagonal * off_diagonal
    for entry in diagonal[1:]:
        if pivot <= 0:
            return False
        pivot, squared = entry - squared / pivot, off_diagonal * off_diagonal
    return pivot > 0
