"""The direct path: closed forms, gates by hand, and cells that have nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from equations.published import CELLS as PUBLISHED
from gradflow.cells import CELLS, GRU, LSTM, RNN
from gradflow.cells.cell import Cell
from gradflow.config.load import from_mapping
from gradflow.equations.declaration import declared
from gradflow.measures.paths import _rate, paths
from gradflow.numerics import arrays
from gradflow.runs.runner import execute
from measures.subjects import subject_of, subjects_of_stack, with_parameters
from nets import LABELS, VARIANTS, one_run, random_net, random_stack


def curves(net, **options):
    (measured,) = paths(subject_of(net, **options))
    assert measured.note is None
    return measured.curves["log10_direct_path"], measured.curves["direct_share"]


def test_constant_gates_far_outside_float_range():
    net = with_parameters(random_net(LSTM(), T=3000), b_f=0.0, b_g=0.3)
    path, share = curves(net)
    k = np.arange(3001)
    np.testing.assert_allclose(path, k * math.log10(0.5), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(share, 1, rtol=1e-12)  # without weights nothing else is left
    net = with_parameters(random_net(GRU(), T=3000), b_z=2.0)
    path, share = curves(net)
    np.testing.assert_allclose(path, -k * math.log10(1 + math.exp(-2)), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(share, 1, rtol=1e-12)


def test_a_leaky_integrator_keeps_what_it_does_not_renew():
    path, _ = curves(random_net(RNN(leak=0.3), T=9))
    np.testing.assert_allclose(path, np.arange(10) * math.log10(0.7), rtol=1e-12, atol=1e-15)


def test_a_linear_scalar_integrator_by_hand():
    # s' = 0.7 s + 0.3 w s: the direct path has 0.7^k of a gradient of (0.7 + 0.3 w)^k.
    net = random_net(RNN(leak=0.3, activation="linear"), H=1, T=12)
    net = net._replace(params={**net.params, "U": np.full((1, 1, 1), 0.8)})
    _, share = curves(net)
    np.testing.assert_allclose(share, (0.7 / (0.7 + 0.3 * 0.8)) ** np.arange(13), rtol=1e-12)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rms(a):
    """Of vectors (N, H): the norm's root mean square over the batch."""
    return math.sqrt((a**2).sum(axis=-1).mean())


def test_an_lstm_is_its_forget_gates():
    net = random_net(LSTM(), T=9, N=4, H=5, g=1.5)
    path, share = curves(net)
    subject = subject_of(net)
    states = subject.trajectory.last_tape.states[:, 0]
    h, c = states[..., :5], states[..., 5:]
    p = {name: a[0] for name, a in net.params.items()}
    gate = {g: sigmoid(net.x[:, 0] @ p[f"W_{g}"].T + h[:-1] @ p[f"U_{g}"].T + p[f"b_{g}"])
            for g in "fo"}  # fmt: skip
    dh, dc = net.ds_T[0, :, :5], net.ds_T[0, :, 5:]
    full = gradients(net)
    product, way = np.ones_like(dc), dc + gate["o"][-1] * (1 - np.tanh(c[-1]) ** 2) * dh
    for k in range(1, 10):
        product, way = product * gate["f"][-k], way * gate["f"][-k]
        assert path[k] == pytest.approx(math.log10(np.sqrt((product**2).mean())), abs=1e-12)
        assert share[k] == pytest.approx(rms(way) / full[k], rel=1e-11)
    assert (path[0], share[0]) == (0, 1)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_a_gru_is_its_update_gates(reset):
    net = random_net(GRU(reset=reset), T=9, N=4, H=5, g=1.5)
    path, share = curves(net)
    h = subject_of(net).trajectory.last_tape.states[:, 0]
    p = {name: a[0] for name, a in net.params.items()}
    z = sigmoid(net.x[:, 0] @ p["W_z"].T + h[:-1] @ p["U_z"].T + p["b_z"])
    full, product = gradients(net), np.ones((4, 5))
    for k in range(1, 10):
        product = product * z[-k]
        assert path[k] == pytest.approx(math.log10(np.sqrt((product**2).mean())), abs=1e-12)
        assert share[k] == pytest.approx(rms(product * net.ds_T[0]) / full[k], rel=1e-11)


def gradients(net):
    """The gradient's norm at each lag, from a complex step through the forward equations in every
    direction."""
    cell, T = net.cell, len(net.x)
    S, N = cell.S, net.ds_T.shape[1]
    states = subject_of(net).trajectory.last_tape.states[:, 0]
    ds, found = net.ds_T[0, :, :S], [rms(net.ds_T[0, :, :S])]
    for t in reversed(range(T)):
        J = np.empty((N, S, S))
        for j in range(S):
            s = states[t][:, :S].astype(complex)
            s[:, j] += 1e-30j
            J[..., j] = step(net, s, t).imag / 1e-30
        ds = np.einsum("nij,ni->nj", J, ds)
        found.append(rms(ds))
    return found


def step(net, s, t):
    """One step of run 0 from complex states (N, S)."""
    cell = net.cell
    w = cell.bind({name: a[:1] for name, a in net.params.items()})
    lead = (1, 1, len(s))
    s_in, s_next = (arrays.empty((*lead, cell.S_all), complex) for _ in range(2))
    z, saved = (arrays.empty((*lead, n), complex) for n in (cell.G, cell.saved))
    s_in[...] = 0
    s_in[..., : cell.S] = s
    x = arrays.laid(net.x[t : t + 1, :1])
    one = np.concatenate([x, np.ones((*lead, 1))], axis=-1)
    z[..., : cell.G_x] = (w.hoisted @ one.mT).mT
    cell.prepare(z, saved, x, w)
    (views,) = zip(*cell.forward_views(z, saved, s_in, s_next, x), strict=True)
    cell.step(views, w)
    return s_next[0, 0, :, : cell.S]


def own(name, **changes):
    return Cell.of(PUBLISHED[name][0], **changes)


def test_a_cell_without_recurrent_matrices_has_nothing_but_its_direct_path():
    for cell in (own("mingru"), own("lru"), CELLS["indrnn"](activation="tanh"), own("sru")):
        I = 4 if cell.name == "sru" else 2  # noqa: E741
        net = random_net(cell, T=8, N=3, H=4, I=I, g=0.5)
        np.testing.assert_allclose(curves(net)[1], 1, rtol=1e-14, err_msg=cell.label)


def test_the_product_of_direct_partials_is_the_jacobian_where_there_is_nothing_else():
    net = random_net(own("mingru"), T=8, N=3, H=4)
    path, _ = curves(net)
    ones = net._replace(ds_T=np.ones_like(net.ds_T))  # a diagonal Jacobian hands on its entries
    found = np.array(gradients(ones)) / 2  # of 4 units
    np.testing.assert_allclose(path, np.log10(found), rtol=1e-12, atol=1e-14)


def test_parts_that_feed_each_other_are_a_block_a_unit():
    # λ = e^{-ν + iθ}: both parts turn into each other, and shrink by |λ| a step.
    cell = own("lru")
    net = random_net(cell, T=12, H=3)
    nu = np.full((1, 3), 0.2)
    net = net._replace(params={**net.params, "nu": nu, "theta": np.array([[0.3, 1.0, 2.0]])})
    path, _ = curves(net)
    np.testing.assert_allclose(path, -0.2 * np.arange(13) / math.log(10), rtol=1e-12, atol=1e-14)


def test_parts_kept_as_a_scale_times_the_true_ones_are_reported_true():
    # c is kept as e^-m c with m = t: the true c is c' = 0.9 c + tanh(U h).
    plain = {
        "name": "gauged",
        "state": {"h": "H", "c": "H", "m": "H"},
        "parameters": {"U": ["H", "H"]},
        "gauge": {"m": "c"},
        "step": "m[t] = m[t-1] + 1\n"
        "c[t] = 0.9 * exp(m[t-1] - m[t]) * c[t-1] + exp(-m[t]) * tanh(U @ h[t-1])\n"
        "h[t] = tanh(exp(m[t]) * c[t])",
    }
    net = random_net(Cell.of(declared(plain)), T=10)
    path, _ = curves(net)
    np.testing.assert_allclose(path, np.arange(11) * math.log10(0.9), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_stack_without_recurrent_weights_has_only_direct_paths(directions):
    stack = random_stack(GRU(), layers=2, directions=directions, T=8)
    params = {at: {name: 0 * a if name.startswith("U") else a for name, a in own.items()}
              for at, own in stack.params.items()}  # fmt: skip
    for at in stack.cells:
        (measured,) = paths(subjects_of_stack(stack._replace(params=params), [at]))
        share = measured.curves["direct_share"]
        there = ~np.isnan(share)
        assert there[1:].all()
        np.testing.assert_allclose(share[there], 1, rtol=1e-12)
    (measured,) = paths(subjects_of_stack(stack))
    assert 0 < measured.curves["direct_share"][-1] != 1


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_neither_company_nor_memory_changes_a_curve(cell):
    net = random_net(cell, T=17, R=2)
    together = paths(subject_of(net))
    again = paths(subject_of(net, budget=1))
    for run in range(2):
        (alone,) = paths(subject_of(one_run(net, run)))
        for other in (again[run], alone):
            assert other.note == together[run].note
            for name, curve in together[run].curves.items():
                np.testing.assert_array_equal(other.curves[name], curve)


def test_a_plain_rnn_has_no_direct_path_and_says_so():
    (measured,) = paths(subject_of(random_net(RNN())))
    assert measured.note.startswith("rnn has no direct path")
    assert not measured.curves


def test_the_rate_of_the_path_is_that_of_its_last_three_quarters():
    k = np.arange(101.0)
    curve = 5 - 0.3 * k
    curve[:25] = 100.0
    assert _rate(curve) == pytest.approx(math.exp(-0.3), rel=1e-12)
    late = np.where(k < 40, -np.inf, 7 + 0.2 * k)
    assert _rate(late) == pytest.approx(math.exp(0.2), rel=1e-12)
    assert _rate(np.where(k < 100, -np.inf, 0.0)) is None


def test_a_scale_past_float_range_leaves_a_gap():
    config = {"cell": "slstm", "hidden_size": 2, "sequence_length": 2, "batch_size": 1,
              "input_size": 3, "bias_scale": 1000, "dtype": "float32", "loss": "sum",
              "measure": ["paths", "jacobian"],
              "input": {"kind": "gaussian", "scale": 1e30}}  # fmt: skip
    [result] = execute(from_mapping(config))
    assert np.isnan(result.measures["paths"].curves["log10_direct_path"]).all()
    assert np.isnan(result.measures["jacobian"].curves["log10_sigma_max"][1:]).all()
