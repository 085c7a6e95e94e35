"""What a person hands in from Python: tensors, masked arrays, options next to an array, and what is
none of what was asked for."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import pytest

import gradflow

SMALL = {"cell": "rnn", "hidden_size": 4, "sequence_length": 6}
TANH = {"cell": {"type": "rnn", "activation": "tanh"}}
PARAMS = {"W": np.ones((1, 1, 1)), "U": np.full((1, 1, 1), 0.5), "b": np.zeros((1, 1))}


def test_tensors_are_taken_for_arrays_also_those_that_keep_gradients():
    torch = pytest.importorskip("torch")
    series = torch.randn(6, 3, requires_grad=True)
    plain = gradflow.analyze({"cell": "rnn"}, input=series.detach().numpy())
    [found] = gradflow.analyze({"cell": "rnn"}, input=series)
    assert found.flow.state.tolist() == plain[0].flow.state.tolist()
    assert len(gradflow.analyze({"cell": "rnn"}, input=series.bfloat16())) == 1
    params = {name: torch.tensor(a, requires_grad=True) for name, a in PARAMS.items()}
    trajectory = gradflow.unroll(
        gradflow.CELLS["rnn"](activation="linear"), params, torch.ones(3, 1, 1, 1)
    )
    [flow] = gradflow.backpropagate(trajectory, torch.ones(1, 1, 1, requires_grad=True))
    assert flow.state.tolist() == [1, 0.5, 0.25, 0.125]


def test_what_was_unrolled_is_not_changed_by_its_arrays():
    params = {name: a.copy() for name, a in PARAMS.items()}
    x, s0 = np.ones((3, 1, 1, 1)), np.ones((1, 1, 1))
    trajectory = gradflow.unroll(gradflow.CELLS["rnn"](activation="linear"), params, x, s0)
    before = gradflow.backpropagate(trajectory, np.ones((1, 1, 1)))[0].totals
    for a in (x, s0, *params.values()):
        a *= 0
    assert gradflow.backpropagate(trajectory, np.ones((1, 1, 1)))[0].totals == before
    assert before["W_x"] == 1.75


def test_masked_entries_are_no_numbers():
    masked = np.ma.masked_greater(np.array([[1.0], [2.0], [1e20]]), 10)
    with pytest.raises(gradflow.InputError, match=r"input: .*found masked entries"):
        gradflow.analyze(SMALL, input=masked)
    with pytest.raises(gradflow.InputError, match=r"x: .*masked"):
        gradflow.unroll(gradflow.CELLS["rnn"](), PARAMS, masked[:, None, None])
    assert len(gradflow.analyze({"cell": "rnn"}, input=masked[:2])) == 1


def test_options_next_to_an_array_hold_for_it(tmp_path):
    series = np.random.default_rng(0).normal(3, 2, (20, 2))
    np.save(tmp_path / "s.npy", series)
    options = {"standardize": True, "window": 5, "stride": 3}
    [of_file] = gradflow.analyze(
        {**SMALL, "sequence_length": 5, "input": {"file": str(tmp_path / "s.npy"), **options}}
    )
    [found] = gradflow.analyze(
        {**SMALL, "sequence_length": 5, "input": {"file": "none.csv", **options}}, input=series
    )
    assert found.axes["batch_size"] == 6
    assert found.flow.state.tolist() == of_file.flow.state.tolist()
    with pytest.raises(gradflow.InputError) as caught:
        gradflow.analyze(
            {"cell": "rnn", "input": {"file": "none.csv", "columns": ["a"], "key": "x"}},
            input=series,
        )
    assert [fault.key for fault in caught.value.faults] == ["input.columns", "input.key"]


def test_weights_may_be_lists_tables_or_a_checkpoint():
    own = {
        "rnn.weight_ih_l0": np.ones((4, 2)),
        "rnn.weight_hh_l0": np.eye(4),
        "rnn.bias_ih_l0": np.zeros(4),
        "rnn.bias_hh_l0": np.zeros(4),
    }
    [expected] = gradflow.analyze(TANH, weights=own)
    lists = {name: a.tolist() for name, a in own.items()}
    for weights in (lists, {"state_dict": own, "epoch": 3, "log": ["a"]}):
        [found] = gradflow.analyze(TANH, weights=weights)
        assert found.flow.state.tolist() == expected.flow.state.tolist()
    pandas = pytest.importorskip("pandas")
    tables = {name: pandas.DataFrame(a) if a.ndim == 2 else a for name, a in own.items()}
    assert len(gradflow.analyze(TANH, weights=tables)) == 1


def circular():
    config = {"cell": "rnn"}
    config["ws_scale"] = config
    return config


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradflow.check(SMALL, tolerance="a"), "tolerance: expected decades from 0"),
        (lambda: gradflow.check(SMALL, tolerance=-1), "tolerance: expected decades from 0"),
        (lambda: gradflow.check(SMALL, tolerance=math.nan), "tolerance: expected decades from 0"),
        (lambda: gradflow.CELLS["rnn"](activation="rleu"), "activation: .* did you mean 'relu'"),
        (lambda: gradflow.critical(SMALL, between=3), "expected two numbers"),
        (lambda: gradflow.critical(SMALL, between=("a", "b")), "expected two numbers"),
        (lambda: gradflow.critical(SMALL, vary=None), "expected a setting by name, found None"),
        (lambda: gradflow.analyze({}, weights=dict), "found the class dict"),
        (lambda: gradflow.unroll("rnn", PARAMS, 1), "cell: expected one of CELLS"),
        (lambda: gradflow.unroll(gradflow.CELLS["rnn"](), None, 1), "params: expected a mapping"),
        (lambda: gradflow.backpropagate(None, 1), "trajectory: expected what unroll gave"),
        (lambda: gradflow.analyze(circular()), "does one contain itself"),
    ],
)
def test_what_is_none_of_what_was_asked_for_is_an_input_error(call, message):
    with pytest.raises(gradflow.InputError, match=message):
        call()


def test_results_know_their_words_and_are_a_baseline(tmp_path):
    results = gradflow.analyze(SMALL)
    with pytest.raises(gradflow.InputError, match="expected auto, light or dark, found 'blue'"):
        results.save(tmp_path / "x.svg", theme="blue")
    with pytest.raises(gradflow.InputError, match="found 'x'"):
        results.plot(theme="x")
    with pytest.raises(gradflow.InputError, match="found 'run'"):
        results.to_pandas(rows="run")
    with pytest.raises(KeyError, match="did you mean 'rnn'"):
        gradflow.CELLS["rnnn"]
    assert gradflow.check(SMALL, baseline=results)
    assert not gradflow.check({**SMALL, "ws_scale": 2.0}, baseline=results)


def test_results_are_equal_run_by_run_and_chosen_by_numbers_or_truths(tmp_path):
    results = gradflow.analyze({**SMALL, "cell": ["rnn", "lstm"], "seed": [0, 1]})
    results.save(tmp_path / "r.json")
    assert results[1:2] == results[1:2]
    assert gradflow.load_results(tmp_path / "r.json") == results
    assert pickle.loads(pickle.dumps(results)) == results
    assert hash(results[:2]) == hash(results[:2])
    assert results[1:2] != results[2:3]
    assert results != gradflow.analyze({**SMALL, "cell": ["rnn", "lstm"], "seed": [0, 2]})
    assert [r.run for r in results[[3, 0]]] == [3, 0]
    assert results[[r.axes["cell"] == "lstm" for r in results]] == results[2:]
    assert results[np.array([True, False, False, True])] == results[[0, 3]]
    assert len(results[[]]) == 0
    with pytest.raises(IndexError, match="a truth for each of 4 runs, found 2"):
        results[[True, False]]
    with pytest.raises(TypeError, match="whole numbers"):
        results[["rnn"]]


def test_columns_of_a_data_frame_have_one_type_whatever_is_in_them():
    pandas = pytest.importorskip("pandas")
    plain = gradflow.analyze(SMALL).to_pandas()
    both = gradflow.analyze({**SMALL, "layers": 2, "bidirectional": True}).to_pandas()
    for name in ("layer", "direction"):
        assert plain[name].dtype == both[name].dtype == pandas.concat([plain, both])[name].dtype
    assert plain.direction.isna().all()
    assert plain.layer.dtype == np.float64


def test_part_of_the_answers_shows_itself_as_they_do():
    found = gradflow.critical({**SMALL, "seed": [0, 1]})
    assert str(found[:1]) != str(list(found)[:1])
    assert found[:1]._repr_markdown_()
    assert repr(found[0]) == repr(found[:1])[1:-1]


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_module_with_the_batch_first_is_told_how_its_input_is_read(batch_first):
    """The module is none of torch's, which is not needed: it has the same attributes."""

    class GRU:
        def __init__(self):
            self.batch_first = batch_first
            rng = np.random.default_rng(0)
            self._arrays = {
                "weight_ih_l0": rng.normal(size=(12, 3)), "weight_hh_l0": rng.normal(size=(12, 4)),
                "bias_ih_l0": np.zeros(12), "bias_hh_l0": np.zeros(12),
            }  # fmt: skip

        def state_dict(self):
            return self._arrays

        def named_modules(self):
            return [("", self)]

    [result] = gradflow.analyze({}, weights=GRU(), input=np.ones((2, 12, 3)))
    told = "the module is batch_first; arrays of input are (T, N, I) all the same"
    assert (told in result.notes) == batch_first


def test_what_of_a_series_is_no_number_is_said_and_where():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    days = pandas.DataFrame({"day": pandas.date_range("2020", "2021", periods=5), "v": range(5)})
    words = polars.DataFrame({"w": ["a"] * 5, "v": range(5)})
    found = {
        "a DataFrame whose column 'day' holds none": days,
        "a DataFrame whose column 'w' holds none": words,
        "a list whose row 1 has 1 and not 2": [[1, 2], [3], [4, 5]],
        "found nan at [1, 0]": np.array([[1.0, 2.0], [math.nan, 1.0]]),
    }
    for said, series in found.items():
        with pytest.raises(gradflow.InputError, match=re.escape(said)):
            gradflow.analyze(SMALL, input=series)


@pytest.mark.parametrize(
    ("length", "key"), [(50, ": sequence_length: "), ([10, 50], "length[1]: ")]
)
def test_a_length_is_named_as_it_is_written(length, key):
    with pytest.raises(gradflow.InputError, match=re.escape(key)):
        gradflow.analyze({**SMALL, "sequence_length": length}, input=np.ones((20, 2)))


def test_arguments_of_critical_are_named_as_arguments():
    with pytest.raises(gradflow.InputError, match="error: vary: 'ws_scal' cannot be varied"):
        gradflow.critical(SMALL, vary="ws_scal")
    with pytest.raises(gradflow.InputError, match="error: between: expected two numbers"):
        gradflow.critical(SMALL, between=np.array([5, 0.5]))
