import copy
from dataclasses import fields, replace

import numpy as np
import pytest

from gradflow.cells import LSTM
from gradflow.measures.contract import Asked
from gradflow.runs.experiment import InitialState, Loss, Run, Signal, Trained
from gradflow.runs.scheduling import fingerprint
from gradflow.runs.scheduling.fingerprint import Fingerprints
from sweeps import small

THRESHOLDS = (1e-3, 1e3)
SERIES = np.arange(12.0).reshape(6, 1, 2)
RUN = replace(small().runs[0], input=Signal("file", values=SERIES))
OTHER = {
    "cell": LSTM(forget_bias=1.0),
    "ws_init": "orthogonal",
    "wx_init": "uniform",
    "input": Signal("file", values=SERIES + np.eye(1, 2) * 1e-12),
    "initial_state": InitialState("file", arrays={"h": np.eye(2, 3)}),
    "loss": Loss("mse", 0.0),
    "dtype": "float32",
    "measures": (Asked("sizes", {"power": 2}),),
    "trained": {"W_s": np.eye(2)},
}


def of(run, thresholds=THRESHOLDS):
    return Fingerprints().of(run, thresholds)


def test_equal_runs_have_one_fingerprint():
    assert of(RUN) == of(copy.deepcopy(RUN))


@pytest.mark.parametrize("name", [f.name for f in fields(Run)])
def test_every_field_of_a_run_counts(name):
    value = getattr(RUN, name)
    other = OTHER[name] if name in OTHER else (not value if value is False else value + 1)
    assert of(replace(RUN, **{name: other})) != of(RUN)


def test_a_parameter_that_a_cell_may_lack_counts_where_it_has_one():
    def trained(W_p):
        params = {"W": np.zeros((1, 1))} | ({} if W_p is None else {"W_p": W_p})
        return replace(RUN, trained=Trained({(0, 0): params}, {(0, 0): 1}))

    texts = [of(trained(W_p)) for W_p in (None, np.zeros((1, 1)), np.ones((1, 1)))]
    assert len(set(texts)) == 3
    assert of(trained(None)) == texts[0]


def test_the_thresholds_and_the_version_count(monkeypatch):
    before = of(RUN)
    assert of(RUN, (1e-3, 1e4)) != before
    monkeypatch.setattr(fingerprint, "__version__", "0.0.0")
    assert of(RUN) != before


@pytest.mark.parametrize(
    "values",
    [SERIES.astype("f4"), SERIES.reshape(1, 6, 2), SERIES[::-1], np.asfortranarray(SERIES)],
)
def test_an_array_counts_by_type_shape_and_content_not_by_layout(values):
    same = values.shape == SERIES.shape and np.array_equal(values, SERIES)
    same = same and values.dtype == SERIES.dtype
    other = replace(RUN, input=Signal("file", values=values))
    assert (of(other) == of(RUN)) == same


def test_each_number_of_an_initial_state_counts():
    arrays = {"h": np.zeros((2, 3)), "c": np.zeros((2, 3))}
    keys = set()
    for name in (None, *arrays):
        changed = {k: a + (1e-12 if k == name else 0) for k, a in arrays.items()}
        keys.add(of(replace(RUN, initial_state=InitialState("file", arrays=changed))))
    assert len(keys) == 3


def test_each_kind_of_value_counts_as_what_it_is():
    plain = Fingerprints()._plain
    values = [
        1,
        "1",
        1.0,
        True,
        None,
        [1],
        (1, 2),
        {"a": 1},
        np.float32(1),
        np.int64(1),
        np.ones(1),
    ]
    shown = [repr(plain(value)) for value in values]
    assert len(set(shown)) == len(values)
    assert plain([1, 2]) == plain((1, 2))
    with pytest.raises(TypeError, match="no fingerprint of a object"):
        plain(object())
