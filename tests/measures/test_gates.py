"""Distributions of gates: closed forms, and the gates computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, LSTM, RNN
from gradflow.measures.distribution import BINS, MOST, Distribution
from gradflow.measures.gates import gates
from measures.subjects import subject_of, with_parameters
from nets import one_run, random_net


def figures(net, **options):
    """Of every run."""
    return [measured.figures for measured in gates(subject_of(net, **options))]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("b", [-3.0, 0.0, 1.0, 40.0])
def test_constant_gates_have_one_value_and_one_time_scale(b):
    (found,) = figures(with_parameters(random_net(LSTM(), T=5), b_f=b, b_i=-b))
    f = 1 / (1 + math.exp(-b))
    assert [found[f"gates_f_{p}"] for p in ("mean", "p10", "p50", "p90")] == pytest.approx([f] * 4)
    assert found["gates_f_above_0.9"] == (f > 0.9)
    assert found["gates_i_below_0.1"] == (1 - f < 0.1)
    time_scale = 1 / math.log1p(math.exp(-b))  # -1/ln f, where f rounds to 1 too
    for p in ("p50", "p90"):
        assert found[f"gates_f_time_scale_{p}"] == pytest.approx(time_scale, rel=1e-13)


def test_percentiles_of_a_falling_function_are_those_of_its_values():
    values = np.array([1.0, 2.0, 4.0, np.inf])
    found = Distribution(4, 0.0, 1.0)
    found.add(np.array([1.0, 0.5, 0.25, 0.0]))

    def inverse(given):
        with np.errstate(divide="ignore"):
            return 1 / given

    assert found.percentiles((0, 50, 60, 100), falling=inverse) == [
        1.0,
        3.0,
        pytest.approx(3.6),
        math.inf,
    ]
    assert found.percentiles((70,), falling=inverse) == [math.inf]
    assert np.percentile(values[:3], 50) == 2.0


@pytest.mark.parametrize(("b", "expected"), [(3.0, math.inf), (-3.0, 0.0), (0.0, 1 / math.log(2))])
def test_a_hard_gate_keeps_for_ever_or_not_at_all(b, expected):
    cell = LSTM(recurrent_activation="hard_sigmoid")
    (found,) = figures(with_parameters(random_net(cell, T=5), b_f=b))
    assert found["gates_f_time_scale_p50"] == pytest.approx(expected, abs=1e-4)


def test_what_keeps_the_state_of_an_mgu_is_one_minus_its_gate():
    (found,) = figures(with_parameters(random_net(CELLS["mgu"](), T=5), b_f=-2.0))
    assert found["gates_f_p50"] == pytest.approx(1 / (1 + math.exp(2)))
    assert found["gates_1-f_time_scale_p50"] == pytest.approx(1 / math.log1p(math.exp(-2)))
    assert not any(name.startswith("gates_f_time") for name in found)


def lstm_gates(params, x, s):
    """i, f, o from the states before each step, by hand; of one run."""
    h = s[..., : s.shape[-1] // 2]
    for gate in "ifo":
        W, U, b = (params[f"{letter}_{gate}"][0] for letter in "WUb")
        yield gate, sigmoid(x @ W.T + h @ U.T + b)


def test_gates_are_those_of_the_equations():
    net = random_net(LSTM(), T=30, N=5, H=6, g=2.0)
    subject = subject_of(net)
    states = subject.trajectory.last_tape.states
    (measured,) = gates(subject)
    for gate, values in lstm_gates(net.params, net.x, states[:-1]):
        own = {k: v for k, v in measured.figures.items() if k.startswith(f"gates_{gate}_")}
        expected = {"mean": values.mean(), "below_0.1": (values < 0.1).mean(),
                    "above_0.9": (values > 0.9).mean()}  # fmt: skip
        expected |= {f"p{p}": np.percentile(values, p) for p in (10, 50, 90)}
        assert {k: own[f"gates_{gate}_{k}"] for k in expected} == pytest.approx(expected)
    f = dict(lstm_gates(net.params, net.x, states[:-1]))["f"]
    scales = np.percentile(-1 / np.log(f), [50, 90])
    found = [measured.figures[f"gates_f_time_scale_{p}"] for p in ("p50", "p90")]
    np.testing.assert_allclose(found, scales, rtol=1e-12)
    assert measured.note is None


@pytest.mark.parametrize("cell", [LSTM(), GRU()], ids=["lstm", "gru"])
def test_neither_company_nor_memory_changes_a_figure(cell):
    net = random_net(cell, T=40, R=3)
    together = figures(net)
    assert figures(net, budget=1) == together
    for run in range(3):
        assert figures(one_run(net, run)) == [together[run]]


@pytest.mark.parametrize("cell", [RNN(), GRU(recurrent_activation="tanh")])
def test_a_cell_without_gates_says_so(cell):
    (measured,) = gates(subject_of(random_net(cell)))
    assert measured.note.startswith(f"{cell.label} has no gates")
    assert not measured.figures


def test_percentiles_of_many_numbers_come_from_a_histogram():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.beta(0.1, 0.1, MOST), [0.0, 1.0, 2.0]])
    binned = Distribution(values.size, 0.0, 1.0)
    for part in np.array_split(values, 7):
        binned.add(part)
    assert not binned.is_exact
    wanted = (0, 1, 10, 50, 90, 99, 100)
    exact = np.percentile(np.clip(values, 0, 1), wanted)
    np.testing.assert_allclose(binned.percentiles(wanted), exact, atol=1.5 / BINS)


def test_of_gates_too_and_the_note_says_so(monkeypatch):
    net = random_net(LSTM(), T=60, N=8)
    (exact,) = figures(net)
    monkeypatch.setattr("gradflow.measures.distribution.MOST", 100)
    (measured,) = gates(subject_of(net))
    assert measured.note == "percentiles of gates are read from a histogram of 65,536 bins"
    assert measured.figures == pytest.approx(exact, rel=2e-2)
    for name in ("gates_f_mean", "gates_f_below_0.1"):
        assert measured.figures[name] == exact[name]
