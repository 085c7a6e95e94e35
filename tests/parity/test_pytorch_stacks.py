"""Stacked and bidirectional nets against PyTorch's own modules, every layer and direction."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN, ProjectedLSTM
from gradflow.engine.network import unroll_net
from gradflow.measures.flows import backpropagate_net
from nets import as_pytorch, random_stack

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

MODULES = {
    RNN(): torch.nn.RNN,
    LSTM(): torch.nn.LSTM,
    ProjectedLSTM(proj_size=2): partial(torch.nn.LSTM, proj_size=2),
    GRU(): torch.nn.GRU,
}
CURVES = {"W_x": "weight_ih", "W_s": "weight_hh", "b_s": "bias_hh", "other": "weight_hr"}


def give(module, cell, params, suffix):
    """Put the parameters of one place into PyTorch's module."""
    for name, value in as_pytorch(cell, params).items():
        getattr(module, name + suffix).data = torch.from_numpy(value[0])


def parts_of(cell, s):
    """The parts of a state (..., S), in PyTorch's order too."""
    return [s[..., part.rows] for part in cell.parts.values()]


def own_module(stack, layers, directions):
    """PyTorch's module of the whole net, with the stack's parameters."""
    lowest = stack.cells[0, 0]
    make = partial(MODULES[lowest.cell], num_layers=layers, bidirectional=directions == 2)
    module = make(lowest.I, lowest.H).double()
    for (layer, direction), p in stack.params.items():
        give(module, lowest.cell, p, f"_l{layer}" + ("_reverse" if direction else ""))
    return module


def stepped(stack, layers, directions):
    """The same net step by step, so that each state handed to the next step keeps its gradient."""
    y = torch.from_numpy(stack.x[:, 0])
    handed, last = {}, {}
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            at = layer, direction
            cell = stack.cells[at]
            step = MODULES[cell.cell](y.shape[-1], cell.H).double()
            give(step, cell.cell, stack.params[at], "_l0")
            state = [
                torch.from_numpy(part)[None].clone().requires_grad_()
                for part in parts_of(cell, stack.s0[at][0])
            ]
            handed[at], h_of = [state], []
            for x in reversed(y) if direction else y:
                h, new = step(x[None], tuple(state) if len(state) > 1 else state[0])
                h_of.append(h[0])
                state = [part.clone() for part in (new if len(state) > 1 else [new])]
                for part in state:
                    part.retain_grad()
                handed[at].append(state)
            last[at] = state
            outputs.append(torch.stack(h_of[::-1] if direction else h_of))
        y = torch.cat(outputs, dim=-1)
    return y, handed, last


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", MODULES, ids=lambda cell: cell.label)
def test_every_layer_and_direction_equals_pytorch(cell, layers, directions):
    stack = random_stack(cell, layers=layers, directions=directions, T=11, N=4, H=5, I=3)
    net = unroll_net(stack.cells, stack.params, stack.x, stack.s0)
    found = backpropagate_net(net, stack.ds_T)

    y, handed, last = stepped(stack, layers, directions)
    loss = sum(
        (torch.cat(state, dim=-1) * torch.from_numpy(stack.ds_T[at][0])).sum()
        for at, state in last.items()
        if at[0] == layers - 1
    )
    loss.backward()
    for at, (flow,) in found.items():
        grads = [
            torch.cat([torch.zeros_like(p) if p.grad is None else p.grad for p in state], -1)
            for state in handed[at]
        ]
        norms = np.sqrt((torch.stack(grads).numpy() ** 2).sum(-1).mean((1, 2)))[::-1]
        np.testing.assert_allclose(flow.state.floats(), norms, rtol=1e-9)

    # PyTorch's own module: the same output, and the same gradient of every parameter.
    module = own_module(stack, layers, directions)
    parts = [parts_of(stack.cells[at], stack.s0[at][0]) for at in sorted(stack.s0)]
    s0 = [torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True)]
    out, s_T = module(torch.from_numpy(stack.x[:, 0]), tuple(s0) if len(s0) > 1 else s0[0])
    torch.testing.assert_close(out, y, rtol=0, atol=1e-12)
    ends = s_T if isinstance(s_T, tuple) else (s_T,)
    total = sum(
        (
            torch.cat([end[layer * directions + direction] for end in ends], -1)
            * torch.from_numpy(stack.ds_T[layer, direction][0])
        ).sum()
        for layer, direction in stack.ds_T
        if layer == layers - 1
    )
    total.backward()
    N = stack.x.shape[2]
    for (layer, direction), (flow,) in found.items():
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        assert set(flow.totals) == {
            c for c, name in CURVES.items() if hasattr(module, name + suffix)
        }
        for ours in flow.totals:
            grad = getattr(module, CURVES[ours] + suffix).grad.norm().item() / N
            np.testing.assert_allclose(flow.totals[ours].floats(), grad, rtol=1e-9)
