"""How far the loss of one step reaches, where it is read at several."""

from __future__ import annotations

import numpy as np
import pytest

import gradflow
from gradflow.runs.reach import MOST_ORIGINS, origins, passes
from gradflow.runs.runner import execute, time_steps
from runs.test_losses_at_steps import result_of, run_of


def test_a_flat_curve_of_a_net_whose_gradient_vanishes():
    config = {"cell": "rnn", "ws_scale": 0.5, "hidden_size": 16, "input_size": 8, "batch_size": 8}
    every, last = (
        gradflow.analyze({**config, "loss": {"kind": "mse", "at": at}})[0] for at in ("all", "last")
    )
    flat = every.flow.relative.log10()[:100]
    assert np.abs(flat).max() < 0.5
    assert every.diagnosis.of_reach
    assert not last.diagnosis.of_reach
    assert every.diagnosis.verdict == last.diagnosis.verdict == "vanishing"
    assert every.diagnosis.horizon == pytest.approx(last.diagnosis.horizon_typical, abs=2)
    assert every.diagnosis.rate == pytest.approx(last.diagnosis.rate, rel=0.03)
    assert every.diagnosis.rate_ci[1] < 1


@pytest.mark.parametrize("more", [{}, {"layers": 2}, {"bidirectional": True}], ids=str)
def test_reach_is_the_mean_over_steps_of_each_ones_own_gradient(more):
    """Held against runs whose loss is at one step alone, of one sample, so that an RMS is it."""
    T, steps = 20, [6, 11, 20]
    small = {"sequence_length": T, "batch_size": 1, "hidden_size": 4, **more}
    found = result_of(run_of("lstm", "sum", steps, **small))
    alone = [result_of(run_of("lstm", "sum", [t], **small)) for t in steps]
    curves = found.layers or [found]
    for which, part in enumerate(curves):
        logs = np.full((len(steps), T + 1), np.nan)
        for i, (t, single) in enumerate(zip(steps, alone, strict=True)):
            flow = (single.layers or [single])[which].flow
            own = T + 1 - t if getattr(part, "direction", "forward") == "reverse" else t
            logs[i, : own + 1] = flow.relative.log10()[T - own :]
        length = int(np.isfinite(logs).any(axis=0).sum()) + int(np.isneginf(logs).all(axis=0).any())
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(logs[:, :length], axis=0)
        low = np.flatnonzero((mean < -3) & (np.arange(length) >= (mean > -np.inf).argmax()))
        assert part.diagnosis.horizon == (low[0] if len(low) else None)


def test_origins_are_few_and_the_last_step_is_among_them():
    run = run_of("rnn", "mse", "all", sequence_length=1000)
    chosen = origins(run)
    assert len(chosen) == MOST_ORIGINS
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert origins(run_of("rnn", "mse", "last")) == []
    assert origins(run_of("rnn", "mse", [5])) == []
    assert origins(run_of("rnn", "mse", [5, 6])) == [0, 1]


def test_a_truncated_gradient_reaches_no_further_than_its_chunk():
    found = result_of(run_of("lstm", "mse", "all", "mean", 5, sequence_length=60))
    assert found.diagnosis.verdict == "vanishing"
    assert found.diagnosis.horizon <= 5
    assert found.diagnosis.no_rate == "zero"


def test_one_sweep_carries_all_origins_and_is_counted():
    """But in a bidirectional net of several layers, where each takes its own pass."""
    for more, expected in (({}, 1), ({"layers": 3}, 1), ({"bidirectional": True}, 1),
                           ({"bidirectional": True, "layers": 2}, 12)):  # fmt: skip
        config = {"cell": "lstm", "sequence_length": 12, "hidden_size": 4, "tape_memory": 1, **more}
        experiment = gradflow.load({**config, "loss": {"kind": "mse", "at": "all"}})
        said = []
        list(execute(experiment, said.append))
        [run] = experiment.runs
        assert passes(run) == expected
        assert sum(said) == time_steps(run) == 12 * len(run.places) * (2 + expected)


@pytest.mark.parametrize("kind", ["mse", "probe"])
@pytest.mark.parametrize("more", [{}, {"truncate": 4}], ids=str)
def test_a_stack_as_a_whole_and_its_layers(kind, more):
    """A loss of every layer's state too, whose lower layers are read at lag 0."""
    small = {"sequence_length": 15, "batch_size": 1, "hidden_size": 3, "layers": 2}
    T, steps, truncate = 15, [7, 12, 15], more.get("truncate")
    found = result_of(run_of("gru", kind, steps, "mean", truncate, **small))
    alone = [result_of(run_of("gru", kind, [t], "mean", truncate, **small)) for t in steps]
    for which in (None, 0, 1):

        def own(result, which=which):
            return result if which is None else result.layers[which]

        logs = np.full((len(steps), T + 1), np.nan)
        for i, (t, single) in enumerate(zip(steps, alone, strict=True)):
            logs[i, : t + 1] = own(single).flow.relative.log10()[T - t :]
        there = np.isfinite(logs)
        mean = np.where(there, logs, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        mean[2 * there.sum(axis=0) < (~np.isnan(logs)).sum(axis=0)] = -np.inf
        low = np.flatnonzero((mean < -3) & (np.arange(T + 1) >= (mean > -np.inf).argmax()))
        assert own(found).diagnosis.horizon == (low[0] if len(low) else None)
