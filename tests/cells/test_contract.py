"""What the rest of gradflow reads off a cell: names, labels, parts, options."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, LSTM, RNN, ProjectedLSTM
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
def test_a_state_falls_into_its_parts_as_views(cell):
    H, P, S = 4, cell.output_size(4), cell.state_size(4)
    assert cell.hidden_size(S) == H
    s = np.arange(2.0 * 3 * S).reshape(2, 3, S)
    parts = cell.parts(s)
    assert tuple(parts) == cell.state_parts
    np.testing.assert_array_equal(np.concatenate([*parts.values()], axis=-1), s)
    for name, part in parts.items():
        assert part.shape == (2, 3, P if name == "h" else H)
        assert part.base is not None


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
    before = params.map(np.copy)
    cell.input_bias(params)
    params.map(np.testing.assert_array_equal, before)
