"""Slopes around recurrent products, and the size of the weights, in closed form."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from gradflow.cells import CELLS, LSTM, RNN
from gradflow.cells.cell import Cell
from gradflow.equations.declaration import declared
from gradflow.measures.slopes import MEASURE, gains, slopes
from gradflow.runs.initializers import orthogonal
from measures.subjects import subject_of, with_parameters
from nets import random_net


def figures(net):
    (measured,) = slopes(subject_of(net))
    assert measured.note is None
    return measured.figures


@pytest.mark.parametrize("b", [0.0, 0.7, 20.0, 300.0])
def test_a_constant_slope_is_exact_also_where_tanh_saturates(b):
    found = figures(with_parameters(random_net(RNN()), b=b))
    with mpmath.workdps(50):
        slope = float(mpmath.sech(b) ** 2)
    for name in ("slopes_rms", "slopes_geometric"):
        assert found[name] == pytest.approx(slope, rel=1e-11)
    assert found["slopes_saturated"] == (slope < 0.1)


def test_a_constant_slope_of_each_gate_of_an_lstm():
    found = figures(with_parameters(random_net(LSTM()), b_i=1.0, b_f=-200.0, b_g=0.5, b_o=0.0))
    with mpmath.workdps(50):
        expected = {gate: float(mpmath.diff(lambda z: 1 / (1 + mpmath.exp(-z)), b))
                    for gate, b in (("i", 1.0), ("o", 0.0))}  # fmt: skip
        expected["f"] = float(1 / (2 + mpmath.exp(200) + mpmath.exp(-200)))
        expected["g"] = float(mpmath.sech(0.5) ** 2)
    for gate, slope in expected.items():
        assert found[f"slopes_{gate}_geometric"] == pytest.approx(slope, rel=1e-11)
    together = math.exp(np.mean(np.log([*expected.values()])))
    assert found["slopes_geometric"] == pytest.approx(together, rel=1e-11)
    assert found["slopes_rms"] == pytest.approx(np.sqrt(np.mean(np.square([*expected.values()]))))
    assert found["slopes_saturated"] == 0.25


def test_a_linear_net_has_slopes_of_one_and_a_relu_one_that_are_zero():
    linear = figures(random_net(RNN(activation="linear")))
    assert [linear[f"slopes_{k}"] for k in ("rms", "geometric", "saturated")] == [1, 1, 0]
    subject = subject_of(random_net(RNN(activation="relu"), T=30))
    (measured,) = slopes(subject)
    active = (subject.trajectory.last_tape.states[1:] > 0).mean()
    assert measured.figures["slopes_rms"] == pytest.approx(math.sqrt(active))
    assert measured.figures["slopes_geometric"] == 0
    assert measured.figures["slopes_saturated"] == pytest.approx(1 - active)


def test_the_gain_is_that_of_the_recurrent_weights():
    net = random_net(RNN(), H=5)
    Q = 1.7 * orthogonal(np.random.default_rng(0), 5, 5)
    assert figures(net._replace(params={**net.params, "U": Q[None]}))["gain"] == pytest.approx(1.7)
    net = random_net(CELLS["peephole"](), H=5)
    found = figures(net)
    for name, of in (("i", "U_i"), ("o", "U_o"), ("p_f", "p_f")):
        expected = np.linalg.norm(net.params[of]) / math.sqrt(5)
        assert found[f"gain_{name}"] == pytest.approx(expected)


def test_a_cell_without_recurrent_weights_says_so():
    equations = "z = sigmoid(W @ x[t])\nh[t] = (1 - z) * h[t-1] + z"
    plain = {"name": "m", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]}, "step": equations}
    (measured,) = slopes(subject_of(random_net(Cell.of(declared(plain)))))
    assert measured.note == "m has no recurrent weights: no function is around their products"


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_the_gain_of_weights_that_cannot_be_squared(size):
    net = random_net(RNN(), H=3)
    net = net._replace(params={**net.params, "U": size * np.eye(3)[None]})
    trajectory = subject_of(net).trajectory
    assert gains(trajectory)["gain"] == pytest.approx(size, rel=1e-14)


def test_what_is_drawn_are_the_figures_that_a_net_has():
    [drawn] = MEASURE.drawn
    rows = drawn.of(figures(random_net(LSTM())) | {"slopes_geometric": None})
    names = [row.name for row in rows]
    assert names[:2] == ["rms slope", "saturated"]
    assert len(names) > 2
    assert all(name.startswith("gain W_s") for name in names[2:])
