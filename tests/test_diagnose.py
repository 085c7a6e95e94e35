from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradflow.diagnose import diagnose
from gradflow.logspace import ZERO_EXPONENT, Magnitudes
from gradflow.results import GradientFlow

BOUNDS = (1e-3, 1e3)


def flow_of(log2):
    """A flow whose state gradient is 2**log2 at each lag; -inf is an exact zero."""
    log2 = np.asarray(log2, dtype=np.float64)
    zero = np.isneginf(log2)
    whole = np.floor(np.where(zero, 0, log2))
    mantissa = np.where(zero, 0, np.exp2(np.where(zero, 0, log2) - whole) / 2)
    exponent = np.where(zero, ZERO_EXPONENT, whole.astype(np.int64) + 1)
    return GradientFlow(Magnitudes(mantissa, exponent), {}, {}, np.zeros(0), {})


@pytest.mark.parametrize("bits", [-7, -1, 0, 1, 5])
@pytest.mark.parametrize("T", [3, 50, 5000])
def test_the_rate_of_an_exact_exponential_is_exact_and_certain(bits, T):
    found = diagnose(flow_of(bits * np.arange(T + 1) + 40), BOUNDS)
    assert_allclose(found.rate, 2.0**bits, rtol=1e-12)
    assert_allclose(found.rate_ci, (2.0**bits, 2.0**bits), rtol=1e-11)
    assert found.half_life == (pytest.approx(-1 / bits, rel=1e-12) if bits < 0 else None)


def test_the_interval_covers_the_true_rate_about_95_times_in_a_hundred():
    rng = np.random.default_rng(2024)
    draws, T, drift, spread = 400, 200, -0.3, 0.2
    covered = 0
    for _ in range(draws):
        steps = drift + spread * rng.standard_normal(T)
        low, high = diagnose(flow_of(np.concatenate([[0], np.cumsum(steps)])), BOUNDS).rate_ci
        covered += low <= 2.0**drift <= high
    assert 0.88 <= covered / draws <= 0.99


def test_the_interval_narrows_with_the_length():
    rng = np.random.default_rng(1)
    steps = -0.3 + 0.2 * rng.standard_normal(10_000)
    widths = []
    for T in (100, 1000, 10_000):
        low, high = diagnose(flow_of(np.cumsum(steps[:T])), BOUNDS).rate_ci
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


@pytest.mark.parametrize(
    ("log2", "horizon", "verdict"),
    [
        (-np.arange(101.0), 10, "vanishing"),  # 2^-10 is the first below 1e-3
        (np.arange(101.0), 10, "exploding"),  # 2^10 is the first above 1e3
        (-np.arange(10.0), None, "stable"),
        (np.zeros(50), None, "stable"),
        ([0, 5, -11, 3, 20], 2, "vanishing"),  # the first crossing decides
        ([0, 11, -20], 1, "exploding"),
        (3000 - 400 * np.arange(20.0), 1, "vanishing"),  # past float range
    ],
    ids=str,
)
def test_the_horizon_is_the_first_lag_beyond_the_thresholds(log2, horizon, verdict):
    found = diagnose(flow_of(log2), BOUNDS)
    assert (found.horizon, found.verdict) == (horizon, verdict)


def test_the_thresholds_are_the_users():
    curve = flow_of(-np.arange(101.0))
    assert diagnose(curve, (0.4, 2.0)).horizon == 2
    assert diagnose(curve, (1e-300, 2.0)).horizon is None
    assert diagnose(curve, (0.5, 2.0)).horizon == 2  # at the bound is still within


def test_an_exact_zero_ends_the_fit_and_is_beyond_any_threshold():
    log2 = np.where(np.arange(30) < 6, -np.arange(30.0), -np.inf)
    found = diagnose(flow_of(log2), BOUNDS)
    assert (found.verdict, found.horizon) == ("vanishing", 6)
    assert found.rate == pytest.approx(0.5, rel=1e-12)


def test_a_gradient_that_is_zero_from_the_start_vanishes_at_lag_0():
    found = diagnose(flow_of(np.full(20, -np.inf)), BOUNDS)
    assert (found.verdict, found.horizon) == ("vanishing", 0)
    assert (found.rate, found.rate_ci, found.half_life) == (None, None, None)


@pytest.mark.parametrize("T", [1, 2])
def test_too_few_lags_give_a_rate_without_an_interval(T):
    found = diagnose(flow_of(-np.arange(T + 1.0)), BOUNDS)
    assert found.rate == pytest.approx(0.5, rel=1e-12)
    assert found.rate_ci is None
    assert found.verdict == "stable"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_curve_no_number_is_nan(seed):
    rng = np.random.default_rng(seed)
    log2 = rng.normal(0, 10.0 ** rng.integers(0, 6), size=rng.integers(2, 40))
    log2[rng.random(len(log2)) < 0.3] = -np.inf
    found = diagnose(flow_of(log2), BOUNDS)
    numbers = [found.rate, *(found.rate_ci or ()), found.half_life]
    assert not any(math.isnan(number) for number in numbers if number is not None)
    assert found.verdict in ("vanishing", "exploding", "stable")
    if found.rate_ci is not None:
        assert found.rate_ci[0] <= found.rate * (1 + 1e-12)
        assert found.rate <= found.rate_ci[1] * (1 + 1e-12)
