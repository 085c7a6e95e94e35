"""The recurrent cells. `CELLS` is the one list of them; everything else is derived from it."""

from __future__ import annotations

from gradflow.cells.base import Cell, Params
from gradflow.cells.gru import GRU
from gradflow.cells.lstm import LSTM
from gradflow.cells.lstmp import ProjectedLSTM
from gradflow.cells.rnn import RNN

CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (RNN, LSTM, ProjectedLSTM, GRU)}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cell", "Params", "ProjectedLSTM"]
