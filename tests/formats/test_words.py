from __future__ import annotations

import math

import pytest
from made_results import made

from gradflow.formats import words
from gradflow.results import Diagnosis


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("1.0", "1.00"),
        ("0.99951", "1.00"),
        ("123.4", "123"),
        ("999.6", "1.0e+03"),
        ("0.0009999", "0.00100"),
        ("0.000999", "1.0e-03"),
        ("3.2e-05", "3.2e-05"),
        ("1.9296e-603", "1.9e-603"),
        ("9.96e+440", "1.0e+441"),
        ("1.2345678901234567e-30000000", "1.2e-30000000"),
        ("0.0", "0"),
        (0.0, "0"),
        ("", "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_short_numbers(number, shown):
    assert words.short(number) == shown


@pytest.mark.parametrize(
    ("rate", "interval", "shown"),
    [
        (0.9, (0.89, 0.92), "0.9000 ±0.0200"),
        (0.99991, (0.9999, 0.99992), "0.999910 ±0.000010"),
        (1.0, (1.0, 1.0), "1.0000 ±0.0000"),
        (0.5, None, "0.5000"),
        (2.5e-7, (2e-7, 3e-7), "2.5e-07 ±5.0e-08"),
        (None, None, "–"),
    ],
)
def test_rates_keep_the_digits_that_tell_them_from_one(rate, interval, shown):
    assert words.rate_with_error(Diagnosis("stable", rate, interval)) == shown


@pytest.mark.parametrize(
    ("half_life", "shown"),
    [(None, "–"), (0.868, "0.868"), (34.31, "34.3"), (13863.0, "13,863"), (3e8, "3.0e+08")],
)
def test_half_lives(half_life, shown):
    assert words.half_life(Diagnosis("stable", half_life=half_life)) == shown


@pytest.mark.parametrize(
    ("horizons", "shown"),
    [
        ((40, 40, None), "40"),
        ((40, 47, None), "40"),
        ((40, 50, None), "40 (typical 50)"),
        ((40, None, None), "40 (typical > 100)"),
        ((None, 60, None), "> 100 (typical 60)"),
        ((None, 90, None), "> 100"),
        ((None, None, 130), "> 100 (≈ 130)"),
        ((None, 60, 130), "> 100 (typical 60, ≈ 130)"),
        ((None, None, None), "> 100"),
    ],
)
def test_horizons(horizons, shown):
    horizon, typical, projected = horizons
    found = Diagnosis("stable", 0.99, None, None, horizon, typical, projected)
    assert words.horizon(made(T=100, diagnosis=found)) == shown


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("u-shaped", "– (U-shaped)"),
        ("bent", "– (bent)"),
        ("zero", "– (zero)"),
        ("short", "– (short)"),
    ],
)
def test_a_rate_that_is_missing_says_why_and_what_that_means(why, shown):
    found = Diagnosis("stable", no_rate=why)
    assert words.rate_with_error(found) == shown
    name = shown.removeprefix("– (").removesuffix(")")
    assert words.without_rate(found).startswith(f"none, {name}: ")
    (text,) = words.explanations([made(diagnosis=found)], interval="±")
    assert text.startswith(f"{name}: ")
