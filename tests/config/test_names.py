"""An option of a cell is a column next to all others, and a key next to the config's: it can have
the name of none."""

from __future__ import annotations

import json

import pytest

import gradflow
from gradflow.cells import CELLS
from gradflow.config.names import mistaken, taken
from gradflow.errors import InputError
from gradflow.formats import FORMATS, Look
from gradflow.formats.csv import header
from gradflow.formats.merging import look_over_seeds, over_seeds
from gradflow.formats.runs import rows
from gradflow.formats.schema import results_schema
from gradflow.measures import MEASURES, OPTIONAL

CELL = {
    "type": "equations",
    "state": {"h": "H"},
    "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
}


def with_option(name):
    return {
        **CELL,
        "options": {name: 0.5},
        "step": f"h[t] = {name} * h[t-1] + tanh(W @ x[t] + U @ h[t-1])",
    }


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("run", "a column of the results"),
        ("seed", "a column of the results"),
        ("grad_norm", "a column of the results"),
        ("rate", "a figure of the results"),
        ("rate_l0_reverse", "a figure of the results"),
        ("horizon_l1_seeds_low", "a figure of the results"),
        ("verdict", "a figure of the results"),
        ("total_W_s", "a figure of the results"),
        ("chi", "a figure of the results"),
        ("gain", "a figure of the results"),
        ("gain_U", "a figure of the results"),
        ("lyapunov_12", "a figure of the results"),
        ("relative", "a column of the results"),
        ("factors", "a measure"),
        ("weights", "a key of the config"),
        ("help", "a key of the config"),
    ],
)
def test_an_option_with_a_name_that_is_taken_is_a_fault(name, what):
    with pytest.raises(InputError) as caught:
        gradflow.analyze({"cell": with_option(name), "hidden_size": 4})
    (fault,) = caught.value.faults
    assert fault.key == f"cell.options.{name}"
    assert fault.message == f"'{name}' is {what} already: choose another name"


def test_a_registered_cell_is_held_to_it_too_and_all_that_is_wrong_is_told_at_once():
    plain = with_option("rate")
    with pytest.raises(InputError) as caught:
        gradflow.analyze({"cell": {**plain, "step": plain["step"] + " + nothing"}})
    assert [fault.key for fault in caught.value.faults] == ["cell.options.rate", "cell.step"]
    gradflow.register({**plain, "name": "rated"})
    with pytest.raises(InputError, match="'rate' is a figure of the results already"):
        gradflow.analyze({"cell": "rated"})


@pytest.mark.parametrize("name", ["rates", "gainly", "leak", "horizon_l", "rate_seeds"])
def test_other_names_are_free(name):
    found = gradflow.analyze({"cell": with_option(name), "hidden_size": 4, "sequence_length": 5})
    assert found[0].options == {name: 0.5}


def test_parameters_and_intermediates_are_no_columns():
    cell = {**CELL, "parameters": {"gain": ["H", "I"], "seed": ["H", "H"]}}
    step = "rate = sigmoid(gain @ x[t] + seed @ h[t-1])\nh[t] = rate * h[t-1]"
    found = gradflow.analyze({"cell": {**cell, "step": step}, "hidden_size": 4, "measure": "gates"})
    assert "gates_rate_mean" in found[0].measures["gates"].figures


def test_every_name_of_the_results_is_taken():
    asked = [name for name in OPTIONAL if MEASURES[name].scope != "net"]
    config = {
        "cell": "lstm", "layers": 2, "bidirectional": True, "sequence_length": 6, "seed": [0, 1],
        "hidden_size": 3, "measure": [*asked, "jacobian", "lyapunov"],
    }  # fmt: skip
    results, look = list(gradflow.analyze(config)), Look()
    merged = over_seeds(results)
    parts = [json.loads("".join(FORMATS["json"].show("results", results, look)))["runs"][0]]
    parts += parts[0]["places"]
    found = {key for part in parts for key in part}
    found |= {*header(), *results_schema()["$defs"]["run"]["properties"]}
    found |= {*rows(results, look)[0], *rows(merged, look_over_seeds(look))[0]}
    found -= {name for cell in CELLS.values() for name in cell.equations.defaults}
    assert len(found) > 150
    assert [name for name in sorted(found) if name.isidentifier() and taken(name) is None] == []


@pytest.mark.parametrize("name", CELLS)
def test_no_cell_of_gradflow_has_such_an_option(name):
    assert mistaken(CELLS[name].equations) == []
