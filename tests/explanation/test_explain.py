"""Factors that multiply to the rate, and advice that was tried."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gradflow.cells import Cell
from gradflow.config.load import from_mapping
from gradflow.explanation import explain
from gradflow.explanation.advice import MOST_RUNS
from gradflow.explanation.factors import factors_of
from gradflow.formats import FORMATS, Look, words
from gradflow.measures.measured import Measured
from gradflow.results import Diagnosis
from gradflow.runs.runner import execute

SMALL = {"hidden_size": 24, "batch_size": 8, "sequence_length": 60, "input_size": 8}


def explained(config, advice=True, run_all=execute):
    return list(explain(from_mapping({**SMALL, **config}), run_all, advice))


def test_an_orthogonal_linear_net_is_its_gain():
    config = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal"}
    [found] = explained({**config, "ws_scale": 0.8})
    factors = found.factors[""]
    assert [f.value for f in factors.factors] == pytest.approx([0.8, 1.0])
    assert factors.predicted == pytest.approx(found.result.diagnosis.rate)
    assert factors.decides == "the size of W_s: a gain of 0.8 is small"
    [same] = explained({**config, "ws_scale": 1.0}, advice=False)
    assert same.factors[""].decides == (
        "W_s and the slopes, neither of which shrinks or enlarges it"
    )
    [nearly] = explained({**config, "ws_scale": 1.02}, advice=False)
    assert nearly.factors[""].decides == "the size of W_s: a gain of 1.02 is just above 1"
    [tried] = found.advice
    assert tried.settings == {"ws_scale": 1.0}
    assert tried.result.diagnosis.verdict == "stable"
    assert tried.result.sequence_length == 60


def test_an_rnn_by_its_slopes():
    [found] = explained({"cell": "rnn"}, advice=False)
    gain, slope = found.factors[""].factors
    assert gain.value == pytest.approx(1, abs=0.1)
    assert slope.value < 0.8
    assert found.factors[""].predicted == pytest.approx(found.result.diagnosis.rate, rel=0.1)
    assert found.factors[""].decides.startswith("the slopes")
    assert found.advice is None


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "f"), ("gru", "z"), ("mgu", "1-f")])
def test_a_gated_cell_by_its_direct_path(cell, gate):
    [found] = explained({"cell": cell})
    path, rest = found.factors[""].factors
    assert path.name == f"direct path {gate}"
    assert path.value * rest.value == pytest.approx(found.result.diagnosis.rate, rel=1e-12)
    assert found.factors[""].predicted is None
    bias = next(a for a in found.advice if "cell." in next(iter(a.settings)))
    [(key, value)] = bias.settings.items()
    keep = 1 / (1 + math.exp(-abs(value)))
    assert keep**30 == pytest.approx(0.5, abs=0.005)  # T/2 steps
    assert (value < 0) == gate.startswith("1-")
    assert bias.result.options[key.removeprefix("cell.")] == value
    assert bias.result.diagnosis.rate > found.result.diagnosis.rate


def test_gates_alone_are_all_there_is():
    cell = {
        "type": "equations", "name": "gated", "state": {"h": "H"},
        "parameters": {"W": ["H", "I"], "V": ["H", "I"]},
        "step": "f = sigmoid(W @ x[t])\nh[t] = f * h[t-1] + V @ x[t]",
    }  # fmt: skip
    [found] = explained({"cell": cell})
    path, *rest = found.factors[""].factors
    assert path.value == pytest.approx(found.result.diagnosis.rate, rel=0.02)
    assert all(factor.value == pytest.approx(1, abs=0.02) for factor in rest)


@pytest.mark.parametrize("told", ["s5", "cfc"])
def test_a_cell_with_a_direct_path_and_no_rate_lacks_only_the_rate(told):
    """A linear decay is all direct path, though its curve has no one rate."""
    [found] = explained({"cell": told, "hidden_size": 8, "sequence_length": 50}, advice=False)
    assert found.factors == {}
    text = "".join(FORMATS["table"].show("explanation", [found], Look(width=200)))
    assert ("neither a gate" in text) == (told == "cfc")
    if told == "s5":
        assert found.result.diagnosis.no_rate == "bent"
        assert "none: bent: the curve is nowhere straight" in text


def test_saturation_and_an_input_that_saturates_less():
    [found] = explained({"cell": "rnn", "wx_scale": 6.0})
    assert found.factors[""].decides.startswith("saturation")
    tried = next(a for a in found.advice if "wx_scale" in a.settings)
    assert tried.settings["wx_scale"] < 6
    assert tried.result.diagnosis.rate > found.result.diagnosis.rate


def test_exploding_nets_are_advised_downward_and_stable_ones_not_at_all():
    [found] = explained({"cell": "rnn", "ws_scale": 4.0})
    assert found.result.diagnosis.verdict == "exploding"
    [tried] = found.advice
    assert tried.settings["ws_scale"] < 4
    [found] = explained({"cell": {"type": "rnn", "leak": 0.05}})
    assert found.result.diagnosis.verdict == "stable"
    assert found.advice == ()


def test_advice_takes_no_more_runs_than_said():
    counts = []

    def counted(experiment):
        counts.append(sum(run.sequence_length for run in experiment.runs))
        return execute(experiment)

    explained({"cell": "lstm"}, run_all=counted)
    assert sum(counts) <= (MOST_RUNS + 1) * 60


def test_places_of_a_net_have_factors_each():
    [found] = explained({"cell": "gru", "layers": 2}, advice=False)
    assert list(found.factors) == ["", "l0", "l1"]
    [found] = explained({"cell": "gru", "bidirectional": True}, advice=False)
    assert {"l0", "l0_reverse"} <= set(found.factors)


def test_the_factors_measure_reads_what_the_gate_keeps():
    experiment = from_mapping({**SMALL, "cell": "lstm", "measure": ["factors", "gates"]})
    [result] = execute(experiment)
    figures = result.measures["factors"].figures
    assert figures["factors_gate"] == "f"
    shown = result.measures["gates"].figures
    assert shown["gates_f_p10"] < figures["factors_keep"] < shown["gates_f_p50"]
    constant = {"cell": {"type": "lstm", "forget_bias": 2.0}, "ws_scale": 0.0, "wx_scale": 0.0}
    [result] = execute(from_mapping({**SMALL, **constant, "measure": "factors"}))
    assert result.measures["factors"].figures["factors_keep"] == pytest.approx(
        1 / (1 + np.exp(-2)), rel=1e-12
    )


def test_trained_nets_get_no_advice(tmp_path):
    from gradflow.runs import sampling

    [run] = from_mapping({**SMALL, "cell": "rnn"}).runs
    assert isinstance(run.cell, Cell)
    p = sampling.parameters(run)[0, 0]
    names = {"weight_ih_l0": p["W"], "weight_hh_l0": p["U"], "bias_ih_l0": p["b"]}
    names["bias_hh_l0"] = 0 * p["b"]
    np.savez(tmp_path / "w.npz", **{f"rnn.{name}": a for name, a in names.items()})
    cell = {"type": "rnn", "activation": "tanh"}
    config = {"weights": str(tmp_path / "w.npz"), "batch_size": 8, "sequence_length": 60}
    [found] = explain(from_mapping({**config, "cell": cell}), execute)
    assert found.advice == ()
    assert found.factors[""].predicted is not None


def test_markdown_and_json_say_what_the_table_says():
    config = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
              "title": "two nets"}  # fmt: skip
    content = explained({**config, "ws_scale": [0.8, 1.0]}, advice=False)
    content += explained({**config, "ws_scale": 0.5, "sequence_length": 3})
    look = Look(title="two nets")
    shown = {name: "".join(FORMATS[name].show("explanation", content, look))
             for name in ("table", "markdown", "json")}  # fmt: skip
    assert shown["markdown"].startswith("### two nets\n")
    runs = json.loads(shown["json"])["runs"]
    for run, one in zip(runs, content, strict=True):
        assert run["diagnosis"]["verdict"] == one.result.diagnosis.verdict
    for text in ("the size of W_s: a gain of 0.8 is small", "gain of W_s"):
        assert text in " ".join(shown["table"].split())
        assert text in shown["markdown"]
    assert shown["markdown"].count("#### W_s") == 2  # those of the sweep
    assert "| k |" in shown["markdown"]  # the sum over k of the short one


def of_figures(rate=0.9, **figures):
    return factors_of(Diagnosis("vanishing", rate), {"any": Measured(figures=figures)})


def test_factors_are_there_where_their_figures_are():
    assert of_figures(factors_gain=0.8) is None  # without slopes
    assert of_figures(rate=None, paths_rate=0.8) is None
    assert of_figures() is None
    alone = of_figures(rate=0.9, paths_rate=0.9)
    assert [f.name for f in alone.factors] == ["direct path"]
    assert alone.decides == "the direct path, which is all there is"
    half = of_figures(rate=0.45, paths_rate=0.9)
    assert [f.value for f in half.factors] == pytest.approx([0.9, 0.5])
    assert half.decides == "the recurrent weights: they make 0.5 of it a step"
    gated = of_figures(rate=0.8, paths_rate=0.7, factors_gate="f", gates_f_p10=0.6, gates_f_p50=0.7,
                       gates_f_p90=0.8, gates_f_time_scale_p50=2.8)  # fmt: skip
    assert gated.factors[0].name == "direct path f"
    assert gated.factors[0].detail == (
        "f is 0.7 in the median, 0.6 to 0.8 for four in five, a time scale of 2.8 steps"
    )
    timed = of_figures(rate=0.8, paths_rate=0.7, factors_gate="f", gates_f_time_scale_p50=2.8)
    assert timed.factors[0].detail == "a time scale of 2.8 steps"


def test_a_bidirectional_net_reaches_as_far_as_its_part_that_first_leaves_the_thresholds():
    config = {"cell": "rnn", "bidirectional": True, "ws_scale": [0.5, 3]}
    found = explained({**config, "layers": 2}, advice=False)
    for net in [one.result for one in found]:
        parts = [part for part in net.layers if part.diagnosis.horizon is not None]
        first = min(parts, key=lambda part: part.diagnosis.horizon)
        place = f"lag {first.diagnosis.horizon}, layer {first.layer} {first.direction}"
        assert place in words.reach(net, Look())
        assert words.horizon(net).startswith(f"{first.diagnosis.horizon}")
    shown = "".join(FORMATS["table"].show("explanation", found, Look(width=200)))
    assert "None" not in shown
    assert "left float range" not in shown


def test_advice_for_a_bidirectional_net_says_how_far_it_reaches():
    [found] = explained({"cell": "rnn", "bidirectional": True, "ws_scale": 0.5})
    shown = "".join(FORMATS["table"].show("explanation", [found], Look(width=200)))
    assert len(found.advice) == shown.count("tried")
    assert words.UNKNOWN not in shown
