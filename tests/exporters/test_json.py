from __future__ import annotations

import json
import math
from importlib.metadata import version

import numpy as np
import pytest
from made_results import made
from numpy.testing import assert_array_equal

from gradflow.exporters import EXPORTERS, View
from gradflow.results import Diagnosis

ARRAYS = ("grad_norm", "relative", "grad_h", "grad_c", "grad_W_x", "grad_W_s", "grad_b")


def loaded(results, **view):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = "".join(EXPORTERS["json"](results, View(**view)))
    assert text.endswith("}\n")
    return json.loads(text, parse_constant=refuse)


def test_strict_and_of_one_shape_whatever_the_results(results):
    found = loaded(results, config={"cell": "rnn", "scale": math.inf})
    assert found["gradflow"] == version("gradflow")
    assert found["config"] == {"cell": "rnn", "scale": None}
    assert len(found["runs"]) == len(results)
    for run, result in zip(found["runs"], results, strict=True):
        assert {name: run[name] for name in result.axes} == dict(result.axes)
        assert run["lags"] == list(range(result.sequence_length + 1))
        for name in ARRAYS:
            assert len(run[name]) == len(run[f"log10_{name}"]) == len(run["lags"])
        assert len(run["share_W_s"]) == len(run["lags"])


def test_arrays_hold_the_numbers():
    result = made(cell="lstm", T=30, rate=0.9)
    [run] = loaded([result])["runs"]
    assert_array_equal(run["grad_norm"], result.flow.state.floats())
    assert_array_equal(run["log10_grad_norm"], result.flow.state.log10())
    assert_array_equal(run["relative"], result.flow.relative.floats())
    assert_array_equal(run["grad_c"], result.flow.parts["c"].floats())
    assert_array_equal(run["grad_b"][:-1], result.flow.terms["b_s"].floats())
    assert run["grad_b"][-1] is None
    assert_array_equal(run["share_W_s"][:-1], result.flow.share_W_s)
    assert set(run["totals"]) == {"W_x", "W_s", "b_s", "W_o"}
    assert run["totals"]["W_s"] == pytest.approx(2**2.5)
    assert run["log10_totals"]["W_s"] == pytest.approx(2.5 * math.log10(2))


@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_past_float_range_only_the_logarithm_is_a_number(rate):
    [run] = loaded([made(T=3000, rate=rate)])["runs"]
    assert run["relative"][-1] is None
    assert run["log10_relative"][-1] == pytest.approx(3000 * math.log10(rate))


def test_an_exact_zero_is_zero_and_its_logarithm_null():
    [run] = loaded([made(T=20, zero_from=5)])["runs"]
    assert run["grad_norm"][5:] == [0.0] * 16
    assert run["log10_grad_norm"][5:] == [None] * 16


def test_a_diverged_run_says_so():
    [run] = loaded([made(rate=None, T=3, loss=math.inf, notes=("so",))])["runs"]
    assert run["loss"] is None
    assert run["diverged_at"] == 37
    assert run["notes"] == ["so"]
    assert run["grad_norm"] == [None] * 4
    assert run["totals"] == dict.fromkeys(("W_x", "W_s", "b_s", "W_o"))
    assert run["diagnosis"] == {
        "rate": None,
        "rate_ci": None,
        "rate_low": None,
        "rate_high": None,
        "half_life": None,
        "horizon": None,
        "horizon_typical": None,
        "projected_horizon": None,
        "verdict": "diverged",
        "no_rate": None,
    }


def test_diagnosis_and_a_list_of_lags():
    diagnosis = Diagnosis("vanishing", 0.9, (0.8, math.inf), 6.5, 66, 60)
    [run] = loaded([made(diagnosis=diagnosis)], lags=(0, 50))["runs"]
    assert run["diagnosis"]["rate_ci"] == [0.8, None]
    assert (run["diagnosis"]["rate_low"], run["diagnosis"]["rate_high"]) == (0.8, None)
    assert (run["diagnosis"]["horizon"], run["diagnosis"]["horizon_typical"]) == (66, 60)
    assert run["log10_p90"][1] == pytest.approx(run["log10_grad_norm"][1] + 0.5)
    assert run["lags"] == [0, 50]
    assert len(run["grad_norm"]) == 2


def test_plain_data_of_numpy_and_paths_is_written(tmp_path):
    config = {"a": np.float64("nan"), "b": np.int64(3), "c": (1, tmp_path), "d": {1: True}}
    found = loaded([], config=config)["config"]
    assert found == {"a": None, "b": 3, "c": [1, str(tmp_path)], "d": {"1": True}}
