"""Every figure of whole runs against decimal arithmetic of sixty digits, at any magnitude."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import gradflow
from drawn import EXACT, drawn_run
from exact import compared, drawn, figures
from gradflow.cells import RNN
from gradflow.config.load import load
from gradflow.engine import lengths, terms
from gradflow.engine.flow import unroll
from gradflow.measures.flows import backpropagate
from gradflow.runs.bundle import run_bundle

HERE = Path(__file__).parent / "figures"
TOLERANCE = {"float64": "1e-8", "float32": "2e-3"}
FARTHEST = {"float64": (1e-300, 1e-290, 1.7e308), "float32": (1e-34, 1e-33, 3.4e38)}
"""The least slope of a function that saturates, the least and the largest state in whose reach
floats are held to every digit."""


def flow_of(name, *overrides):
    (result,) = gradflow.analyze(load(HERE / name, overrides))
    return result


def check(run, length=None, wide=False):
    """How many figures of a run were compared; every one of them is right. `wide`: its terms are
    taken as those of a wide net."""
    with pytest.MonkeyPatch.context() as patch:
        if wide:
            patch.setattr(terms, "_WIDE", 0)
        if length is not None:
            patch.setattr(lengths, "block_length", lambda cell, batch: length)
        (result,) = run_bundle([(0, run)], (1e-3, 1e3))
    given = drawn(run)
    exact, extent = figures(run, given)
    slope, least, most = FARTHEST[run.dtype]
    if result.diverged_at:
        assert extent.most > most
        return 0
    if extent.slope < slope or extent.least < least:
        return 0
    count, wrong = compared(result, run, given, exact, TOLERANCE[run.dtype])
    if wrong and extent.slope * extent.least < Decimal(float(np.finfo(run.dtype).tiny)):
        return 0  # the derivative by a gate, its slope times a state, left float range
    assert not wrong, f"{len(wrong)} of {count}, such as {wrong[0]}"
    return count


def check_one(seed, config, run, length):
    wide = seed % 2 == 1
    try:
        return check(run, length, wide)
    except Exception as error:
        how = f"seed {seed}, blocks of {length}{', wide' * wide}"
        raise AssertionError(f"{how}: {config}") from error


def check_drawn(seeds, name=None, least=50):
    count = 0
    for seed in seeds:
        drawn_name = name or WIDELY_HELD[seed % len(WIDELY_HELD)]
        config, run, length = drawn_run(seed, drawn_name)
        count += check_one(seed, config, run, length)
    assert count > least * len(seeds)


# Drawn as wildly as here, a thousand at a time, others leave plain floats going forward in one run
# of a hundred (a bias of 10 in a softplus of dt), which `check` takes for a fault.
WIDELY_HELD = ("rnn", "lstm", "lstmp", "gru", "mgu", "peephole", "indrnn")


@pytest.mark.parametrize("name", EXACT)
def test_every_figure_of_a_run_drawn_at_random(name):
    """The first drawn that stays in float range."""
    seeds = range(5 * EXACT.index(name), 5 * EXACT.index(name) + 5)
    assert any(check_one(seed, *drawn_run(seed, name)) > 10 for seed in seeds)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", EXACT)
def test_every_figure_of_runs_of_every_cell(name):
    number = 3 * EXACT.index(name)
    check_drawn(range(number, number + 3), name, least=10)


@pytest.mark.fuzz
@pytest.mark.parametrize("start", [*range(0, 150, 50), *range(1000, 2000, 50)])
def test_every_figure_of_a_thousand_runs(start):
    check_drawn(range(start, start + 50))


# What was found by the above, each kind by itself


@pytest.mark.parametrize("name", ["zero-meets-small.yaml", "zero.yaml", "gru-update-bias.yaml"])
def test_every_figure_of(name):
    (run,) = load(HERE / name).runs
    assert check(run) > 100


@pytest.mark.parametrize(
    ("bias", "reset", "dtype"),
    [
        (8, "after", "float64"),
        (20, "before", "float32"),
        (30, "after", "float32"),
        (40, "before", "float64"),
    ],
)
def test_a_large_update_bias_costs_no_digit(dtype, reset, bias):
    sets = (f"cell.update_bias={bias}", f"cell.reset={reset}", f"dtype={dtype}")
    (run,) = load(HERE / "gru-update-bias.yaml", sets).runs
    assert check(run) > 100


def test_running_sums_are_not_squared_past_float_range():
    share = flow_of("running-sum.yaml").flow.share_W_s
    assert np.isfinite(share).all()
    assert share[23] == pytest.approx(0.0710, abs=5e-5)
    assert share[-1] == pytest.approx(1, rel=1e-12)


def test_a_zero_does_not_wipe_out_what_it_is_added_to():
    (lower, *_) = flow_of("zero-meets-small.yaml").layers
    assert lower.flow.terms["b_s"].texts()[5].startswith("7.2")
    assert lower.flow.terms["b_s"].texts()[5].endswith("e-903")
    assert flow_of("zero.yaml").flow.state.texts()[35].startswith("2.5")


@pytest.mark.parametrize("length", [None, 1, 2])
@pytest.mark.parametrize(
    ("dtype", "g"),
    [(np.float64, g) for g in (1e-90, 1e90, 1e-140, 1e140)]
    + [(np.float32, g) for g in (1e-13, 1e10, 1e13)],
)
def test_the_last_state_of_a_block_is_brought_near_one_before_it_is_squared(
    dtype, g, length, monkeypatch
):
    if length is not None:
        monkeypatch.setattr(lengths, "block_length", lambda cell, batch: length)
    one, zero = np.ones((1, 1, 1), dtype), np.zeros((1, 1), dtype)
    cell, params = RNN(activation="linear"), {"W": one, "U": dtype(g) * one, "b": zero}
    still = np.zeros((5, 1, 1, 1), dtype)
    (curve,) = backpropagate(unroll(cell, params, still, still[0]), one)
    logs = np.arange(6) * np.log10(float(dtype(g)))
    np.testing.assert_allclose(curve.state.log10(), logs, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(curve.terms["b_s"].log10(), logs[:-1], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("N", [1, 2, 12])
def test_outer_products_that_cancel_leave_no_rounding_errors(N, dtype):
    """Two inputs, opposite but for a little: what is left of the sum of the terms is that little,
    at one lag (N samples) and over the lags."""
    T, H, small = 4, 6, 2.0**-20 if dtype == "float32" else 2.0**-40
    rng = np.random.default_rng(N)
    x = np.ones((T, N, H))
    x[:, 1::2] = -1 + small
    if N == 1:
        x[1::2] = -1 + small
    W_s = np.eye(H)
    params = {name: W_s[None].astype(dtype) for name in "WU"} | {"b": np.zeros((1, H), dtype)}
    ds_T = np.ones((1, N, H), dtype) * rng.choice([-1.0, 1.0], H).astype(dtype)
    cell = RNN(activation="linear")
    s0 = np.zeros((1, N, H), dtype)
    (curve,) = backpropagate(unroll(cell, params, x[:, None].astype(dtype), s0), ds_T)
    own = np.cumsum(x, axis=0)[:-1].sum(axis=1)[::-1]  # (T-1, H): the states, summed over samples
    running = np.linalg.norm(np.cumsum(own, axis=0), axis=-1)
    share = curve.share_W_s[: T - 1]
    np.testing.assert_allclose(
        share, running / running[-1], rtol=1e-6 if dtype == "float64" else 1e-3
    )
    terms = curve.terms["W_s"].floats()[: T - 1] * N
    expected = np.linalg.norm(own, axis=-1) * np.sqrt(H)
    np.testing.assert_allclose(terms, expected, rtol=1e-6 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", [{}, {"layers": 2, "bidirectional": True}], ids=["one", "stack"])
def test_nets_that_grow_warn_of_nothing(activation, dtype, sizes):
    """Up to the last run that stays in float range, and beyond."""
    config = {
        "cell": {"type": "rnn", "activation": activation},
        "ws_scale": [2.0, 30.0, 1e3, 1e20],
        "wx_scale": [1.0, 1e18],
        "sequence_length": [12, 100],
        "loss": "mse",
        "hidden_size": 5,
        "batch_size": 2,
        "dtype": dtype,
        **sizes,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in ("mse", "cross_entropy", "probe", "sum"):
            results = gradflow.analyze({**config, "loss": loss, "output_size": 2})
            assert {r.diagnosis.verdict == "diverged" for r in results} == {True, False}
            for result in results:
                flows = [part.flow for part in result.layers] or [result.flow]
                if result.diverged_at is None:
                    assert all(np.isfinite(f.state.mantissa).all() for f in flows)


def test_a_probability_that_rounds_to_one_keeps_the_digits_of_its_loss():
    config = {"cell": "rnn", "loss": "cross_entropy", "output_size": 3, "bias_scale": 30.0}
    small = {"hidden_size": 2, "batch_size": 1, "sequence_length": 2, "input_size": 1}
    for seed in range(12):
        (run,) = gradflow.load({**config, **small, "seed": seed}).runs
        (result,) = run_bundle([(0, run)], (1e-3, 1e3))
        [true] = figures(run, drawn(run))[0]["net", "loss"]
        assert result.loss == pytest.approx(float(true), rel=1e-11, abs=1e-300)
        assert check(run) > 10
