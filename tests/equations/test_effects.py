from __future__ import annotations

import itertools

import pytest

from gradflow.cells import CELLS
from gradflow.equations.declaration import declared
from gradflow.equations.effects import effects

GATED = {
    "name": "gated",
    "state": {"h": "H"},
    "parameters": {
        "W": ["H", "I"],
        "b": {"shape": "H", "init": "start if kind == 'own' else normal(0, spread)"},
        "c": {"shape": "H", "init": "b + far"},
    },
    "options": {"kind": ["own", "drawn"], "start": 1.0, "spread": 0.1, "far": 2.0, "rank": 2},
    "step": "g = c * sigmoid(b) if kind == 'own' else b\nh[t] = tanh(W @ x[t] + g)",
}


def idle(equations, given=(), **options):
    found = effects(equations).idle({**equations.defaults, **options}, given)
    return {one.option: one.because for one in found}


def test_options_are_read_through_the_branches_that_are_taken():
    gated = declared(GATED)
    assert idle(gated) == {"spread": ("kind",)}
    assert idle(gated, kind="drawn") == {"start": ("kind",), "far": ("kind",)}


def test_what_a_file_gives_needs_no_initial_value():
    gated = declared(GATED)
    assert idle(gated, given={"b"}) == {"start": (), "spread": ()}
    assert idle(gated, given={"b", "c"}) == {"start": (), "spread": (), "far": ()}


def test_an_option_that_is_used_nowhere_is_left_to_its_own_mistake():
    assert "rank" not in idle(declared(GATED))


@pytest.mark.parametrize("name", CELLS)
def test_of_the_cells_only_these_are_ever_idle(name):
    equations = CELLS[name].equations
    values = {n: given if isinstance(given, tuple) else (given, 2 * given + 1)
              for n, given in equations.options}  # fmt: skip
    found = {
        option
        for point in itertools.product(*values.values())
        for option in idle(equations, **dict(zip(values, point, strict=True)))
    }
    assert found == {"janet": {"forget_bias"}}.get(name, set())
