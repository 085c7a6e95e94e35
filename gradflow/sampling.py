"""All that is random in a run: parameters, input, initial state, target.

Each draws from a stream of its own, so that runs of one seed differ only in what the sweep
changes: another `ws_scale` is the same base matrix times another number, a longer sequence
starts with the same inputs.
"""

from __future__ import annotations

import numpy as np

from gradflow.cells import Params
from gradflow.experiment import Run, Signal
from gradflow.initializers import INITIALIZERS
from gradflow.logspace import Array

_STREAMS = ("W_x", "W_s", "b_x", "b_s", "W_o", "b_o", "input", "initial_state", "target", "probe")


def stream(run: Run, name: str) -> np.random.Generator:
    """The generator of one kind of draw; independent of all other kinds."""
    sequence = np.random.SeedSequence(run.seed, spawn_key=(_STREAMS.index(name),))
    return np.random.default_rng(sequence)


def parameters(run: Run) -> Params:
    """W_x (G, I), W_s (G, H), b_x and b_s (G,): the initializer's base times the scale, gate by
    gate, and the biases that the cell's options name."""
    cell, H = run.cell, run.hidden_size

    def blocks(name: str, init: str, scale: float, cols: int) -> Array:
        rng = stream(run, name)
        base = [INITIALIZERS[init](rng, H, cols) for _ in cell.gates]
        return (scale * np.concatenate(base)).astype(run.dtype)

    def bias(name: str) -> Array:
        return run.bias_scale * stream(run, name).standard_normal(H * len(cell.gates))

    b_x, b_s = bias("b_x"), bias("b_s")
    for gate, value in cell.named_biases().items():
        at = cell.gates.index(gate)
        b_x[at * H : (at + 1) * H] += value
    return Params(
        W_x=blocks("W_x", run.wx_init, run.wx_scale, run.input_size),
        W_s=blocks("W_s", run.ws_init, run.ws_scale, H),
        b_x=b_x.astype(run.dtype),
        b_s=b_s.astype(run.dtype),
    )


def inputs(run: Run) -> Array:
    """x: (T, N, I)."""
    return _signal(run, run.input, "input", (run.sequence_length, run.batch_size, run.input_size))


def initial_state(run: Run) -> Array:
    """s_0: (N, S)."""
    width = run.hidden_size * len(run.cell.state_parts)
    return _signal(run, run.initial_state, "initial_state", (run.batch_size, width))


def output_layer(run: Run) -> tuple[Array, Array]:
    """W_o (O, H), N(0, 1/H), and b_o (O,)."""
    W_o = INITIALIZERS["gaussian"](stream(run, "W_o"), run.output_size, run.hidden_size)
    b_o = run.bias_scale * stream(run, "b_o").standard_normal(run.output_size)
    return W_o.astype(run.dtype), b_o.astype(run.dtype)


def _signal(run: Run, signal: Signal, name: str, shape: tuple[int, ...]) -> Array:
    if signal.values is not None:
        return np.ascontiguousarray(signal.values[: shape[0]], dtype=run.dtype)
    if signal.kind == "zeros":
        return np.zeros(shape, run.dtype)
    return (signal.scale * stream(run, name).standard_normal(shape)).astype(run.dtype)
