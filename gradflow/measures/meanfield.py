"""The mean-field theory of a random rnn, h_t = φ(g W h_{t-1} + drive_t) with W of variance 1/H.

In a wide net pre-activations are Gaussian over units, so that all of it follows from one number,
their mean square q: q' = g² ⟨φ(√q ζ)²⟩ + ⟨drive²⟩, and a cotangent's mean square changes by
χ = g² ⟨φ'(√q ζ)²⟩ a step (H. Sompolinsky, A. Crisanti and H. J. Sommers, Physical Review Letters
61, 1988; B. Poole et al., arXiv:1606.05340; S. Schoenholz et al., arXiv:1611.01232). The gradient
neither vanishes nor explodes where χ = 1. An orthogonal W has the same q and χ: what a state does
to one column says nothing of the next.

Averages over a unit Gaussian ζ are taken by the trapezoidal rule in y, ζ = ε sinh y: it converges
as Gauss-Hermite does, but also where φ' is a spike at 0 that lies between its nodes (q = 10^6).
Roots are bracketed and bisected here: it takes a few lines, and SciPy, which has them, a second of
start and 140 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from gradflow.equations.functions import FUNCTIONS, fresh
from gradflow.numerics.arrays import Array

_EPSILON, _STEP, _WIDEST = 1e-3, 1 / 16, 9.9
LARGEST = 1e12
"""A mean square that is taken to be infinite."""


_SHARES = {"linear": 1.0, "relu": 0.5}  # of a Gaussian's square that passes, whatever its size


@lru_cache(maxsize=1)
def nodes() -> tuple[Array, Array]:
    """ζ and weights of averages over a unit Gaussian."""
    y = np.arange(-_WIDEST, _WIDEST + _STEP / 2, _STEP)
    y -= y[len(y) // 2]  # 0 is a node
    zeta = _EPSILON * np.sinh(y)
    weights = np.exp(-(zeta**2) / 2) * np.cosh(y)
    return zeta, weights / weights.sum()


def value(activation: str, z: Array) -> Array:
    """φ(z)."""
    with np.errstate(over="ignore"):
        return fresh(activation, z)


def slope(activation: str, z: Array) -> Array:
    """φ'(z)."""
    out = np.empty_like(z)
    with np.errstate(all="ignore"):
        FUNCTIONS[activation].slope(z, value(activation, z), out)
    return out


def average(of: Callable[[str, Array], Array], activation: str, q: Array) -> Array:
    """⟨of(√q ζ)²⟩ for every q."""
    q = np.asarray(q, dtype=np.float64)
    if activation in _SHARES:
        share = np.full_like(q, _SHARES[activation])
        return share if of is slope else share * q
    zeta, weights = nodes()
    at = np.sqrt(q)[..., None] * zeta
    return np.asarray((of(activation, at) ** 2) @ weights)


def fixed_point(activation: str, g: float, drive: float) -> float:
    """The mean square q = g² ⟨φ²⟩ + drive that pre-activations settle at, `drive` the mean square
    of what the input and the biases add; infinite where they grow without bound."""

    def excess(q: float) -> float:
        return g * g * float(average(value, activation, np.array(q))) + drive - q

    low, high = 1e-14, max(1.0, 2 * drive)
    while excess(high) > 0:
        high *= 2
        if high > LARGEST:
            return math.inf
    if excess(low) <= 0:
        return drive
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
        if high <= low * (1 + 1e-14):
            break
    return high


def growth(activation: str, g: float, drive: float) -> float:
    """χ at the fixed point."""
    q = fixed_point(activation, g, drive)
    return g * g * float(average(slope, activation, np.array(min(q, LARGEST))))


def critical(activation: str, drive: float) -> float | None:
    """The least g at which χ crosses 1 with a drive of this mean square; None: nowhere between
    0.01 and 1000."""
    ladder = np.geomspace(1e-2, 1e3, 101)
    above = np.array([growth(activation, float(g), drive) >= 1 for g in ladder])
    if above[0] or not above.any():
        return None
    low, high = (float(ladder[int(above.argmax()) - k]) for k in (1, 0))
    while high > low * (1 + 1e-12):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if growth(activation, middle, drive) >= 1 else (middle, high)
    return high


def along(activation: str, g: float, q_h: Array, drive: Array) -> tuple[Array, Array]:
    """q and χ of every step and sample, (T, N), from the mean squares of the first states, (N,),
    and of the drive, (T, N)."""
    q, chi = np.empty_like(drive), np.empty_like(drive)
    for t, own in enumerate(drive):
        q[t] = g * g * q_h + own
        q_h = average(value, activation, np.minimum(q[t], LARGEST))
        chi[t] = g * g * average(slope, activation, np.minimum(q[t], LARGEST))
    return q, chi
