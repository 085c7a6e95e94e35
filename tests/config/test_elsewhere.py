"""Keys that are called something else elsewhere, or belong somewhere else."""

from __future__ import annotations

import pytest

from gradflow.cells import CELLS
from gradflow.config import elsewhere
from gradflow.config.load import load
from gradflow.config.model import Config
from gradflow.errors import InputError


def faults(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        load(tmp_path / "c.yaml")
    return [str(fault).partition("c.yaml:")[2] for fault in error.value.faults]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("T", "did you mean sequence_length?"),
        ("H", "did you mean hidden_size?"),
        ("N", "did you mean batch_size?"),
        ("I", "did you mean input_size?"),
        ("units", "did you mean hidden_size?"),
        ("steps", "did you mean sequence_length?"),
        ("d_model", "did you mean hidden_size?"),
        ("features", "did you mean hidden_size or input_size?"),
        ("vocab_size", "did you mean input_size or output_size?"),
        ("num_layers", "did you mean layers?"),
        ("num_features", "did you mean input_size?"),
        ("kernel_constraint", "nothing is trained here: leave it out"),
        ("batch_first", "arrays are (T, N, I), as without it: leave it out"),
        ("proj_size", "write `cell: {type: lstmp, proj_size: ...}`"),
        ("return_sequences", "`loss: {kind: mse, at: all}`"),
        ("forget_bias", "an option of a cell: write `cell: {type: lstm, forget_bias: ...}`"),
        ("reset", "an option of a cell: write `cell: {type: gru, reset: ...}`"),
        ("stride", "belongs under `input`"),
        ("truncate", "belongs under `loss`"),
        ("vanishing", "belongs under `thresholds`"),
        ("hiden_size", "did you mean hidden_size?"),
    ],
)
def test_at_the_top_of_a_config(tmp_path, key, said):
    [fault] = faults(tmp_path, f"cell: rnn\n{key}: 1\n")
    assert fault.startswith(f"2:1: error: {key}: ")
    assert said in fault


def test_an_option_is_said_with_a_cell_of_the_config_that_has_it(tmp_path):
    [fault] = faults(tmp_path, "cell: [rnn, gru]\nrecurrent_activation: tanh\n")
    assert "{type: gru, recurrent_activation: ...}" in fault


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("units", "did you mean hidden_size, next to `cell`?"),
        ("hidden_size", "a key of the config itself: write `hidden_size:` next to `cell`"),
        ("nonlinearity", "did you mean activation?"),
        ("batch_first", "leave it out"),
        ("forget_bais", "did you mean forget_bias?"),
    ],
)
def test_in_a_cell(tmp_path, key, said):
    [fault] = faults(tmp_path, f"cell: {{type: lstm, {key}: 1}}\n")
    assert said in fault


def test_hints_name_what_there_is():
    known = set(Config.model_fields)
    for key in elsewhere._KEYS.values():
        assert set(key.split(" or ")) <= known
    assert not known & {*elsewhere._KEYS, *elsewhere._ADVICE}
    options = {name for cell in CELLS for name in CELLS[cell].equations.defaults}
    assert all(elsewhere.hint(name) for name in options)


def test_faults_on_the_first_line_are_told_like_any_other(tmp_path):
    found = faults(tmp_path, "hiden_size: 3\n")
    assert len(found) == 2
    assert any("cell: this key is required" in fault for fault in found)
    assert any("hiden_size: unknown key" in fault for fault in found)


def test_stride_needs_a_window(tmp_path):
    (tmp_path / "s.csv").write_text("a,b\n" + "1,2\n3,5\n" * 4)
    [fault] = faults(tmp_path, "cell: rnn\ninput: {file: s.csv, stride: 2}\n")
    assert "input.stride: has no meaning without window" in fault
    (tmp_path / "c.yaml").write_text("cell: rnn\ninput: {file: s.csv, stride: 2, window: 3}\n")
    assert load(tmp_path / "c.yaml").runs[0].batch_size == 3


def test_only_files_of_its_kind_are_suggested(tmp_path):
    (tmp_path / "series.txt").write_text("1,2\n")
    (tmp_path / "seriess.csv").mkdir()
    [fault] = faults(tmp_path, "cell: rnn\ninput: {file: series.csv}\n")
    assert fault.endswith("no such file")
    (tmp_path / "serie.npy").write_text("x")
    [fault] = faults(tmp_path, "cell: rnn\ninput: {file: series.csv}\n")
    assert "did you mean" in fault
    assert "serie.npy" in fault
