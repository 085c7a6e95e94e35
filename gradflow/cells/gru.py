"""The gated recurrent unit of K. Cho et al., EMNLP 2014, arXiv:1406.1078, in both of its
published forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from gradflow.cells.activations import one_minus_sigmoid, sigmoid, sigmoid_slope, tanh_slope
from gradflow.cells.base import Cell, Factor, Local, Params
from gradflow.logspace import Array


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
    saved: ClassVar[int] = 4
    option_help: ClassVar[dict[str, str]] = {
        "reset": "r acts after the recurrent product (as PyTorch) or before it (Cho et al. 2014)",
        "update_bias": "added to the bias of z, in total; a large one keeps the state for long",
    }

    reset: Literal["after", "before"] = "after"
    update_bias: float = 0.0

    # In the code below u is the update gate, since z names a pre-activation throughout;
    # q is what r multiplies: W_s h + b_s (after) or h itself (before).

    def named_biases(self) -> Mapping[str, float]:
        return {"z": self.update_bias}

    def input_bias(self, p: Params) -> Array:
        bias = p.b_x + p.b_s
        if self.reset == "after":  # there r multiplies n's recurrent bias
            n = slice(2 * (bias.shape[-1] // 3), None)
            bias[..., n] = p.b_x[..., n]
        return bias

    def step(self, z: Array, s: Array, p: Params, s_next: Array, saved: Array) -> None:
        H = s.shape[-1]
        r, u, n, q = (saved[..., k * H : (k + 1) * H] for k in range(4))
        gates = z[..., : 2 * H]

        if self.reset == "after":
            recurrent = s @ p.W_s.mT
            gates += recurrent[..., : 2 * H]
            sigmoid(gates, out=saved[..., : 2 * H])
            np.add(recurrent[..., 2 * H :], p.b_s[..., None, 2 * H :], out=q)
            z[..., 2 * H :] += r * q
        else:
            gates += s @ p.W_s[..., : 2 * H, :].mT
            sigmoid(gates, out=saved[..., : 2 * H])
            q[...] = s
            z[..., 2 * H :] += (r * q) @ p.W_s[..., 2 * H :, :].mT
        np.tanh(z[..., 2 * H :], out=n)

        np.subtract(s, n, out=s_next)  # h_t = n + u (h_{t-1} - n)
        s_next *= u
        s_next += n

    def linearize(self, z: Array, saved: Array, s: Array, s_next: Array) -> Local:
        H = s.shape[-1]
        r, u, n, q = (saved[..., k * H : (k + 1) * H] for k in range(4))

        n_by_q = r.copy()  # the factor of the path through q, without tanh'
        r_slope = sigmoid_slope(z[..., :H], r)
        r_slope *= q
        not_u = one_minus_sigmoid(z[..., H : 2 * H], u)
        h_by_zu = (s - n) * u
        h_by_zu *= not_u
        h_by_zn = tanh_slope(z[..., 2 * H :], n)
        h_by_zn *= not_u
        return r_slope, h_by_zu, h_by_zn, n_by_q, u.copy()

    def pullback(self, local: Local, ds: Array, p: Params, dz: Array, ds_prev: Array) -> None:
        r_slope, h_by_zu, h_by_zn, r, u = local
        H = ds.shape[-1]
        dz_r, dz_u, dz_n = (dz[..., k * H : (k + 1) * H] for k in range(3))

        np.multiply(ds, h_by_zu, out=dz_u)
        np.multiply(ds, h_by_zn, out=dz_n)
        if self.reset == "after":
            np.multiply(dz_n, r_slope, out=dz_r)
            left = dz.copy()
            left[..., 2 * H :] *= r
            np.matmul(left, p.W_s, out=ds_prev)
        else:
            dq = dz_n @ p.W_s[..., 2 * H :, :]  # q is r ∘ h here; this is its cotangent
            np.multiply(dq, r_slope, out=dz_r)
            np.matmul(dz[..., : 2 * H], p.W_s[..., : 2 * H, :], out=ds_prev)
            ds_prev += dq * r
        ds_prev += ds * u

    def recurrent_factors(self, local: Local, dz: Array, s: Array) -> tuple[Array, list[Factor]]:
        H = s.shape[-1]
        r = local[3]
        if self.reset == "before":
            return dz, [(slice(0, 2 * H), s), (slice(2 * H, 3 * H), r * s)]
        left = dz.copy()
        left[..., 2 * H :] *= r
        return left, [(slice(0, 3 * H), s)]
