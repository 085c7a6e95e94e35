"""What the rest of gradflow reads off a cell: names, labels, parts, options."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, LSTM, RNN
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
        (GRU(reset="before"), "gru[reset=before]"),
        (GRU(reset="before", update_bias=2), "gru[reset=before update_bias=2]"),
    ],
)
def test_the_label_names_the_options_that_differ_from_their_default(cell, label):
    assert cell.label == label


def test_labels_tell_every_variant_apart():
    assert len(set(LABELS)) == len(VARIANTS) > len(CELLS)


@every_variant
def test_a_state_falls_into_its_parts_as_views(cell):
    s = np.arange(2.0 * 3 * 4 * len(cell.state_parts)).reshape(2, 3, -1)
    parts = cell.parts(s)
    assert tuple(parts) == cell.state_parts
    np.testing.assert_array_equal(np.concatenate([*parts.values()], axis=-1), s)
    assert all(part.shape == (2, 3, 4) and part.base is not None for part in parts.values())


@every_variant
def test_every_option_is_explained_and_no_cell_can_be_changed(cell):
    names = [f.name for f in fields(cell)]
    assert [*cell.options] == [*cell.option_help] == names
    with pytest.raises(FrozenInstanceError):
        setattr(cell, names[0], None)


@every_variant
def test_the_docstring_gives_equations_and_their_source(cell):
    assert "_t" in cell.__doc__
    assert "(19" in cell.__doc__ or "arXiv" in cell.__doc__


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_named_biases_reach_a_gate_that_exists(value):
    assert LSTM(forget_bias=value).named_biases() == {"f": value}
    assert GRU(update_bias=value).named_biases() == {"z": value}
    for cell in VARIANTS:
        assert set(cell.named_biases()) <= set(cell.gates)


@every_variant
def test_input_bias_leaves_the_parameters_as_they_are(cell):
    params = random_net(cell).params
    before = [p.copy() for p in params]
    cell.input_bias(params)
    for p, q in zip(params, before, strict=True):
        np.testing.assert_array_equal(p, q)
