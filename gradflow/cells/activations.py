"""The nonlinearities and their derivatives, exact in relative terms also where they saturate.

Computed as 1 - h^2 or a(1 - a), a derivative loses all its digits once h or a rounds to 1; a
saturated net is just where a vanishing gradient is measured. So the logistic function hands on the
exponential that it took, of which 1 - a is a product; and where tanh is close to 1 its derivative
is taken from the pre-activation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradflow.columns import Array

_NEAR = 2.0**-7  # below this, the subtraction from 1 has cost 7 of the 53 bits


def sigmoid(z: Array, e: Array, out: Array) -> None:
    """a = 1 / (1 + e^-z) into `out`, and e^-z into `e`; relative precision also where a is tiny."""
    np.negative(z, out=e)
    np.exp(e, out=e)
    np.add(e, 1, out=out)
    np.divide(1, out, out=out)  # np.reciprocal is not vectorised


def one_minus_sigmoid(e: Array, a: Array, out: Array) -> None:
    """1 - a into `out`, from what `sigmoid` gave: e^-z / (1 + e^-z)."""
    np.multiply(e, a, out=out)
    if not np.isfinite(e.max()):  # e^-z has left float range, where a is 0
        out[np.isinf(e)] = 1


def sigmoid_slope(e: Array, a: Array, out: Array) -> None:
    """d sigmoid / dz into `out`, from what `sigmoid` gave."""
    one_minus_sigmoid(e, a, out)
    out *= a


def tanh_slope(z: Array, h: Array, out: Array) -> None:
    """d tanh / dz into `out`, given h = tanh(z)."""
    np.multiply(h, h, out=out)
    np.subtract(1, out, out=out)
    near = out < _NEAR
    if near.any():
        e = np.exp(-2 * np.abs(z[near]))
        out[near] = 4 * e / (1 + e) ** 2


class Activation(NamedTuple):
    """h = f(z), element by element: `value(z, out)` and `slope(z, h, out)`."""

    value: Callable[[Array, Array], object]
    slope: Callable[[Array, Array, Array], object]


def _linear_slope(z: Array, h: Array, out: Array) -> None:
    out[...] = 1


def _relu_slope(z: Array, h: Array, out: Array) -> None:
    np.greater(z.real, 0, out=out, casting="unsafe")  # 0 at z = 0, as PyTorch has it


def _sigmoid_slope(z: Array, h: Array, out: Array) -> None:
    with np.errstate(over="ignore"):
        e = np.exp(-z)
    sigmoid_slope(e, h, out)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(lambda z, out: np.tanh(z, out=out), tanh_slope),
    "linear": Activation(lambda z, out: np.copyto(out, z), _linear_slope),
    "relu": Activation(lambda z, out: np.maximum(z, 0, out=out), _relu_slope),
    "sigmoid": Activation(lambda z, out: sigmoid(z, out, out), _sigmoid_slope),
}
