"""What is timed: one net, its input, its loss, as plain arrays that every contestant is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gradflow.cells import CELLS, Fused, SizedCell
from gradflow.numerics.magnitudes import Array

GRID = (
    (100, 32, 16), (1000, 32, 1), (200, 64, 32), (200, 256, 32), (100, 512, 32), (100, 1024, 32),
)  # fmt: skip
"""(T, H, N)"""

NAMES = ("rnn", "lstm", "gru")  # the cells that all contestants have

OPERATIONS = {"rnn": 5, "lstm": 18, "gru": 22}
"""The most that a step and its pullback take of NumPy's; the tests hold the cells to it."""

INPUT_SIZE = 16


@dataclass(frozen=True)
class Problem:
    """A cell at one point of the grid; T, H, N, I as everywhere."""

    cell: str
    T: int
    H: int
    N: int
    dtype: str
    I: int = INPUT_SIZE  # noqa: E741

    def __str__(self) -> str:
        return f"{self.cell} {self.dtype} T={self.T} H={self.H} N={self.N}"


class Net(NamedTuple):
    """A Problem in numbers. The loss is L_n = v · s_T."""

    cell: SizedCell
    params: Fused  # W_x (G, I), W_s (G, H), b_x and b_s (G,)
    x: Array  # (T, N, I)
    s0: Array  # (N, S)
    v: Array  # (S,)


def problems() -> list[Problem]:
    """The three cells at every point of the grid, in both dtypes."""
    return [
        Problem(cell, T, H, N, dtype)
        for dtype in ("float64", "float32")
        for cell in NAMES
        for T, H, N in GRID
    ]


def draw(problem: Problem) -> Net:
    """Gaussian parameters and inputs; the same for the same problem."""
    rng = np.random.default_rng(0)
    T, H, N, I = problem.T, problem.H, problem.N, problem.I  # noqa: E741
    cell = CELLS[problem.cell]().sized(H, I)
    G, S = sum(p.shape[0] for p in cell.parameters.values() if p.role == "input"), cell.S

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (scale * rng.standard_normal(shape)).astype(problem.dtype)

    params = Fused(
        normal(G, I, scale=I**-0.5),
        normal(G, H, scale=H**-0.5),
        normal(G, scale=0.1),
        normal(G, scale=0.1),
    )
    zeros = np.zeros((N, S), problem.dtype)
    return Net(cell, params, normal(T, N, I), zeros, normal(S, scale=S**-0.5))
