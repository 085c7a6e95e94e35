"""One LSTM as a minimal PyTorch script, with the threads that PyTorch takes by itself: the gradient
norm at every lag. No terms of the weights, no diagnosis.

    python -m benchmarks.script_torch_run T H N
"""

import sys

import torch

T, H, N = map(int, sys.argv[1:])
I = 16  # noqa: E741
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
cell, out = torch.nn.LSTMCell(I, H), torch.nn.Linear(H, 1)
torch.nn.init.normal_(cell.weight_ih, std=I**-0.5)
torch.nn.init.normal_(cell.weight_hh, std=H**-0.5)
x, target = torch.randn(T, N, I), torch.randn(N, 1)
state, states = None, []
for x_t in x:
    state = cell(x_t, state)
    for part in state:
        part.retain_grad()
    states.append(state)
(0.5 * (out(state[0]) - target) ** 2).sum().backward()
print("lag,grad_norm")
for lag, parts in enumerate(reversed(states)):
    square = sum((p.grad**2).sum(-1) for p in parts if p.grad is not None)
    print(f"{lag},{square.mean().sqrt().item()}")
