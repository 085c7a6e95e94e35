"""The same net in PyTorch: the loop that people write, and the fused modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.problems import Net
from benchmarks.timing import Task

CELLS = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
FUSED = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def loop(net: Net) -> Task:
    """A loop over the cell with `retain_grad` on every state; the state's gradient norm at every
    lag, and dL/dW. No terms of the weights by lag. The gradient that PyTorch keeps for the c of an
    LSTMCell also counts the way from c_t through h_t, which the derivative with respect to the
    state (h_t, c_t) does not."""
    cell = _filled(CELLS[net.cell.cell.name], net, suffix="")
    x, v = torch.from_numpy(net.x), torch.from_numpy(net.v)
    has_c = net.cell.cell.name == "lstm"

    def run() -> np.ndarray:
        cell.zero_grad()
        state = _parts(net)
        states = []
        for x_t in x:
            state = cell(x_t, tuple(state)) if has_c else [cell(x_t, state[0])]
            for part in state:
                part.retain_grad()
            states.append(state)
        (torch.cat(list(state), dim=-1) @ v).sum().backward()
        squares = [sum(part.grad.square().sum(-1) for part in parts) for parts in states]
        return torch.stack(squares).mean(-1).sqrt().numpy()

    return run


def fused(net: Net) -> Task:
    """nn.RNN, nn.LSTM or nn.GRU: forward, then dL/dW and dL/ds_0. No lags: less work."""
    module = _filled(FUSED[net.cell.cell.name], net, suffix="_l0")
    x, v = torch.from_numpy(net.x), torch.from_numpy(net.v)
    has_c = net.cell.cell.name == "lstm"

    def run() -> None:
        module.zero_grad()
        first = [part[None].requires_grad_() for part in _parts(net)]
        _, last = module(x, tuple(first) if has_c else first[0])
        whole = torch.cat([part[0] for part in last], dim=-1) if has_c else last[0]
        (whole @ v).sum().backward()

    return run


def _parts(net: Net) -> list[torch.Tensor]:
    return [torch.from_numpy(net.s0[:, part.rows].copy()) for part in net.cell.parts.values()]


def _filled(make: Any, net: Net, suffix: str) -> Any:
    """The module with the net's parameters."""
    module = make(net.x.shape[-1], net.params.W_s.shape[-1])
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for name, value in zip(names, net.params[:4], strict=True):
        parameter = getattr(module, name + suffix)
        parameter.data = torch.from_numpy(value.copy())
    return module
