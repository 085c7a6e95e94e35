"""The gated recurrent unit of K. Cho et al., EMNLP 2014, arXiv:1406.1078, in both of its
published forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from gradflow.cells.activations import (
    one_minus_sigmoid,
    sigmoid,
    sigmoid_slope,
    tanh_slope_at,
    twice_cosh,
)
from gradflow.cells.base import Cell, Factor, Local, Params, Views
from gradflow.columns import Array, cut
from gradflow.products import product


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit: the update gate z keeps the old state, the reset gate r veils it.

    r, z = σ(W_x x_t + b_x + W_s h_{t-1} + b_s), each with its own rows
    n    = tanh(W_x x_t + b_x + r ∘ (W_s h_{t-1} + b_s))   reset: after
    n    = tanh(W_x x_t + b_x + W_s (r ∘ h_{t-1}) + b_s)   reset: before
    h_t  = (1 - z) ∘ n + z ∘ h_{t-1}

    Cho et al., EMNLP 2014, arXiv:1406.1078 (reset before; version 3 has z keep the old state);
    reset after: the form of cuDNN, PyTorch and Keras 3.
    """

    name: ClassVar[str] = "gru"
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    saved: ClassVar[int] = 5
    local: ClassVar[tuple[int, ...]] = (1, 1, 1, 1, 1)
    option_help: ClassVar[dict[str, str]] = {
        "reset": "r acts after the recurrent product (as PyTorch) or before it (Cho et al. 2014)",
        "update_bias": "added to the bias of z, in total; a large one keeps the state for long",
    }

    reset: Literal["after", "before"] = "after"
    update_bias: float = 0.0

    # In the code below u is the update gate, since z names a pre-activation throughout;
    # q is what r multiplies: W_s h + b_s (after) or h itself (before). What u leaves over is kept
    # beside it as `rest`, since 1 - u has no digits left where u is close to 1.

    def named_biases(self) -> Mapping[str, float]:
        return {"z": self.update_bias}

    def input_bias(self, p: Params) -> Array:
        bias = p.b_x + p.b_s
        if self.reset == "after":  # there r multiplies n's recurrent bias
            n = slice(2 * (bias.shape[-1] // 3), None)
            bias[..., n] = p.b_x[..., n]
        return bias

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        H = s.shape[-1]
        columns = saved.mT
        r, u, n, q, rest = cut(saved, 5)
        gates = columns[..., : 2 * H, :]
        z_gates, z_n = z.mT[..., : 2 * H, :], z.mT[..., 2 * H :, :]
        return z_gates, z_n, gates, r, u, n, q, rest, s.mT, s_next.mT

    def step(self, views: Views, p: Params) -> None:
        z_gates, z_n, gates, r, u, n, q, rest, s, s_next = views
        H = s.shape[-2]

        if self.reset == "after":
            recurrent = product(p.W_s, s)
            z_gates += recurrent[..., : 2 * H, :]
            sigmoid(z_gates, e=z_gates, out=gates)
            np.add(recurrent[..., 2 * H :, :], p.b_s[..., 2 * H :, None], out=q)
            z_n += r * q
        else:
            z_gates += product(p.W_s[..., : 2 * H, :], s)
            sigmoid(z_gates, e=z_gates, out=gates)
            q[...] = s
            z_n += product(p.W_s[..., 2 * H :, :], r * q)
        np.tanh(z_n, out=n)

        one_minus_sigmoid(z_gates[..., H:, :], out=rest)
        np.multiply(u, s, out=s_next)
        s_next += rest * n

    def linearize(self, views: Views, local: Local) -> None:
        e, z_n, _, r, u, n, q, rest, s, _ = views
        H = s.shape[-2]
        r_slope, h_by_zu, h_by_zn, n_by_q, h_by_h = (a.mT for a in local)

        twice_cosh(e[..., :H, :], out=r_slope)
        sigmoid_slope(r_slope)
        r_slope *= q
        tanh_slope_at(z_n, n, out=h_by_zn)
        h_by_zn *= rest
        np.multiply(u, rest, out=h_by_zu)
        h_by_zu *= s - n
        n_by_q[...] = r  # the factor of the path through q, without tanh'
        h_by_h[...] = u

    def backward_views(self, local: Local, ds: Array, dz: Array, ds_prev: Array) -> Views:
        return (*(a.mT for a in local), ds.mT, dz.mT, *cut(dz, 3), ds_prev.mT)

    def pullback(self, views: Views, p: Params) -> None:
        r_slope, h_by_zu, h_by_zn, r, u, ds, dz, dz_r, dz_u, dz_n, ds_prev = views
        H = ds.shape[-2]

        np.multiply(ds, h_by_zu, out=dz_u)
        np.multiply(ds, h_by_zn, out=dz_n)
        if self.reset == "after":
            np.multiply(dz_n, r_slope, out=dz_r)
            left = dz.copy()
            left[..., 2 * H :, :] *= r
            product(p.W_s.mT, left, out=ds_prev)
        else:
            W_n = p.W_s[..., 2 * H :, :]
            dq = product(W_n.mT, dz_n)  # q is r ∘ h here; this is its cotangent
            np.multiply(dq, r_slope, out=dz_r)
            product(p.W_s[..., : 2 * H, :].mT, dz[..., : 2 * H, :], out=ds_prev)
            dq *= r
            ds_prev += dq
        ds_prev += ds * u

    def recurrent_factors(self, local: Local, dz: Array, s: Array) -> tuple[Array, list[Factor]]:
        H = s.shape[-1]
        r = local[3]
        if self.reset == "before":
            return dz, [(slice(0, 2 * H), s), (slice(2 * H, 3 * H), r * s)]
        left = np.copy(dz, order="K")
        left[..., 2 * H :] *= r
        return left, [(slice(0, 3 * H), s)]
