"""All that is random in a run: parameters, input, initial state, target.

Each draws from its own stream, so that runs of one seed differ only in what the sweep
changes: another `ws_scale` is the same base matrix times another number, a longer sequence
starts with the same inputs, another layer leaves those below it as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gradflow.cells import Params
from gradflow.cells.contract import Parameter, Role
from gradflow.engine.network import Place
from gradflow.equations.initial import NAMES, DrawError, Initial, uses_drawn
from gradflow.errors import Fault, InputError
from gradflow.numerics.arrays import Array
from gradflow.runs.experiment import Run, Signal
from gradflow.runs.initializers import FUSED, INITIALIZERS, Base

# The position of a name here is its stream's key: a new one goes to the end.
_STREAMS = (
    "W_x", "W_s", "b_x", "b_s", "W_o", "b_o", "input", "initial_state", "target", "probe", "W_p",
    "init",
)  # fmt: skip


def stream(run: Run, name: str, at: Place = (0, 0)) -> np.random.Generator:
    """The generator of one kind of draw, at one place of the net; independent of all others."""
    key = (_STREAMS.index(name), *(at if at != (0, 0) else ()))
    return np.random.default_rng(np.random.SeedSequence(run.seed, spawn_key=key))


def parameters(run: Run) -> dict[Place, Params]:
    """The parameters and constants of every layer and direction by name, in the run's dtype."""
    return {at: _Draws(run, at).all() for at in run.places}


def inputs(run: Run) -> Array:
    """x: (T, N, I)."""
    shape = (run.sequence_length, run.batch_size, run.input_size)
    x = _signal(run, run.input, "input", (0, 0), shape)
    backward = run.trained is not None and run.trained.backward
    return np.ascontiguousarray(x[::-1]) if backward else x


def initial_state(run: Run) -> dict[Place, Array]:
    """s_0: (N, S) by place."""
    start = run.initial_state
    if start.arrays is not None:
        return {at: _from_file(run, start.arrays, at) for at in run.places}
    return {
        at: _signal(run, start, "initial_state", at, (run.batch_size, run.state_width(at)))
        for at in run.places
    }


def _from_file(run: Run, arrays: Mapping[str, Array], at: Place) -> Array:
    """s_0 of a place (N, S), its parts side by side."""
    s = np.empty((run.batch_size, run.state_width(at)), run.dtype)
    for part in run.cells[at].parts.values():
        name = next(name for name in run.state_name(at, part.name) if name in arrays)
        s[:, part.rows] = arrays[name].reshape(run.batch_size, -1)
    return s


def output_layer(run: Run) -> tuple[Array, Array]:
    """W_o (O, D·P), N(0, 1/(D·P)), and b_o (O,); the file's own where it has one."""
    if run.trained is not None and run.trained.output_layer is not None:
        W_o, b_o = run.trained.output_layer
    else:
        width = sum(run.output_width(at) for at in run.top_places)
        W_o = INITIALIZERS["gaussian"](stream(run, "W_o"), run.output_size, width)
        b_o = run.bias_scale * stream(run, "b_o").standard_normal(run.output_size)
    return W_o.astype(run.dtype, copy=False), b_o.astype(run.dtype, copy=False)


_STREAM_OF: dict[Role, str] = {
    "input": "W_x", "recurrent": "W_s", "bias": "b_x", "input_bias": "b_x", "other": "W_p",
}  # fmt: skip
"""Which stream the parameters of a role draw from, one after the other."""


class _Draws:
    """The values of one place's parameters, in the order of their declaration."""

    def __init__(self, run: Run, at: Place) -> None:
        self.run, self.at, self.cell = run, at, run.cells[at]
        self.trained = run.trained.params[at] if run.trained is not None else {}
        self.as_is = run.trained is not None and run.trained.as_is
        self._streams: dict[str, np.random.Generator] = {}
        self._fused: dict[str, Array] = {}  # drawn with another, by name

    def _stream(self, name: str) -> np.random.Generator:
        """A stream of this place, which goes on where it was left."""
        if name not in self._streams:
            self._streams[name] = stream(self.run, name, self.at)
        return self._streams[name]

    def all(self) -> dict[str, Array]:
        """By name, in the run's dtype."""
        options = self.cell.cell.options
        choices = {name: value for name, value in options.items() if isinstance(value, str)}
        known = {**options, "H": self.cell.H, "I": self.cell.I, "bias_scale": self.run.bias_scale}
        values: dict[str, Array] = {}
        for parameter in self.cell.parameters.values():
            drawn, init = self._drawn(parameter), parameter.init
            if parameter.name in self.trained and (self.as_is or not uses_drawn(init)):
                values[parameter.name] = drawn
                continue
            if init is not None:
                is_bias = parameter.role in ("bias", "input_bias")
                rng = self._stream("b_s" if is_bias else "init")
                if init in NAMES:
                    drawn = _named(init, rng, parameter.shape)
                else:
                    made = Initial(parameter.shape, rng, {**known, **values}, choices, drawn)
                    drawn = self._made(made, parameter.name, init)
            values[parameter.name] = drawn
        with np.errstate(over="ignore"):  # what is beyond float32 makes the run diverge
            return {name: a.astype(self.run.dtype, copy=False) for name, a in values.items()}

    def _made(self, made: Initial, name: str, init: str) -> Array:
        try:
            return made.of(init)
        except DrawError as error:  # as it comes with these sizes and draws
            message = f"{self.cell.cell.equations.name}: {name}: {error}"
            raise InputError(Fault(message, key="cell")) from None

    def _drawn(self, parameter: Parameter) -> Array:
        """What the config gives a parameter, or a file."""
        run, role = self.run, parameter.role
        ws_scale = 1.0 if run.ws_scale is None else run.ws_scale
        scale = {"input": run.wx_scale, "recurrent": ws_scale}.get(role, 1.0)
        if parameter.name in self.trained:
            own = role == "recurrent" and not uses_drawn(parameter.init)
            values = self.trained[parameter.name]
            return values if own or scale == 1 else scale * values
        rng = self._stream(_STREAM_OF[role])
        if not parameter.trained or not uses_drawn(parameter.init):
            return np.zeros(parameter.shape)
        if role in ("bias", "input_bias"):
            return run.bias_scale * rng.standard_normal(parameter.shape)
        if parameter.name in self.cell.gains:
            return np.ones(parameter.shape)
        given = {"input": run.wx_init, "recurrent": run.ws_init}.get(role) or "gaussian"
        base = given if isinstance(given, Base) else Base(given)
        if base.kind in FUSED and parameter.name not in self._fused:
            self._draw_fused(base.kind, rng, parameter)
        drawn = self._fused.get(parameter.name)
        if drawn is None:
            drawn = _in_blocks(base.kind, rng, parameter)
        blocks = np.split(drawn, parameter.blocks)
        try:
            shaped: Array = scale * np.concatenate([base.shaped(block, rng) for block in blocks])
        except InputError as error:
            where = f"{parameter.name} of {self.cell.label} with seed {run.seed}"
            faults = (replace(one, message=f"{where}: {one.message}") for one in error.faults)
            raise InputError(*faults) from None
        return shaped

    def _draw_fused(self, kind: str, rng: np.random.Generator, first: Parameter) -> None:
        """Draw a parameter and all of its kind at once: matrices one below the other; of vectors
        the entries of each unit, as one column."""
        alike = [
            p
            for p in self.cell.parameters.values()
            if p.role == first.role
            and p.trained
            and uses_drawn(p.init)
            and p.name not in self.trained
            and (len(p.shape), p.shape[-1]) == (len(first.shape), first.shape[-1])
        ]
        if len(first.shape) == 2:
            heights = [p.shape[0] for p in alike]
            whole = INITIALIZERS[kind](rng, sum(heights), first.shape[1])
            pieces = np.split(whole, np.cumsum(heights)[:-1])
        else:
            count = first.shape[0]
            units = [INITIALIZERS[kind](rng, len(alike), 1)[:, 0] for _ in range(count)]
            pieces = list(np.transpose(units))
        self._fused |= {p.name: piece for p, piece in zip(alike, pieces, strict=True)}


def _in_blocks(kind: str, rng: np.random.Generator, parameter: Parameter) -> Array:
    """What an initializer gives for each block of H rows."""
    rows, *columns = parameter.shape
    shape = (rows // parameter.blocks, *columns)
    return np.concatenate([_named(kind, rng, shape) for _ in range(parameter.blocks)])


def _named(init: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """What an initializer gives; a vector is drawn entry by entry, as blocks of 1 x 1."""
    if init in ("ones", "zeros"):
        return np.full(shape, float(init == "ones"))
    if len(shape) == 2:
        return INITIALIZERS[init](rng, *shape)
    return np.concatenate([INITIALIZERS[init](rng, 1, 1)[0] for _ in range(shape[0])])


def _signal(run: Run, signal: Signal, name: str, at: Place, shape: tuple[int, ...]) -> Array:
    if signal.values is not None:
        return np.ascontiguousarray(signal.values[: shape[0]], dtype=run.dtype)
    if signal.kind == "zeros":
        return np.zeros(shape, run.dtype)
    values = stream(run, name, at).standard_normal(shape)
    values *= signal.scale
    return values.astype(run.dtype, copy=False)
