"""`measure: [jacobian, lyapunov, reach]`: stacks, directions, and losses at many steps."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

import gradflow
from gradflow.engine.network import unroll_net
from gradflow.measures.batch import percentiles
from gradflow.measures.flows import backpropagate_net
from gradflow.runs import sampling
from gradflow.runs.readings import Readings

ASKED = ["jacobian", "lyapunov", "reach"]
SMALL = {"cell": "lstm", "sequence_length": 12, "hidden_size": 4, "input_size": 2, "batch_size": 3}


def analyzed(**config):
    (result,) = gradflow.analyze({**SMALL, "measure": ASKED, **config})
    return result


def test_at_the_largest_lag_reach_is_the_gradient_of_the_loss_at_the_last_step():
    result = analyzed()
    reached = result.measures["reach"].curves["log10_reach_p50"]
    assert reached[-1] == pytest.approx(result.flow.log10_percentiles[-1, 1], abs=1e-12)
    jacobian = result.measures["jacobian"].curves
    assert list(jacobian) == ["log10_sigma_max", "log10_sigma_rms", "log10_sigma_min"]
    figures = result.measures["lyapunov"].figures
    assert figures["lyapunov_max"] == figures["lyapunov_1"]
    exponents = [figures[f"lyapunov_{i}"] for i in range(1, 9)]
    assert figures["lyapunov_sum"] == pytest.approx(sum(exponents))
    assert figures["kaplan_yorke"] == 0


@pytest.mark.parametrize("loss", [
    {"kind": "mse", "at": "all"},
    {"kind": "cross_entropy", "target": 1, "at": {"every": 3}, "reduce": "sum"},
    {"kind": "probe", "at": [2, 7, 12], "truncate": 4},
    {"kind": "sum", "at": [3, 9]},
])  # fmt: skip
@pytest.mark.parametrize("layers", [1, 2])
def test_reach_is_that_of_a_backward_pass_from_each_step_of_the_loss(loss, layers):
    config = {**SMALL, "loss": loss, "layers": layers, "output_size": 3, "measure": ["reach"]}
    (run,) = gradflow.load(config).runs
    readings = Readings([run])
    params = {at: {name: a[None] for name, a in own.items()}
              for at, own in sampling.parameters(run).items()}  # fmt: skip
    s0 = {at: s[None] for at, s in sampling.initial_state(run).items()}
    net = unroll_net(run.cells, params, sampling.inputs(run)[:, None], s0, watch=readings.watch)
    readings.close()
    steps = run.loss_steps
    curves = np.full((13, len(steps), run.batch_size), -math.inf)
    there = np.zeros((13, len(steps)), dtype=bool)
    weight = readings.objectives[0].weight
    for i, t in enumerate(steps):
        ds_T, losses = readings.entering(net, np.array([0]), only=i)
        flows = backpropagate_net(net, ds_T, losses=losses)
        squares = sum(np.exp(2 * flow[0].log_samples) for flow in flows.values())
        with np.errstate(divide="ignore"):
            curves[: t + 1, i] = np.log10(squares[12 - t :]) / 2 - math.log10(weight)
        there[: t + 1, i] = True
    result = analyzed(**{**config, "measure": ["reach"]})
    found = result.measures["reach"].curves
    for k in range(max(steps) + 1):
        expected = percentiles(curves[k][there[k]].reshape(1, -1))[0]
        np.testing.assert_allclose([curve[k] for curve in found.values()], expected, atol=1e-9)


def test_of_layers_upon_each_other_all_are_of_the_whole_state():
    result = analyzed(layers=2)
    assert list(result.measures) == ASKED
    assert not any(part.measures for part in result.layers)
    assert len([n for n in result.measures["lyapunov"].figures if n[9:].isdigit()]) == 16
    assert "sigma_max_W_s_f_l1" in result.measures["jacobian"].figures


def test_of_a_bidirectional_net_each_place_alone():
    result = analyzed(layers=2, bidirectional=True, loss="mse")
    assert not result.measures
    for part in result.layers:
        assert list(part.measures) == ASKED
        assert "sigma_max_W_s_f" in part.measures["jacobian"].figures
        reached = part.measures["reach"]
        if part.layer == 0:
            assert reached.note.startswith("the loss reads no state of this layer")
            assert not reached.curves
        else:
            curve = reached.curves["log10_reach_p50"]
            own = part.flow.log10_percentiles[-1, 1]
            assert curve[-1] == pytest.approx(own, abs=1e-12)


def test_a_transient_that_leaves_nothing_is_said_in_a_line():
    result = analyzed(measure=[{"type": "lyapunov", "transient": 6}])
    assert result.measures["lyapunov"].figures == {}
    assert result.measures["lyapunov"].note.endswith("leaves none of the 12")


def test_runs_of_a_sweep_have_what_each_has_alone():
    config = {**SMALL, "ws_scale": [0.5, 2.0], "measure": ASKED}
    together = gradflow.analyze(config)
    for result, g in zip(together, (0.5, 2.0), strict=True):
        alone = analyzed(ws_scale=g)
        for name in ASKED:
            assert result.measures[name].figures == alone.measures[name].figures
            for column, curve in result.measures[name].curves.items():
                np.testing.assert_array_equal(curve, alone.measures[name].curves[column])


def test_the_csv_has_their_columns():
    text = gradflow_csv({**SMALL, "cell": "rnn", "measure": ASKED})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 13
    for name in ("log10_sigma_max", "log10_bound", "log10_reach_p90"):
        assert math.isfinite(float(rows[5][name]))


def gradflow_csv(config):
    from measures.test_asked import exported

    return exported("csv", config)
