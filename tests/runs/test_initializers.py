"""Base matrices have the distribution their names promise, in every shape."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradflow
from gradflow.cells import CELLS
from gradflow.runs.initializers import (
    INITIALIZERS,
    Base,
    gaussian,
    glorot,
    identity,
    orthogonal,
    spectral_radius,
    uniform,
)
from gradflow.runs.sampling import parameters

SHAPES = [(1, 1), (6, 6), (9, 4), (4, 9), (1, 5), (5, 1)]
every_shape = pytest.mark.parametrize(("rows", "cols"), SHAPES)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", INITIALIZERS)
@every_shape
def test_each_gives_the_shape_asked_for_and_the_same_numbers_for_the_same_seed(name, rows, cols):
    one, other = (INITIALIZERS[name](np.random.default_rng(seed), rows, cols) for seed in (1, 1))
    assert one.shape == (rows, cols)
    assert one.dtype == np.float64
    assert one.flags.c_contiguous
    np.testing.assert_array_equal(one, other)


@every_shape
def test_orthogonal_has_orthonormal_rows_or_columns(rng, rows, cols):
    q = orthogonal(rng, rows, cols)
    gram = q.T @ q if rows >= cols else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(rows, cols)), atol=1e-14)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 2), (3, 3), (8, 8)])
def test_orthogonal_is_haar_distributed(rng, rows, cols):
    """Under the Haar measure on O(n) the trace has mean 0 and variance 1, det is ±1 evenly."""
    draws = 4000
    q = np.array([orthogonal(rng, rows, cols) for _ in range(draws)])
    traces = np.trace(q, axis1=1, axis2=2)
    assert abs(traces.mean()) < 4 / np.sqrt(draws)
    assert abs((traces**2).mean() - 1) < 8 / np.sqrt(draws)
    assert abs(np.linalg.det(q).mean()) < 4 / np.sqrt(draws)
    assert (np.abs(q.mean(axis=0)) < 4.5 / np.sqrt(draws * rows)).all()  # no entry leans to a sign
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / rows, atol=6 / np.sqrt(draws))


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (600, 100), (100, 600)])
def test_gaussian_has_variance_one_over_columns(rng, rows, cols):
    base = gaussian(rng, rows, cols) * np.sqrt(cols)
    entries = rows * cols
    assert abs(base.mean()) < 4 / np.sqrt(entries)
    assert abs(base.var() - 1) < 4 * np.sqrt(2 / entries)
    assert abs((base**4).mean() - 3) < 4 * np.sqrt(96 / entries)  # the kurtosis of a Gaussian


def test_a_square_gaussian_has_spectral_radius_near_one(rng):
    radius = np.abs(np.linalg.eigvals(gaussian(rng, 200, 200))).max()
    assert 0.9 < radius < 1.1


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (600, 100), (100, 600)])
def test_uniform_fills_its_bounds_evenly(rng, rows, cols):
    base = uniform(rng, rows, cols) * np.sqrt(cols)
    entries = rows * cols
    assert 0.999 < np.abs(base).max() <= 1
    assert abs(base.mean()) < 4 / np.sqrt(3 * entries)
    assert abs(base.var() - 1 / 3) < 4 * np.sqrt(4 / 45 / entries)


@every_shape
def test_identity_is_cut_or_padded(rng, rows, cols):
    np.testing.assert_array_equal(identity(rng, rows, cols), np.eye(rows, cols))


def blocks_of(role, cell="lstm", **config):
    """The parameters of a role of one run, by name."""
    (run,) = gradflow.load({"cell": cell, "hidden_size": 12, "input_size": 5, **config}).runs
    declared = run.cells[0, 0].parameters
    return {name: a for name, a in parameters(run)[0, 0].items() if declared[name].role == role}


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (600, 100), (100, 600)])
def test_glorot_fills_its_bounds_evenly(rng, rows, cols):
    base = glorot(rng, rows, cols) / np.sqrt(6 / (rows + cols))
    assert 0.999 < np.abs(base).max() <= 1
    assert abs(base.var() - 1 / 3) < 4 * np.sqrt(4 / 45 / (rows * cols))
    np.testing.assert_allclose(np.sqrt(6 / (12 + 12)), np.sqrt(3 / 12))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "layernorm_lstm"])
def test_fused_orthogonal_has_orthonormal_columns_over_all_gates(cell):
    stacked = np.concatenate([*blocks_of("recurrent", cell, ws_init="fused_orthogonal").values()])
    np.testing.assert_allclose(stacked.T @ stacked, np.eye(12), atol=1e-14)
    if len(stacked) > 12:  # no gate is orthogonal by itself
        first = stacked[:12]
        assert np.abs(first.T @ first - np.eye(12)).max() > 0.1


@pytest.mark.parametrize("cell", ["lstm", "gru", "layernorm_lstm"])
def test_fused_glorot_has_the_bounds_of_all_gates_at_once(cell):
    config = {"hidden_size": 100, "input_size": 100}
    for role, key in (("recurrent", "ws_init"), ("input", "wx_init")):
        own = blocks_of(role, cell, **config, **{key: "fused_glorot"}).values()
        rows = sum(len(a) for a in own)
        largest = max(np.abs(a).max() for a in own)
        np.testing.assert_allclose(largest, np.sqrt(6 / (rows + 100)), rtol=1e-3)
        alone = blocks_of(role, cell, **config, **{key: "glorot"}).values()
        np.testing.assert_allclose(max(np.abs(a).max() for a in alone), np.sqrt(3 / 100), rtol=1e-3)


def test_fused_vectors_are_drawn_a_unit_at_a_time():
    own = blocks_of("recurrent", "peephole", ws_init="fused_orthogonal")
    peepholes = np.stack([own[name] for name in ("p_i", "p_f", "p_o")])
    np.testing.assert_allclose((peepholes**2).sum(axis=0), 1, rtol=1e-14)


def test_a_matrix_of_several_blocks_is_drawn_block_by_block():
    (U,) = blocks_of("recurrent", "layernorm_lstm", ws_init="orthogonal").values()
    for block in np.split(U, 4):
        np.testing.assert_allclose(block.T @ block, np.eye(12), atol=1e-14)
    assert CELLS["layernorm_lstm"]().sized(12, 5).parameters["U"].blocks == 4
    assert CELLS["lstm"]().sized(12, 5).parameters["U_i"].blocks == 1


@pytest.mark.parametrize("kind", [name for name in INITIALIZERS if name != "identity"])
@pytest.mark.parametrize("density", [0.1, 0.25, 0.5, 1.0])
def test_density_is_exact_and_the_spectral_radius_is_reached(kind, density):
    given = {"kind": kind, "density": density, "spectral_radius": 0.9}
    own = blocks_of("recurrent", "lstm", ws_init=given, hidden_size=30, ws_scale=2.0)
    for block in own.values():
        assert np.count_nonzero(block) == round(density * 900)
        np.testing.assert_allclose(np.abs(np.linalg.eigvals(block)).max(), 1.8, rtol=1e-12)
    apart = [np.flatnonzero(block) for block in own.values()]
    assert density == 1 or not np.array_equal(apart[0], apart[1])


def test_a_recurrent_vector_counts_as_its_diagonal_matrix():
    given = {"kind": "gaussian", "density": 0.25, "spectral_radius": 0.9}
    (v,) = blocks_of("recurrent", "sru", ws_init=given).values()
    assert np.count_nonzero(v) == 3
    np.testing.assert_allclose(np.abs(v).max(), 0.9, rtol=1e-15)


def test_the_spectral_radius_of_what_closes_no_circle_is_exactly_zero(rng):
    upper = np.triu(rng.standard_normal((40, 40)), 1)
    mixed = rng.permutation(40)
    assert spectral_radius(upper[mixed][:, mixed]) == 0
    upper[39, 0] = 1e-3  # a circle
    assert spectral_radius(upper[mixed][:, mixed]) > 0
    assert spectral_radius(np.zeros((3, 3))) == 0
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    np.testing.assert_allclose(spectral_radius(turn), 2, rtol=1e-15)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"hidden_size": 4, "ws_init": {"kind": "gaussian", "density": 0.1, "spectral_radius": 1}},
         "ws_init: U of rnn with seed 0: a block 4 x 4 whose density leaves 2 entries has"),
        ({"cell": "lstmp", "ws_init": {"kind": "gaussian", "spectral_radius": 1}},
         "ws_init: U_i of lstmp is 64 x 32, not square, and has no spectral radius"),
        ({"cell": ["rnn", "lmu"], "ws_init": {"kind": "gaussian", "spectral_radius": 1}},
         "ws_init: e_h of lmu is 1 x 64, not square, and has no spectral radius"),
        ({"wx_init": {"kind": "gaussian", "spectral_radius": 1}}, "wx_init: W_x is not square"),
        ({"ws_init": {"kind": "identity", "density": 0.5}}, "leave `density` out"),
        ({"ws_init": {"kind": "gaussian", "density": 0}}, "ws_init.density: expected more than 0"),
        ({"ws_init": {"kind": "gaussian", "density": math.nan}},
         "ws_init.density: expected a finite number, found .nan"),
        ({"ws_init": {"kind": "gaussian", "spectral_radius": math.nan}},
         "ws_init.spectral_radius: expected a finite number, found .nan"),
        ({"ws_init": {"kind": "gausian"}}, "did you mean gaussian?"),
        ({"ws_init": {"kind": "gaussian", "sparsity": 0.5}}, "ws_init.sparsity: unknown key"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(config, told):
    with pytest.raises(gradflow.InputError, match=told.replace("?", r"\?")):
        gradflow.analyze({"cell": "rnn", "sequence_length": 3, **config})


def test_a_draw_without_a_radius_has_the_line_and_the_seed(tmp_path):
    file = tmp_path / "sparse.yaml"
    file.write_text(
        "cell: rnn\nseed: {from: 0, to: 9, count: 10}\nhidden_size: 4\nsequence_length: 3\n"
        "ws_init: {kind: gaussian, density: 0.13, spectral_radius: 0.9}\n"
    )
    with pytest.raises(gradflow.InputError) as caught:
        gradflow.analyze(file)
    (fault,) = caught.value.faults
    assert (fault.source, fault.line, fault.key) == (str(file), 5, "ws_init")
    assert fault.message.startswith("U of rnn with seed 0: a block 4 x 4")


@pytest.mark.parametrize(
    "cell", [{"type": "lmu", "theta": 1e-300, "order": 3}, {"type": "cfc", "elapsed": 1e100}]
)
def test_what_is_beyond_float32_gives_no_warnings(cell):
    config = {"cell": cell, "hidden_size": 8, "sequence_length": 5, "dtype": "float32"}
    gradflow.analyze(config)  # where any warning is an error


def test_names_and_mappings_are_swept_together_and_have_short_labels():
    mapping = {"kind": "gaussian", "density": 0.5, "spectral_radius": 0.9}
    inits = ["orthogonal", mapping, {"kind": "uniform"}]
    config = {"cell": "rnn", "hidden_size": 6, "sequence_length": 4, "ws_init": inits,
              "wx_init": ["gaussian", {"kind": "gaussian", "density": 0.5}]}  # fmt: skip
    results = gradflow.analyze(config)
    labels = [(r.axes["ws_init"], r.axes["wx_init"]) for r in results]
    shown = ["orthogonal", "gaussian[density=0.5 spectral_radius=0.9]", "uniform"]
    assert labels == [(a, b) for a in shown for b in ("gaussian", "gaussian[density=0.5]")]
    assert str(Base("glorot")) == "glorot"


@pytest.mark.parity
def test_fused_kinds_are_those_of_keras(rng, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    keras = pytest.importorskip("keras")
    kernel = np.asarray(keras.initializers.Orthogonal(seed=1)((12, 48))).T  # Keras: (H, 4H)
    ours = np.concatenate([*blocks_of("recurrent", ws_init="fused_orthogonal").values()])
    for whole in (kernel, ours):
        np.testing.assert_allclose(whole.T @ whole, np.eye(12), atol=1e-6)
    np.testing.assert_allclose((ours**2).mean(), (kernel**2).mean(), rtol=1e-5)
    kernel = np.asarray(keras.initializers.GlorotUniform(seed=1)((100, 400))).T
    config = {"hidden_size": 100, "input_size": 100}
    ours = np.concatenate([*blocks_of("input", wx_init="fused_glorot", **config).values()])
    assert ours.shape == kernel.shape
    for quantile in (0.01, 0.25, 0.5, 0.75, 0.99):
        found, expected = (np.quantile(a, quantile) for a in (ours, kernel))
        np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(np.abs(ours).max(), np.abs(kernel).max(), rtol=1e-3)
