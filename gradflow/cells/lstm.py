"""The long short-term memory cell of S. Hochreiter and J. Schmidhuber, Neural Computation 9
(1997), with the forget gate of F. A. Gers, J. Schmidhuber and F. Cummins, Neural Computation 12
(2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradflow.cells.activations import sigmoid, sigmoid_slope, tanh_slope
from gradflow.cells.base import Cell, Local, Params, Views
from gradflow.columns import Array, cut
from gradflow.products import product


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
    saved: ClassVar[int] = 9
    local: ClassVar[tuple[int, ...]] = (4, 1, 1)
    option_help: ClassVar[dict[str, str]] = {
        "forget_bias": "added to the bias of f, in total; 1 is a common start"
    }

    forget_bias: float = 0.0

    def named_biases(self) -> Mapping[str, float]:
        return {"f": self.forget_bias}

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        H = z.shape[-1] // 4
        i, f, g, o, tanh_c, *_ = cut(saved, 9)
        gates, e = saved.mT[..., : 4 * H, :], saved.mT[..., 5 * H :, :]
        return (z.mT, cut(z, 4)[2], e, gates, i, f, g, o, tanh_c, *_parts(s, H), *_parts(s_next, H))

    def step(self, views: Views, p: Params) -> None:
        z, z_g, e, gates, i, f, g, o, tanh_c, h, c, h_next, c_next = views

        z += product(p.W_s, h)
        sigmoid(z, e, out=gates)  # i, f and o in one go; g is overwritten
        np.tanh(z_g, out=g)

        np.multiply(f, c, out=c_next)
        c_next += i * g
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def linearize(self, views: Views, local: Local) -> None:
        _, z_g, e, gates, i, f, g, o, tanh_c, _, c, _, c_next, *_ = views
        D, h_by_c, c_by_c = local
        D_i, D_f, D_g, D_o = cut(D, 4)

        # ∂c_t/∂z for the gates i, f, g, and ∂h_t/∂z for o; in one go, as in `step`
        sigmoid_slope(e, gates, out=D.mT)
        D_i *= g
        D_f *= c
        tanh_slope(z_g, g, out=D_g)
        D_g *= i
        D_o *= tanh_c
        tanh_slope(c_next, tanh_c, out=h_by_c.mT)
        h_by_c.mT[...] *= o
        c_by_c.mT[...] = f

    def backward_views(self, local: Local, ds: Array, dz: Array, ds_prev: Array) -> Views:
        D, h_by_c, f = local
        H = dz.shape[-1] // 4
        by_gate = (a.mT.reshape(*a.shape[:-2], 4, H, -1) for a in (D, dz))
        (D_ifg, D_o), (dz_ifg, dz_o) = ((a[..., :3, :, :], a[..., 3, :, :]) for a in by_gate)
        return (
            D_ifg, D_o, h_by_c.mT, f.mT, *_parts(ds, H), dz.mT, dz_ifg, dz_o, *_parts(ds_prev, H)
        )  # fmt: skip

    def pullback(self, views: Views, p: Params) -> None:
        D_ifg, D_o, h_by_c, f, dh, dc, dz, dz_ifg, dz_o, dh_prev, dc_prev = views

        dc = dc + dh * h_by_c  # c_t reaches the loss through s_t and through h_t
        np.multiply(dc[..., None, :, :], D_ifg, out=dz_ifg)
        np.multiply(dh, D_o, out=dz_o)
        np.multiply(dc, f, out=dc_prev)
        product(p.W_s.mT, dz, out=dh_prev)


def _parts(s: Array, H: int) -> tuple[Array, Array]:
    """h and c of a state, as columns: c is its last H components, what stands before is h."""
    columns = s.mT
    return columns[..., :-H, :], columns[..., -H:, :]
