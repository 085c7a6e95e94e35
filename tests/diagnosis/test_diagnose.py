from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradflow.diagnosis import diagnose
from gradflow.diagnosis.diagnose import leaves
from gradflow.measures.batch import over_batch
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from gradflow.results import GradientFlow

BOUNDS = (1e-3, 1e3)


def flow_of(log2):
    """A flow whose state gradient is 2**log2 at each lag; -inf is an exact zero."""
    log2 = np.asarray(log2, dtype=np.float64)
    zero = np.isneginf(log2)
    whole = np.floor(np.where(zero, 0, log2))
    mantissa = np.where(zero, 0, np.exp2(np.where(zero, 0, log2) - whole) / 2)
    exponent = np.where(zero, ZERO_EXPONENT, whole.astype(np.int64) + 1)
    samples = log2[:, None] * math.log(2)
    state = Magnitudes(mantissa, exponent)
    return over_batch(GradientFlow(state, {}, {}, np.zeros(0), {}, log_samples=samples))


@pytest.mark.parametrize("bits", [-7, -1, 0, 1, 5])
@pytest.mark.parametrize("T", [2, 3, 50, 5000])
def test_the_rate_of_an_exact_exponential_is_exact_and_certain(bits, T):
    found = diagnose(flow_of(bits * np.arange(T + 1) + 40), BOUNDS)
    assert_allclose(found.rate, 2.0**bits, rtol=1e-12)
    assert_allclose(found.rate_ci, (2.0**bits, 2.0**bits), rtol=1e-11)
    assert found.half_life == (pytest.approx(-1 / bits, rel=1e-12) if bits < 0 else None)


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


def test_an_exact_zero_is_beyond_any_threshold_and_leaves_no_rate():
    log2 = np.where(np.arange(30) < 6, -np.arange(30.0), -np.inf)
    found = diagnose(flow_of(log2), BOUNDS)
    assert (found.verdict, found.horizon, found.horizon_typical) == ("vanishing", 6, 6)
    assert (found.rate, found.no_rate) == (None, "zero")


def test_a_gradient_that_is_zero_from_the_start_vanishes_at_lag_0():
    found = diagnose(flow_of(np.full(20, -np.inf)), BOUNDS)
    assert (found.verdict, found.horizon) == ("vanishing", 0)
    assert (found.rate, found.rate_ci, found.half_life) == (None, None, None)


@pytest.mark.parametrize("log2", [[0, -1], [0, -0.5, -2]])
def test_too_few_lags_give_a_rate_without_an_interval(log2):
    """Two points lie on a line, whatever they are; three seldom do."""
    found = diagnose(flow_of(log2), BOUNDS)
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


def batch_of(samples):
    """A flow whose samples are these natural logarithms (T+1, N)."""
    samples = np.asarray(samples, dtype=np.float64)
    rms = np.sqrt(np.mean(np.exp(2 * samples), axis=1))
    return over_batch(
        GradientFlow(Magnitudes.of(rms), {}, {}, np.zeros(0), {}, log_samples=samples)
    )


def test_the_horizon_of_the_typical_sample_is_not_that_of_the_largest():
    lags = np.arange(101.0)
    samples = np.stack([-0.2 * lags] * 9 + [0.0 * lags], axis=1)
    found = diagnose(batch_of(samples), BOUNDS)
    assert (found.horizon, found.horizon_typical) == (None, 39)  # 0.18 k > ln 1000
    assert found.rate == pytest.approx(math.exp(-0.18), rel=1e-12)


def test_samples_that_die_are_left_out_of_the_rate():
    lags = np.arange(61.0)
    samples = np.stack([-0.1 * lags] * 6 + [0.3 * lags] * 4, axis=1)
    samples[20:, 6:] = -np.inf
    found = diagnose(batch_of(samples), BOUNDS)
    assert found.rate == pytest.approx(math.exp(-0.1), rel=1e-12)
    samples[30:, 5] = -np.inf
    assert diagnose(batch_of(samples), BOUNDS).no_rate is None  # half of them are alive
    samples[30:, 4] = -np.inf
    assert diagnose(batch_of(samples), BOUNDS).no_rate == "zero"


def test_how_far_one_loss_reaches_is_read_in_place_of_the_curve():
    """Where losses at many steps were followed each by itself."""
    curve = flow_of(np.zeros(31))
    reach = -0.1 * np.arange(31.0)[:, None] * np.ones(4)
    found = diagnose(replace(curve, log_reach=reach), BOUNDS)
    assert (found.verdict, found.horizon, found.of_reach) == ("stable", None, True)
    assert found.rate == pytest.approx(math.exp(-0.1), rel=1e-12)
    assert found.projected_horizon == 70  # 0.1 k > ln 1000
    found = diagnose(replace(curve, log_reach=3 * reach), BOUNDS)
    assert (found.verdict, found.horizon, found.horizon_typical) == ("vanishing", 24, 24)


@pytest.mark.parametrize(
    ("slope", "T", "lag"),
    [(-0.1, 30, 70), (0.2, 30, 35), (-0.1, 69, 70), (-0.1, 70, None), (-0.25, 5, 28)],
)
def test_the_projected_horizon_is_where_the_line_leaves_the_thresholds(slope, T, lag):
    found = diagnose(flow_of(slope * np.arange(T + 1.0) / math.log(2)), BOUNDS)
    assert found.projected_horizon == lag


def test_nothing_is_projected_nor_halved_where_the_interval_holds_one():
    rng = np.random.default_rng(4)
    found = diagnose(flow_of(np.cumsum(rng.standard_normal(100))), BOUNDS)
    low, high = found.rate_ci
    assert low < 1 < high
    assert (found.projected_horizon, found.half_life) == (None, None)


def test_a_rate_that_carries_no_interval_is_projected_and_not_halved():
    """Increments that follow each other closely."""
    rng = np.random.default_rng(6)
    slow = np.cumsum(rng.standard_normal((101, 32)), axis=0) / 100
    found = diagnose(batch_of(np.cumsum(slow - 0.001, axis=0)), BOUNDS)
    assert (found.rate_ci, found.half_life) == (None, None)
    assert found.projected_horizon == pytest.approx(math.log(1e3) / math.log(found.rate), rel=0.1)


def test_a_curve_that_falls_and_rises_has_no_rate_and_says_so():
    rng = np.random.default_rng(5)
    for at in (80, 100, 120):
        mean = np.abs(np.arange(201.0) - at) / 10
        noise = np.cumsum(0.05 * rng.standard_normal((201, 32)), axis=0)
        for samples in (mean[:, None] + noise, mean[:, None], (mean[:, None] + noise)[:, :1]):
            found = diagnose(batch_of(samples), BOUNDS)
            assert (found.rate, found.rate_ci, found.half_life) == (None, None, None)
            assert found.no_rate == "u-shaped"


def test_a_curve_that_bends_throughout_has_no_rate():
    found = diagnose(batch_of(-(np.arange(101.0) ** 2)[:, None] / 500), BOUNDS)
    assert (found.rate, found.no_rate) == (None, "bent")


def test_a_lower_layer_is_read_from_the_first_lag_that_reaches_it():
    log2 = np.concatenate([[-np.inf], -1.0 - np.arange(40.0)])
    samples = log2[:, None] * math.log(2)
    state = Magnitudes.of(np.exp2(log2))
    flow = GradientFlow(state, {}, {}, np.zeros(0), {}, Magnitudes.of(1.0), log_samples=samples)
    found = diagnose(over_batch(flow, np.zeros(1)), BOUNDS)
    assert found.rate == pytest.approx(0.5, rel=1e-12)
    assert (found.horizon, found.horizon_typical) == (10, 10)  # 2^-10 of the whole net's start


def lost_from(log2, lag, samples=slice(None)):
    """The same flow twice over, of which some samples, and so their mean, are no number."""
    flow = flow_of(log2)
    mantissa, logs = flow.state.mantissa.copy(), np.repeat(flow.log_samples, 2, axis=1)
    mantissa[lag:], logs[lag:, samples] = np.nan, np.nan
    state = Magnitudes(mantissa, flow.state.exponent)
    return over_batch(replace(flow, state=state, log_samples=logs))


@pytest.mark.parametrize("samples", [slice(None), 0])
@pytest.mark.parametrize(
    ("lag", "verdict", "horizon"),
    [(0, "unknown", None), (5, "unknown", None), (20, "vanishing", 10)],
)
def test_a_gradient_that_is_no_number_is_neither_stable_nor_zero(lag, verdict, horizon, samples):
    flow = lost_from(-1.0 * np.arange(31), lag, samples)
    found = diagnose(flow, BOUNDS)
    assert (found.verdict, found.horizon, found.horizon_typical) == (verdict, horizon, horizon)
    assert (found.rate, found.no_rate) == (None, "lost")
    assert np.isnan(flow.log10_typical[lag:]).all()
    assert np.isnan(flow.log10_percentiles[lag:]).all()
    assert np.isfinite(flow.log10_typical[:lag]).all()


def test_a_reach_that_is_no_number_has_no_verdict():
    flow = replace(flow_of(np.zeros(9)), log_reach=np.where(np.arange(9) < 4, 0.0, np.nan)[:, None])
    found = diagnose(flow, BOUNDS)
    assert (found.verdict, found.horizon, found.no_rate) == ("unknown", None, "lost")


def test_a_curve_without_a_typical_one_leaves_the_bounds_all_the_same():
    flow = replace(flow_of([0, -5, -12]), log10_typical=np.zeros(0))
    assert leaves(flow, (-3, 3)) == ((2, "vanishing"), (None, "stable"))
