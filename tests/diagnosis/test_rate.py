"""The rate and its interval, where the true rate is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import gradflow
from gradflow.diagnosis.rate import rate_of, t95

HERE = Path(__file__).parent


def random_walks(T, N, *, drift=-0.2, spread=0.3, correlation=0.0, seed=0):
    """Logs (T+1, N) whose increments are normal and follow each other with this correlation."""
    rng = np.random.default_rng(seed)
    steps = np.empty((T + 20, N))
    steps[0] = rng.standard_normal(N)
    for t in range(1, len(steps)):
        fresh = rng.standard_normal(N)
        steps[t] = correlation * steps[t - 1] + math.sqrt(1 - correlation**2) * fresh
    increments = drift + spread * steps[20:]
    return np.concatenate([np.zeros((1, N)), np.cumsum(increments, axis=0)])


@pytest.mark.parametrize("N", [1, 2, 32])
@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.6])
def test_the_interval_covers_the_drift_of_random_walks(N, correlation):
    covered = 0
    for seed in range(200):
        found = rate_of(random_walks(300, N, correlation=correlation, seed=seed))
        covered += abs(found.slope + 0.2) <= found.half_width
    assert covered / 200 >= 0.93


def test_the_interval_narrows_with_the_length_and_the_batch():
    def width(T, N):
        return np.mean([rate_of(random_walks(T, N, seed=s)).half_width for s in range(40)])

    assert width(100, 1) / width(400, 1) > 1.6
    assert width(100, 32) / width(400, 32) > 1.6
    assert width(100, 1) / width(100, 32) > 4


@pytest.mark.parametrize("N", [1, 32])
def test_both_ends_are_left_out_or_said_to_be_uncertain(N):
    """A start that lies far below the line, as that of a loss whose direction the net turns."""
    T, bend = 400, 3.0
    lags = np.arange(T + 1.0)[:, None]
    ends = bend * np.exp(-lags / 8) + 2.0 * np.exp((lags - T) / 8)
    errors, widths = [], []
    for seed in range(60):
        found = rate_of(random_walks(T, N, spread=0.1, seed=seed) + ends)
        errors.append(abs(found.slope + 0.2) / found.half_width)
        widths.append(found.half_width)
    assert np.mean(np.array(errors) <= 1) >= 0.9
    assert np.mean(widths) < {1: 0.08, 32: 0.03}[N]


def test_few_increments_that_follow_each_other_closely_carry_no_interval():
    found = rate_of(random_walks(100, 32, correlation=0.8))
    assert found is None or found.half_width is None
    assert rate_of(random_walks(1000, 32, correlation=0.8)).half_width is not None


def test_short_curves_have_a_rate_and_no_interval():
    for T in (1, 2, 5, 14):
        found = rate_of(random_walks(T, 32))
        assert found is not None
        assert found.half_width is None
    assert rate_of(np.zeros((1, 3))) is None


@pytest.mark.parametrize(("df", "value"), [(7, 2.36462), (15, 2.13145), (31, 2.03951)])
def test_students_t(df, value):
    assert t95(df) == pytest.approx(value, abs=1e-4)


LINEAR = {"type": "rnn", "activation": "linear"}


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        ({"weights": str(HERE / "leaky-linear.npz")}, 0.95117424),
        ({"ws_init": "orthogonal", "ws_scale": 0.9}, 0.9),
        ({"ws_init": "orthogonal", "ws_scale": 1.5}, 1.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [1, 32])
def test_linear_nets_have_their_spectral_radius(config, rate, batch_size):
    (result,) = gradflow.analyze(
        {"cell": LINEAR, "sequence_length": 300, "batch_size": batch_size, **config}
    )
    low, high = result.diagnosis.rate_ci
    assert low - 1e-9 <= rate <= high + 1e-9
    assert high - low < 0.07 * rate
