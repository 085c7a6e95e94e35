from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradflow.cells import CELLS
from gradflow.config.load import from_mapping
from gradflow.runs.losses import OuterSum, objective
from gradflow.runs.sampling import output_layer

SIZES = {"hidden_size": 5, "input_size": 2, "batch_size": 4, "sequence_length": 3}
LOSSES = {
    "mse": {"loss": "mse", "output_size": 3},
    "mse to a number": {"loss": {"kind": "mse", "target": 0.7}, "output_size": 2},
    "cross_entropy": {"loss": "cross_entropy", "output_size": 4},
    "cross_entropy of a class": {
        "loss": {"kind": "cross_entropy", "target": 1}, "output_size": 2, "bias_scale": 1.0,
    },
    "probe": {"loss": "probe"},
    "sum": {"loss": "sum"},
}  # fmt: skip
EPS = 1e-30


def run_of(name, **more):
    [run] = from_mapping({"cell": "lstm", **SIZES, **LOSSES[name], **more}).runs
    return run


def last_states(run, seed=1):
    rng = np.random.default_rng(seed)
    shapes = {at: (run.batch_size, run.cells[at].S_all) for at in run.places}
    return {at: rng.standard_normal(shape) for at, shape in shapes.items()}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_complex_step_of_the_value(name, cell):
    run = run_of(name, cell=cell)
    goal, s = objective(run), last_states(run)
    ds = goal.gradient(s, 0)
    for at in run.places:
        v = np.random.default_rng(2).standard_normal(s[at].shape)
        for scale in run.cells[at].gauge:
            v[:, run.cells[at].parts[scale].rows] = 0
        moved = {**s, at: s[at] + 1j * EPS * v}
        by_step = goal.value(moved, 0).imag / EPS
        assert_allclose((ds[at] * v).sum(axis=-1), by_step, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in LOSSES if "mse" in name or "cross" in name])
def test_the_output_layers_gradient_is_the_sum_over_samples(name):
    run = run_of(name)
    goal, s = objective(run), last_states(run)
    W_o, _ = output_layer(run)
    (at,) = run.places
    h = s[at][:, : run.hidden_size]
    delta = goal.gradient(s, 0)[at][:, : run.hidden_size] @ np.linalg.pinv(W_o)
    collected = goal.output_gradient()
    collected.add(*goal.by_output(s, 0))
    assert_allclose(float(collected.norm().floats()), np.linalg.norm(delta.T @ h), rtol=1e-10)


@pytest.mark.parametrize("name", ["probe", "sum"])
def test_without_an_output_layer_it_has_no_gradient(name):
    assert objective(run_of(name)).output_gradient() is None


def test_values_by_hand():
    run = run_of("mse to a number")
    s = last_states(run)
    W_o, b_o = output_layer(run)
    (at,) = run.places
    O = s[at][:, :5] @ W_o.T + b_o  # noqa: E741
    assert_allclose(objective(run).value(s, 0), 0.5 * ((O - 0.7) ** 2).sum(axis=1), rtol=1e-14)
    run = run_of("cross_entropy of a class")
    W_o, b_o = output_layer(run)
    a = s[at][:, :5] @ W_o.T + b_o
    expected = np.log(np.exp(a).sum(axis=1)) - a[:, 1]
    assert_allclose(objective(run).value(s, 0), expected, rtol=1e-12)
    assert_allclose(objective(run_of("sum")).value(s, 0), s[at][:, :5].sum(axis=1), rtol=1e-14)


def test_a_probe_is_a_unit_vector_over_the_whole_state():
    run = run_of("probe")
    (v,) = objective(run).gradient(last_states(run), 0).values()
    assert_allclose(np.linalg.norm(v, axis=1), 1, rtol=1e-14)
    assert (v[0] == v).all()
    assert np.count_nonzero(v[0, run.hidden_size :])


def test_cross_entropy_stands_large_activations_and_many_classes():
    run = run_of("cross_entropy", output_size=50_000)
    s = {at: 1e4 * a for at, a in last_states(run).items()}
    goal = objective(run)
    assert np.isfinite(goal.value(s, 0)).all()
    assert all(np.isfinite(ds).all() for ds in goal.gradient(s, 0).values())


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32(name):
    run = run_of(name, dtype="float32")
    s = {at: a.astype(np.float32) for at, a in last_states(run).items()}
    goal = objective(run)
    assert all(ds.dtype == np.float32 for ds in goal.gradient(s, 0).values())
    exact = objective(run_of(name)).value(last_states(run), 0)
    assert_allclose(goal.value(s, 0), exact, rtol=1e-4, atol=1e-5)
    assert math.isfinite(float(goal.value(s, 0).mean()))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sum_of_outer_products_stands_any_size(dtype):
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((6, width)).astype(dtype) for width in (3, 4))
    big = 2.0 ** (900 if dtype == "float64" else 100)
    total = OuterSum()
    total.add(left[:2] * np.array(big, dtype), right[:2] / np.array(big, dtype))
    total.add((left[2:4] / np.array(big, dtype)), right[2:4] * np.array(big, dtype))
    total.add(left[4:], right[4:])
    expected = np.linalg.norm(left.astype(float).T @ right.astype(float))
    assert_allclose(
        float(total.norm().floats()), expected, rtol=1e-5 if dtype == "float32" else 1e-13
    )
    tiny = OuterSum()
    for part in (slice(0, 3), slice(3, 6)):
        tiny.add(left[part] / np.array(big, dtype), right[part] / np.array(big, dtype))
    assert_allclose(tiny.norm().log10(), np.log10(expected) - 2 * np.log10(big), rtol=1e-6)
    nothing = OuterSum()
    nothing.add(0 * left, right)
    assert nothing.norm().mantissa == 0
