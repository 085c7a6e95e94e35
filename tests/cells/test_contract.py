"""What the rest of gradflow reads off a cell: names, labels, parts, options."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, LSTM, RNN, Cell, ProjectedLSTM
from nets import LABELS, VARIANTS, random_net

every_variant = pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (RNN(), "rnn"),
        (RNN(activation="linear"), "rnn[activation=linear]"),
        (LSTM(), "lstm"),
        (LSTM(forget_bias=1.0), "lstm[forget_bias=1]"),
        (LSTM(forget_bias=-0.25), "lstm[forget_bias=-0.25]"),
        (ProjectedLSTM(proj_size=8), "lstmp[proj_size=8]"),
        (GRU(reset="before"), "gru[reset=before]"),
        (GRU(reset="before", update_bias=2), "gru[reset=before update_bias=2]"),
    ],
)
def test_the_label_names_the_options_that_differ_from_their_default(cell, label):
    assert cell.label == label


def test_labels_tell_every_variant_apart():
    assert len(set(LABELS)) == len(VARIANTS) > len(CELLS)


@every_variant
def test_a_state_falls_into_its_parts(cell):
    sized = cell.sized(4, 3)
    rows = [part.rows for part in sized.parts.values()]
    assert tuple(sized.parts) == cell.state_parts
    assert [r.start for r in rows] == [0, *(r.stop for r in rows[:-1])]
    assert rows[-1].stop == sized.S <= sized.S_all
    for part in sized.parts.values():
        assert part.rows.stop - part.rows.start == np.prod(part.shape)


@every_variant
def test_every_option_is_explained_and_no_cell_can_be_changed(cell):
    equations = cell.equations
    assert [*cell.options] == [*dict(equations.help)] == [*equations.defaults]
    assert equations.about
    assert "(19" in equations.cite or "(20" in equations.cite or "arXiv" in equations.cite
    with pytest.raises(FrozenInstanceError):
        cell.chosen = ()


@every_variant
def test_binding_leaves_the_parameters_as_they_are(cell):
    net = random_net(cell)
    before = {name: a.copy() for name, a in net.params.items()}
    net.cell.bind(net.params)
    for name, a in net.params.items():
        np.testing.assert_array_equal(a, before[name])


@every_variant
def test_a_cell_comes_back_from_a_pickle_as_it_was(cell):
    assert pickle.loads(pickle.dumps(cell)) == cell
    sized = cell.sized(3, 2)
    assert pickle.loads(pickle.dumps(sized)) is sized


def test_decays_have_one_rule():
    """What multiplies the state for itself is recurrent; a decay that x goes into first, or that
    works by its exponent, is neither that nor a bias."""
    for role, names in (
        (
            "recurrent",
            {"indrnn": "u", "lru": "nu_log", "s5": "L_re", "unicornn": "c"},
        ),
        ("other", {"s6": "A_log", "gated_deltanet": "A_log", "rglru": "p", "rwkv4": "time_decay"}),
    ):
        for cell, name in names.items():
            assert CELLS[cell]().sized(4, 3).parameters[name].role == role


def test_a_role_that_is_declared_is_another_than_the_use_says():
    for name in CELLS:
        equations = CELLS[name].equations
        bare = replace(
            equations, parameters=tuple(p._replace(role=None) for p in equations.parameters)
        )
        used, roles = (Cell.of(one).read_for(8, 4).roles for one in (bare, equations))
        declared = {p.name for p in equations.parameters if p.role is not None}
        assert {one for one in roles if roles[one] != used[one]} == declared & roles.keys()


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="lstm has no option 'forgetbias'"):
        LSTM(forgetbias=1)
