"""The nonlinearities and their derivatives, exact in relative terms also where they saturate.

Computed as 1 - h^2 or a(1 - a), a derivative loses all its digits once h or a rounds to 1; a
saturated net is just where a vanishing gradient is measured. So the logistic function hands on the
exponential e = e^-z that it took, in which nothing cancels:

    1 - σ(z) = 1 / (1 + 1/e)        σ'(z) = 1 / (2 + e + 1/e)        tanh'(z) = 4 / (e + 1/e)^2

Where there is no exponential, tanh' is taken from z where tanh is close to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradflow.columns import Array

_NEAR = 2.0**-7  # below this, the subtraction from 1 has cost 7 of the 53 bits


def sigmoid(z: Array, e: Array, out: Array) -> None:
    """a = 1 / (1 + e^-z) into `out`, and e^-z into `e`, which may be z itself; relative precision
    also where a is tiny."""
    np.negative(z, out=e)
    np.exp(e, out=e)
    np.add(e, 1, out=out)
    np.divide(1, out, out=out)  # np.reciprocal is not vectorised


def one_by_rest(e: Array, out: Array) -> None:
    """1 / (1 - sigmoid(z)) into `out`, from e = e^-z; this and the next need no warning of 1/0."""
    np.divide(1, e, out=out)
    out += 1


def twice_cosh(e: Array, out: Array) -> None:
    """e^z + e^-z into `out`, from e = e^-z: what both slopes are made of."""
    np.divide(1, e, out=out)
    out += e


def sigmoid_slope(cosh_2: Array) -> None:
    """d sigmoid / dz, in the place of `twice_cosh`."""
    cosh_2 += 2
    np.divide(1, cosh_2, out=cosh_2)


def tanh_slope(cosh_2: Array) -> None:
    """d tanh / dz, in the place of `twice_cosh`."""
    np.divide(2, cosh_2, out=cosh_2)
    cosh_2 *= cosh_2


def tanh_slope_at(z: Array, h: Array, out: Array) -> None:
    """d tanh / dz into `out`, given h = tanh(z) and no exponential."""
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
    twice_cosh(np.exp(-z), out)
    sigmoid_slope(out)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(lambda z, out: np.tanh(z, out=out), tanh_slope_at),
    "linear": Activation(lambda z, out: np.copyto(out, z), _linear_slope),
    "relu": Activation(lambda z, out: np.maximum(z, 0, out=out), _relu_slope),
    "sigmoid": Activation(lambda z, out: sigmoid(z, out, out), _sigmoid_slope),
}
