"""`ws_scale` and `ws_init` where a cell has no recurrent weights for them."""

from __future__ import annotations

import csv
import io
import json

import pytest

import gradflow
from command import main
from gradflow.config.load import load

DECAY = """{type: equations, name: decay, state: {h: H}, parameters: {W: [H, I]}, options: {a: 0.5},
  step: 'h[t] = a * h[t-1] + W @ x[t]'}"""
IRNN = """{type: equations, name: irnn, state: {h: H}, options: {a: 0.5}, parameters: {W: [H, I],
  U: {shape: [H, H], init: identity}}, step: 'h[t] = a * U @ h[t-1] + W @ x[t]'}"""
SMALL = "\nsequence_length: 4\nhidden_size: 3\nbatch_size: 2\n"


def path(folder, text):
    file = folder / "c.yaml"
    file.write_text(text + SMALL, encoding="utf-8")
    return file


def faults(folder, text):
    with pytest.raises(gradflow.InputError) as caught:
        load(path(folder, text))
    return [str(fault).partition("c.yaml:")[2] for fault in caught.value.faults]


@pytest.mark.parametrize("value", ["2", "[1, 2]", "1.0"])
def test_no_cell_has_recurrent_weights(tmp_path, value):
    (told,) = faults(tmp_path, f"cell: {DECAY}\nws_scale: {value}")
    assert told == (
        "3:1: error: ws_scale: has no meaning: decay has no recurrent weights; wx_scale is there "
        "for the input weights, and the cell has options: a"
    )
    (told,) = faults(tmp_path, f"cell: {DECAY}\nws_init: identity")
    assert "wx_init is there" in told


def test_recurrent_weights_with_values_of_their_own_are_not_scaled(tmp_path):
    (told,) = faults(tmp_path, f"cell: {IRNN}\nws_scale: 2")
    assert "the recurrent weights of irnn have their own `init`" in told
    (run,) = load(path(tmp_path, f"cell: {IRNN.replace('identity', 'drawn')}\nws_scale: 2")).runs
    assert run.ws_scale == 2


def test_beside_others_such_a_cell_is_one_run_with_the_axis_empty(tmp_path, capsys):
    file = path(tmp_path, f"cell: [{DECAY}, rnn]\nws_scale: [0.5, 2]\nseed: [0, 1]")
    runs = load(file).runs
    assert [(run.cell.name, run.ws_scale, run.seed) for run in runs] == [
        ("decay", None, 0), ("decay", None, 1),
        ("rnn", 0.5, 0), ("rnn", 0.5, 1), ("rnn", 2.0, 0), ("rnn", 2.0, 1),
    ]  # fmt: skip
    outputs = {}
    for form in ("csv", "json", "table", "markdown"):
        code, outputs[form], err = main(capsys, "analyze", file, "--format", form)
        assert (code, err) == (0, "")
        assert "None" not in outputs[form]
    rows = list(csv.DictReader(io.StringIO(outputs["csv"])))
    own = [row for row in rows if row["cell"] == "decay"]
    empty = ("ws_init", "ws_scale", "grad_W_s", "share_W_s")
    assert {row[name] for row in own for name in empty} == {""}
    (first, *_) = json.loads(outputs["json"])["runs"]
    assert (first["ws_init"], first["ws_scale"]) == (None, None)


def test_an_axis_that_one_cell_has_not_is_not_said_to_vary(tmp_path, capsys):
    file = path(tmp_path, f"cell: [{DECAY}, rnn]\nws_scale: 0.5")
    experiment = load(file)
    assert experiment.varied == ("cell",)
    _, out, _ = main(capsys, "analyze", file)
    assert "W_s×0.5" in out.splitlines()[0]
    code, out, _ = main(capsys, "verify", file)
    assert (code, "None" in out) == (0, False)
