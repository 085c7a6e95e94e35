from __future__ import annotations

import re

import numpy as np
import pytest

import gradflow
from gradflow.cells import CELLS, SizedCell
from gradflow.config.load import from_mapping
from gradflow.engine.network import Losses
from gradflow.runs.readings import Readings
from gradflow.verification import TOLERANCE, verify
from nets import VARIANTS, draws_W_s, in_turn

BEYOND = {
    "type": "equations", "name": "beyond", "state": {"h": "H"},
    "parameters": {"W": ["H", "I"], "U": ["H", "H"], "b": "H", "V": ["H", "H"]},
    "step": "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n", "output": "tanh(V @ h[t] + h[t-1])",
}  # fmt: skip
"""A cell whose output is no part of its state."""
SIZES = {"hidden_size": 5, "input_size": 3, "batch_size": 4, "sequence_length": 20}


def run_of(cell, **config):
    [run] = from_mapping({"cell": cell, "bias_scale": 0.3, **SIZES, **config}).runs
    return run


def as_config(cell):
    return {"type": cell.name, **cell.options}


@in_turn("cell, loss", VARIANTS, ["mse", "cross_entropy", "probe", "sum"])
def test_right_gradients_hold(cell, loss):
    grows = cell.options.get("recurrent_activation") == "linear"  # a product of states each step
    scales = {"ws_scale": 0.3, "wx_scale": 0.3} if grows else {}
    found = verify(run_of(as_config(cell), loss=loss, output_size=3, **scales))
    assert found.skipped is None or "kink" in found.skipped
    assert {c.lag for c in found.comparisons} >= ({0, 1} if found.skipped else {0, 1, 20})
    assert max(c.error for c in found.comparisons) <= TOLERANCE["float64"]


AT_STEPS = [
    ("rnn", {"kind": "mse", "at": "all"}, {}),
    ("lstm", {"kind": "cross_entropy", "at": [3, 7, 12], "reduce": "sum"}, {"layers": 2}),
    ("gru", {"kind": "probe", "at": {"every": 5}, "truncate": 4}, {"bidirectional": True}),
    ("lstm", {"kind": "mse", "at": "all", "truncate": 3}, {"layers": 2, "bidirectional": True}),
    ("rnn", {"kind": "sum", "at": "last", "truncate": 7}, {"layers": 2}),
    (BEYOND, {"kind": "mse", "at": {"every": 2}, "truncate": 6}, {"layers": 2}),
]


@pytest.mark.parametrize(("cell", "loss", "more"), AT_STEPS, ids=str)
def test_losses_at_many_steps_and_states_that_are_cut_off_hold(cell, loss, more):
    found = verify(run_of(cell, loss=loss, output_size=3, **more))
    assert found.skipped is None
    assert {c.lag for c in found.comparisons} >= {0, 1, 20}
    assert max(c.error for c in found.comparisons) <= TOLERANCE["float64"]
    state = {c.lag for c in found.comparisons if c.quantity == "s"}
    assert len(state) >= (3 if cell is BEYOND else 10)


@pytest.mark.parametrize("what", ["entry", "cut", "step"])
def test_a_wrong_way_into_the_backward_pass_is_found(monkeypatch, what):
    right = Readings.entering

    def wrong(self, net, runs, only=None):
        ds_T, losses = right(self, net, runs, only)
        entry, cut = losses.entry, losses.truncate

        def shifted(at, t, states):
            ds = entry(at, t, states)
            if what == "entry" and ds is not None:
                ds[-1] *= 1 + 1e-6
            return ds if what != "step" or ds is None else np.roll(ds, 1, axis=0)

        return ds_T, Losses(shifted, None if what == "cut" else cut)

    monkeypatch.setattr(Readings, "entering", wrong)
    loss = {"kind": "mse", "at": "all", "truncate": 8}
    assert not all(c.holds for c in verify(run_of("lstm", loss=loss)).comparisons)


def test_float32_holds_within_its_own_tolerance():
    found = verify(run_of("lstm", dtype="float32"))
    worst = max(c.error for c in found.comparisons)
    assert TOLERANCE["float64"] < worst <= TOLERANCE["float32"]


def spoil(monkeypatch, run, change):
    """Let `change(ds, dz, ds_prev)` have what every pullback of the run has done, as columns."""
    cut = SizedCell.backward_views

    def views(self, local, ds, dz, ds_prev):
        return (*cut(self, local, ds, dz, ds_prev), ds.mT, dz.mT, ds_prev.mT)

    def spoilt(right):
        def wrong(views, w):
            right(views[:-3], w)
            change(*views[-3:])

        return wrong

    monkeypatch.setattr(SizedCell, "backward_views", views)
    for cell in set(run.cells.values()):
        monkeypatch.setattr(cell, "pullback", spoilt(cell.pullback))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("output", ["dz", "ds_prev"])
def test_a_wrong_pullback_is_found(monkeypatch, name, output):
    def change(ds, dz, ds_prev):
        out = dz if output == "dz" else ds_prev
        out[..., 0, :] += 1e-6 * np.abs(ds).max()

    run = run_of(name)
    spoil(monkeypatch, run, change)
    assert not all(c.holds for c in verify(run).comparisons)


@in_turn("cell, dtype, g", VARIANTS, [("float64", 1e-90), ("float64", 1e90), ("float32", 1e13)])
def test_gradients_hold_at_every_magnitude(cell, dtype, g):
    """At rest, where every step multiplies the gradient by about g."""
    if re.search(r"@ (?!x)\w+\[t\]", cell.equations.step):  # two products a step
        g = g**0.5
    still = {"input": "zeros", "loss": "probe", "bias_scale": 0.0, "layers": 2}
    recurrent = {"ws_scale": g} if draws_W_s(cell) else {}
    found = verify(run_of(as_config(cell), wx_scale=1 / g, dtype=dtype, **recurrent, **still))
    assert {c.lag for c in found.comparisons} >= {0, 1, 20} or "kink" in found.skipped
    assert all(c.holds for c in found.comparisons)
    if cell.label == "rnn[activation=linear]":
        sizes = [c.complex_step.log10() for c in found.comparisons if c.quantity == "s"]
        assert max(map(abs, sizes)) > 15 * abs(np.log10(g))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_kink_is_set_aside_and_not_called_wrong(activation):
    found = verify(run_of({"type": "rnn", "activation": activation}, input="zeros", bias_scale=0.0))
    assert all(c.holds for c in found.comparisons)
    assert (found.skipped is not None) == (activation == "relu")
    if activation == "relu":
        assert "at a kink" in found.skipped


def test_a_wrong_slope_is_found_far_outside_float_range(monkeypatch):
    def change(ds, dz, ds_prev):
        ds_prev[...] *= 1 + 1e-6

    linear = {"type": "rnn", "activation": "linear"}
    run = run_of(linear, ws_scale=1e-60, loss="sum", hidden_size=1)
    spoil(monkeypatch, run, change)
    found = verify(run)
    assert not all(c.holds for c in found.comparisons if c.quantity == "s")
    assert min(c.backpropagated.log10() for c in found.comparisons) < -1000


def test_a_run_that_diverges_is_not_compared():
    found = verify(run_of({"type": "rnn", "activation": "linear"}, ws_scale=1e80))
    assert found.comparisons == ()
    assert "left float range at step" in found.skipped


@pytest.mark.parametrize("name", ["rnn", "lstm", "rglru", "layernorm_lstm", "rwkv4"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes_beyond_float_range_are_set_aside_and_not_called_wrong(name, dtype):
    """In float32 a step has them beyond the net's own range, in float64 beyond a complex step's."""
    found = verify(run_of(name, bias_scale=1000.0, dtype=dtype, seed=1))
    assert all(c.holds for c in found.comparisons)
    assert found.skipped is None or "beyond float range" in found.skipped


def test_a_net_whose_slopes_left_float_range_is_still_compared_where_they_did_not(monkeypatch):
    def change(ds, dz, ds_prev):
        dz[...] *= 1.01

    run = run_of("rglru", bias_scale=1000.0, dtype="float32")
    spoil(monkeypatch, run, change)
    found = verify(run)
    assert found.skipped is not None
    assert not all(c.holds for c in found.comparisons)


def test_a_gauge_too_large_to_be_moved_is_not_called_wrong():
    found = verify(run_of("slstm", ws_scale=1e30))
    assert found.unfounded == ()
    assert found.comparisons
    assert all(c.holds for c in found.comparisons)


SQUARES = {
    "type": "equations", "name": "squares", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
}  # fmt: skip


@pytest.mark.parametrize("length", ["sqrt(sum(a ** 2) + 1e-6)", "(sum(a ** 2) + 1e-6) ** 0.5"])
def test_what_left_float_range_on_the_way_to_a_state_within_is_said(length):
    """a / |a| is within float range where the squares are not: 0 would be a wrong state."""
    cell = {**SQUARES, "step": f"a = W @ x[t]\nh[t] = 0.5 * h[t-1] + a / {length}\n"}
    found = verify(run_of(cell, dtype="float32", input={"kind": "gaussian", "scale": 1e30}))
    assert found.comparisons == ()
    assert "left float range at step 1" in found.skipped


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gated_deltanet_of_inputs_whose_squares_leave_float_range(tmp_path, dtype):
    config = {"cell": "gated_deltanet", **SIZES, "dtype": dtype}
    results = gradflow.analyze({**config, "input": {"kind": "gaussian", "scale": 1e30}})
    results.save(tmp_path / "saved.json")
    (loaded,) = gradflow.load_results(tmp_path / "saved.json")
    assert (loaded.diagnosis.verdict == "diverged") == (dtype == "float32")


@pytest.mark.parametrize(
    "more", [{"input": {"kind": "gaussian", "scale": 30}}, {"bias_scale": 1000}]
)
def test_an_rglru_whose_decay_rounds_to_one_has_the_right_limit(more):
    """sqrt(1 - a^2) falls as the root of r, so that its slope by r's argument is no 0 times inf."""
    single, double = (
        gradflow.analyze({"cell": "rglru", **SIZES, "dtype": dtype, **more})[0]
        for dtype in ("float32", "float64")
    )
    for name in ("W_x", "b_s", "other"):
        ours, true = single.flow.totals[name].floats(), double.flow.totals[name].floats()
        assert ours == pytest.approx(true, rel=1e-3, abs=1e-12)
    assert not single.notes
