"""The simple recurrent cell of J. L. Elman, "Finding Structure in Time", Cognitive Science 14
(1990)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from gradflow.cells.activations import ACTIVATIONS
from gradflow.cells.base import Cell, Local, Params
from gradflow.logspace import Array


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's cell: one nonlinearity f, no gate.

    S_t = f(W_x x_t + b_x + W_s S_{t-1} + b_s)

    Elman, "Finding Structure in Time", Cognitive Science 14 (1990).
    """

    name: ClassVar[str] = "rnn"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    saved: ClassVar[int] = 0
    option_help: ClassVar[dict[str, str]] = {"activation": "the nonlinearity f"}

    activation: Literal["tanh", "linear", "relu", "sigmoid"] = "tanh"

    def step(self, z: Array, s: Array, p: Params, s_next: Array, saved: Array) -> None:
        z += s @ p.W_s.mT
        ACTIVATIONS[self.activation].value(z, s_next)

    def linearize(self, z: Array, saved: Array, s: Array, s_next: Array) -> Local:
        return (ACTIVATIONS[self.activation].slope(z, s_next),)

    def pullback(self, local: Local, ds: Array, p: Params, dz: Array, ds_prev: Array) -> None:
        (slope,) = local
        np.multiply(ds, slope, out=dz)
        np.matmul(dz, p.W_s, out=ds_prev)
