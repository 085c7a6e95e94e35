"""A row a run, in every format that has one."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from gradflow.checks.figures import read
from gradflow.checks.wanted import Wanted
from gradflow.config.load import from_mapping
from gradflow.formats import runs
from gradflow.formats.look import Look
from gradflow.runs.runner import execute

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 12, "input_size": 3}
CONFIGS = [
    {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.0]},
    {"cell": "gru", "layers": 2, "measure": ["gates", "slopes"]},
    {"cell": "lstm", "bidirectional": True},
    {"cell": {"type": "rnn", "activation": "relu"}, "ws_scale": [1.0, 1e90]},
    {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e-90, "sequence_length": 30},
]


def found(config):
    experiment = from_mapping({**SMALL, **config})
    look = Look(options=experiment.options, varied=experiment.varied, width=100)
    return list(execute(experiment)), look


@pytest.mark.parametrize("config", CONFIGS)
def test_a_csv_row_holds_every_figure_by_its_name(config):
    results, look = found(config)
    lines = list(csv.DictReader(io.StringIO("".join(runs.to_csv(results, look)))))
    assert len(lines) == len(results)
    for line, result in zip(lines, results, strict=True):
        assert line["run"] == str(result.run)
        assert line["verdict"] == result.diagnosis.verdict
        expected = result.diagnosis.rate
        assert (float(line["rate"]) if line["rate"] else None) == expected
        assert float(line["ws_scale"]) == result.axes["ws_scale"]
        if result.flow is not None:
            log = float(result.flow.totals["W_s"].log10())
            digits, _, tens = line["total_W_s"].partition("e")
            assert np.log10(float(digits)) + float(tens or 0) == pytest.approx(log)
        for part in result.layers:
            suffix = f"_l{part.layer}" + ("_reverse" if part.direction == "reverse" else "")
            assert float(line[f"rate{suffix}"]) == part.diagnosis.rate


def test_names_are_those_that_a_check_knows():
    results, _ = found(CONFIGS[1])
    [result] = results
    for name, value in runs.figures(result).items():
        base, _, layer = name.rpartition("_l")
        place = (int(layer), "forward") if layer.isdigit() else None
        figure = base if place else name
        if value is None or figure == "no_rate":
            continue
        known = read(result, Wanted(figure=figure, place=place))
        if isinstance(value, str):
            assert known.value == value
        else:
            assert float(known.value) == pytest.approx(float(value))


@pytest.mark.parametrize("config", CONFIGS)
def test_tables_show_what_differs_and_what_is_there(config):
    results, look = found(config)
    text = "".join(runs.table(results, look))
    assert all(len(line) <= look.width for line in text.splitlines())
    assert "rate" in text
    markdown = "".join(runs.to_markdown(results, look))
    assert sum(line.startswith("| ") for line in markdown.splitlines()) == len(results) + 2
    if len(results) > 1:
        assert "W_s×" in text


def test_no_horizon_is_beyond_the_last_lag():
    results, look = found({"cell": {"type": "rnn", "activation": "linear"},
                           "ws_init": "orthogonal"})  # fmt: skip
    assert "> 12" in "".join(runs.table(results, look))
