"""All that is random in a run: parameters, input, initial state, target.

Each draws from a stream of its own, so that runs of one seed differ only in what the sweep
changes: another `ws_scale` is the same base matrix times another number, a longer sequence
starts with the same inputs, another layer leaves those below it as they are.
"""

from __future__ import annotations

import numpy as np

from gradflow.cells import Params
from gradflow.columns import Array
from gradflow.engine.network import Place
from gradflow.initializers import INITIALIZERS
from gradflow.runs.experiment import Run, Signal

# The place of a name here is its stream's key: a new one goes to the end.
_STREAMS = (
    "W_x", "W_s", "b_x", "b_s", "W_o", "b_o", "input", "initial_state", "target", "probe", "W_p",
)  # fmt: skip


def stream(run: Run, name: str, at: Place = (0, 0)) -> np.random.Generator:
    """The generator of one kind of draw, at one place of the net; independent of all others."""
    key = (_STREAMS.index(name), *(at if at != (0, 0) else ()))
    return np.random.default_rng(np.random.SeedSequence(run.seed, spawn_key=key))


def parameters(run: Run) -> dict[Place, Params]:
    """The parameters of every layer and direction, in the run's dtype."""
    if run.trained is not None:
        return {at: _scaled(run, p) for at, p in run.trained.params.items()}
    return {at: _drawn(run, at) for at in run.places}


def inputs(run: Run) -> Array:
    """x: (T, N, I)."""
    shape = (run.sequence_length, run.batch_size, run.input_size)
    x = _signal(run, run.input, "input", (0, 0), shape)
    backward = run.trained is not None and run.trained.backward
    return np.ascontiguousarray(x[::-1]) if backward else x


def initial_state(run: Run) -> dict[Place, Array]:
    """s_0: (N, S) by place."""
    return {
        at: _signal(
            run, run.initial_state, "initial_state", at, (run.batch_size, run.state_width(at))
        )
        for at in run.places
    }


def output_layer(run: Run) -> tuple[Array, Array]:
    """W_o (O, D·P), N(0, 1/(D·P)), and b_o (O,); the file's own where it has one."""
    if run.trained is not None and run.trained.output_layer is not None:
        W_o, b_o = run.trained.output_layer
    else:
        width = sum(run.output_width(at) for at in run.top_places)
        W_o = INITIALIZERS["gaussian"](stream(run, "W_o"), run.output_size, width)
        b_o = run.bias_scale * stream(run, "b_o").standard_normal(run.output_size)
    return W_o.astype(run.dtype, copy=False), b_o.astype(run.dtype, copy=False)


def _drawn(run: Run, at: Place) -> Params:
    """W_x (G, I), W_s (G, P), b_x and b_s (G,): the initializer's base times the scale, gate by
    gate, and the biases that the cell's options name; W_p (P, H), N(0, 1/H)."""
    cell, H, P = run.cell, run.hidden_size, run.output_width(at)

    def blocks(name: str, init: str, scale: float, cols: int) -> Array:
        rng = stream(run, name, at)
        base = [INITIALIZERS[init](rng, H, cols) for _ in cell.gates]
        return (scale * np.concatenate(base)).astype(run.dtype, copy=False)

    def bias(name: str) -> Array:
        return run.bias_scale * stream(run, name, at).standard_normal(H * len(cell.gates))

    b_x, b_s = _with_named_biases(run, bias("b_x")), bias("b_s")
    W_p = INITIALIZERS["gaussian"](stream(run, "W_p", at), P, H) if cell.projects else None
    below = run.input_size if at[0] == 0 else P * (2 if run.bidirectional else 1)
    return Params(
        W_x=blocks("W_x", run.wx_init, run.wx_scale, below),
        W_s=blocks("W_s", run.ws_init, run.ws_scale, P),
        b_x=b_x.astype(run.dtype, copy=False),
        b_s=b_s.astype(run.dtype, copy=False),
        W_p=None if W_p is None else W_p.astype(run.dtype, copy=False),
    )


def _with_named_biases(run: Run, b_x: Array) -> Array:
    """b_x (G,) with the biases that the cell's options name added in place."""
    gates = run.cell.gates
    by_gate = b_x.reshape(len(gates), -1)
    for gate, value in run.cell.named_biases().items():
        by_gate[gates.index(gate)] += value
    return b_x


def _scaled(run: Run, p: Params) -> Params:
    """Trained parameters; scales and named biases as the user asks what they would change."""
    b_x = _with_named_biases(run, p.b_x.copy())
    scaled = p._replace(W_x=run.wx_scale * p.W_x, W_s=run.ws_scale * p.W_s, b_x=b_x)
    return scaled.map(lambda a: a.astype(run.dtype, copy=False))


def _signal(run: Run, signal: Signal, name: str, at: Place, shape: tuple[int, ...]) -> Array:
    if signal.values is not None:
        return np.ascontiguousarray(signal.values[: shape[0]], dtype=run.dtype)
    if signal.kind == "zeros":
        return np.zeros(shape, run.dtype)
    values = stream(run, name, at).standard_normal(shape)
    values *= signal.scale
    return values.astype(run.dtype, copy=False)
