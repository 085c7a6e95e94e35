"""The factors of a few steps, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN
from gradflow.measures.factors import factors
from measures.subjects import subject_of
from nets import random_net


def test_of_an_rnn_the_gain_and_the_rms_of_its_slopes():
    net = random_net(RNN(), T=6, R=2, N=3, H=4)
    subject = subject_of(net)
    h = subject.trajectory.last_tape.states[1:]
    for run, found in enumerate(factors(subject)):
        slopes = 1 - h[:, run] ** 2
        assert found.figures["factors_slope"] == pytest.approx(np.sqrt(np.mean(slopes**2)))
        gain = np.linalg.norm(net.params["U"][run]) / np.sqrt(4)
        assert found.figures["factors_gain"] == pytest.approx(gain)


@pytest.mark.parametrize(("cell", "gate"), [(LSTM(), "f"), (GRU(), "z")])
def test_of_a_gated_cell_the_geometric_mean_of_what_keeps(cell, gate):
    net = random_net(cell, T=6, R=2, N=3, H=4)
    states = subject_of(net).trajectory.last_tape.states
    h = states[:-1][..., net.cell.parts["h"].rows]
    for run, found in enumerate(factors(subject_of(net))):
        p = {name: a[run] for name, a in net.params.items()}
        z = net.x[:, run] @ p[f"W_{gate}"].T + h[:, run] @ p[f"U_{gate}"].T + p[f"b_{gate}"]
        kept = np.exp(np.mean(np.log(1 / (1 + np.exp(-z)))))
        assert found.figures["factors_gate"] == gate
        assert found.figures["factors_keep"] == pytest.approx(kept)
