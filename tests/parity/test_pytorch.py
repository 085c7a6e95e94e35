"""The same nets in PyTorch: states, state gradients at every lag, parameter gradients."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN, ProjectedLSTM
from gradflow.engine.flow import unroll
from gradflow.measures.flows import backpropagate
from nets import as_pytorch, random_net

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

MODULES = {
    RNN(activation="tanh"): lambda i, h: torch.nn.RNN(i, h, nonlinearity="tanh"),
    RNN(activation="relu"): lambda i, h: torch.nn.RNN(i, h, nonlinearity="relu"),
    LSTM(): torch.nn.LSTM,
    ProjectedLSTM(proj_size=2): lambda i, h: torch.nn.LSTM(i, h, proj_size=2),
    GRU(): torch.nn.GRU,
}


CURVES = {"weight_ih": "W_x", "weight_hh": "W_s", "bias_hh": "b_s", "weight_hr": "other"}


def torch_run(net):
    """Step PyTorch's own module, every step with its own copy of the parameters.

    Returns the states, and in the order of lags the gradient of each sample's loss at each state
    and the gradient of each copy: the term that its step adds to the gradient of the batch.
    """
    (T, _, _, I), H = net.x.shape, net.cell.H  # noqa: E741
    module = MODULES[net.cell.cell](I, H).double()
    x = torch.from_numpy(net.x[:, 0])
    parts = [net.s0[0][:, part.rows] for part in net.cell.parts.values()]
    states = [[torch.from_numpy(s.copy())[None].requires_grad_() for s in parts]]
    params = as_pytorch(net.cell.cell, net.params)
    copies = []
    for t in range(T):
        own = {
            f"{name}_l0": torch.from_numpy(value[0].copy()).requires_grad_()
            for name, value in params.items()
        }
        carried = tuple(states[-1]) if len(states[-1]) > 1 else states[-1][0]
        _, carried = torch.func.functional_call(module, own, (x[t : t + 1], carried))
        state = [*carried] if isinstance(carried, tuple) else [carried]
        for part in state:
            part.retain_grad()
        states.append(state)
        copies.append(own)
    last = torch.cat([part[0] for part in states[-1]], dim=-1)
    (last * torch.from_numpy(net.ds_T[0])).sum().backward()
    values = [torch.cat([p[0] for p in s], -1).detach().numpy() for s in states]
    grads = [torch.cat([p.grad[0] for p in s], -1).numpy() for s in states[::-1]]
    terms = {
        curve: np.array([own[f"{name}_l0"].grad.numpy() for own in copies[::-1]])
        for name, curve in CURVES.items()
        if name in params
    }
    return np.array(values), np.array(grads), terms


def root_mean_square(ds):
    """(T+1,) from (T+1, N, width)."""
    return np.sqrt((ds**2).sum(axis=-1).mean(axis=-1))


def frobenius(terms):
    """(T,) from (T, ...)."""
    return np.linalg.norm(terms.reshape(len(terms), -1), axis=-1)


@pytest.mark.parametrize("cell", MODULES, ids=lambda cell: cell.label)
@pytest.mark.parametrize(("T", "N", "H"), [(9, 3, 4), (1, 1, 1), (40, 20, 6), (15, 1, 5)])
def test_states_gradients_and_per_lag_terms_equal_pytorch(cell, T, N, H):
    H = max(H, cell.options.get("proj_size", 0) + 1)  # as PyTorch demands
    net = random_net(cell, T=T, N=N, H=H)
    values, grads, terms = torch_run(net)
    trajectory = unroll(cell, net.params, net.x, net.s0)
    (flow,) = backpropagate(trajectory, net.ds_T)
    assert set(flow.terms) == set(flow.totals) == set(terms)

    np.testing.assert_allclose(trajectory.last_tape.states[:, 0], values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(flow.state.floats(), root_mean_square(grads), rtol=1e-10)
    for part, curve in flow.parts.items():
        of_part = root_mean_square(grads[..., net.cell.parts[part].rows])
        np.testing.assert_allclose(curve.floats(), of_part, rtol=1e-10)
    for name, curve in flow.terms.items():
        np.testing.assert_allclose(curve.floats(), frobenius(terms[name]) / N, rtol=1e-10)
        total = np.linalg.norm(terms[name].sum(axis=0)) / N
        np.testing.assert_allclose(flow.totals[name].floats(), total, rtol=1e-10)
    running = frobenius(np.cumsum(terms["W_s"], axis=0))
    if running[-1] > 0:
        np.testing.assert_allclose(flow.share_W_s, running / running[-1], rtol=1e-10)
    else:
        assert np.isnan(flow.share_W_s).all()
