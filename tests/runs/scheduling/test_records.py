import json

import numpy as np
import pytest
from typing_extensions import TypeAliasType

from gradflow.formats import FORMATS, Look, for_screen
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.runs.runner import execute
from gradflow.runs.scheduling import records
from gradflow.runs.scheduling.records import from_json, to_json
from sweeps import small, text


def there_and_back(value):
    return from_json(json.loads(json.dumps(to_json(value))))


def test_results_come_back_with_every_bit():
    experiment = small()
    results = list(execute(experiment))
    assert any(r.flow is None for r in results)
    back = list(map(there_and_back, results))
    assert text(experiment, back) == text(experiment, results)
    for one, other in zip(results, back, strict=True):
        if one.flow is not None:
            np.testing.assert_array_equal(one.flow.state.mantissa, other.flow.state.mantissa)
            np.testing.assert_array_equal(one.flow.state.exponent, other.flow.state.exponent)
            np.testing.assert_array_equal(one.flow.share_W_s, other.flow.share_W_s)
            assert one.diagnosis == other.diagnosis


@pytest.mark.parametrize("name", for_screen("results"))
def test_a_single_run_that_comes_back_is_shown_alike(name):
    experiment = small(cell="lstm", hidden_size=3, ws_scale=0.5, seed=0)
    results = list(execute(experiment))
    before, after = (
        "".join(FORMATS[name].show("results", shown, Look(options=experiment.options)))
        for shown in (results, map(there_and_back, results))
    )
    assert after == before


@pytest.mark.parametrize("ws_scale", [1e-3, 10.0])
def test_magnitudes_past_float_range_come_back(ws_scale):
    (result,) = execute(
        small(
            cell={"type": "rnn", "activation": "linear"},
            hidden_size=3,
            sequence_length=600,
            ws_scale=ws_scale,
            input="zeros",
            seed=0,
        )
    )
    back = there_and_back(result)
    assert abs(result.flow.state.log10()[-1]) > 330
    assert back.flow.state.texts() == result.flow.state.texts()


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, 1j])
def test_what_has_no_record_is_refused(value):
    with pytest.raises(TypeError, match="no record of"):
        to_json(value)


def test_an_array_is_one_also_where_its_type_goes_by_another_name(monkeypatch):
    """NumPy's `NDArray` is a `type` alias where Python has such."""
    members = dict.fromkeys(records._members(Magnitudes), TypeAliasType("NDArray", np.ndarray))
    monkeypatch.setattr(records, "_members", {Magnitudes: members}.get)
    assert records._is(Magnitudes(np.ones(3), np.zeros(3, int)), Magnitudes)
    assert not records._is(Magnitudes("1", np.zeros(3, int)), Magnitudes)
