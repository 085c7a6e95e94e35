"""The recurrent cells. `CELLS` is the one list of them; everything else is derived from it."""

from __future__ import annotations

from gradflow.cells.cell import Cell
from gradflow.cells.contract import Params
from gradflow.cells.fused import Fused, unfused
from gradflow.cells.library import CELLS, CellType
from gradflow.cells.sized import SizedCell

RNN, LSTM, ProjectedLSTM, GRU = (CELLS[name] for name in ("rnn", "lstm", "lstmp", "gru"))

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "CellType",
    "Fused",
    "Params",
    "ProjectedLSTM",
    "SizedCell",
    "unfused",
]
