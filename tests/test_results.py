"""`Results`: a sequence that shows, saves, draws and turns into data frames."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import gradflow
from gradflow.formats import FORMATS

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 12, "input_size": 3}
SWEEP = {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5], **SMALL}
STACK = {"cell": "gru", "layers": 2, "measure": ["gates", "paths"], **SMALL}


@pytest.fixture(scope="module", params=[SWEEP, STACK], ids=["sweep", "stack"])
def results(request):
    return gradflow.analyze(request.param)


def test_a_sequence_with_a_short_repr(results):
    assert len(results) == len(list(results))
    assert isinstance(results[0], gradflow.Result)
    assert isinstance(results[:1], gradflow.Results)
    assert results[-1] is list(results)[-1]
    assert len(repr(results)) < 80
    assert repr(gradflow.analyze(SWEEP)) == "<Results: 4 runs, 2 vanishing, 2 stable>"


def test_columns_are_those_of_the_csv(results):
    text = "".join(FORMATS["csv"].show("results", results, results.view))
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = results.columns()
    assert list(columns) == list(rows[0])
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            if row[name] == "":
                assert value is None or np.isnan(value), name
            elif isinstance(value, bool | str):
                assert row[name] == str(value).lower() or row[name] == value
            else:
                assert float(row[name]) == float(value), name


def test_runs_are_those_of_rows_runs(results):
    text = "".join(FORMATS["csv"].show("runs", results, results.view))
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = results.columns("runs")
    assert list(columns) == list(rows[0])
    assert [row["verdict"] for row in rows] == list(columns["verdict"])
    with pytest.raises(ValueError, match="expected rows='lags' or rows='runs'"):
        results.columns("columns")


def test_data_frames(results):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = results.to_pandas()
    assert frame["grad_norm"].dtype == np.float64
    assert frame["lag"].dtype == np.int64
    assert len(frame) == results.to_polars().height
    assert results.to_polars()["grad_norm"].dtype == polars.Float64
    runs = results.to_pandas("runs")
    assert isinstance(runs, pandas.DataFrame)
    assert len(runs) == len(results)
    by_cell = frame[frame["lag"] == 5].groupby("cell")["log10_grad_norm"].max()
    assert np.isfinite(by_cell).all()


def test_save_and_load(results, tmp_path):
    results.save(tmp_path / "r.json")
    again = gradflow.load_results(tmp_path / "r.json")
    assert repr(again) == repr(results)
    assert str(again) == str(results)
    for name, values in results.columns().items():
        np.testing.assert_array_equal(again.columns()[name], values, err_msg=name)
    results.save(tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text().startswith("run,cell,")
    with pytest.raises(gradflow.InputError, match="expected a name that ends in"):
        results.save(tmp_path / "r.xlsx")


def test_html_is_escaped_and_short():
    results = gradflow.analyze({**SWEEP, "title": "<b>", "seed": list(range(5))})
    text = results._repr_html_()
    assert text.count("<tr>") == 9
    assert "and 12 more" in text
    assert "<b>" not in text


def test_plot():
    pyplot = pytest.importorskip("matplotlib.figure")
    results = gradflow.analyze(SWEEP)
    assert isinstance(results.plot(), pyplot.Figure)
    ax = pyplot.Figure().subplots()
    one = results[:1]
    assert one.plot(ax) is ax
    assert any(len(line.get_ydata()) == 13 for line in ax.lines)
    with pytest.raises(gradflow.InputError, match="draw them without ax"):
        results.plot(ax)


def test_an_array_as_input():
    x = np.random.default_rng(0).normal(size=(20, 3))
    [result] = gradflow.analyze({"cell": "gru", "hidden_size": 4}, input=x)
    axes = result.axes
    assert (axes["sequence_length"], axes["batch_size"], axes["input_size"]) == (20, 1, 3)
    [batch] = gradflow.analyze({"cell": "gru", "hidden_size": 4}, input=np.stack([x, x], axis=1))
    assert batch.axes["batch_size"] == 2
    assert result.flow.state.shape == (21,)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("x.csv", "expected an array of numbers, found a str"),
        ([[1, 2], [3]], "expected an array of numbers, found a list"),
        (np.ones(3), r"expected an array of shape \(T, I\) or \(T, N, I\), found \(3,\)"),
        (np.full((3, 2), np.nan), "expected finite numbers"),
    ],
)
def test_what_is_no_input(bad, message):
    with pytest.raises(gradflow.InputError, match=message):
        gradflow.analyze({"cell": "rnn"}, input=bad)


def test_yaml_text_is_a_config():
    [result] = gradflow.analyze("cell: lstm\nsequence_length: 5\nhidden_size: 4")
    assert result.sequence_length == 5
    with pytest.raises(gradflow.InputError):
        gradflow.analyze("cell: lstm\ncell: rnn")


def test_verify_explain_and_critical_take_configs():
    [verification] = gradflow.verify({"cell": "gru", **SMALL})
    assert all(c.holds for c in verification.comparisons)
    [explanation] = gradflow.explain({"cell": "gru", **SMALL}, advice=False)
    assert explanation.factors[""].factors
    linear = {"type": "rnn", "activation": "linear"}
    [found] = gradflow.critical({"cell": linear, "ws_init": "orthogonal", **SMALL})
    assert found.value == pytest.approx(1)
