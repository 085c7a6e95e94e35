"""The table of configs/quickstart.yaml as a minimal PyTorch script: gradient norm at every lag of
three cells at three scales of W_s. Nothing else: no terms of the weights, no diagnosis."""

import torch

T, N, I, H = 100, 32, 16, 64  # noqa: E741
torch.set_default_dtype(torch.float64)

for make in (torch.nn.RNNCell, torch.nn.LSTMCell, torch.nn.GRUCell):
    for scale in (0.5, 1.0, 2.0):
        torch.manual_seed(0)
        cell, out = make(I, H), torch.nn.Linear(H, 1)
        torch.nn.init.normal_(cell.weight_ih, std=I**-0.5)
        torch.nn.init.normal_(cell.weight_hh, std=scale * H**-0.5)
        x, target = torch.randn(T, N, I), torch.randn(N, 1)
        state, states = None, []
        for x_t in x:
            state = cell(x_t, state)
            parts = state if isinstance(state, tuple) else (state,)
            for part in parts:
                part.retain_grad()
            states.append(parts)
        (0.5 * (out(parts[0]) - target) ** 2).sum().backward()
        for lag, parts in enumerate(reversed(states)):
            square = sum((p.grad**2).sum(-1) for p in parts if p.grad is not None)
            print(make.__name__, scale, lag, square.mean().sqrt().item())
