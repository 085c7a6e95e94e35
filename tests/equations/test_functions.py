"""Values and slopes keep their relative precision where they saturate."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from gradflow.equations.functions import (
    FUNCTIONS,
    larger,
    normalise,
    rest_from,
    sigmoid,
    sigmoid_slope_from,
    smaller,
)

POINTS = np.array([1e-8, 0.3, 1.0, 2.0, 2.77, 3.5, 5.0, 12.0, 19.0, 40.0, 150.0, 350.0])
POINTS = np.concatenate([-POINTS[::-1], POINTS])

mp = mpmath
EXACT = {
    "tanh": (mp.tanh, lambda z: 1 / mp.cosh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + mp.exp(-z)), lambda z: 1 / (2 + mp.exp(z) + mp.exp(-z))),
    "linear": (lambda z: z, lambda z: mp.mpf(1)),
    "relu": (lambda z: max(z, mp.mpf(0)), lambda z: mp.mpf(z > 0)),
    "hard_sigmoid": (lambda z: min(max(z / 6 + 0.5, 0), 1), lambda z: mp.mpf(abs(z) < 3) / 6),
    "keras2_hard_sigmoid": (
        lambda z: min(max(z / 5 + 0.5, 0), 1),
        lambda z: mp.mpf(abs(z) < 2.5) / 5,
    ),
    "softplus": (lambda z: mp.log1p(mp.exp(z)), lambda z: 1 / (1 + mp.exp(-z))),
    "exp": (mp.exp, mp.exp),
    "expm1": (mp.expm1, mp.exp),
    "log": (mp.log, lambda z: 1 / z),
    "sqrt": (mp.sqrt, lambda z: 1 / (2 * mp.sqrt(z))),
    "abs": (abs, lambda z: mp.sign(z)),
    "sin": (mp.sin, mp.cos),
    "cos": (mp.cos, lambda z: -mp.sin(z)),
}
POSITIVE = ("log", "sqrt")


def worst(values, exact):
    errors = [
        abs(v - e) / abs(e) if e else abs(mp.mpf(v)) for v, e in zip(values, exact, strict=True)
    ]
    return float(max(errors))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes_hold_from_rest_to_deep_saturation(name):
    z = POINTS[POINTS > 0] if name in POSITIVE else POINTS
    function, (value, slope_of) = FUNCTIONS[name], EXACT[name]
    h, slope = np.empty_like(z), np.empty_like(z)
    with np.errstate(all="ignore"):
        function.value(z, h)
        function.slope(z, h, slope)
    with mp.workdps(400):
        exact = [mp.mpf(float(point)) for point in z]
        assert worst(h, [value(e) for e in exact]) < 2e-15
        assert worst(slope, [slope_of(e) for e in exact]) < 2e-14


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_complex_step_gives_the_slope(name):
    z = POINTS[(POINTS > 0) & (POINTS < 30)] if name in POSITIVE else POINTS[abs(POINTS) < 30]
    function, step = FUNCTIONS[name], 1e-100
    h, slope, moved = np.empty_like(z), np.empty_like(z), np.empty_like(z + 0j)
    function.value(z, h)
    function.slope(z, h, slope)
    function.value(z + 1j * step, moved)
    np.testing.assert_allclose(moved.real, h, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(moved.imag / step, slope, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "hard_sigmoid"])
def test_a_complex_step_far_out_is_a_number_with_the_slope_there(name):
    z = np.array([-1e4, -800.0, -720.0, -696.0, -690.0, 690.0, 800.0, 1e4])
    function, h, moved = FUNCTIONS[name], np.empty_like(z), np.empty_like(z + 0j)
    with np.errstate(over="ignore", invalid="ignore"):
        function.value(z + 1e-5j, moved)
        function.value(z, h)
    np.testing.assert_allclose(moved.real, h, rtol=1e-9, atol=1e-307)
    assert np.isfinite(moved.imag).all()


def test_the_rest_of_a_sigmoid_is_exact_where_it_rounds_to_one():
    e, a, rest = (np.empty_like(POINTS) for _ in range(3))
    sigmoid(POINTS, e, a)
    rest_from(e, rest)
    with mp.workdps(400):
        assert worst(rest, [1 / (1 + mp.exp(mp.mpf(float(z)))) for z in POINTS]) < 1e-14


def test_relu_has_slope_zero_at_zero():
    z, slope = np.array([-1.0, -0.0, 0.0, 1e-300]), np.empty(4)
    FUNCTIONS["relu"].slope(z, z, slope)
    np.testing.assert_array_equal(slope, [0, 0, 0, 1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sigmoid_beyond_float_range_is_shut_and_has_no_slope(dtype):
    z = np.array([-1e4, -800.0, 800.0, 1e4], dtype)
    e, a, rest, slope = (np.empty_like(z) for _ in range(4))
    with np.errstate(over="ignore", divide="ignore"):
        sigmoid(z, e, a)
        rest_from(e, rest)
        sigmoid_slope_from(e, slope)
    np.testing.assert_array_equal(a, [0, 0, 1, 1])
    np.testing.assert_array_equal(rest[:2], 1)
    assert (rest[2:].astype(float) < 1e-300).all()
    np.testing.assert_array_equal(slope[:2], 0)
    assert (slope[2:].astype(float) < 1e-300).all()


@pytest.mark.parametrize("scale", [1.0, 1e15, 1e30, 1e37])
def test_what_is_normalised_may_have_squares_beyond_float_range(scale):
    v = (scale * np.random.default_rng(3).standard_normal((7, 4))).astype(np.float32)
    v[:, 0] /= scale  # its neighbours change nothing of a vector
    out, inverse = np.empty_like(v), np.empty((1, 4), np.float32)
    with np.errstate(over="ignore"):
        normalise(v, 1e-5, out, inverse)
    exact = v.astype(np.float64) - v.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt((exact**2).mean(axis=0) + 1e-5)
    np.testing.assert_allclose(out, exact / deviation, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(inverse[0], 1 / deviation, rtol=1e-5)


@pytest.mark.parametrize("name", ["sqrt", "log"])
def test_the_root_of_what_left_float_range_is_no_number(name):
    found = np.empty(2)
    FUNCTIONS[name].value(np.array([4.0, np.inf]), found)
    assert found[0] == getattr(np, name)(4.0)
    assert np.isnan(found[1])


@pytest.mark.parametrize("which", ["first", "second", "both"])
def test_at_a_kink_the_side_that_a_complex_step_goes_to_decides(which):
    """a - b is 1e-9, which is no more than the square of the step leaves; b - a moves by 1e-5i."""
    a, b = np.array([0.5 + 1e-9]), np.array([0.5])
    a = a - 1e-5j if which != "second" else a
    b = b + 1e-5j if which != "first" else b
    out = np.empty(1, complex)
    larger(a, b, out)
    np.testing.assert_array_equal(out, b)
    smaller(a, b, out)
    np.testing.assert_array_equal(out, a)
    larger(a + 1e-3, b, out)
    np.testing.assert_array_equal(out, a + 1e-3)
    smaller(a + 1e-3, b, out)
    np.testing.assert_array_equal(out, b)
