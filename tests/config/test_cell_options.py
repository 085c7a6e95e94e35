"""Options of cells that contradict each other, or do nothing."""

from __future__ import annotations

import pytest

from gradflow.config.load import from_mapping, load
from gradflow.errors import InputError


def faults(tmp_path, cell):
    file = tmp_path / "config.yaml"
    file.write_text(f"sequence_length: 5\ncell: {cell}\n")
    with pytest.raises(InputError) as caught:
        load(file)
    return [(f.line, f.key, f.message) for f in caught.value.faults]


def labels(cell):
    return [run.cell.label for run in from_mapping({"cell": cell, "hidden_size": 4}).runs]


@pytest.mark.parametrize(
    ("cell", "key", "message"),
    [
        ("{type: janet, chrono: 784, forget_bias: 3}", "cell.forget_bias",
         "does nothing with chrono 784: leave it out"),
        ("{type: janet, chrono: [784, 20], forget_bias: 3}", "cell.forget_bias",
         "does nothing with chrono 784: leave it out"),
        ("{type: janet, chrono: 784, forget_bias: [0, 3, 6]}", "cell.forget_bias",
         "does nothing with chrono 784: leave it out"),
        ("{type: janet, chrono: [0, 784], forget_bias: [0, 3]}", "cell.forget_bias",
         "does nothing with chrono 784: give that a cell of its own"),
        ("{type: lru, r_min: 0.9, r_max: 0.5}", "cell.r_max",
         "expected at least r_min, which is 0.9, found 0.5"),
        ("{type: lru, r_min: [0.2, 0.9], r_max: [1.0, 0.5]}", "cell.r_max[1]",
         "expected at least r_min, which is 0.9, found 0.5"),
        ("{type: s6, dt_min: 0.5}", "cell.dt_min",
         "expected at most dt_max, which is 0.1, found 0.5"),
        ("{type: s5, dt_max: 0.0001}", "cell.dt_max",
         "expected at least dt_min, which is 0.001, found 0.0001"),
        ("{type: gated_deltanet, a_min: 17, a_max: 16.5}", "cell.a_max",
         "expected at least a_min, which is 17, found 16.5"),
        ("{type: rglru, a_min: 0.9995}", "cell.a_min",
         "expected at most a_max, which is 0.999, found 0.9995"),
        ("{type: lstm, chrono: 1.5}", "cell.chrono", "expected 0 or at least 2, found 1.5"),
        ("{type: janet, chrono: {from: 0, to: 9, count: 10}}", "cell.chrono",
         "expected 0 or at least 2, found 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(tmp_path, cell, key, message):
    assert [(line, at, text.replace("1.0", "1")) for line, at, text in faults(tmp_path, cell)] == [
        (2, key, message)
    ]


def test_what_is_idle_in_some_combinations_is_there_at_its_default():
    cell = {"type": "janet", "chrono": [0, 784], "forget_bias": 3}
    assert labels(cell) == ["janet[forget_bias=3]", "janet[chrono=784]"]


def test_bounds_hold_at_their_ends():
    assert labels({"type": "lru", "r_min": 0.5, "r_max": 0.5}) == ["lru[r_min=0.5 r_max=0.5]"]
    assert labels({"type": "lstm", "chrono": [0, 2]}) == ["lstm", "lstm[chrono=2]"]
    assert labels({"type": "janet", "chrono": 784, "forget_bias": 1}) == ["janet[chrono=784]"]


OWN = """
  type: equations
  state: {h: H}
  parameters: {W: [H, I], b: {shape: H, init: INIT}}
  options: {low: 0.1, high: 0.9}
  bounds: BOUNDS
  step: |
    h[t] = tanh(W @ x[t] + b)
"""


def own(bounds="{high: {ge: low}}", init='"uniform(low, high)"', more=""):
    return OWN.replace("BOUNDS", bounds).replace("INIT", init) + more


@pytest.mark.parametrize(
    ("cell", "line", "message"),
    [
        (own(more="  low: 0.95\n"), 9 + 1,
         "expected at most high, which is 0.9, found 0.95"),
        (own("{high: {ge: lwo}}"), 7, "expected a number, or another option"),
        (own("{high: {ge: high}}"), 7, "expected a number, or another option"),
        (own("{low: {ge: high}}"), 7, "the default 0.1 is not at least high, which is 0.9"),
        (own(init='"uniform(high, low)"'), 5, "uniform(0.9, 0.1) is empty: expected the smaller"),
        (own(init='"normal(low, -high)"'), 5, "normal(mean, sd) with the sd -0.9: expected at"),
        (own(init="high - low * ones"), 5, "'ones' is an initializer, which is an init alone"),
        (own(init="high - low * uniform"), 5, "'uniform' is an initializer, which is an init"),
    ],
)  # fmt: skip
def test_of_ones_own_cell_too(tmp_path, cell, line, message):
    found = faults(tmp_path, cell)
    assert any(at == line and message in text for at, _, text in found), found
