"""What is read back from a file of results is what was written, and a bad file is one error."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gradflow
from command import main
from drawn import drawn_config
from gradflow.formats import FORMATS, Look, for_screen
from gradflow.measures import OPTIONAL
from gradflow.measures.measured import Measured
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from gradflow.results import GradientFlow
from gradflow.saved import holds_results, read_results
from measures.throwaway import added, removed

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SMALL = {"sequence_length": 6, "hidden_size": 3, "input_size": 2, "batch_size": 2}


def written(path, config):
    """The results of a config, their file, and how they are shown."""
    experiment = gradflow.load(config)
    results = gradflow.analyze(experiment)
    look = Look.of(experiment)
    path.write_text("".join(FORMATS["json"].show("results", results, look)))
    return results, look


def same_flows(one, other):
    assert (one is None) == (other is None)
    if one is None:
        return
    assert isinstance(other, GradientFlow)
    for name in ("parts", "terms", "totals"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert list(ours) == list(theirs)
        for key in ours:
            same_magnitudes(ours[key], theirs[key])
    same_magnitudes(one.state, other.state)
    same_magnitudes(one.relative, other.relative)
    assert (one.start is None) == (other.start is None)
    assert one.first == other.first
    for name in ("share_W_s", "log10_percentiles", "log10_typical", "log10_typical_start"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def same_magnitudes(one, other):
    np.testing.assert_array_equal(one.mantissa, other.mantissa)
    np.testing.assert_array_equal(one.exponent, other.exponent)


def same(results, others):
    assert len(results) == len(others)
    for one, other in zip(results, others, strict=True):
        for name in ("run", "axes", "varied", "diagnosis", "diverged_at", "notes", "options"):
            assert getattr(one, name) == getattr(other, name), name
        assert one.objective == other.objective
        assert list(one.axes) == list(other.axes)
        assert one.loss == other.loss or not math.isfinite(one.loss)
        same_flows(one.flow, other.flow)
        assert len(one.layers) == len(other.layers)
        for part, again in zip(one.layers, other.layers, strict=True):
            assert (part.layer, part.direction) == (again.layer, again.direction)
            assert part.diagnosis == again.diagnosis
            same_flows(part.flow, again.flow)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_show_gives_byte_for_byte_what_analyze_gave(path, tmp_path, capsys):
    suffixes = ("json", "csv", "md", "txt")
    ours = [arg for suffix in suffixes for arg in ("--output", tmp_path / f"a.{suffix}")]
    theirs = [arg for suffix in suffixes for arg in ("--output", tmp_path / f"b.{suffix}")]
    shown = main(capsys, "analyze", path, *ours)
    assert shown[0] == 0
    assert main(capsys, "show", tmp_path / "a.json", *theirs) == shown
    for suffix in suffixes:
        a, b = (tmp_path / f"{name}.{suffix}" for name in "ab")
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("seed", range(20))
def test_drawn_runs_come_back_whole(seed, tmp_path):
    config = {**drawn_config(np.random.default_rng(seed)), "seed": [seed, seed + 1]}
    results, look = written(tmp_path / "r.json", config)
    saved = read_results(tmp_path / "r.json")
    same(results, saved.results)
    for name in for_screen("results"):
        again = "".join(FORMATS[name].show("results", list(saved.results), saved.look()))
        assert again == "".join(FORMATS[name].show("results", results, look)), name


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(20, 400))
def test_many_drawn_runs_come_back_whole(seed, tmp_path):
    results, _ = written(tmp_path / "r.json", drawn_config(np.random.default_rng(seed)))
    same(results, gradflow.load_results(tmp_path / "r.json"))


@pytest.mark.parametrize(
    "more",
    [
        {"cell": "lstm", "layers": 2, "bidirectional": True},
        {"cell": [{"type": "gru", "reset": "before"}, "lstm"], "layers": [1, 3]},
        {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e90},
        {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": 1e-90, "seed": [0, 3]},
        {"cell": {"type": "rnn", "activation": "relu"}, "ws_scale": 0.0, "input": "zeros"},
        {"cell": ["lstm", "rnn"], "layers": 2, "measure": list(OPTIONAL)},
        {"cell": "gru", "bidirectional": True, "measure": list(OPTIONAL)},
        {"cell": "lstm", "layers": 2, "loss": {"kind": "mse", "at": "all"}},
        {"cell": "lstm", "loss": {"kind": "mse", "at": [2, 4]}},
        {"cell": "lstm", "lags": [0, 3], "thresholds": {"vanishing": 0.5, "exploding": 2.0}},
    ],
)
def test_places_options_and_every_magnitude_come_back(more, tmp_path):
    results, look = written(tmp_path / "r.json", {**SMALL, "title": "T", **more})
    saved = read_results(tmp_path / "r.json")
    same(results, saved.results)
    for name in for_screen("results"):
        again = "".join(FORMATS[name].show("results", list(saved.results), saved.look()))
        assert again == "".join(FORMATS[name].show("results", results, look)), name
    assert (saved.title, saved.lags, saved.thresholds) == ("T", look.lags, look.thresholds)
    assert (saved.parts, saved.options) == (look.parts, look.options)


@pytest.mark.parametrize("scope", ["net", "both"])
@pytest.mark.parametrize("which", ["all", "none"])
def test_what_is_measured_besides_comes_back(scope, which, tmp_path, monkeypatch):
    before = added(tmp_path, monkeypatch, scope)
    try:
        asked = [{"type": "sizes", "which": which, "power": 2}, "counted"]
        config = {"cell": "lstm", "layers": 2, **SMALL, "measure": asked}
        results, look = written(tmp_path / "r.json", config)
        saved = read_results(tmp_path / "r.json")
        same(results, saved.results)
        for name in for_screen("results"):
            again = "".join(FORMATS[name].show("results", list(saved.results), saved.look()))
            assert again == "".join(FORMATS[name].show("results", results, look)), name
    finally:
        removed(before)


def test_curves_and_figures_of_measures_come_back_where_they_are_not_finite(tmp_path, monkeypatch):
    before = added(tmp_path, monkeypatch)
    try:
        results, look = written(tmp_path / "r.json", {"cell": "rnn", **SMALL, "measure": ["sizes"]})
        line = np.array([0.5, -math.inf, math.inf, math.nan, 1.0, -math.inf])
        figures = {"sizes_rms": math.inf, "sizes_none": None, "sizes_h_word": "inf"}
        odd = Measured({"log10_line": line}, figures, note="so")
        results = [replace(results[0], measures={"sizes": odd})]
        text = "".join(FORMATS["json"].show("results", results, look))
        (tmp_path / "r.json").write_text(text)
        [again] = gradflow.load_results(tmp_path / "r.json")
        found = again.measures["sizes"]
        np.testing.assert_array_equal(found.curves["log10_line"], line)
        assert list(found.curves) == ["log10_line"]
        assert (dict(found.figures), found.note) == (figures, "so")
    finally:
        removed(before)


def test_a_cell_of_ones_own_comes_back_with_its_parts_and_options(tmp_path):
    cell = {
        "type": "equations",
        "name": "two",
        "state": {"p": "H", "q": "H"},
        "options": {"floor": 0.25, "kind": ["first", "second"]},
        "parameters": {"W": ["H", "I"], "U": ["H", "H"]},
        "output": "p[t]",
        "step": "p[t] = tanh(W @ x[t] + U @ q[t-1])\n"
        "q[t] = floor * p[t-1] if kind == 'first' else p[t-1]\n",
    }
    results, _ = written(tmp_path / "r.json", {**SMALL, "cell": cell})
    saved = read_results(tmp_path / "r.json")
    same(results, saved.results)
    assert saved.parts == ("p", "q")
    assert saved.results[0].options == {"floor": 0.25, "kind": "first"}
    assert list(saved.results[0].flow.parts) == ["p", "q"]


@pytest.mark.parametrize("span", [1500, 10**6, 10**11])
def test_decimal_texts_past_float_range_read_back_exactly(span):
    rng = np.random.default_rng(span)
    exponent = np.concatenate([rng.integers(1100, span, 500), -rng.integers(1100, span, 500)])
    mantissa = rng.uniform(0.5, 1, 1000)
    mantissa[:4] = 0.5, np.nextafter(1, 0), 0.5, np.nextafter(1, 0)
    numbers = Magnitudes(mantissa, exponent)
    same_magnitudes(Magnitudes.read(numbers.texts()), numbers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"lag,grad\n0,1\n", "holds no results: expected what gradflow analyze"),
        (b"[1, 2]", "holds no results"),
        (b'{"runs": []}', "holds no results"),
        (b'{"gradflow": 3, "runs": []}', "holds no results"),
        (b'{"gradflow": "0.1", "rows": []}', "holds rows of gradflow track"),
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
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The file of a net that vanishes."""
    path = tmp_path_factory.mktemp("sound") / "r.json"
    written(path, VANISHING)
    return path.read_text()


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(tmp_path, encoding):
    path, marked = tmp_path / "r.json", tmp_path / "marked.json"
    results, _ = written(path, {"cell": "rnn", **SMALL})
    marked.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    [back] = gradflow.load_results(marked)
    same_flows(results[0].flow, back.flow)
    assert holds_results(marked)


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


def test_show_does_not_write_over_what_it_reads(tmp_path, capsys):
    path = tmp_path / "r.json"
    written(path, {"cell": "rnn", **SMALL})
    before = path.read_bytes()
    code, _, err = main(capsys, "show", path, "--output", path)
    assert code == 2
    assert "which this run reads" in err
    assert path.read_bytes() == before


def test_an_exact_zero_is_an_exact_zero_again(tmp_path):
    config = {"cell": "rnn", "ws_scale": 0.0, **SMALL}
    written(tmp_path / "r.json", config)
    [result] = gradflow.load_results(tmp_path / "r.json")
    assert result.flow.state.exponent[-1] == ZERO_EXPONENT
    assert result.flow.log10_percentiles[-1].tolist() == [-math.inf] * 3


OF_THE_INPUT = {
    "type": "equations", "name": "root", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
    "step": "h[t] = 0.5 * h[t-1] + sqrt((W @ x[t]) ** 2)",
}  # fmt: skip
AT_THE_ROOT = {
    "type": "equations", "name": "root", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
    "step": "h[t] = 0.5 * sqrt(h[t-1] ** 2) + tanh(W @ x[t])",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "lost"),
    [
        ({"cell": OF_THE_INPUT, "input": "zeros", "initial_state": "gaussian"}, "W_x"),
        ({"cell": AT_THE_ROOT}, "the state"),
    ],
    ids=["a term", "the state"],
)
def test_gradients_that_are_no_numbers_are_told_and_read_back(tmp_path, config, lost):
    path = tmp_path / "results.json"
    results, _ = written(path, {**SMALL, **config})
    (note,) = results[0].notes
    assert note.startswith(f"the gradient by {lost} is no number at some lags")
    (back,) = read_results(path).results
    assert back.notes == results[0].notes
    same_flows(results[0].flow, back.flow)
    (found,) = gradflow.verify({**SMALL, **config})
    assert not found.holds
    assert math.inf in [c.error for c in found.comparisons]
