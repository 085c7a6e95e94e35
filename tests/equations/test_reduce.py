"""`reduce`: the same values, sums as slots however they are written, and nothing that cancels."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from equations.evaluated import drawn, passes, values
from equations.published import CELLS
from gradflow.equations.declaration import declared
from gradflow.equations.graph import in_order
from nets import LABELS, VARIANTS

PARTS = {"W": ["H", "I"], "U": ["H", "H"], "b": "H"}


def made(step, **more):
    return declared({"state": {"h": "H"}, "parameters": PARTS, "step": step, **more})


def assert_same_values(step, reduced):
    leaves = drawn(step)
    with np.errstate(all="ignore"):  # roots and logarithms of drawn numbers
        before = values(step.new.values(), leaves)
        after = values(reduced.new.values(), leaves)
    for part, node in step.new.items():
        np.testing.assert_allclose(
            after[id(reduced.new[part])], before[id(node)], rtol=1e-13, atol=1e-14
        )


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_a_cell_has_the_values_that_it_had(cell):
    step, reduced, *_ = passes(cell.equations, cell.options)
    assert_same_values(step, reduced)


@pytest.mark.parametrize("name", CELLS)
def test_a_published_cell_too(name):
    step, reduced, *_ = passes(CELLS[name][0])
    assert_same_values(step, reduced)


def slots(text, **more):
    """(kind, parameter, factor) of the uses in each slot."""
    _, reduced, *_ = passes(made(text, **more))
    return [
        sorted((use.kind, use.weight.node.payload, use.factor) for use in node.payload.uses)
        for node in in_order(reduced.new.values())
        if node.kind == "slot"
    ]


SUM = [("bias", "b", 1.0), ("matrix", "U", 1.0), ("matrix", "W", 1.0)]


@pytest.mark.parametrize(
    "text",
    [
        "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)",
        "h[t] = tanh(b + (U @ h[t-1] + (W @ x[t])))",
        "a = W @ x[t]\nc = a + b\nh[t] = tanh(c + U @ h[t-1])",
        "h[t] = tanh(-(-(W @ x[t]) - U @ h[t-1]) + b)",
        "h[t] = tanh(0.5 * (2 * (W @ x[t]) + 2 * b) + U @ h[t-1])",
        "h[t] = tanh(x[t] @ W.T + h[t-1] @ U.T + b)",
    ],
)
def test_one_sum_is_one_slot_however_it_is_written(text):
    assert slots(text) == [SUM]


def test_a_sum_that_is_used_twice_is_a_slot_of_its_own():
    found = slots("a = W @ x[t] + b\nh[t] = tanh(a + U @ h[t-1]) * a")
    assert found == [[("bias", "b", 1.0), ("matrix", "W", 1.0)], [("matrix", "U", 1.0)]]


def test_an_entry_by_entry_weight_is_a_use_of_its_kind():
    found = slots("h[t] = tanh(W @ x[t] + b * h[t-1] + sum(U @ h[t-1]))")
    assert ("diagonal", "b", 1.0) in found[-1]


@pytest.mark.parametrize("z", [-300.0, -20.0, -1.0, 0.3, 19.0, 60.0, 320.0])
@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("1 - sigmoid(a)", lambda z: 1 / (1 + mpmath.exp(z))),
        ("1 - tanh(a)", lambda z: 2 / (1 + mpmath.exp(2 * z))),
        ("1 + tanh(a)", lambda z: 2 / (1 + mpmath.exp(-2 * z))),
        ("(1 - tanh(a)) / 2", lambda z: 1 / (1 + mpmath.exp(2 * z))),
        ("3 - 3 * tanh(a)", lambda z: 6 / (1 + mpmath.exp(2 * z))),
        ("0.2 * (1 - sigmoid(a))", lambda z: 0.2 / (1 + mpmath.exp(z))),
        ("tanh(a) - 1", lambda z: -2 / (1 + mpmath.exp(2 * z))),
        ("1 - 1 * tanh(a)", lambda z: 2 / (1 + mpmath.exp(2 * z))),
    ],
)
def test_what_is_left_to_one_keeps_its_digits(text, exact, z):
    step, reduced, *_ = passes(made(f"a = W @ x[t] + U @ h[t-1] + b\nh[t] = {text}"))
    leaves = {name: np.zeros_like(a) for name, a in drawn(step).items()}
    leaves["b"] = np.full(3, z)
    with np.errstate(over="ignore"):
        found = values(reduced.new.values(), leaves)[id(reduced.new["h"])]
    with mpmath.workdps(50):
        assert abs(found[0] / exact(mpmath.mpf(z)) - 1) < 2e-15


def test_a_blend_of_two_keeps_the_state_of_a_gate_that_is_shut():
    text = "u = tanh(V @ x[t] + b)\nh[t] = (1 - u) * (W @ x[t] + U @ h[t-1]) + u * h[t-1]"
    _, reduced, *_ = passes(made(text, parameters={**PARTS, "V": ["H", "I"]}))
    assert reduced.new["h"].kind == "blend"
