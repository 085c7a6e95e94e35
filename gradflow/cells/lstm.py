"""The long short-term memory cell of S. Hochreiter and J. Schmidhuber, Neural Computation 9
(1997), with the forget gate of F. A. Gers, J. Schmidhuber and F. Cummins, Neural Computation 12
(2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradflow.cells.activations import (
    sigmoid,
    sigmoid_slope,
    tanh_slope,
    tanh_slope_at,
    twice_cosh,
)
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
    saved: ClassVar[int] = 6
    local: ClassVar[tuple[int, ...]] = (4, 1, 1)
    option_help: ClassVar[dict[str, str]] = {
        "forget_bias": "added to the bias of f, in total; 1 is a common start"
    }

    forget_bias: float = 0.0

    def named_biases(self) -> Mapping[str, float]:
        return {"f": self.forget_bias}

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        H = z.shape[-1] // 4
        i, f, _, o, g, tanh_c = cut(saved, 6)
        gates = saved.mT[..., : 4 * H, :]
        return (z.mT, cut(z, 4)[2], gates, i, f, g, o, tanh_c, *_parts(s, H), *_parts(s_next, H))

    def step(self, views: Views, p: Params) -> None:
        z, z_g, gates, i, f, g, o, tanh_c, h, c, h_next, c_next = views

        z += product(p.W_s, h)
        np.tanh(z_g, out=g)
        sigmoid(z, e=z, out=gates)  # i, f and o in one go, and in vain the third for g

        np.multiply(f, c, out=c_next)
        c_next += i * g
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def linearize(self, views: Views, local: Local) -> None:
        e, _, _, i, f, g, o, tanh_c, _, c, _, c_next, *_ = views
        D, h_by_c, c_by_c = (a.mT for a in local)
        D_i, D_f, D_g, D_o = cut(local[0], 4)

        # ∂c_t/∂z for the gates i, f, g, and ∂h_t/∂z for o
        twice_cosh(e, out=D)
        sigmoid_slope(D[..., : -2 * D_g.shape[-2], :])  # i and f
        sigmoid_slope(D_o)
        tanh_slope(D_g)
        D_i *= g
        D_f *= c
        D_g *= i
        D_o *= tanh_c
        tanh_slope_at(c_next, tanh_c, out=h_by_c)
        h_by_c *= o
        c_by_c[...] = f

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
