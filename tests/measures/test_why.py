"""Gates, paths, slopes and theory from a config to every output."""

from __future__ import annotations

import csv
import json

import jsonschema
import numpy as np
import pytest

import gradflow
from gradflow.formats import FORMATS, Look
from gradflow.formats.figures import forms
from gradflow.formats.schema import results_schema
from gradflow.measures import MEASURES
from measures.subjects import subject_of
from nets import LABELS, VARIANTS, random_net

MEASURES_HERE = [MEASURES[name] for name in ("gates", "paths", "slopes", "theory")]
CONFIG = {
    "sequence_length": 12,
    "hidden_size": 8,
    "input_size": 3,
    "batch_size": 4,
    "measure": ["gates", "paths", "slopes", "theory"],
}


def exported(name, config):
    experiment = gradflow.load({**CONFIG, **config})
    shown = Look(
        config=experiment.config,
        options=experiment.options,
        measures=tuple(one.name for one in experiment.measures),
    )
    results = gradflow.analyze(experiment)
    return "".join(FORMATS[name].show("results", results, shown))


@pytest.mark.parametrize(
    "more",
    [
        {"cell": ["rnn", "lstm", "gru", "mgu", "indrnn", "lstmp", "peephole"]},
        {"cell": ["lstm", {"type": "rnn", "leak": 0.3}], "layers": 2},
        {"cell": ["gru", "rnn"], "bidirectional": True, "layers": 2},
        {"cell": "lstm", "dtype": "float32", "loss": {"kind": "mse", "at": "all"}},
        {"cell": "rnn", "ws_init": "identity"},
    ],
)
def test_json_of_any_net_fits_its_schema(more):
    data = json.loads(exported("json", more))
    jsonschema.Draft202012Validator(results_schema()).validate(data)


def test_json_has_each_gate_by_name():
    (run,) = json.loads(exported("json", {"cell": "lstm"}))["runs"]
    assert list(run["gates"]) == ["i", "f", "o", "note"]
    assert list(run["gates"]["i"]) == ["mean", "p10", "p50", "p90", "below_0.1", "above_0.9"]
    assert list(run["gates"]["f"])[6:] == ["time_scale_p50", "time_scale_p90"]
    assert {*run["slopes"]["g"]} == {"rms", "geometric", "saturated"}
    assert {"slopes_rms", "gain_i", "gain_f", "gain_g", "gain_o"} < {*run["slopes"]}
    assert len(run["direct_share"]) == len(run["log10_predicted"]) == 13
    assert run["theory"]["note"].startswith("an approximation")


def test_csv_has_the_curves():
    rows = list(csv.DictReader(exported("csv", {"cell": "gru"}).splitlines()))
    assert [*rows[0]][-3:] == ["log10_direct_path", "direct_share", "log10_predicted"]
    assert float(rows[0]["direct_share"]) == 1
    assert float(rows[-1]["log10_direct_path"]) < -1


def test_a_table_has_the_figures_or_says_why_there_are_none():
    text = exported("table", {"cell": "rnn"})
    assert "rnn has no gates" in text
    assert "critical_predicted" in text


@pytest.mark.parametrize("more", [{"layers": 2}, {"bidirectional": True}, {}])
@pytest.mark.parametrize("loss", [{}, {"loss": {"kind": "mse", "at": "all", "truncate": 5}}])
def test_without_recurrent_weights_all_of_the_gradient_goes_the_direct_way(more, loss):
    (result,) = gradflow.analyze({**CONFIG, "cell": "lstm", "ws_scale": 0.0, **more, **loss})
    found = [result.measures, *(part.measures for part in result.layers)]
    shares = [m["paths"].curves["direct_share"] for m in found if "paths" in m]
    assert shares
    for share in shares:
        np.testing.assert_allclose(share[~np.isnan(share)], 1, rtol=1e-12)


def test_a_trained_net_is_told_from_a_random_one(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "w.npz", weight_ih_l0=rng.normal(size=(8, 3)),
             weight_hh_l0=rng.normal(size=(8, 8)), bias_ih_l0=np.zeros(8),
             bias_hh_l0=np.zeros(8))  # fmt: skip
    config = {k: v for k, v in CONFIG.items() if k not in ("hidden_size", "input_size")}
    (result,) = gradflow.analyze(
        {
            **config,
            "cell": {"type": "rnn", "activation": "tanh"},
            "weights": str(tmp_path / "w.npz"),
        }
    )
    assert "trained" in result.measures["theory"].note


@pytest.mark.parametrize("g", [0.0, 6.0])
@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_every_cell_has_each_measure_or_says_why_not_at_any_size_of_weights(cell, g):
    net = random_net(cell, T=20, g=1.0)
    trained = {name for name, p in net.cell.parameters.items() if p.trained}
    params = {name: g * a if name in trained else a for name, a in net.params.items()}
    subject = subject_of(net._replace(params=params))
    if subject.net.diverged_at.any():
        return
    for measure in MEASURES_HERE:
        (found,) = measure.of(subject)
        assert found.note or found.figures or found.curves, measure.name
        for name, value in found.figures.items():
            assert any(form.figure.pattern.fullmatch(name) for form in forms(measure)), name
            assert value is None or not np.isnan(value), name
        assert {*found.curves} <= {curve.name for curve in measure.curves}
        assert all(len(curve) == 21 for curve in found.curves.values())
