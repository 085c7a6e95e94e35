"""What is to be run, in plain data: an Experiment is a list of runs, one a point of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from gradflow.axes import AXES, NET_AXES, phrase, varied
from gradflow.cells import Cell, Params, SizedCell
from gradflow.counts import many
from gradflow.engine.lengths import BUDGET
from gradflow.engine.network import Place
from gradflow.errors import Fault, InputError
from gradflow.measures.contract import Asked
from gradflow.numerics.arrays import Array
from gradflow.runs.initializers import Base


@dataclass(frozen=True, eq=False)
class Signal:
    """Where an array comes from: N(0, scale²) draws, zeros, or the user's own numbers."""

    kind: Literal["gaussian", "zeros", "file"]
    scale: float = 1.0
    values: Array | None = None


@dataclass(frozen=True, eq=False)
class Loss:
    """What the loss is, and where it is read (see losses.py).

    Attributes:
        target: a number, an array (N, O) for all steps or (T', N, O) for each, of classes with a
            last axis of 1; None: drawn at random. T' is how many steps there are at which the loss
            is read, or at least T: a row for each step of the input.
        at: `last`, each direction's own last step; n, every n-th step; or the steps in order, 1..T
            in the input's own time.
        reduce: what becomes of the losses of these steps.
        truncate: the state is cut off from its past behind every so many steps of a place's own
            time; None: nowhere.
    """

    kind: Literal["mse", "cross_entropy", "probe", "sum"]
    target: float | Array | None = None
    at: Literal["last"] | int | tuple[int, ...] = "last"
    reduce: Literal["mean", "sum"] = "mean"
    truncate: int | None = None


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
        as_is: whether the `init` of a parameter has no part in them.
    """

    params: Mapping[Place, Params]
    hidden: Mapping[Place, int]
    output_layer: tuple[Array, Array] | None = None
    backward: bool = False
    merge: str = "concat"
    notes: tuple[str, ...] = ()
    as_is: bool = False


@dataclass(frozen=True, eq=False)
class InitialState(Signal):
    """Where s_0 comes from. `arrays` are those of a file, (N, width) or (N, a, b), by the names of
    the parts of the state; in a net of several places with `_l0`, `_l0_reverse` behind them."""

    arrays: Mapping[str, Array] | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """One point of a sweep: a net, its input, its loss. Letters as in cells/contract.py.

    `ws_init` and `ws_scale` are None where the cell has no recurrent weights for them.
    """

    cell: Cell
    sequence_length: int
    hidden_size: int
    input_size: int
    output_size: int
    batch_size: int
    ws_init: str | Base | None
    ws_scale: float | None
    wx_init: str | Base
    wx_scale: float
    bias_scale: float
    seed: int
    input: Signal
    initial_state: InitialState
    loss: Loss
    dtype: Literal["float64", "float32"]
    layers: int = 1
    bidirectional: bool = False
    trained: Trained | None = None
    tape_memory: int = BUDGET
    measures: tuple[Asked, ...] = ()

    def __repr__(self) -> str:
        """`<Run: lstm, W_s×0.5, T=100, H=64, I=16, N=32, seed 0>`."""
        named = ("cell", "ws_scale", "sequence_length", "hidden_size", "input_size", "batch_size",
                 "seed")  # fmt: skip
        own = self.axes
        said = [phrase(name, own[name]) for name in named if own[name] is not None]
        return f"<Run: {', '.join(said)}>"

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts of its cell's state that have a gradient of their own."""
        gauges = {scale for scale, _ in self.cell.equations.gauge}
        return tuple(part for part in self.cell.state_parts if part not in gauges)

    @property
    def directions(self) -> int:
        """Of time that the net runs in: 1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def places(self) -> list[Place]:
        """(layer, direction) of every part of the net, the lowest layer first."""
        each = range(self.directions)
        return [(layer, direction) for layer in range(self.layers) for direction in each]

    @property
    def top_places(self) -> list[Place]:
        """The places whose last h the loss reads."""
        return [at for at in self.places if at[0] == self.layers - 1]

    def with_trained(self, trained: Trained) -> Run:
        """The run with parameters from a file in place of random ones."""
        ws_init = None if self.ws_init is None else "trained"
        return replace(self, trained=trained, ws_init=ws_init, wx_init="trained")

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
            above = self.cell.sized(self.hidden_size, cell.P * self.directions)
            if above is cell:
                break
            cell = above
        return cell

    def state_name(self, at: Place, part: str) -> tuple[str, ...]:
        """What a file of initial states calls a part at a place."""
        layer, direction = at
        full = f"{part}_l{layer}" + ("_reverse" if direction else "")
        return (full,) if len(self.places) > 1 else (part, full)

    def output_width(self, at: Place) -> int:
        """P, the size of the output at a place."""
        return int(self.cells[at].P)

    def state_width(self, at: Place) -> int:
        """S, the size of the state at a place."""
        return int(self.cells[at].S)

    @cached_property
    def loss_steps(self) -> Array:
        """The steps at which the loss is read, 1..T in the input's own time, in order. `last` is
        one step, T in the time of each direction."""
        T, at = self.sequence_length, self.loss.at
        if at == "last":
            return np.array([T])
        return np.arange(at, T + 1, at) if isinstance(at, int) else np.array(at)

    def own_loss_steps(self, at: Place) -> Array:
        """The same steps in the time of a place."""
        backward = at[1] == 1 or (self.trained is not None and self.trained.backward)
        if backward and self.loss.at != "last":
            return np.asarray(self.sequence_length + 1 - self.loss_steps)
        return self.loss_steps

    @property
    def objective(self) -> str:
        """The loss and where it is read, as people say it."""
        said = [f"{self.loss.kind} at {self._where}"]
        if self.loss.reduce == "sum" and self.loss.at != "last":
            said.append("summed")
        if self.loss.truncate is not None:
            every = many(self.loss.truncate, "step") if self.loss.truncate > 1 else "step"
            said.append(f"cut off every {every}")
        return ", ".join(said)

    @property
    def _where(self) -> str:
        """At which steps the loss is read."""
        at = self.loss.at
        if at == "last":
            return "the last step of each direction" if self.bidirectional else "the last step"
        if isinstance(at, int):
            return "every step" if at == 1 else f"every {_ordinal(at)} step"
        if len(at) == 1:
            return f"step {at[0]}"
        if len(at) <= _NAMED:
            return f"steps {', '.join(map(str, at[:-1]))} and {at[-1]}"
        return f"{len(at)} steps from {at[0]} to {at[-1]}"

    @property
    def axes(self) -> dict[str, str | int | float | None]:
        """The values of AXES and NET_AXES; the cell by its label; None of what it has not."""
        values = {name: getattr(self, name) for name in (*AXES, *NET_AXES)}
        inits = {n: str(values[n]) for n in ("ws_init", "wx_init") if values[n] is not None}
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


_NAMED = 5  # steps of a loss that are named one by one


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..., 11th, ..., 21st."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


@dataclass(frozen=True, eq=False)
class Experiment:
    """A validated config.

    Attributes:
        runs: every combination of the sweep, in order.
        title: the user's own, or None.
        lags: which lags tables show: `auto`, `all` or a list.
        thresholds: (vanishing, exploding), on the gradient relative to lag 0.
        config: the config as plain data, every default filled in.
        positions: key to where it is in the config, of those by which a draw may fail.
    """

    runs: tuple[Run, ...]
    title: str | None
    lags: Literal["auto", "all"] | tuple[int, ...]
    thresholds: tuple[float, float]
    config: Mapping[str, object]
    positions: Mapping[str, Fault] = field(default_factory=dict)

    def __repr__(self) -> str:
        """`<Experiment: 4 runs over cell, ws_scale>`."""
        over = f" over {', '.join(self.varied)}" if self.varied else ""
        return f"<Experiment: {many(len(self.runs), 'run')}{over}>"

    def placed(self, error: InputError) -> InputError:
        """What went wrong as the runs were drawn, with its line in the config."""
        located = (
            replace(self.positions[one.key], message=one.message)
            if one.source is None and one.key is not None and one.key in self.positions
            else one
            for one in error.faults
        )
        return InputError(*located)

    @property
    def varied(self) -> tuple[str, ...]:
        """Those of the axes that differ between the runs that have them."""
        return varied(run.axes for run in self.runs)

    @property
    def measures(self) -> tuple[Asked, ...]:
        """What is to be measured besides the gradient; the same of every run."""
        return self.runs[0].measures if self.runs else ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts of its cells' states, in the order in which they first come."""
        return tuple(dict.fromkeys(part for run in self.runs for part in run.parts))

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options of its cells, in the order in which they first come."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.cell.options))
