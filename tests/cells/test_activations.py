"""Values and slopes keep their relative precision where they saturate."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from gradflow.cells.activations import (
    ACTIVATIONS,
    one_by_rest,
    sigmoid,
    sigmoid_slope,
    tanh_slope,
    twice_cosh,
)

POINTS = np.array([0, 1e-8, 0.3, 1.0, 2.0, 2.77, 3.0, 5.0, 12.0, 19.0, 40.0, 150.0, 350.0])
POINTS = np.concatenate([-POINTS[::-1], POINTS])

EXACT = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "linear": lambda z: z,
    "relu": lambda z: mpmath.mpf(max(z, 0)),
}


def relative_errors(values, exact):
    return [float(abs(v - e) / e) if e else float(v != 0) for v, e in zip(values, exact)]  # noqa: B905


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_hold_from_rest_to_deep_saturation(name):
    activation = ACTIVATIONS[name]
    h, slope = np.empty_like(POINTS), np.empty_like(POINTS)
    activation.value(POINTS, h)
    activation.slope(POINTS, h, slope)
    with mpmath.workdps(400):
        exact = [EXACT[name](mpmath.mpf(z)) for z in POINTS]
        assert max(relative_errors(h, exact)) < 1e-15
        slopes = {
            "tanh": lambda y: 1 - y * y,
            "sigmoid": lambda y: y * (1 - y),
            "linear": lambda y: mpmath.mpf(1),
            "relu": lambda y: mpmath.mpf(y > 0),
        }
        exact_slopes = [slopes[name](y) for y in exact]
        assert max(relative_errors(slope, exact_slopes)) < 1e-14


def test_the_rest_of_a_sigmoid_is_exact_where_it_rounds_to_one():
    e, a, rest = (np.empty_like(POINTS) for _ in range(3))
    sigmoid(POINTS, e, a)
    one_by_rest(e, rest)
    rest = 1 / rest
    with mpmath.workdps(400):
        exact = [1 / (1 + mpmath.exp(mpmath.mpf(z))) for z in POINTS]
        assert max(relative_errors(rest, exact)) < 1e-14


def test_tanh_slope_from_an_exponential_holds_too():
    slope = np.empty_like(POINTS)
    twice_cosh(np.exp(-POINTS), slope)
    tanh_slope(slope)
    with mpmath.workdps(400):
        exact = [1 / mpmath.cosh(mpmath.mpf(z)) ** 2 for z in POINTS]
        assert max(relative_errors(slope, exact)) < 1e-14


def test_relu_has_slope_zero_at_zero():
    z, slope = np.array([-1.0, -0.0, 0.0, 1e-300]), np.empty(4)
    ACTIVATIONS["relu"].slope(z, z, slope)
    np.testing.assert_array_equal(slope, [0, 0, 0, 1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sigmoid_beyond_float_range_is_shut_and_has_no_slope(dtype):
    z = np.array([-1e4, -800.0, 800.0, 1e4], dtype)
    e, a, rest, slope = (np.empty_like(z) for _ in range(4))
    with np.errstate(over="ignore", divide="ignore"):
        sigmoid(z, e, a)
        one_by_rest(e, rest)
        rest = 1 / rest
        twice_cosh(e, slope)
        sigmoid_slope(slope)
    np.testing.assert_array_equal(a, [0, 0, 1, 1])
    np.testing.assert_array_equal(rest[:2], 1)
    assert (rest[2:].astype(float) < 1e-300).all()
    np.testing.assert_array_equal(slope[:2], 0)
    assert (slope[2:].astype(float) < 1e-300).all()
