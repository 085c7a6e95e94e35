"""The long short-term memory cell with a projected output of H. Sak, A. Senior and F. Beaufays,
"Long Short-Term Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech
Recognition" (2014), arXiv:1402.1128."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradflow.cells.base import Local, Params
from gradflow.cells.lstm import LSTM
from gradflow.logspace import Array


@dataclass(frozen=True)
class ProjectedLSTM(LSTM):
    """Long short-term memory with its output projected: h_t has proj_size components, c_t has H.

    i, f, o = σ(W_x x_t + b_x + W_s h_{t-1} + b_s), each with its own rows
    g   = tanh(W_x x_t + b_x + W_s h_{t-1} + b_s)
    c_t = f ∘ c_{t-1} + i ∘ g
    h_t = W_p (o ∘ tanh(c_t))

    W_p ~ N(0, 1/H). Its own gradient is not among the terms that are reported.

    Sak, Senior and Beaufays (2014), arXiv:1402.1128, without peepholes and without the part of the
    output that is not recurrent: `proj_size` of PyTorch.
    """

    name: ClassVar[str] = "lstmp"
    projects: ClassVar[bool] = True
    option_help: ClassVar[dict[str, str]] = {
        **LSTM.option_help,
        "proj_size": "the components of h, which the layer above and the loss see",
    }

    proj_size: int = 32

    # An LSTM, but for W_p between its own output m = o ∘ tanh(c) and h: m_t to h_t at the end of
    # a step, dh_t to dm_t at the start of its pullback.

    def output_size(self, hidden_size: int) -> int:
        return self.proj_size

    def hidden_size(self, state_size: int) -> int:
        return state_size - self.proj_size

    def step(self, z: Array, s: Array, p: Params, s_next: Array, saved: Array) -> None:
        assert p.W_p is not None
        P, H = self.proj_size, z.shape[-1] // 4
        unprojected = np.empty((*s_next.shape[:-1], 2 * H), s_next.dtype)  # m_t, c_t
        super().step(z, s, p, unprojected, saved)
        np.matmul(unprojected[..., :H], p.W_p.mT, out=s_next[..., :P])
        s_next[..., P:] = unprojected[..., H:]

    def pullback(self, local: Local, ds: Array, p: Params, dz: Array, ds_prev: Array) -> None:
        assert p.W_p is not None
        P = self.proj_size
        dm = ds[..., :P] @ p.W_p
        super().pullback(local, np.concatenate([dm, ds[..., P:]], axis=-1), p, dz, ds_prev)
