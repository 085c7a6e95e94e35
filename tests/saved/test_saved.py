"""What is read back from a file of results is what was written."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gradflow
from command import main
from drawn import drawn_config
from gradflow.formats import FORMATS, for_screen
from gradflow.measures import OPTIONAL
from gradflow.measures.measured import Measured
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes
from gradflow.results import GradientFlow
from gradflow.saved import holds_results, read_results
from measures.throwaway import added, removed
from saved.written import SMALL, written

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
OF_THE_INPUT = {
    "type": "equations", "name": "root", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
    "step": "h[t] = 0.5 * h[t-1] + sqrt((W @ x[t]) ** 2)",
}  # fmt: skip
AT_THE_ROOT = {
    "type": "equations", "name": "root", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
    "step": "h[t] = 0.5 * sqrt(h[t-1] ** 2) + tanh(W @ x[t])",
}  # fmt: skip


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(tmp_path, encoding):
    path, marked = tmp_path / "r.json", tmp_path / "marked.json"
    results, _ = written(path, {"cell": "rnn", **SMALL})
    marked.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    [back] = gradflow.load_results(marked)
    same_flows(results[0].flow, back.flow)
    assert holds_results(marked)


@pytest.mark.parametrize("command", ["check", "explain", "critical", "verify", "inspect"])
def test_the_report_of_another_command_is_told_from_results(tmp_path, capsys, command):
    path, config = tmp_path / "r.json", tmp_path / "c.yaml"
    config.write_text("cell: rnn\nsequence_length: 5\nexpect: {horizon: {min: 1}}\n")
    np.savez(tmp_path / "w.npz", weight_ih_l0=np.ones((2, 2)), weight_hh_l0=np.eye(2))
    subject = tmp_path / "w.npz" if command == "inspect" else config
    path.write_text(main(capsys, command, subject, "--format", "json")[1])
    assert not holds_results(path)
    with pytest.raises(gradflow.InputError, match=f"holds what gradflow {command} wrote"):
        read_results(path)


def test_results_of_a_series_in_a_file_are_results(tmp_path):
    np.save(tmp_path / "s.npy", np.ones((5, 2)))
    series = {"standardize": False, "file": str(tmp_path / "s.npy")}
    config = {"cell": "rnn", "hidden_size": 2, "input": series}
    gradflow.analyze(config).save(tmp_path / "r.json")
    assert holds_results(tmp_path / "r.json")


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
