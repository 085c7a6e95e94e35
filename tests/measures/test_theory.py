"""The theory of wide random nets: closed forms, quadrature at 30 digits, and simulated nets."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, LSTM, RNN
from gradflow.cells.cell import Cell
from gradflow.equations.declaration import declared
from gradflow.measures import leaky, meanfield, transfer
from gradflow.measures.flows import backpropagate
from gradflow.measures.theory import Elman, elman_of, theory
from gradflow.runs.initializers import gaussian, orthogonal
from measures.subjects import subject_of
from nets import VARIANTS, random_net

SLOPES = {"tanh": lambda z: mpmath.sech(z) ** 2,
          "sigmoid": lambda z: 1 / (2 + mpmath.exp(z) + mpmath.exp(-z)),
          "relu": lambda z: mpmath.mpf(z > 0), "linear": lambda z: mpmath.mpf(1)}  # fmt: skip
VALUES = {"tanh": mpmath.tanh, "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
          "relu": lambda z: max(z, 0), "linear": lambda z: z}  # fmt: skip

APPROXIMATED = [LSTM(), GRU(), GRU(reset="before"), CELLS["mgu"]()]
WITHOUT = [CELLS["indrnn"](), CELLS["lstmp"](proj_size=3), CELLS["peephole"]()]


@pytest.mark.parametrize("activation", VALUES)
@pytest.mark.parametrize("q", [1e-4, 0.7, 30.0, 1e5])
def test_averages_over_a_gaussian_are_right(activation, q):
    for of, functions in ((meanfield.value, VALUES), (meanfield.slope, SLOPES)):
        found = float(meanfield.average(of, activation, np.array(q)))
        assert found == pytest.approx(gaussian_average(functions[activation], q), rel=1e-9)


def gaussian_average(f, q):
    """⟨f(√q ζ)²⟩ at 20 digits."""
    with mpmath.workdps(20):
        root = mpmath.sqrt(q)
        narrow = [0, *(k / root for k in (1, 3, 10, 40) if k / root < 9), 9]
        ends = sorted({*narrow, *(-end for end in narrow)})
        return float(mpmath.quad(lambda z: f(root * z) ** 2 * mpmath.npdf(z), ends))


def test_where_a_driven_tanh_net_is_critical():
    assert meanfield.critical("tanh", 0.1**2) == pytest.approx(1.1934, abs=5e-5)
    assert meanfield.critical("tanh", 1.0) == pytest.approx(1.8556, abs=5e-5)
    assert meanfield.critical("tanh", 0.0) == pytest.approx(1, abs=1e-6)
    assert meanfield.critical("linear", 3.0) == pytest.approx(1)
    assert meanfield.critical("relu", 3.0) == pytest.approx(math.sqrt(2))
    # an undriven sigmoid has its own mean square
    g = meanfield.critical("sigmoid", 0.0)
    q = meanfield.fixed_point("sigmoid", g, 0.0)
    assert q == pytest.approx(g**2 * float(meanfield.average(meanfield.value, "sigmoid", q)))
    assert meanfield.growth("sigmoid", g, 0.0) == pytest.approx(1)


def test_the_exponent_of_an_autonomous_chaotic_net():
    assert math.log(meanfield.growth("tanh", 3.0, 0.0)) / 2 == pytest.approx(0.310, abs=5e-4)


def rnn_net(H, g, *, activation="tanh", base=gaussian, T=100, N=4, drive=1.0, leak=1.0, seed=0):
    """W_s = g x base; every unit is driven by its own Gaussian noise, iid in time, through
    W_x = 1."""
    rng = np.random.default_rng(seed)
    net = random_net(RNN(activation=activation, leak=leak), T=T, N=N, H=H, I=H)
    params = {"W": drive * np.eye(H)[None], "U": g * base(rng, H, H)[None], "b": np.zeros((1, H))}
    return net._replace(params=params, s0=0 * net.s0)


def measured_rate(net):
    """The slope of the typical curve, its ends left out."""
    (flow,) = backpropagate(subject_of(net).trajectory, net.ds_T, share=False)
    typical = flow.log_samples.mean(axis=1)
    T = len(typical) - 1
    lags = np.arange(T // 10, T - T // 5)
    return math.exp(np.polyfit(lags, typical[lags], 1)[0])


@pytest.mark.parametrize("drive", [0.1, 1.0])
def test_a_simulated_net_is_critical_where_theory_has_it(drive):
    g = meanfield.critical("tanh", drive**2)
    low, high = (rnn_net(512, factor * g, T=120, drive=drive) for factor in (0.97, 1.03))
    assert measured_rate(low) < 1 < measured_rate(high)


@pytest.mark.parametrize("base", [gaussian, orthogonal])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "sigmoid"])
def test_the_predicted_rate_is_that_of_a_simulated_net(activation, base):
    net = rnn_net(256, 0.9, activation=activation, base=base, drive=0.8)
    (found,) = theory(subject_of(net, {"ws_scale": 0.9}))
    assert found.figures["rate_predicted"] == pytest.approx(measured_rate(net), rel=0.02)
    assert found.note is None
    assert found.figures["critical_predicted"] == pytest.approx(
        meanfield.critical(activation, 0.64), rel=0.02
    )
    assert found.curves["log10_predicted"].shape == (101,)


def test_a_constant_drive_and_transients_are_followed_step_by_step():
    # A linear net without noise: q of each step is known, and χ = g² at all of them.
    q, chi = meanfield.along("linear", 0.5, np.array([2.0]), np.full((4, 1), 3.0))
    np.testing.assert_allclose(q[:, 0], [3.5, 3.875, 3.96875, 3.9921875])
    np.testing.assert_allclose(chi, 0.25)


def test_a_linear_integrator_has_the_radius_of_its_matrix():
    net = rnn_net(64, 0.8, activation="linear", leak=0.3)
    found = transfer.growth(transfer.averages(subject_of(net).trajectory, 0))
    gain = 0.3 * np.linalg.norm(net.params["U"]) / 8
    assert found == pytest.approx(0.7 + gain, rel=1e-9)


@pytest.mark.parametrize(
    ("activation", "leak", "g"),
    [("tanh", 0.5, 1.0), ("tanh", 0.1, 2.5), ("linear", 0.3, 0.8), ("relu", 0.3, 0.9),
     ("sigmoid", 0.3, 2.0)],
)  # fmt: skip
def test_a_leaky_net_is_followed_through_its_covariances(activation, leak, g):
    net = rnn_net(256, g, activation=activation, leak=leak, T=200)
    (found,) = theory(subject_of(net, {"ws_scale": g}))
    assert found.note is None
    assert found.figures["rate_predicted"] == pytest.approx(measured_rate(net), rel=0.02)
    if activation == "linear":
        assert found.figures["critical_predicted"] == pytest.approx(1, rel=0.01)
        # White d of variance 1, z = W_s h + d: the power of z is 1 / (1 - g² |filter|²).
        passed = leak / (1 - (1 - leak) * np.exp(2j * np.pi * np.arange(4096) / 4096))
        q = np.mean(1 / (1 - g**2 * np.abs(passed) ** 2))
        assert found.figures["q"] == pytest.approx(q, rel=0.02)


def test_a_leaky_net_in_closed_form():
    white = np.where(np.arange(64) == 0, 0.7, 0.0)
    found = leaky.leaky("linear", 0.8, 0.3, white)
    assert found.rate == pytest.approx(0.7 + 0.3 * 0.8, rel=1e-6)
    # q = g² Var h + 0.7, and Var h of the integrator of a linear net, whose W forgets all phases:
    # S(ω) (|1 - 0.7 e^iω|² - (0.3 g)²) = 0.09 x 0.7
    omega = np.linspace(0, 2 * np.pi, 20001)[:-1]
    variance = (0.09 * 0.7 / (np.abs(1 - 0.7 * np.exp(1j * omega)) ** 2 - (0.3 * 0.8) ** 2)).mean()
    assert found.q == pytest.approx(0.64 * variance + 0.7, rel=1e-6)
    # a leak of 1 is none
    assert leaky.leaky("tanh", 0.9, 1.0, white).rate ** 2 == pytest.approx(
        meanfield.growth("tanh", 0.9, 0.7), rel=1e-6
    )
    assert leaky.critical("tanh", 1.0, white) == pytest.approx(
        meanfield.critical("tanh", 0.7), rel=1e-4
    )


def test_without_parts_that_keep_anything_averages_give_chi():
    net = rnn_net(64, 1.2, drive=1.0)
    of = transfer.averages(subject_of(net).trajectory, 0)
    assert transfer.growth(of) ** 2 == pytest.approx(of.square[0] * (of.A**2 + of.AA[:, 0]).item())


@pytest.mark.parametrize("cell", APPROXIMATED, ids=lambda cell: cell.label)
def test_gated_cells_are_approximated(cell):
    net = random_net(cell, T=120, N=8, H=128, I=64, g=1.0)
    params = {n: (0 * a if net.cell.parameters[n].role in ("bias", "input_bias") else a)
              for n, a in net.params.items()}  # fmt: skip
    net = net._replace(params=params, s0=0 * net.s0)
    (found,) = theory(subject_of(net))
    assert found.note == "an approximation, from averages of this net's own gates and slopes"
    assert found.figures["rate_predicted"] == pytest.approx(measured_rate(net), rel=0.03)
    assert abs(found.figures["predicted_error"]) < 1.5  # decades, of about 20


@pytest.mark.parametrize("cell", WITHOUT, ids=lambda cell: cell.label)
def test_where_there_is_no_theory_a_line_says_so(cell):
    (found,) = theory(subject_of(random_net(cell)))
    assert found.note.startswith(f"no theory of {cell.label}: ")
    assert not found.curves


def test_of_weights_that_are_not_random_too():
    net = random_net(RNN())
    (found,) = theory(subject_of(net, {"ws_init": "identity", "ws_scale": 1.0}))
    assert found.note == "no theory of ws_init: identity, which is not random"
    (found,) = theory(subject_of(net, {"trained": True}))
    assert found.note.startswith("of the random net with weights of the same size")
    assert found.figures["rate_predicted"] > 0


def test_only_a_nonlinearity_around_one_recurrent_product_is_an_elman_net():
    found = {cell.label: elman_of(cell.sized(4, 4)) for cell in VARIANTS}
    known = {label: one for label, one in found.items() if one is not None}
    assert {label.partition("[")[0] for label in known} == {"rnn"}
    assert known["rnn"] == Elman("tanh", 1.0, 1.0)
    assert known["rnn[leak=0.3]"] == Elman("tanh", 0.3, 1.0)
    more = {"state": {"h": "H", "c": "H"}, "parameters": {"W": ["H", "I"], "U": ["H", "H"]}}
    step = "h[t] = tanh(W @ x[t] + U @ h[t-1])\nc[t] = h[t] + 0.5 * c[t-1]"
    assert elman_of(Cell.of(declared({**more, "step": step})).sized(4, 4)) is None
    two = {"state": {"h": "H"}, "parameters": {**more["parameters"], "V": ["H", "H"]}}
    step = "h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ tanh(h[t-1]))"
    assert elman_of(Cell.of(declared({**two, "step": step})).sized(4, 4)) is None
