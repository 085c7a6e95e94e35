"""The long short-term memory cell of S. Hochreiter and J. Schmidhuber, Neural Computation 9
(1997), with the forget gate of F. A. Gers, J. Schmidhuber and F. Cummins, Neural Computation 12
(2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradflow.cells.activations import sigmoid, sigmoid_slope, tanh_slope
from gradflow.cells.base import Cell, Local, Params
from gradflow.logspace import Array


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory: a cell state c carried through a forget gate.

    i, f, o = σ(W_x x_t + b_x + W_s h_{t-1} + b_s), each with its own rows
    g   = tanh(W_x x_t + b_x + W_s h_{t-1} + b_s)
    c_t = f ∘ c_{t-1} + i ∘ g
    h_t = o ∘ tanh(c_t)

    Hochreiter and Schmidhuber, Neural Computation 9 (1997); forget gate: Gers, Schmidhuber and
    Cummins, Neural Computation 12 (2000).
    """

    name: ClassVar[str] = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    state_parts: ClassVar[tuple[str, ...]] = ("h", "c")
    saved: ClassVar[int] = 5
    option_help: ClassVar[dict[str, str]] = {
        "forget_bias": "added to the bias of f, in total; 1 is a common start"
    }

    forget_bias: float = 0.0

    # c is the last H components of a state; what stands before it is h.

    def named_biases(self) -> Mapping[str, float]:
        return {"f": self.forget_bias}

    def step(self, z: Array, s: Array, p: Params, s_next: Array, saved: Array) -> None:
        H = z.shape[-1] // 4
        h, c = s[..., :-H], s[..., -H:]
        h_next, c_next = s_next[..., :-H], s_next[..., -H:]
        i, f, g, o, tanh_c = (saved[..., k * H : (k + 1) * H] for k in range(5))

        z += h @ p.W_s.mT
        sigmoid(z, out=saved[..., : 4 * H])  # i, f and o in one go; g is overwritten
        np.tanh(z[..., 2 * H : 3 * H], out=g)

        np.multiply(f, c, out=c_next)
        c_next += i * g
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def linearize(self, z: Array, saved: Array, s: Array, s_next: Array) -> Local:
        H = z.shape[-1] // 4
        c, c_next = s[..., -H:], s_next[..., -H:]
        i, f, g, o, tanh_c = (saved[..., k * H : (k + 1) * H] for k in range(5))

        # ∂c_t/∂z for the gates i, f, g, and ∂h_t/∂z for o; in one go, as in `step`
        D = sigmoid_slope(z, saved[..., : 4 * H])
        D_i, D_f, D_g, D_o = (D[..., k * H : (k + 1) * H] for k in range(4))
        D_i *= g
        D_f *= c
        np.multiply(i, tanh_slope(z[..., 2 * H : 3 * H], g), out=D_g)
        D_o *= tanh_c
        h_by_c = tanh_slope(c_next, tanh_c)
        h_by_c *= o
        return D, h_by_c, f.copy()

    def pullback(self, local: Local, ds: Array, p: Params, dz: Array, ds_prev: Array) -> None:
        D, h_by_c, f = local
        H = dz.shape[-1] // 4
        dh, dc = ds[..., :-H], ds[..., -H:]
        dh_prev, dc_prev = ds_prev[..., :-H], ds_prev[..., -H:]

        dc = dc + dh * h_by_c  # c_t reaches the loss through s_t and through h_t
        D_gates, dz_gates = (a.reshape(*a.shape[:-1], 4, H) for a in (D, dz))
        np.multiply(dc[..., None, :], D_gates[..., :3, :], out=dz_gates[..., :3, :])  # i, f, g
        np.multiply(dh, D_gates[..., 3, :], out=dz_gates[..., 3, :])  # o
        np.multiply(dc, f, out=dc_prev)
        np.matmul(dz, p.W_s, out=dh_prev)
