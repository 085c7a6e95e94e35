"""The long short-term memory cell with a projected output of H. Sak, A. Senior and F. Beaufays,
"Long Short-Term Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech
Recognition" (2014), arXiv:1402.1128."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gradflow.cells.base import Params, Views
from gradflow.cells.lstm import LSTM
from gradflow.columns import Array
from gradflow.products import product


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
    saved: ClassVar[int] = 7
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

    def forward_views(self, z: Array, saved: Array, s: Array, s_next: Array) -> Views:
        H = z.shape[-1] // 4
        of_lstm = super().forward_views(z, saved[..., :-H], s, s_next)
        *rest, h_next, c_next = of_lstm
        return (*rest, saved.mT[..., -H:, :], c_next, h_next)  # m_t in the place of h_t

    def step(self, views: Views, p: Params) -> None:
        assert p.W_p is not None
        *of_lstm, h_next = views
        super().step(tuple(of_lstm), p)
        product(p.W_p, of_lstm[-2], out=h_next)

    def pullback(self, views: Views, p: Params) -> None:
        assert p.W_p is not None
        D_ifg, D_o, h_by_c, f, dh, *rest = views
        dm = product(p.W_p.mT, dh)
        super().pullback((D_ifg, D_o, h_by_c, f, dm, *rest), p)
