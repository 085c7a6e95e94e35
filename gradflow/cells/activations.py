"""The nonlinearities and their derivatives, exact in relative terms also where they saturate.

Computed as 1 - h^2 or a(1 - a), a derivative loses all its digits once h or a rounds to 1; a
saturated net is just where a vanishing gradient is measured. Where the value is close to 1 the
derivative is therefore taken from the pre-activation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradflow.logspace import Array

_NEAR = 2.0**-7  # below this, the subtraction from 1 has cost 7 of the 53 bits


def sigmoid(z: Array, out: Array) -> Array:
    """1 / (1 + e^-z), into `out`; relative precision also where it is tiny."""
    np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.divide(1, out, out=out)  # np.reciprocal is not vectorised


def one_minus_sigmoid(z: Array, a: Array) -> Array:
    """1 - sigmoid(z), given a = sigmoid(z)."""
    rest: Array = 1 - a
    near = rest < _NEAR
    if near.any():
        rest[near] = 1 / (1 + np.exp(z[near]))
    return rest


def sigmoid_slope(z: Array, a: Array) -> Array:
    """d sigmoid / dz, given a = sigmoid(z)."""
    slope = one_minus_sigmoid(z, a)
    slope *= a
    return slope


def tanh_slope(z: Array, h: Array) -> Array:
    """d tanh / dz, given h = tanh(z)."""
    slope: Array = np.multiply(h, h)
    np.subtract(1, slope, out=slope)
    near = slope < _NEAR
    if near.any():
        e = np.exp(-2 * np.abs(z[near]))
        slope[near] = 4 * e / (1 + e) ** 2
    return slope


def _linear(z: Array, out: Array) -> Array:
    out[...] = z
    return out


def _linear_slope(z: Array, h: Array) -> Array:
    return np.ones_like(z)


def _relu(z: Array, out: Array) -> Array:
    return np.maximum(z, 0, out=out)


def _relu_slope(z: Array, h: Array) -> Array:
    return (z.real > 0).astype(z.dtype)  # 0 at z = 0, as PyTorch has it


class Activation(NamedTuple):
    """h = f(z): `value(z, out)` and `slope(z, h)`, element by element."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(lambda z, out: np.tanh(z, out=out), tanh_slope),
    "linear": Activation(_linear, _linear_slope),
    "relu": Activation(_relu, _relu_slope),
    "sigmoid": Activation(sigmoid, sigmoid_slope),
}
