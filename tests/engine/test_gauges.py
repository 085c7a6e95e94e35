"""Where gauges begin: at what the first step makes of them, so that no gate is too low for it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gradflow
from gradflow.cells import CELLS
from gradflow.engine.gauges import with_gauges

LOW = [-1e4, -750.0, -740.0, -105.0, -100.0, -30.0, 0.0, 50.0]
PRECISIONS = [("float32", 2e-7), ("float64", 4e-16)]


def one_unit(dtype, **values):
    return {name: np.full((1, *shape), v, dtype) for name, (shape, v) in values.items()}


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("i", LOW)
def test_an_input_gate_alike_at_all_steps_cancels_however_low(i, dtype, rtol):
    """c / n is the mean of tanh(1), whatever weighs it: h = sigmoid(1) tanh(1)."""
    matrices = {f"{m}_{gate}": ((1, 1), 0.0) for m in "WU" for gate in "ifzo"}
    biases = {"b_i": ((1,), i), "b_f": ((1,), 10.0), "b_z": ((1,), 1.0), "b_o": ((1,), 1.0)}
    params = one_unit(dtype, **matrices, **biases)
    found = gradflow.unroll(CELLS["slstm"](), params, np.zeros((3, 1, 1, 1), dtype))
    assert found.diverged_at == [0]
    assert_allclose(found.last[0, 0, 0], np.tanh(1) / (1 + np.exp(-1)), rtol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("k", LOW)
def test_a_weighted_mean_of_ones_is_one_however_low_their_weights(k, dtype, rtol):
    matrix, vector = (1, 1), (1,)
    params = one_unit(
        dtype, W_k=(matrix, k), W_v=(matrix, 1.0), W_r=(matrix, 0.0), W_o=(matrix, 1.0),
        mu_k=(vector, 1.0), mu_v=(vector, 1.0), mu_r=(vector, 1.0), time_decay=(vector, -5.0),
        u=(vector, 0.0),
    )  # fmt: skip
    found = gradflow.unroll(CELLS["rwkv4"](), params, np.ones((3, 1, 1, 1), dtype))
    assert found.diverged_at == [0]
    assert_allclose(found.last[0, 0, 0], 1.0, rtol=rtol)


SMALL = {"sequence_length": 12, "hidden_size": 4, "input_size": 3, "batch_size": 3}


@pytest.mark.parametrize("cell", ["slstm", "rwkv4", "mlstm"])
def test_low_gates_give_the_same_loss_in_either_precision(cell):
    low = {**SMALL, "cell": cell, "wx_scale": 100.0}
    (single,), (double,) = (gradflow.analyze({**low, "dtype": d}) for d in ("float32", "float64"))
    assert_allclose(single.loss, double.loss, rtol=1e-4)
    (verified,) = gradflow.verify(low)
    assert verified.holds


@pytest.mark.parametrize("cell", ["slstm", "mlstm"])
def test_what_a_gauge_scales_keeps_it_where_it_is_not_zero(cell):
    sized = CELLS[cell]().sized(2, 2)
    rng = np.random.default_rng(0)
    params = {n: rng.standard_normal((1, *p.shape)) for n, p in sized.parameters.items()}
    s = np.zeros((1, 3, sized.S_all))
    m, n = sized.parts["m"].rows, sized.parts["n"].rows
    s[..., m], s[0, 1, n.start] = 7.0, 1.0
    x = rng.standard_normal((1, 3, 2))
    found = with_gauges(sized, sized.bind(params), x, s)
    assert (s[..., m] == 7).all()  # what was given is left alone
    assert found[0, 1, m.start] == 7
    assert (found[0, 0, m] != 7).all()
    others = np.delete(np.arange(sized.S_all), np.arange(m.start, m.stop))
    assert (found[..., others] == s[..., others]).all()


def test_a_gauge_that_would_be_no_number_stays():
    own = {
        "type": "equations", "name": "drifting", "state": {"h": "H", "c": "H", "m": "H"},
        "gauge": {"m": ["c"]}, "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
        "step": "m[t] = m[t-1] - 0.5\n"
                "c[t] = exp(m[t-1] - m[t]) * c[t-1] + exp(-m[t]) * (W @ x[t])\n"
                "h[t] = tanh(exp(m[t]) * c[t] + U @ h[t-1])",
    }  # fmt: skip
    (result,) = gradflow.analyze({**SMALL, "cell": own})
    assert result.diverged_at is None
    assert np.isfinite(result.flow.state.log10()).all()
