"""What is to be run, in plain data: an Experiment is a list of runs, one a point of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from gradflow.cells import Cell, Params, SizedCell
from gradflow.columns import Array
from gradflow.engine.flow import BUDGET
from gradflow.engine.network import Place
from gradflow.initializers import Base
from gradflow.results import AXES, NET_AXES


@dataclass(frozen=True, eq=False)
class Signal:
    """Where an array comes from: N(0, scale²) draws, zeros, or the user's own numbers."""

    kind: Literal["gaussian", "zeros", "file"]
    scale: float = 1.0
    values: Array | None = None


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss at the last step; `target` None is drawn at random (see losses.py)."""

    kind: Literal["mse", "cross_entropy", "probe", "sum"]
    target: float | Array | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """Parameters from a file.

    Attributes:
        params: by place, float64.
        hidden: H by place.
        output_layer: W_o (O, D·P) and b_o (O,), or None: drawn at random.
        backward: whether its one layer runs backward in time.
        merge: what the directions of a layer hand to the next (`engine.network.MERGES`).
        notes: what was taken for granted in reading them.
    """

    params: Mapping[Place, Params]
    hidden: Mapping[Place, int]
    output_layer: tuple[Array, Array] | None = None
    backward: bool = False
    merge: str = "concat"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Run:
    """One point of a sweep: a net, its input, its loss. Letters as in cells/contract.py."""

    cell: Cell
    sequence_length: int
    hidden_size: int
    input_size: int
    output_size: int
    batch_size: int
    ws_init: str | Base
    ws_scale: float
    wx_init: str | Base
    wx_scale: float
    bias_scale: float
    seed: int
    input: Signal
    initial_state: Signal
    loss: Loss
    dtype: Literal["float64", "float32"]
    layers: int = 1
    bidirectional: bool = False
    trained: Trained | None = None
    tape_memory: int = BUDGET

    @property
    def places(self) -> list[Place]:
        """(layer, direction) of every part of the net, the lowest layer first."""
        directions = range(2 if self.bidirectional else 1)
        return [(layer, direction) for layer in range(self.layers) for direction in directions]

    @property
    def top_places(self) -> list[Place]:
        """The places whose last h the loss reads."""
        return [at for at in self.places if at[0] == self.layers - 1]

    @property
    def merge(self) -> str:
        """What the directions of a layer hand to the next; random nets put them side by side."""
        return self.trained.merge if self.trained is not None else "concat"

    def hidden_width(self, at: Place) -> int:
        """H at a place: layers of a file may differ."""
        return self.hidden_size if self.trained is None else int(self.trained.hidden[at])

    @cached_property
    def cells(self) -> dict[Place, SizedCell]:
        """The cell of every place, for its sizes."""
        if self.trained is None:
            return {at: self.cell_of_layer(at[0]) for at in self.places}
        found: dict[Place, SizedCell] = {}
        below = self.input_size
        for layer in range(self.layers):
            here = [at for at in self.places if at[0] == layer]
            found |= {at: self.cell.sized(self.hidden_width(at), below) for at in here}
            widths = [found[at].P for at in here]
            below = sum(widths) if self.merge == "concat" else widths[0]
        return found

    def cell_of_layer(self, layer: int) -> SizedCell:
        """The cell of a layer whose parameters are drawn."""
        cell = self.cell.sized(self.hidden_size, self.input_size)
        for _ in range(layer):
            above = self.cell.sized(self.hidden_size, cell.P * (2 if self.bidirectional else 1))
            if above is cell:
                break
            cell = above
        return cell

    def output_width(self, at: Place) -> int:
        """P, the size of the output at a place."""
        return int(self.cells[at].P)

    def state_width(self, at: Place) -> int:
        """S, the size of the state at a place."""
        return int(self.cells[at].S)

    @property
    def objective(self) -> str:
        """The loss and where it is read, as people say it."""
        where = "the last step of each direction" if self.bidirectional else "the last step"
        return f"{self.loss.kind} at {where}"

    @property
    def axes(self) -> dict[str, str | int | float]:
        """The values of AXES and NET_AXES; the cell by its label."""
        values = {name: getattr(self, name) for name in (*AXES, *NET_AXES)}
        inits = {name: str(values[name]) for name in ("ws_init", "wx_init")}
        return {**values, **inits, "cell": self.cell.label}

    @property
    def shape(self) -> tuple[Any, ...]:
        """Runs of equal shape can be advanced together."""
        return (
            self.cell,
            self.sequence_length,
            self.hidden_size,
            self.input_size,
            self.batch_size,
            self.layers,
            self.bidirectional,
            np.dtype(self.dtype),
        )


@dataclass(frozen=True, eq=False)
class Experiment:
    """A validated config.

    Attributes:
        runs: every combination of the sweep, in order.
        title: the user's own, or None.
        lags: which lags tables show: `auto`, `all` or a list.
        thresholds: (vanishing, exploding), on the gradient relative to lag 0.
        config: the config as plain data, every default filled in.
    """

    runs: tuple[Run, ...]
    title: str | None
    lags: Literal["auto", "all"] | tuple[int, ...]
    thresholds: tuple[float, float]
    config: Mapping[str, object]

    @property
    def varied(self) -> tuple[str, ...]:
        """Those of the axes that differ between the runs."""
        axes = [run.axes for run in self.runs]
        return tuple(
            name for name in (*AXES, *NET_AXES) if len({values[name] for values in axes}) > 1
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts of its cells' states, in the order in which they first come."""
        gauges = {scale for run in self.runs for scale, _ in run.cell.equations.gauge}
        found = dict.fromkeys(part for run in self.runs for part in run.cell.state_parts)
        return tuple(part for part in found if part not in gauges)

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options of its cells, in the order in which they first come."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.cell.options))
