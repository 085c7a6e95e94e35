"""Trains the net of `configs/trained.yaml`: `python -m benchmarks.sunspots` writes its checkpoints.

An LSTM reads the yearly sunspot numbers and says the next one. PyTorch, one thread, a fixed seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent.parent / "configs"
UNITS, EPOCHS, KEPT = 16, 1000, (0, 10, 30, 100, 300, 1000)


class Forecaster(torch.nn.Module):
    """An LSTM, and one number from each of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(1, UNITS)
        self.head = torch.nn.Linear(UNITS, 1)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(series)[0])


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    numbers = np.loadtxt(FOLDER / "sunspots.csv", delimiter=",", comments="#", skiprows=3)[:, 1]
    series = torch.tensor((numbers - numbers.mean()) / numbers.std(), dtype=torch.float32)
    series = series[:, None, None]  # (T, N, I)
    net = Forecaster()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(EPOCHS + 1):
        error = (net(series[:-1]) - series[1:]).square().mean()
        if epoch in KEPT:
            state = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
            np.savez(FOLDER / "checkpoints" / f"epoch-{epoch:04}.npz", **state)
            print(f"epoch {epoch:4}: mean squared error {error.item():.3f}")
        optimizer.zero_grad()
        error.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
