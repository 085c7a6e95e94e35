"""What NumPy is asked of numbers of any size, against mpmath."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from gradflow.numerics.magnitudes import Magnitudes

ONE = Magnitudes.of(np.ones(1))
SMALL = Magnitudes.of(np.array([0.5]), -3000)
GRID = Magnitudes.of(
    np.array([[0.5, 0.75, 0.7], [0.75, 0.0, 0.6]]), [[-3000, 9, 3], [-3000, 0, 4000]]
)


def exactly(number):
    return mpmath.ldexp(mpmath.mpf(float(number.mantissa)), int(number.exponent))


@pytest.mark.parametrize(
    "power", [2, 0.3, 512, 513, -513, -1000, 12345.678, 1e6, 1e9 + 0.5, -3.7e11]
)
def test_powers_keep_their_digits(power):
    rng = np.random.default_rng(0)
    numbers = Magnitudes.of(rng.uniform(0.5, 1, 9), rng.integers(-1000, 1000, 9))
    raised = numbers**power
    with mpmath.workdps(60):
        for base, found in zip(numbers, raised, strict=True):
            assert abs(exactly(found) / exactly(base) ** mpmath.mpf(power) - 1) < 5e-16
    assert np.array_equal((numbers ** np.full(9, power)).log10(), raised.log10())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (SMALL / 0, math.inf), (SMALL * np.inf, math.inf), (SMALL / np.inf, 0), (0 / SMALL, 0),
        (np.inf / SMALL, math.inf), (SMALL * 0 / 0, math.nan), (SMALL * 0 * 3, 0),
        (SMALL**0, 1), ((SMALL * 0) ** 0, 1), ((SMALL * 0) ** -1, math.inf), (SMALL**np.inf, 0),
        ((SMALL / 0) ** -2, 0), (SMALL**1e300, 0), (SMALL**-1e300, math.inf),
        (SMALL + np.inf, math.inf),
        (np.maximum(SMALL, np.nan), math.nan), (np.fmax(np.nan, ONE), 1),
        (np.fmin(ONE, np.nan), 1), (np.reciprocal(SMALL) * SMALL, 1),
    ],
)  # fmt: skip
def test_ends_of_the_range_are_as_of_floats(found, expected):
    np.testing.assert_array_equal(np.asarray(found), [expected])


def test_zeros_among_others_change_none():
    mixed = Magnitudes.of(np.array([0.5, 0.0, 0.5]), [-3000, 0, 3000])
    for found, log2 in (
        (mixed**-1, [3001, math.inf, -2999]),
        (1 / mixed, [3001, math.inf, -2999]),
        (mixed ** np.array([2.0, 2, -1]), [-6002, -math.inf, -2999]),
        (mixed / [1, 1, 0], [-3001, -math.inf, math.inf]),
    ):
        np.testing.assert_allclose(np.log2(found), log2, rtol=1e-15)


@pytest.mark.parametrize(
    ("factor", "log2"),
    [(Fraction(1, 2), -3002), (Decimal(2), -3000), (2**3001, 0), (Decimal(2) ** -4000, -7001),
     (Fraction(1, 2**4000), -7001), (np.array([2.0]), -3000), (True, -3001)],
)  # fmt: skip
def test_other_kinds_of_numbers_are_factors_at_any_size(factor, log2):
    for product in (SMALL * factor, factor * SMALL):
        np.testing.assert_allclose(np.log2(product), [log2], rtol=1e-15)
    np.testing.assert_array_equal((factor * SMALL / factor).log10(), SMALL.log10())
    assert (SMALL * Decimal(-1)).tolist() == [0.0]
    assert (Decimal(1) / 10**300 > SMALL).all()


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), ()])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("of", [np.max, np.min])
def test_extremes_along_an_axis(of, axis, keepdims):
    found = of(GRID, axis=axis, keepdims=keepdims)
    expected = of(np.log2(GRID), axis=axis, keepdims=keepdims)  # the logarithm keeps the order
    np.testing.assert_array_equal(np.log2(found), expected)
    assert of(GRID, axis=1, initial=2.0).shape == (2,)
    with pytest.raises(np.exceptions.AxisError):
        of(GRID, axis=2)


def test_truth_is_the_same_everywhere():
    assert bool(SMALL)
    assert SMALL.any()
    assert np.any(SMALL)
    assert np.all(SMALL)
    assert not np.logical_not(SMALL).any()
    assert np.logical_and(SMALL, True).all()
    assert GRID.all(axis=1).tolist() == [True, False]
    assert [at.tolist() for at in np.nonzero(GRID)] == [[0, 0, 0, 1, 1], [0, 1, 2, 0, 2]]
    assert (GRID != 0).sum() == 5
    assert np.isfinite(GRID).all()


def test_in_place_arithmetic_makes_new_ones():
    curve = first = Magnitudes.of(np.array([0.5, 0.5]), [-3000, -3001])
    curve /= curve[0]
    assert curve.tolist() == [1, 0.5]
    curve *= 4
    curve += 1
    curve **= 2
    curve -= 1
    assert curve.tolist() == [24, 8]
    assert np.log2(first).tolist() == [-3001, -3002]


def test_they_may_not_be_changed():
    with pytest.raises(TypeError, match="Magnitudes may not be changed"):
        GRID[0] = 1
    assert not GRID.flags.writeable
    with pytest.raises(TypeError, match="unhashable"):
        hash(GRID)
    assert hash(SMALL[0]) == hash(SMALL[0] * 1)


def test_formats_and_logarithms_of_single_ones():
    assert f"{SMALL:.2e}" == "Magnitudes([4.06e-904])"
    assert f"{GRID[1]:.0f}".startswith("Magnitudes([0, 0, 79")
    assert f"{SMALL[0] / 0:.2e} {SMALL[0] / 0} {SMALL**-1:.1e}" == "inf inf Magnitudes([2.5e+903])"
    assert json.dumps(SMALL[0].log10()) == repr(float(SMALL.log10()[0]))
    assert isinstance(np.log(SMALL[0]), float)
