"""Whole experiments with several layers and directions."""

from __future__ import annotations

import numpy as np
import pytest

import gradflow
from gradflow.engine import terms
from nets import VARIANTS, in_turn

SMALL = {"sequence_length": 9, "hidden_size": 5, "batch_size": 3, "input_size": 2, "layers": 3}


def config_of(cell):
    return {"type": cell.name, **cell.options}


@pytest.mark.parametrize("loss", ["mse", "probe", "sum"])
def test_the_whole_state_is_that_of_all_layers(loss):
    (result,) = gradflow.analyze({"cell": "lstm", "loss": loss, **SMALL})
    layers = [part.flow for part in result.layers]
    assert [(part.layer, part.direction) for part in result.layers] == [
        (layer, "forward") for layer in range(3)
    ]
    for name in ("state", "parts", "terms", "totals"):
        whole, parts = getattr(result.flow, name), [getattr(flow, name) for flow in layers]
        pairs = (
            [(whole, parts)]
            if name == "state"
            else [(whole[k], [p[k] for p in parts]) for k in parts[0]]
        )
        for value, of_layers in pairs:
            expected = np.sqrt(sum(p.floats() ** 2 for p in of_layers))
            np.testing.assert_allclose(value.floats(), expected, rtol=1e-13)
    assert result.flow.share_W_s[-1] == pytest.approx(1)
    assert ("W_o" in result.flow.totals) == (loss == "mse")


@pytest.mark.parametrize(
    ("cell", "more"),
    [
        ("rnn", {"dtype": "float32", "ws_scale": 2.0}),
        ("rnn", {"dtype": "float32", "ws_scale": 2.0, "loss": "sum", "layers": 2}),
        ("rnn", {"ws_scale": 5.0, "sequence_length": 100}),
        ("rnn", {"ws_scale": 30.0, "loss": {"kind": "sum", "at": "all"}}),
    ],
)
def test_the_shares_of_a_wide_net_are_those_of_whole_matrices(cell, more, monkeypatch):
    """Also where the running sum has to be brought near one on the way."""
    config = {"cell": cell, "hidden_size": 256, "loss": "probe", "sequence_length": 33, **more}
    (wide,) = gradflow.analyze(config)
    monkeypatch.setattr(terms, "_WIDE", 2**60)
    (whole,) = gradflow.analyze(config)
    rtol = 1e-3 if "dtype" in more else 1e-9
    pairs = zip((wide, *wide.layers), (whole, *whole.layers), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.flow.share_W_s, theirs.flow.share_W_s, rtol=rtol)
        assert ours.flow.share_W_s[-1] == pytest.approx(1, rel=rtol)


def test_only_the_top_layer_meets_the_loss_at_lag_0_and_all_are_compared_with_it():
    (result,) = gradflow.analyze({"cell": "gru", **SMALL})
    lower, _, top = (part.flow for part in result.layers)
    assert lower.state[0].log10() == -np.inf
    assert top.relative[0].floats() == 1
    np.testing.assert_allclose(
        lower.relative.floats(), lower.state.floats() / top.state[0].floats(), rtol=1e-14
    )
    assert result.layers[0].diagnosis.horizon != 0


def test_a_bidirectional_net_has_no_whole_state_and_is_diagnosed_by_its_weakest_part():
    (result,) = gradflow.analyze({"cell": "rnn", "bidirectional": True, "ws_scale": 0.3, **SMALL})
    assert result.flow is None
    assert result.diverged_at is None
    assert len(result.layers) == 6
    assert {part.direction for part in result.layers} == {"forward", "reverse"}
    horizons = [part.diagnosis.horizon for part in result.layers]
    assert result.diagnosis.horizon == min(h for h in horizons if h is not None)


def test_more_layers_leave_the_lower_ones_as_they_are():
    two, three = gradflow.analyze({"cell": "rnn", **SMALL, "layers": [2, 3]})
    assert [len(r.layers) for r in (two, three)] == [2, 3]
    experiment = gradflow.load({"cell": "rnn", **SMALL, "layers": [2, 3]})
    from gradflow.runs.sampling import parameters

    shallow, deep = map(parameters, experiment.runs)
    for at, p in shallow.items():
        assert all(np.array_equal(a, deep[at][name]) for name, a in p.items())


@in_turn("cell, bidirectional", VARIANTS, [False, True])
def test_stacks_agree_with_complex_steps(cell, bidirectional):
    config = {"cell": config_of(cell), "bidirectional": bidirectional, **SMALL, "layers": 2}
    start = "zeros" if cell.equations.gauge else {"kind": "gaussian"}  # a normaliser is above 0
    more = {"sequence_length": 6, "initial_state": start, "bias_scale": 0.3, "loss": "probe"}
    (run,) = gradflow.load({**config, **more}).runs
    found = gradflow.verify(run)
    if found.skipped and not found.comparisons:  # gates without bounds may leave float range
        assert cell.options.get("recurrent_activation") in ("relu", "linear")
        return
    # What remembers of exponential gates is a quotient of sums that may cancel.
    tolerance = 2e-9 if cell.equations.gauge else 1e-11
    assert max(c.error for c in found.comparisons) < tolerance
    assert {c.place for c in found.comparisons} == set(run.places)


def test_a_stack_that_diverges_says_so_and_the_others_go_on():
    config = {"cell": {"type": "rnn", "activation": "linear"}, "ws_scale": [1e60, 0.5], **SMALL}
    lost, kept = gradflow.analyze(config)
    assert lost.diagnosis.verdict == "diverged"
    assert 1 < lost.diverged_at <= 9
    assert kept.flow is not None


def test_less_tape_memory_changes_no_digit():
    config = {"cell": "lstm", **SMALL, "sequence_length": 700}
    (plenty,), (little,) = (gradflow.analyze({**config, "tape_memory": m}) for m in ("1GiB", 1))
    np.testing.assert_array_equal(plenty.flow.state.mantissa, little.flow.state.mantissa)
    np.testing.assert_array_equal(plenty.flow.share_W_s, little.flow.share_W_s)
