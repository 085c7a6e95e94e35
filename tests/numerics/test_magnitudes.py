from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies
from numpy.testing import assert_allclose, assert_array_equal

from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes

EXACT = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN)
mantissas = strategies.floats(0.5, 1, exclude_max=True)
exponents = strategies.integers(-(10**7), 10**7)


def exact(mantissa, exponent):
    """`mantissa * 2**exponent` to 60 digits."""
    return EXACT.multiply(Decimal(mantissa), EXACT.power(Decimal(2), exponent))


@given(mantissas, exponents.filter(lambda e: not -1021 <= e <= 1024))
def test_texts_past_float_range_are_the_number_correctly_rounded_to_17_digits(mantissa, exponent):
    [text] = Magnitudes.of([mantissa], exponent).texts()
    rounded = Context(prec=17, Emax=MAX_EMAX, Emin=MIN_EMIN).plus(exact(mantissa, exponent))
    assert Decimal(text) == rounded
    assert len(text.partition("e")[0]) == 18


@given(mantissas, exponents)
def test_texts_read_back_to_the_very_same_number(mantissa, exponent):
    [text] = Magnitudes.of([mantissa], exponent).texts()
    with mpmath.workprec(53):
        back = mpmath.mpf(text)
    assert mpmath.frexp(back) == (mantissa, exponent)


@given(strategies.floats(min_value=2.3e-308, allow_infinity=False, allow_nan=False))
def test_texts_within_float_range_are_pythons_own(value):
    assert Magnitudes.of([value]).texts() == [repr(value)]


@pytest.mark.parametrize("sign", [-1, 1])
def test_texts_beside_a_power_of_ten_are_correctly_rounded(sign):
    """The floats nearest 10**tens and their neighbours, some of which round up to it."""
    rounding = Context(prec=17, Emax=MAX_EMAX, Emin=MIN_EMIN)
    carried = 0
    for tens in range(310, 700):
        exponent = math.floor(sign * tens * math.log2(10)) + 1
        power = EXACT.power(Decimal(2), exponent)
        nearest = float(EXACT.divide(Decimal(f"1e{sign * tens}"), power))
        for mantissa in (math.nextafter(nearest, 0), nearest, math.nextafter(nearest, 1)):
            [text] = Magnitudes.of([mantissa], exponent).texts()
            number = exact(mantissa, exponent)
            assert Decimal(text) == rounding.plus(number)
            assert text[1] == "."
            carried += Decimal(text).adjusted() > number.adjusted()
    assert carried > 5


def test_texts_of_zero_nan_and_numbers_of_all_sizes_stand_in_order():
    numbers = Magnitudes.of([1.5, 0.0, math.nan, 0.75, math.nan, 1.0], [0, 9, 0, -2000, 3000, 2000])
    assert numbers.texts() == [
        "1.5",
        "0.0",
        "",
        "6.5323573621629125e-603",
        "",
        "1.1481306952742545e+602",
    ]
    assert Magnitudes.of([]).texts() == []


def test_zero_loses_every_maximum_and_is_exactly_zero():
    zero = Magnitudes.of([0.0], 10**6)
    assert zero.exponent[0] == ZERO_EXPONENT
    assert zero.floats()[0] == 0
    assert zero.log10()[0] == -math.inf
    assert zero.sqrt().texts() == ["0.0"]


@given(mantissas, exponents)
def test_log10_is_right_to_float_precision(mantissa, exponent):
    with mpmath.workprec(200):
        expected = float(mpmath.log10(mpmath.mpf(mantissa)) + exponent * mpmath.log10(2))
    log = Magnitudes.of([mantissa], exponent).log10()
    assert_allclose(log, [expected], rtol=4e-16, atol=4e-16)


@given(mantissas, exponents, mantissas, exponents)
def test_ratio_is_the_ratio_of_mantissas_rounded_once(m, e, by_m, by_e):
    ratio = Magnitudes.of([m], e) / Magnitudes.of([by_m], by_e)
    with mpmath.workprec(53):
        expected = mpmath.frexp(mpmath.ldexp(mpmath.mpf(m) / by_m, e - by_e))
    assert (ratio.mantissa[0], ratio.exponent[0]) == expected


@given(mantissas, exponents)
def test_square_root_is_correctly_rounded(mantissa, exponent):
    root = Magnitudes.of([mantissa], exponent).sqrt()
    with mpmath.workprec(53):
        expected = mpmath.frexp(mpmath.sqrt(mpmath.ldexp(mpmath.mpf(mantissa), exponent)))
    assert (root.mantissa[0], root.exponent[0]) == expected


def test_ratios_with_zero():
    a, b = Magnitudes.of([0.0, 0.0, 3.0]), Magnitudes.of([2.0, 0.0, 0.0])
    assert_array_equal((a / b).floats(), [0, math.nan, math.inf])
    assert_array_equal(a.per(b).floats(), [0, math.nan, math.nan])


@pytest.mark.parametrize(("exponent", "expected"), [(5000, math.inf), (-5000, 0.0), (3, 6.0)])
def test_floats_saturate_where_float_range_ends(exponent, expected):
    assert Magnitudes.of([0.75], exponent).floats().tolist() == [expected]


def test_indexing_and_shape_follow_the_array():
    numbers = Magnitudes.of(np.arange(6.0).reshape(2, 3))
    assert numbers.shape == (2, 3)
    assert len(numbers) == 2
    assert numbers[1].texts() == ["3.0", "4.0", "5.0"]
    assert numbers[1, 2].shape == ()
