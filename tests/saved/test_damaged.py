"""A bad file of results is one error, which names the place."""

from __future__ import annotations

import io
import json
import math
import re

import pytest

import gradflow
from command import main
from saved.written import SMALL, written


def nested(key, value):
    return lambda run: run["diagnosis"].update({key: value})


DAMAGE = [
    (lambda run: run.pop("grad_norm"), r"runs\[0\]\.grad_norm is missing"),
    (lambda run: run["grad_norm"].pop(), r"runs\[0\]\.grad_norm: expected a list of 7"),
    (lambda run: run["grad_norm"].__setitem__(0, None), "grad_norm: expected a number at lag 0"),
    (lambda run: run["grad_norm"].__setitem__(3, "1e-400"), "17 digits and an exponent"),
    (lambda run: run["grad_norm"].__setitem__(3, True), "expected numbers, found true"),
    (lambda run: run["grad_norm"].__setitem__(3, -1.0), "expected no negative number"),
    (lambda run: run["grad_norm"].__setitem__(3, 10**400), "within float range"),
    (lambda run: run["grad_W_s"].__setitem__(6, 1.0), "expected nothing after lag 5"),
    (lambda run: run["log10_p50"].__setitem__(0, "a"), "expected numbers"),
    (lambda run: run["totals"].update(W_s=[]), r"totals\.W_s: expected numbers"),
    (lambda run: run.update(totals=[]), "totals: expected an object"),
    (lambda run: run.update(start=-1.0), "start: expected no negative"),
    (lambda run: run.update(lags=[0, 1]), "lags: expected 0 to 6"),
    (lambda run: run.update(sequence_length="6"), "sequence_length: expected a whole"),
    (lambda run: run.update(bidirectional=0), "bidirectional: expected a truth"),
    (lambda run: run.update(forget_bias=[1.0]), "forget_bias: expected the value of an option"),
    (lambda run: run.update(places={}), "places: expected a list"),
    (lambda run: run.update(notes=[1]), "notes: expected a list of texts"),
    (lambda run: run.update(objective=None), "objective: expected text"),
    (lambda run: run.update(diverged_at=3), "both or neither"),
    (lambda run: run.update(diverged_at=7), "diverged_at: expected a whole number up to 6"),
    (
        nested("verdict", "fine"),
        "verdict: expected one of vanishing, exploding, stable, unknown, diverged",
    ),
    (nested("rate", "fast"), "rate: expected a number"),
    (nested("rate_ci", [1.0]), "rate_ci: expected two numbers"),
    (nested("horizon", 7), "horizon: expected a whole number up to 6"),
    (nested("horizon", -1), "horizon: expected a whole number"),
    (nested("no_rate", "because"), "no_rate: expected one of"),
]
VANISHING = {
    "cell": "rnn", "ws_scale": 0.9, "sequence_length": 30, "hidden_size": 8, "batch_size": 8
}  # fmt: skip
CONTRADICTIONS = [
    ({"rate": -1.0}, r"runs\[0\]\.diagnosis\.rate: expected no negative number, found -1"),
    ({"rate_ci": [-0.7, 0.9]}, "rate_ci: expected an interval from 0 that holds the rate"),
    ({"rate_ci": [0.9, 0.1]}, "rate_ci: expected an interval from 0 that holds the rate"),
    ({"rate_ci": [None, 0.9]}, "rate_ci: expected an interval from 0 that holds the rate"),
    ({"rate": 1e308}, "rate_ci: expected an interval from 0 that holds the rate"),
    (
        {"rate": 3, "rate_ci": [1e-4, 100], "half_life": None},
        "rate: expected no more than its curve",
    ),
    ({"rate": 1e308, "rate_ci": None, "half_life": None}, "rate: expected no more than its curve"),
    ({"rate": None, "rate_ci": None, "half_life": None}, "no_rate: expected why there is no rate"),
    ({"no_rate": "bent"}, "no_rate: expected why there is no rate, where there is none"),
    ({"half_life": None}, "half_life: expected one where the whole interval lies below 1"),
    ({"half_life": 50.0}, "half_life: expected ln 1/2 / ln rate, found 50"),
    ({"half_life": 0.0}, "half_life: expected ln 1/2 / ln rate, found 0"),
    ({"horizon": 20}, r"horizon: expected 1\d, as its curve has it, found 20"),
    ({"horizon": 1}, r"horizon: expected 1\d, as its curve has it, found 1"),
    ({"horizon": None}, "horizon: expected a lag or null, as of vanishing, found null"),
    ({"horizon": None, "verdict": "stable"}, r"horizon: expected 1\d, as its curve has it"),
    ({"horizon_typical": None}, r"horizon_typical: expected \d+, as its curve has it"),
    ({"verdict": "exploding"}, "verdict: expected vanishing, as its curve has it"),
    ({"verdict": "stable"}, "horizon: expected a lag or null, as of stable"),
    ({"verdict": "diverged"}, "no_rate: expected why there is no rate"),
    ({"projected_horizon": 30}, "projected_horizon: expected a lag beyond 30 or null"),
    ({"projected_horizon": 500}, "projected_horizon: expected null, as of its rate and curve"),
    ({"rate_low": 9.9}, r"diagnosis\.rate_low: expected 0\.\d+, as follows from the rest, found 9"),
    ({"rate_high": None}, r"diagnosis\.rate_high: expected 0\.\d+, as follows from the rest"),
]
REPEATED = [
    (lambda run: run.update(log10_grad_norm=["x"]), r"runs\[0\]\.log10_grad_norm: expected a list"),
    (lambda run: run["log10_grad_norm"].__setitem__(4, "x"), r"log10_grad_norm: expected -?\d"),
    (lambda run: run["log10_grad_c"].__setitem__(4, 1e-7), r"log10_grad_c: expected -?\d"),
    (
        lambda run: run.update(relative=[0.0] * 7),
        "relative: expected 1.0, as follows from the rest",
    ),
    (lambda run: run["relative"].__setitem__(0, True), "relative: expected 1.0, .* found true"),
    (lambda run: run.update(log10_totals={}), r"log10_totals\.W_x is missing"),
    (lambda run: run["log10_totals"].update(b_s=1.0), r"log10_totals\.b_s: expected -?\d"),
    (lambda run: run.pop("log10_grad_W_s"), r"runs\[0\]\.log10_grad_W_s is missing"),
    (lambda run: run["places"][0]["gates"]["f"].update(p50=9.0), r"gates\.f\.p50: expected 0\.\d"),
    (lambda run: run["places"][1].update(relative=[0.0] * 7), r"places\[1\]\.relative: expected"),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The file of a net that vanishes."""
    path = tmp_path_factory.mktemp("sound") / "r.json"
    written(path, VANISHING)
    return path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"lag,grad\n0,1\n", "holds no results: expected what gradflow analyze"),
        (b"[1, 2]", "holds no results"),
        (b'{"runs": []}', "holds no results"),
        (b'{"gradflow": 3, "runs": []}', "holds no results"),
        (b'{"gradflow": "0.1", "rows": []}', "holds what gradflow track wrote: expected"),
        (b'{"gradflow": "0.1", "format": 1, "expectations": []}', "what gradflow check wrote"),
        (b'{"gradflow": "0.1", "format": 1, "runs": [{"factors": {}}]}', "what gradflow explain"),
        (b'{"gradflow": "0.1", "runs": []}', "holds no results"),
        (b'{"gradflow": "9.0", "format": 2}', "by gradflow 9.0 in format 2, newer than this one"),
        (b'{"gradflow": "0.1", "format": true}', "holds no results"),
        (b'{"gradflow": "0.1", "format": 1}', "damaged: provenance is missing"),
        (b'{"gradflow": "0.1", "format": 1, "format": 1}', "a key is there twice"),
        (b'{"gradflow": "0.1", "format": NaN}', "damaged or cut short: NaN is no JSON"),
        (b'{"gradflow": "0.1", "a": ' + b"[" * 100_000, "damaged or cut short"),
        (b'{"gradflow": "0.1", "a": ' + b"1" * 5000 + b"}", "damaged or cut short"),
        (b'{"gradflow": "0.1\xff"}', "damaged or cut short"),
    ],
)
def test_what_is_no_file_of_results_is_one_error(text, message, tmp_path, capsys):
    path = tmp_path / "r.json"
    path.write_bytes(text)
    with pytest.raises(gradflow.InputError, match=message) as caught:
        gradflow.load_results(path)
    assert len(caught.value.faults) == 1
    code, out, err = main(capsys, "show", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"{path}: error: ")


def test_a_missing_file_is_named_with_the_nearest(tmp_path, capsys):
    (tmp_path / "results.json").write_text("{}")
    code, _, err = main(capsys, "show", tmp_path / "result.json")
    assert code == 2
    assert "no such file; did you mean" in err


def test_a_dash_is_standard_input_as_far_as_memory_goes(tmp_path, capsys, monkeypatch):
    written(tmp_path / "r.json", {"cell": "rnn", **SMALL})
    text = (tmp_path / "r.json").read_bytes()
    expected = main(capsys, "show", tmp_path / "r.json", "--format", "csv")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(capsys, "show", "-", "--format", "csv") == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    monkeypatch.setattr("gradflow.saved.file.bytes_available", lambda: 10 * len(text) - 10)
    code, out, err = main(capsys, "show", "-", "--format", "csv")
    assert (code, out, err) == (2, "", "-: error: is more than there is memory for\n")
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in main(capsys, "show", "-")[2]


def test_a_file_that_memory_has_no_room_for_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    written(path, {"cell": "rnn", **SMALL})
    monkeypatch.setattr("gradflow.saved.file.bytes_available", lambda: 1000)
    with pytest.raises(gradflow.InputError, match="more memory than there is"):
        gradflow.load_results(path)


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_damage_is_named_by_its_place(damage, message, tmp_path):
    path = tmp_path / "r.json"
    written(path, {"cell": "lstm", **SMALL})
    data = json.loads(path.read_text())
    damage(data["runs"][0])
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=message) as caught:
        gradflow.load_results(path)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(("edited", "message"), CONTRADICTIONS)
def test_a_diagnosis_that_contradicts_itself_or_its_curves_is_damage(
    sound, edited, message, tmp_path
):
    path, data = tmp_path / "r.json", json.loads(sound)
    data["runs"][0]["diagnosis"].update(edited)
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=message) as caught:
        gradflow.load_results(path)
    assert len(caught.value.faults) == 1


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory):
    """The file of a net of two layers with a measure."""
    path = tmp_path_factory.mktemp("two") / "r.json"
    written(path, {"cell": "lstm", **SMALL, "layers": 2, "measure": ["gates"]})
    return path.read_text()


@pytest.mark.parametrize(("damage", "message"), REPEATED)
def test_what_is_said_twice_agrees(two_layers, damage, message, tmp_path):
    path, data = tmp_path / "r.json", json.loads(two_layers)
    damage(data["runs"][0])
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=message) as caught:
        gradflow.load_results(path)
    assert len(caught.value.faults) == 1


def test_the_last_digits_of_another_machine_are_no_damage(two_layers, tmp_path):
    path, data = tmp_path / "r.json", json.loads(two_layers)
    (run,) = data["runs"]
    for name in [name for name in run if name.startswith("log10_grad_")]:
        run[name] = [x if x is None else x * (1 + 1e-15) + 1e-16 for x in run[name]]
    path.write_text(json.dumps(data))
    assert len(gradflow.load_results(path)) == 1


@pytest.mark.parametrize(
    ("scale", "shift"), [(0.99, 300), (0.99, -250), (1.02, 200), (0.9999, 10**9), (0.99, None)]
)
def test_a_projected_horizon_is_where_its_line_leaves_the_thresholds(tmp_path, scale, shift):
    path = tmp_path / "r.json"
    linear = {"type": "rnn", "activation": "linear"}
    net = {**SMALL, "cell": linear, "ws_init": "orthogonal", "ws_scale": scale}
    [result], _ = written(path, {**net, "sequence_length": 20})
    projected = result.diagnosis.projected_horizon
    exact = math.ceil(math.log(1e-3 if scale < 1 else 1e3) / math.log(scale))
    assert abs(projected - exact) <= 1
    data = json.loads(path.read_text())
    data["runs"][0]["diagnosis"]["projected_horizon"] = shift and projected + shift
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match="projected_horizon: expected about"):
        gradflow.load_results(path)


def test_places_and_what_is_said_of_both_directions_are_of_the_curves_too(tmp_path):
    path = tmp_path / "r.json"
    written(path, {**VANISHING, "bidirectional": True})
    data = json.loads(path.read_text())
    whole, places = data["runs"][0]["diagnosis"], data["runs"][0]["places"]
    assert whole["verdict"] == "vanishing"
    kept, whole["horizon"] = whole["horizon"], 29
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=r"runs\[0\].diagnosis: expected that of the pl"):
        gradflow.load_results(path)
    whole["horizon"], places[1]["diagnosis"]["horizon"] = kept, 29
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=r"places\[1\].diagnosis.horizon: expected"):
        gradflow.load_results(path)


def test_what_the_last_digit_of_a_curve_decides_is_no_damage(sound, tmp_path):
    """A threshold within rounding of the curve at its horizon, or at the lag before."""
    path, data = tmp_path / "r.json", json.loads(sound)
    (run,) = data["runs"]
    at, thresholds = run["diagnosis"]["horizon"], data["config"]["thresholds"]
    run["diagnosis"]["horizon_typical"] = run["log10_typical"] = run["log10_typical_start"] = None
    for lag, near, sound_ in ((at, -1e-13, True), (at - 1, 1e-13, True), (at, -1e-6, False)):
        thresholds["vanishing"] = run["relative"][lag] * (1 + near)
        path.write_text(json.dumps(data))
        if sound_:
            assert gradflow.load_results(path)[0].diagnosis.horizon == at
        else:
            with pytest.raises(gradflow.InputError, match="horizon: expected"):
                gradflow.load_results(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run.update(measured={"sizes": {}}), r"measured: .*sizes|measured.sizes"),
        (lambda run: run["measured"]["gates"].pop("note"), "measured.gates.note is missing"),
        (lambda run: run["measured"].update(gates=3), "measured.gates: expected an object"),
        (
            lambda run: run["measured"]["gates"]["figures"].update(gates_f_p50={"float": "big"}),
            "a number that is not finite",
        ),
        (
            lambda run: run["measured"]["gates"]["figures"].update(gates_f_p50=[1]),
            "a number or a word",
        ),
    ],
)
def test_damage_to_a_measure_is_named_too(damage, message, tmp_path):
    path = tmp_path / "r.json"
    written(path, {"cell": "lstm", **SMALL, "measure": "gates"})
    data = json.loads(path.read_text())
    damage(data["runs"][0])
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=message):
        gradflow.load_results(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lags", "some", "config.lags: expected auto, all or a list"),
        ("thresholds", {"vanishing": 2.0, "exploding": 1.0}, "bounds on either side of 1"),
        ("thresholds", None, "config.thresholds: expected an object"),
        ("title", 3, "config.title: expected text"),
    ],
)
def test_a_damaged_config_is_named_too(key, value, message, tmp_path):
    path = tmp_path / "r.json"
    written(path, {"cell": "rnn", **SMALL})
    data = json.loads(path.read_text())
    data["config"][key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(gradflow.InputError, match=message):
        gradflow.load_results(path)


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
    path = tmp_path / "r.json"
    written(path, {"cell": "rnn", **SMALL})
    whole = path.read_bytes()
    for at in range(1, len(whole) - 4, 97):
        path.write_bytes(whole[:at])
        with pytest.raises(gradflow.InputError):
            gradflow.load_results(path)


def test_a_number_of_thousands_of_digits_is_damage_in_our_words(tmp_path):
    path = tmp_path / "r.json"
    written(path, {"cell": "rnn", **SMALL})
    text = re.sub(r'"loss": [^,]*', f'"loss": {"9" * 5000}', path.read_text(), count=1)
    path.write_text(text)
    with pytest.raises(gradflow.InputError) as error:
        gradflow.load_results(path)
    assert "damaged" in str(error.value)
    assert "sys." not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 120
