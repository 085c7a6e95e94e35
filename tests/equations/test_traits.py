"""What equations say of themselves, and values of what they name."""

from __future__ import annotations

import numpy as np
import pytest

from equations.driver import forward
from equations.published import CASES
from equations.published import CELLS as PUBLISHED
from equations.test_published import net_of
from gradflow.cells import CELLS, GRU, LSTM, RNN
from gradflow.cells.cell import Cell
from gradflow.engine.flow import unroll
from gradflow.equations.declaration import declared
from gradflow.numerics.arrays import laid
from nets import LABELS, VARIANTS, random_net

LIBRARY = [
    # cell, gates, what keeps the state, functions around recurrent products, recurrent weights,
    # parts with a direct path
    (RNN(), "", "", "a", "a", ""),
    (RNN(leak=0.2), "", "", "a", "a", "h"),
    (RNN(activation="linear"), "", "", "a", "a", ""),
    (RNN(activation="sigmoid"), "", "", "a", "a", ""),
    (LSTM(), "i f o", "f", "i f g o", "i f g o", "c"),
    (LSTM(recurrent_activation="hard_sigmoid"), "i f o", "f", "i f g o", "i f g o", "c"),
    (LSTM(recurrent_activation="tanh"), "", "", "i f g o", "i f g o", "c"),
    (CELLS["lstmp"](), "i f o", "f", "i f g o", "i f g o", "c"),
    (GRU(), "r z", "z", "r z n", "r z n", "h"),
    (GRU(reset="before"), "r z", "z", "r z n", "r z n", "h"),
    (CELLS["mgu"](), "f", "1-f", "f n", "f n", "h"),
    (CELLS["indrnn"](), "", "", "h", "u", "h"),
    (CELLS["peephole"](), "i f o", "f", "i f g o", "i f g o p_i p_f p_o", "c"),
    *(
        (Cell.of(PUBLISHED[name][0]), *found)
        for name, found in {
            "irnn": ("", "", "h", "h", ""),
            "cifg": ("f i o", "f", "f g o", "f g o", "c"),
            "janet": ("sigmoid(s)", "sigmoid(s)", "g sigmoid(s) sigmoid", "s g", "h"),
            "antisymmetric": ("", "", "tanh(a)", "a", "h"),
            "cornn": ("", "", "a", "U V", "y z"),
            "mingru": ("z", "1-z", "", "", "h"),
            "lru": ("", "", "re im", "a b", "re im"),
            "leaky_voltage": ("", "", "tanh(v)", "tanh(v)", "v"),
            "layernorm_lstm_ba": ("i f o", "f", "i f g o", "U", "c"),
            "sru": ("f", "f", "f", "v_f", "c"),
            "gated_deltanet": ("", "", "", "", "M"),
        }.items()
    ),
]


@pytest.mark.parametrize(
    ("cell", "gates", "keepers", "functions", "blocks", "direct"),
    LIBRARY,
    ids=[row[0].label for row in LIBRARY],
)
def test_a_cell_says_what_its_gates_and_paths_are(cell, gates, keepers, functions, blocks, direct):
    sized = cell.sized(4, 4 if cell.name in ("rglru", "sru", "deltanet") else 2)
    found = sized.traits
    assert [*found.gates] == gates.split()
    assert [keeper.name for keeper in found.keepers] == keepers.split()
    assert [function.name for function in found.functions] == functions.split()
    assert [block.name for block in found.blocks] == blocks.split()
    assert [*found.direct] == direct.split()


def test_a_gauge_keeps_nothing_and_what_it_scales_does():
    equations = {
        "name": "exponential",
        "state": {"h": "H", "c": "H", "m": "H"},
        "parameters": {"W": ["H", "I"], "U": ["H", "H"], "b": "H"},
        "gauge": {"m": "c"},
        "step": "f = W @ x[t] + b\n"
        "m[t] = max(f + m[t-1], 0)\n"
        "c[t] = exp(f + m[t-1] - m[t]) * c[t-1] + exp(-m[t]) * tanh(U @ h[t-1])\n"
        "h[t] = tanh(exp(m[t]) * c[t])",
    }
    assert Cell.of(declared(equations)).sized(3, 2).traits.direct == ("c",)


def gates_of(step, **parameters):
    shapes = {"W": ["H", "I"], **parameters}
    equations = {"name": "one", "state": {"h": "H"}, "parameters": shapes, "step": step}
    found = Cell.of(declared(equations)).sized(3, 2).traits
    return [*found.gates], [keeper.name for keeper in found.keepers]


def test_a_gate_multiplies_a_state_a_value_or_a_vector_of_parameters():
    matrix = ["H", "H"]
    assert gates_of("g = sigmoid(W @ x[t])\nh[t] = tanh(u * g + h[t-1])", u="H") == (["g"], [])
    into_a_matrix = "g = sigmoid(W @ x[t])\nh[t] = tanh(U @ g + h[t-1])"
    assert gates_of(into_a_matrix, U=matrix) == ([], [])
    beside_a_vector = "g = sigmoid(W @ x[t])\nh[t] = tanh(u * h[t-1] + g)"
    assert gates_of(beside_a_vector, u="H") == ([], [])


@pytest.mark.parametrize("function", ["sigmoid", "hard_sigmoid", "keras2_hard_sigmoid"])
def test_what_is_left_of_a_gate_keeps_too(function):
    rest = f"z = {function}(W @ x[t])\nh[t] = (1 - z) * h[t-1] + tanh(V @ x[t])"
    assert gates_of(rest, V=["H", "I"])[1] == ["1-z"]
    twice = f"z = {function}(W @ x[t])\nh[t] = (1 + z) * h[t-1] + tanh(V @ x[t])"
    assert gates_of(twice, V=["H", "I"])[1] == []


def _steps(cell, net_states, x, params):
    samples = cell.samples(net_states[:-1], net_states[1:], x, params)
    return {part: samples.of(node) for part, node in cell.traits.reduced.new.items()}


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_values_of_a_block_are_those_of_the_steps(cell):
    net = random_net(cell, T=6, R=2)
    states = unroll(net.cell, net.params, net.x, net.s0).last_tape.states
    for part, value in _steps(net.cell, states, net.x, net.params).items():
        expected = states[1:][..., net.cell.parts[part].rows]
        np.testing.assert_allclose(value.reshape(expected.shape), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES["cells"])
def test_so_are_those_of_published_cells(name):
    net = net_of(name)
    states, _, _ = forward(net)
    for part, value in _steps(net.cell, states, laid(net.x), net.params).items():
        expected = states[1:][..., net.cell.parts[part].rows]
        np.testing.assert_allclose(value.reshape(expected.shape), expected, rtol=1e-12, atol=1e-14)


def test_values_stay_in_the_precision_of_the_net():
    net = random_net(LSTM())
    params = {name: a.astype(np.float32) for name, a in net.params.items()}
    s = net.s0[None].astype(np.float32)
    samples = net.cell.samples(s, s, net.x[:1].astype(np.float32), params)
    traits = net.cell.traits
    nodes = [*traits.gates.values(), *(f.slope for f in traits.functions)]
    assert {samples.of(node).dtype for node in nodes} == {np.dtype(np.float32)}
