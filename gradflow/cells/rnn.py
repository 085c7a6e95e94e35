"""The simple recurrent cell of J. L. Elman, "Finding Structure in Time", Cognitive Science 14
(1990)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from gradflow.cells.activations import ACTIVATIONS
from gradflow.cells.base import Cell, Local, Params, Views
from gradflow.columns import Array
from gradflow.products import product


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's cell: one nonlinearity f, no gate.

    S_t = (1 - a) S_{t-1} + a f(W_x x_t + b_x + W_s S_{t-1} + b_s),  a = leak

    Elman, "Finding Structure in Time", Cognitive Science 14 (1990), where a = 1; leaky units:
    Jaeger et al., "Optimization and applications of echo state networks with leaky-integrator
    neurons", Neural Networks 20 (2007).
    """

    name: ClassVar[str] = "rnn"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    saved: ClassVar[int] = 0
    local: ClassVar[tuple[int, ...]] = (1,)
    option_help: ClassVar[dict[str, str]] = {
        "activation": "the nonlinearity f",
        "leak": "the share a of the state that each step renews",
    }

    activation: Literal["tanh", "linear", "relu", "sigmoid"] = "tanh"
    leak: float = field(default=1.0, metadata={"gt": 0, "le": 1})

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        return z.mT, s.mT, s_next.mT

    def step(self, views: Views, p: Params) -> None:
        z, s, s_next = views
        z += product(p.W_s, s)
        ACTIVATIONS[self.activation].value(z, s_next)
        if self.leak != 1:
            s_next *= self.leak
            s_next += (1 - self.leak) * s

    def linearize(self, views: Views, local: Local) -> None:
        z, _, s_next = views
        slope = local[0].mT
        if self.leak == 1:
            ACTIVATIONS[self.activation].slope(z, s_next, slope)
            return
        ACTIVATIONS[self.activation].value(z, slope)  # f(z) alone, once more
        ACTIVATIONS[self.activation].slope(z, slope, slope)
        slope *= self.leak

    def backward_views(self, local: Local, ds: Array, dz: Array, ds_prev: Array) -> Views:
        (slope,) = local
        return slope.mT, ds.mT, dz.mT, ds_prev.mT

    def pullback(self, views: Views, p: Params) -> None:
        slope, ds, dz, ds_prev = views
        np.multiply(ds, slope, out=dz)
        product(p.W_s.mT, dz, out=ds_prev)
        if self.leak != 1:
            ds_prev += (1 - self.leak) * ds
