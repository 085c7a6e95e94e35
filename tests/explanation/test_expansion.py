"""The sum of the chain rule, written out: against the engine's terms, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import CELLS
from gradflow.config.load import from_mapping
from gradflow.explanation.expansion import can_expand, expand
from gradflow.runs import sampling
from gradflow.runs.losses import objective
from gradflow.runs.runner import execute

SMALL = {
    "sequence_length": 5,
    "hidden_size": 3,
    "batch_size": 2,
    "input_size": 2,
    "bias_scale": 0.3,
    "initial_state": {"kind": "gaussian", "scale": 0.7},
}
THREE_STEPS = {
    "cell": {"type": "rnn", "activation": "linear"},
    "sequence_length": 3,
    "hidden_size": 1,
    "input_size": 1,
    "batch_size": 1,
    "ws_init": "identity",
    "ws_scale": 0.5,
    "wx_init": "identity",
    "initial_state": {"kind": "gaussian", "scale": 1.0},
    "loss": {"kind": "mse", "target": 0.0},
}


def test_the_textbook_by_hand():
    [run] = from_mapping(THREE_STEPS).runs
    x, s0 = sampling.inputs(run)[:, 0, 0], sampling.initial_state(run)[0, 0][0, 0]
    W_o, _ = sampling.output_layer(run)
    s = [s0]
    for x_t in x:
        s.append(0.5 * s[-1] + x_t)
    residual = W_o[0, 0] * s[3]
    W_s, W_x = expand(run)
    assert W_s.signed
    assert W_s.heads == ("∂L/∂O", "∂O/∂s_T", "Π ∂s_j/∂s_j-1", "∂s_k/∂W_s")
    assert [row.k for row in W_s.rows] == [3, 2, 1]
    for row in W_s.rows:
        factors = residual, W_o[0, 0], 0.5 ** (3 - row.k), s[row.k - 1]
        assert row.factors == pytest.approx(factors, rel=1e-14)
        assert row.term == pytest.approx(np.prod(factors), rel=1e-14)
    assert W_s.total == pytest.approx(sum(row.term for row in W_s.rows), rel=1e-14)
    for row in W_x.rows:
        factors = residual, W_o[0, 0], 0.5 ** (3 - row.k), x[row.k - 1]
        assert row.factors == pytest.approx(factors, rel=1e-14)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("loss", ["mse", "probe"])
def test_terms_and_their_sum_are_those_of_the_engine(cell, loss):
    experiment = from_mapping({"cell": cell, "loss": loss, **SMALL})
    [run], [result] = experiment.runs, execute(experiment)
    if not can_expand(run):
        assert run.cells[0, 0].gauge
        return
    sums = expand(run)
    assert [one.parameter for one in sums] == [n for n in ("W_s", "W_x") if n in result.flow.terms]
    for one in sums:
        terms = result.flow.terms[one.parameter].floats()
        assert [row.term for row in one.rows] == pytest.approx(list(terms), rel=1e-9, abs=1e-14)
        assert one.total == pytest.approx(float(result.flow.totals[one.parameter]), rel=1e-9)
        for row in one.rows:  # norms: the term is at most their product, by Cauchy and Schwarz
            assert row.term <= np.prod(row.factors) * (1 + 1e-9)


def test_jacobians_are_those_of_a_linear_net():
    experiment = from_mapping(
        {**SMALL, "cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
         "ws_scale": 0.5}
    )  # fmt: skip
    W_s, _ = expand(experiment.runs[0])
    assert [row.factors[2] for row in W_s.rows] == pytest.approx([0.5**k for k in range(5)])


@pytest.mark.parametrize(
    "more",
    [
        {"sequence_length": 11}, {"layers": 2}, {"bidirectional": True},
        {"loss": {"kind": "sum", "at": "all"}}, {"hidden_size": 64, "batch_size": 32},
    ],
)  # fmt: skip
def test_what_is_too_large_or_has_no_one_sum_is_left_out(more):
    [run] = from_mapping({"cell": "rnn", **SMALL, **more}).runs
    assert not can_expand(run)


def test_cross_entropy_and_its_output_gradient():
    [run] = from_mapping({"cell": "rnn", **SMALL, "loss": "cross_entropy", "output_size": 3}).runs
    one = expand(run)[0]
    net = {(0, 0): _last_state(run)}
    delta, _ = objective(run).by_output(net, 0)
    expected = np.sqrt(np.mean(np.square(np.linalg.norm(delta, axis=-1))))
    assert one.rows[0].factors[0] == pytest.approx(expected)


def _last_state(run):
    p = sampling.parameters(run)[0, 0]
    h = sampling.initial_state(run)[0, 0]
    for x in sampling.inputs(run):
        h = np.tanh(x @ p["W"].T + p["b"] + h @ p["U"].T)
    return h
