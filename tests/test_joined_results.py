"""`Results` that are put together, and runs that are chosen of them."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest

import gradflow
from gradflow.formats.schema import results_schema
from gradflow.testing import save

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 12, "input_size": 3}
SWEEP = {"cell": ["rnn", "lstm"], "ws_scale": [0.5, 1.5], **SMALL}


def _small(**more):
    return gradflow.analyze({"cell": "rnn", **SMALL, **more})


def test_joined_runs_are_told_apart_anew():
    pytest.importorskip("xarray")
    a, b = _small(), _small(cell="lstm")
    for joined in (a + b, gradflow.Results([*a, *b]), gradflow.Results([*a, *b], a.look),
                   list(a) + b, a + tuple(b), sum([a, b]), sum([a, b], a[:0])):  # fmt: skip
        assert [(one.run, one.varied) for one in joined] == [(0, ("cell",)), (1, ("cell",))]
        data = joined.to_xarray()
        assert dict(data.sizes) == {"cell": 2, "lag": 13}
        for result in joined:
            own = data.relative.sel(cell=result.axes["cell"])
            np.testing.assert_array_equal(own, result.flow.relative)
        head = str(joined).splitlines()[0]
        assert "rnn" not in head
        assert "H=6" in head
        assert joined.look.parts == ("h", "c")
        assert list(joined.columns("runs")["forget_bias"][1:]) == [0.0]
    longer = a + _small(sequence_length=20, hidden_size=5, layers=2)
    assert longer[0].varied == ("sequence_length", "hidden_size", "layers")
    assert longer.to_xarray().sizes["run"] == 2  # a grid of 8 places for two runs
    assert "H=6" not in str(longer).splitlines()[0]
    twice = a[[0, 0]]
    assert [one.run for one in twice] == [0, 1]
    assert twice.to_xarray().sizes["run"] == 2
    sweep = gradflow.analyze(SWEEP)
    assert [one.run for one in sweep[2:] + sweep[:2]] == [2, 3, 0, 1]
    assert sweep[:2] + sweep[2:] == sweep
    assert str(sweep[:2] + sweep[2:]) == str(sweep)


def test_joined_runs_say_each_objective():
    joined = _small() + _small(loss={"kind": "sum", "at": "all"})
    assert "mse at the last step or sum at every step" in str(joined)


def test_results_of_runs_alone_show_what_those_have():
    cells = ["rnn", {"type": "lstm", "forget_bias": [0, 1]}, "mlstm", "mingru"]
    whole = _small(cell=cells, measure=["reach", "gates"], thresholds={"vanishing": 0.1})
    alone = gradflow.Results(list(whole))
    for name in ("parts", "options", "measures", "varied", "thresholds"):
        assert getattr(alone.look, name) == getattr(whole.look, name)
    assert str(alone) == str(whole)
    assert gradflow.Results(whole).look == whole.look


def test_what_cannot_be_joined_is_refused():
    a, other = _small(), _small(thresholds={"vanishing": 0.1})
    said = "thresholds differ cannot be joined: 0.001 to 1000 and 0.1 to 1000"
    for join in (lambda: a + other, lambda: gradflow.Results([*a, *other]), lambda: sum([a, other]),
                 lambda: gradflow.Results(other, a.look)):  # fmt: skip
        with pytest.raises(gradflow.InputError, match="thresholds differ"):
            join()
    with pytest.raises(gradflow.InputError, match=said):
        a + other
    assert a[:0] + other == other + a[:0] == other
    for wrong in (lambda: a + 3, lambda: 1 + a, lambda: gradflow.Results([3])):
        with pytest.raises(TypeError):
            wrong()


def test_joined_runs_are_saved_with_what_their_configs_both_say(tmp_path):
    path = tmp_path / "joined.json"
    for joined in (_small() + _small(cell="gru"), gradflow.Results(list(_small()))):
        joined.save(path)
        again = gradflow.load_results(path)
        assert again == joined
        assert str(again) == str(joined)
        (again + _small(lags=[0, 3])).save(path)
        last = gradflow.load_results(path)
        assert last == again + _small()
        assert "cell" not in last.look.config
        jsonschema.Draft202012Validator(results_schema()).validate(json.loads(path.read_text()))


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_column_of_a_data_frame_chooses_runs(package):
    pytest.importorskip(package)
    found = gradflow.analyze(SWEEP)
    frame = getattr(found, f"to_{package}")(rows="runs")
    mask = frame["cell"] == "lstm"
    chosen = [mask]
    if package == "pandas":
        chosen += [mask.astype("boolean"), mask.astype(object), frame.index[mask], frame.run[mask]]
    else:
        chosen += [frame["run"].filter(mask)]
    for index in chosen:
        assert found[index] == found[2:]


@pytest.mark.parametrize(
    "index", [range(2, 4), np.array([2, 3]), np.array([0, 0, 1, 1], bool), (2, 3), [-2, -1]]
)
def test_numbers_or_truths_choose_runs(index):
    found = gradflow.analyze(SWEEP)
    assert found[index] == found[2:]
    assert found[np.int64(3)] is found[3]


def test_a_truth_of_pandas_is_of_the_run_that_its_index_numbers():
    pandas = pytest.importorskip("pandas")
    found = gradflow.analyze(SWEEP)
    frame = found.to_pandas("runs").iloc[[2, 0, 3, 1]]
    assert found[frame.cell == "lstm"] == found[2:]
    for labels in ([1, 2, 3, 4], [0, 0, 1, 2], list("abcd")):
        with pytest.raises(IndexError, match="the index of this column is not the numbers"):
            found[pandas.Series([False, False, True, True], labels)]
    for dtype in ("boolean", object):
        assert found[pandas.Series([None, False, True, True], dtype=dtype)] == found[2:]
    assert not found[pandas.Series([None] * 4, dtype="boolean")]


def test_a_truth_of_polars_that_is_missing_is_false():
    polars = pytest.importorskip("polars")
    found = gradflow.analyze(SWEEP)
    assert found[polars.Series([None, False, True, True])] == found[2:]
    assert not found[polars.Series([None] * 4, dtype=polars.Boolean)]


def test_a_run_that_is_not_there_is_named():
    found = gradflow.analyze(SWEEP)
    for index in (7, [0, 7], -5, np.int64(7)):
        with pytest.raises(IndexError, match=r"there is no run at (7|-5): 4 runs, from 0"):
            found[index]


@pytest.mark.parametrize("wrong", ["a", 1.5, {0}, ["rnn"], [None], np.array(0), [[0]], None])
def test_what_chooses_no_runs(wrong):
    with pytest.raises(TypeError, match="runs are chosen by whole numbers, or by a truth for each"):
        gradflow.analyze({"cell": "rnn", **SMALL})[wrong]


def test_no_runs_of_a_single_one_have_no_columns_of_their_own():
    found = _small()
    assert set(found[:0].columns("runs")) < set(found.columns("runs"))


@pytest.mark.parametrize("measure", [[], ["theory", "lyapunov"]])
def test_no_runs_keep_the_columns_of_all_runs(measure):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    found = gradflow.analyze({**SWEEP, "measure": measure})
    columns = [name for name in found.columns("runs") if "lyapunov_1" not in name]
    none = found[:0].to_pandas(rows="runs")
    assert [name for name in columns if name in none] == list(none)
    assert {name for name in columns if name not in none} <= {
        f"lyapunov{spread}_{i}" for i in range(1, 13) for spread in ("", "_spread")
    }
    for rows in ("lags", "runs"):
        empty, whole = (
            some.to_polars(rows).drop(found.look.options) for some in (found[:0], found)
        )
        assert empty.schema == whole.select(empty.columns).schema


def test_runs_alone_are_a_baseline_with_their_own_thresholds(tmp_path):
    found = _small(cell=["rnn", "lstm"], thresholds={"vanishing": 0.1})
    save(tmp_path / "base.json", list(found), None)
    again = gradflow.load_results(tmp_path / "base.json")
    assert again == found
    assert again.look.thresholds == (0.1, 1e3)
