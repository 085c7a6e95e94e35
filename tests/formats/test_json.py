from __future__ import annotations

import hashlib
import json
import math
import re

import jsonschema
import numpy as np
import pytest
from made_results import made
from numpy.testing import assert_array_equal

import gradflow
from gradflow import __version__
from gradflow.formats import FORMATS, Look
from gradflow.formats.schema import results_schema, results_text
from gradflow.results import Diagnosis

VALIDATOR = jsonschema.Draft202012Validator(results_schema())
ARRAYS = ("grad_norm", "relative", "grad_h", "grad_c", "grad_W_x", "grad_W_s", "grad_b")


def loaded(results, **look):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    def without_twins(pairs):
        assert len(dict(pairs)) == len(pairs), f"a key is there twice among {[k for k, _ in pairs]}"
        return dict(pairs)

    text = "".join(FORMATS["json"].show("results", results, Look(**look)))
    assert text.endswith("}\n")
    found = json.loads(text, parse_constant=refuse, object_pairs_hook=without_twins)
    VALIDATOR.validate(found)
    return found


def test_strict_and_of_one_shape_whatever_the_results(results):
    found = loaded(results, config={"cell": "rnn", "scale": math.inf})
    assert found["gradflow"] == __version__
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
    assert set(run["totals"]) == {"W_x", "W_s", "b_s", "other", "W_o"}
    assert run["totals"]["W_s"] == pytest.approx(2**2.5)
    assert run["log10_totals"]["W_s"] == pytest.approx(2.5 * math.log10(2))


@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_past_float_range_a_magnitude_is_decimal_text(rate):
    result = made(T=3000, rate=rate)
    [run] = loaded([result])["runs"]
    assert run["relative"][-1] == result.flow.relative[-1:].texts()[0]
    assert re.fullmatch(r"\d\.\d{16}e[-+]\d{3}", run["relative"][-1])
    assert run["log10_relative"][-1] == pytest.approx(3000 * math.log10(rate))
    assert [isinstance(value, float) for value in run["relative"]] == list(
        result.flow.relative.fits_floats
    )


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
    assert run["totals"] == dict.fromkeys(("W_x", "W_s", "b_s", "other", "W_o"))
    assert run["diagnosis"] == {
        "rate": None,
        "rate_low": None,
        "rate_high": None,
        "rate_ci": None,
        "half_life": None,
        "horizon": None,
        "horizon_typical": None,
        "projected_horizon": None,
        "verdict": "diverged",
        "no_rate": None,
    }


def test_diagnosis_and_all_lags_whatever_tables_show():
    diagnosis = Diagnosis("vanishing", 0.9, (0.8, math.inf), 6.5, 66)
    [run] = loaded([made(diagnosis=diagnosis)], lags=(0, 50))["runs"]
    found = run["diagnosis"]
    assert found["rate_ci"] == [found["rate_low"], found["rate_high"]] == [0.8, None]
    assert found["horizon"] == 66
    assert run["lags"] == list(range(101))
    assert len(run["grad_norm"]) == 101


def test_options_are_keys_of_a_run():
    options = {"forget_bias": math.inf, "reset": "after"}
    [run] = loaded([made(options=options)])["runs"]
    assert (run["forget_bias"], run["reset"]) == (None, "after")


def test_plain_data_of_numpy_and_paths_is_written(tmp_path):
    config = {"a": np.float64("nan"), "b": np.int64(3), "c": (1, tmp_path), "d": {1: True}}
    found = loaded([], config=config)["config"]
    assert found == {"a": None, "b": 3, "c": [1, str(tmp_path)], "d": {"1": True}}


def test_the_places_of_a_net_stand_beside_the_whole(tmp_path):
    for both in (False, True):
        config = {"cell": "gru", "layers": 2, "bidirectional": both, "sequence_length": 5}
        experiment = gradflow.load({**config, "hidden_size": 3, "input_size": 2, "batch_size": 2})
        [result] = gradflow.analyze(experiment)
        [run] = loaded([result], config=experiment.config)["runs"]
        assert run["layers"] == 2
        assert [(p["layer"], p["direction"]) for p in run["places"]] == [
            (part.layer, part.direction) for part in result.layers
        ]
        for place, part in zip(run["places"], result.layers, strict=True):
            assert place["grad_norm"] == part.flow.state.floats().tolist()
            assert place["totals"]["W_s"] == part.flow.totals["W_s"].floats()
            assert len(place["grad_W_s"]) == len(run["lags"])
        assert (run["grad_norm"] == [None] * 6) == both


def test_a_plain_net_has_no_places():
    assert loaded([made()])["runs"][0]["places"] == []


def test_provenance_tells_versions_config_and_blas():
    found = loaded([], config={"b": 1, "a": [2]})
    assert found["format"] == 1
    assert found["provenance"]["numpy"] == np.__version__
    assert found["provenance"]["config_sha256"] == hashlib.sha256(b'{"a":[2],"b":1}').hexdigest()
    assert set(found["provenance"]["blas"]) == {"name", "version", "kernel"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.pop("format"),
        lambda found: found.update(format=2),
        lambda found: found["runs"][0].pop("places"),
        lambda found: found["runs"][0].update(unknown={}),
        lambda found: found["runs"][0]["grad_norm"].append("a lot"),
        lambda found: found["runs"][0]["log10_grad_norm"].append("1.0e-400"),
        lambda found: found["runs"][0]["diagnosis"].update(rate="fast"),
        lambda found: found["runs"][0].update(forget_bias="strong"),
        lambda found: found["provenance"]["blas"].pop("kernel"),
    ],
)
def test_the_schema_rejects_what_is_no_result(damage):
    found = loaded([made(options={"forget_bias": 1.0})])
    damage(found)
    assert not VALIDATOR.is_valid(found)


def test_the_schema_is_a_schema_and_a_command(capsys):
    from command import main

    jsonschema.Draft202012Validator.check_schema(results_schema())
    assert main(capsys, "schema", "--of", "results")[1] == results_text()
    assert main(capsys, "schema", "--of", "config") == main(capsys, "schema")
