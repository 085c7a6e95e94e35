"""Ranges in place of lists of numbers."""

from __future__ import annotations

import jsonschema
import numpy as np
import pytest

from gradflow.config import ranges
from gradflow.config.load import from_mapping, load
from gradflow.config.model import NUMBERS, SWEPT
from gradflow.config.schema import schema
from gradflow.errors import InputError

VALIDATOR = jsonschema.Draft202012Validator(schema())


def values(key, given):
    runs = from_mapping({"cell": "rnn", key: given}).runs
    return [getattr(run, key) for run in runs]


def test_every_number_that_is_swept_may_be_a_range():
    assert set(NUMBERS) == set(SWEPT) - {"cell", "ws_init", "wx_init"}
    for key in NUMBERS:
        given = {"from": 1, "to": 5, "count": 3}
        assert values(key, given) == [1, 3, 5]
        VALIDATOR.validate({"cell": "rnn", key: given})


def test_on_a_log_scale_and_downward():
    log = {"from": 0.5, "to": 2, "count": 7, "scale": "log"}
    assert values("ws_scale", log) == pytest.approx(np.geomspace(0.5, 2, 7), rel=1e-14)
    assert values("ws_scale", {"from": 2, "to": 1, "count": 3}) == [2.0, 1.5, 1.0]
    assert values("ws_scale", {**log, "from": -8, "to": -1, "count": 4}) == pytest.approx(
        [-8, -4, -2, -1], rel=1e-14
    )


def test_the_ends_are_kept_and_what_is_between_reads_well():
    assert values("ws_scale", {"from": 0, "to": 1, "count": 11}) == [k / 10 for k in range(11)]
    first, *_, last = values("ws_scale", {"from": 0.1, "to": 1 / 3, "count": 5, "scale": "log"})
    assert (first, last) == (0.1, 1 / 3)


def test_whole_numbers_are_rounded_and_each_is_there_once():
    given = {"from": 1, "to": 100, "count": 12, "scale": "log"}
    found = values("sequence_length", given)
    assert found == sorted({round(v) for v in np.geomspace(1, 100, 12)})
    assert all(type(value) is int for value in found)


def test_options_of_cells_and_beside_other_keys(tmp_path):
    text = """\
cell:
  - type: lstm
    forget_bias: {from: 0, to: 3, count: 4}
  - rnn
ws_scale: {from: 0.5, to: 2, count: 3, scale: log}
"""
    (tmp_path / "c.yaml").write_text(text)
    experiment = load(tmp_path / "c.yaml", ["ws_scale.count=2"])
    labels = [run.cell.options.get("forget_bias") for run in experiment.runs]
    assert labels == [0, 0, 1, 1, 2, 2, 3, 3, None, None]
    assert experiment.config["ws_scale"] == [0.5, 2.0]
    again = from_mapping(experiment.config)
    assert [run.axes for run in again.runs] == [run.axes for run in experiment.runs]


WRONG = {
    "ws_scale: {from: 1, to: 2}": "2:11: error: ws_scale.count: this key is required",
    "ws_scale: {from: 1, count: 2}": "2:11: error: ws_scale.to: this key is required",
    "ws_scale: {from: 1, to: 2, count: 1}": "2:35: error: ws_scale.count: expected at least 2",
    "ws_scale: {from: 1, to: 2, count: 2.5}": "ws_scale.count: expected a whole number, found 2.5",
    "ws_scale: {from: 1, to: 2, count: 3000000}": "ws_scale.count: expected at most 1,000,000",
    "ws_scale: {from: a, to: 2, count: 3}": "2:18: error: ws_scale.from: expected a finite number",
    "ws_scale: {from: 1, to: .inf, count: 3}": "ws_scale.to: expected a finite number, found .inf",
    "ws_scale: {from: 1, to: 1, count: 3}": "ws_scale.to: expected another number than `from`",
    "ws_scale: {from: 0, to: 1, count: 3, scale: log}": "from: expected a number that is not 0",
    "ws_scale: {from: -1, to: 1, count: 3, scale: log}": "ws_scale.to: expected the sign of `from`",
    "ws_scale: {from: 1, to: 2, count: 3, scale: lgo}": "; did you mean log?",
    "ws_scale: {from: 1, to: 2, cuont: 3}": "2:28: error: ws_scale.cuont: unknown key;",
    "ws_scale: {}": "ws_scale: expected a number, found {}",
    "ws_scale: {a: 1}": "ws_scale: expected a number, found",
    "hidden_size: {from: 0, to: 9, count: 3}": "2:21: error: hidden_size.from: expected at least 1",
    "hidden_size: {from: 1.5, to: 9, count: 3}": "hidden_size.from: expected a whole number",
    "bias_scale: {from: 1, to: -1, count: 3}": "bias_scale.to: expected at least 0, found -1",
    "seed: {from: 0, to: 999999, count: 1000000}\nhidden_size: [1, 2]": "at most 1,000,000 runs",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_fault_is_told_once_and_where_it_stands(text, tmp_path):
    (tmp_path / "c.yaml").write_text(f"cell: rnn\n{text}\n")
    with pytest.raises(InputError) as error:
        load(tmp_path / "c.yaml")
    assert len(error.value.faults) == 1
    assert WRONG[text] in str(error.value)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("{from: 0, to: 1}", "cell.leak.count: this key is required"),
        ("{from: 0.5, to: 2, count: 3}", "cell.leak.to: expected at most 1, found 2"),
        ("{from: a, to: 1, count: 3}", "cell.leak.from: expected a finite number"),
    ],
)
def test_faults_of_a_range_in_a_cell(option, message, tmp_path):
    (tmp_path / "c.yaml").write_text(f"cell: {{type: rnn, leak: {option}}}\n")
    with pytest.raises(InputError) as error:
        load(tmp_path / "c.yaml")
    [fault] = error.value.faults
    assert message in str(fault)
    assert fault.line == 1


def test_a_word_of_a_cell_is_no_range(tmp_path):
    text = "cell: {type: rnn, activation: {from: 0, to: 1, count: 2}}\n"
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=r"activation: expected tanh, linear, relu or sigmoid"):
        load(tmp_path / "c.yaml")


def test_no_more_than_a_sweep_may_have():
    assert len(ranges.numbers_of({"from": 0, "to": 1, "count": 10}, (), False, print)) == 10
