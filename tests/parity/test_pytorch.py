"""The same nets in PyTorch: states, state gradients at every lag, parameter gradients."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN
from gradflow.flow import backpropagate, unroll
from nets import random_net

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

MODULES = {
    RNN(activation="tanh"): lambda i, h: torch.nn.RNN(i, h, nonlinearity="tanh"),
    RNN(activation="relu"): lambda i, h: torch.nn.RNN(i, h, nonlinearity="relu"),
    LSTM(): torch.nn.LSTM,
    GRU(): torch.nn.GRU,
}


def torch_run(net):
    """Step PyTorch's own module; give the states and, by autograd, the gradient at each."""
    (T, _, _, I), H = net.x.shape, net.params.W_s.shape[-1]  # noqa: E741
    module = MODULES[net.cell](I, H).double()
    for name, value in zip(
        ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), net.params, strict=True
    ):
        getattr(module, name).data = torch.from_numpy(value[0])
    x = torch.from_numpy(net.x[:, 0])
    state = [torch.from_numpy(s)[None].requires_grad_() for s in net.cell.parts(net.s0[0]).values()]
    states = [state]
    for t in range(T):
        carried = tuple(state) if len(state) > 1 else state[0]
        _, carried = module(x[t : t + 1], carried)
        state = list(carried) if len(state) > 1 else [carried]
        for part in state:
            part.retain_grad()
        states.append(state)
    last = torch.cat([part[0] for part in state], dim=-1)
    (last * torch.from_numpy(net.ds_T[0])).sum().backward()
    values = [torch.cat([p[0] for p in s], -1).detach().numpy() for s in states]
    grads = [torch.cat([p.grad[0] for p in s], -1).numpy() for s in states]
    return module, np.array(values), np.array(grads)


@pytest.mark.parametrize("cell", MODULES, ids=lambda cell: cell.label)
@pytest.mark.parametrize(("T", "N", "H"), [(9, 3, 4), (1, 1, 1), (40, 20, 6)])
def test_states_and_gradients_equal_pytorch(cell, T, N, H):
    net = random_net(cell, T=T, N=N, H=H)
    module, values, grads = torch_run(net)
    trajectory = unroll(cell, net.params, net.x, net.s0)
    (flow,) = backpropagate(trajectory, net.ds_T)

    np.testing.assert_allclose(trajectory.last_tape.states[:, 0], values, rtol=0, atol=1e-12)
    norms = np.sqrt((grads**2).sum(axis=-1).mean(axis=-1))[::-1]
    np.testing.assert_allclose(flow.state.floats(), norms, rtol=1e-10)
    for part, curve in flow.parts.items():
        of_part = cell.parts(grads)[part]
        expected = np.sqrt((of_part**2).sum(axis=-1).mean(axis=-1))[::-1]
        np.testing.assert_allclose(curve.floats(), expected, rtol=1e-10)
    for ours, theirs in (("W_x", "weight_ih"), ("W_s", "weight_hh"), ("b_s", "bias_hh")):
        total = getattr(module, f"{theirs}_l0").grad.norm().item() / N
        np.testing.assert_allclose(flow.totals[ours].floats(), total, rtol=1e-10)
