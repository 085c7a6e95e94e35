"""What papers say of their cells, where it is exact: products of gates, eigenvalues, volumes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradflow
from cells.test_derivatives import linearized, step
from gradflow.cells import CELLS
from gradflow.numerics.arrays import empty
from gradflow.runs.sampling import parameters
from nets import flow, random_net
from reference import exact, worst_error

T = 300


def softplus(z):
    return mpmath.log(1 + mpmath.exp(z))


def linear(net, W, bias=None):
    """W x_t + b as mpmath numbers, (T, H)."""
    found = exact(net.x[:, 0, 0]) @ exact(net.params[W][0]).T
    return found if bias is None else found + exact(net.params[bias][0])


def of_each(function, a):
    return np.frompyfunc(function, 1, 1)(a)


def mingru(net):
    return of_each(lambda a: -softplus(a), linear(net, "W_z", "b_z"))


def minlstm(net):
    f, i = (of_each(lambda a: 1 / (1 + mpmath.exp(-a)), linear(net, f"W_{g}", f"b_{g}"))
            for g in "fi")  # fmt: skip
    return of_each(mpmath.log, f / (f + i))


def qrnn(net):
    before = exact(np.concatenate([net.s0[None, 0, 0, net.cell.parts["last"].rows],
                                   net.x[:-1, 0, 0]]))  # fmt: skip
    a = linear(net, "W_f", "b_f") + before @ exact(net.params["V_f"][0]).T
    return of_each(lambda a: -softplus(-a), a)


def rglru(net):
    r = of_each(lambda a: 1 / (1 + mpmath.exp(-a)), linear(net, "W_r", "b_r"))
    return -8 * r * of_each(softplus, exact(net.params["p"][0]))


def s6(net):
    a = linear(net, "W_d") @ exact(net.params["V_d"][0]).T + exact(net.params["b_d"][0])
    A = of_each(mpmath.exp, exact(net.params["A_log"][0]))
    return -(of_each(softplus, a)[..., None] * A).reshape(T, -1)


def lru(net):
    rate = of_each(mpmath.exp, exact(net.params["nu_log"][0]))
    return np.tile(-rate, (T, 1))


def s5(net):
    rate = of_each(mpmath.exp, exact(net.params["log_step"][0])) * exact(net.params["L_re"][0])
    return np.tile(rate, (T, 1))


PRODUCTS = {
    "mingru": (mingru, ["h"], {"update_bias": 4.0}),
    "minlstm": (minlstm, ["h"], {"forget_bias": -4.0}),
    "qrnn": (qrnn, ["c"], {"forget_bias": -4.0}),
    "rglru": (rglru, ["h"], {}),
    "s6": (s6, ["h"], {"d_state": 3}),
    "lru": (lru, ["re", "im"], {}),
    "s5": (s5, ["re", "im"], {}),
}
"""Cell: the logarithms of what every step multiplies the gradient with, (T, rows of a part); the
parts it is of, together; options."""


@pytest.mark.parametrize("name", PRODUCTS)
def test_gates_that_see_the_input_alone_multiply(name):
    logs_of, parts, options = PRODUCTS[name]
    net = random_net(CELLS[name](**options), T=T, N=1)
    net.ds_T[...] = 0
    start = np.random.default_rng(3).standard_normal(
        (len(parts), net.cell.parts[parts[0]].rows.stop)
    )
    for own, part in zip(start, parts, strict=True):
        net.ds_T[0, 0, net.cell.parts[part].rows] = own
    bias = {"mingru": "b_z", "minlstm": "b_f", "qrnn": "b_f"}.get(name)
    if bias is not None:  # far below float range
        net.params[bias] = net.params[bias] + next(iter(options.values()))
    with mpmath.workdps(50):
        logs = np.concatenate(
            [np.zeros((1, start.shape[1])), np.cumsum(logs_of(net)[::-1], axis=0)]
        )
        squares = (exact(start) ** 2).sum(axis=0) * of_each(mpmath.exp, 2 * logs)
        expected = of_each(mpmath.sqrt, squares.sum(axis=1))
        found = flow(net)
        curve = found.state
        if name == "qrnn":  # next to it the input of one step before
            curve = found.parts["c"]
        assert worst_error(curve, expected) < 1e-13
    if bias is not None:
        assert curve.log10()[-1] < -350


@pytest.mark.parametrize("bias", [3.0, -20.0])
def test_the_memory_of_an_mlstm_is_the_product_of_its_forget_gates(bias):
    net = random_net(CELLS["mlstm"](), T=T, N=1)
    net.ds_T[..., : net.cell.S] = 0
    net.params["b_f"][...] = bias
    found = flow(net)
    with mpmath.workdps(50):
        logs = of_each(lambda a: -softplus(-a), linear(net, "w_f", "b_f"))[::-1, 0]
        product = of_each(mpmath.exp, np.concatenate([[0], np.cumsum(logs)]))
        for part in ("C", "n"):
            curve = found.parts[part]
            start = mpmath.ldexp(mpmath.mpf(curve.mantissa[0]), int(curve.exponent[0]))
            # Each step takes e^m in and out again: the rounding of m counts.
            assert worst_error(curve, start * product) < 2e-12
    assert bias > 0 or found.parts["C"].log10()[-1] < -2000


@pytest.mark.parametrize(("dtype", "bias"), [("float64", -700.0), ("float32", -80.0)])
def test_a_closed_input_gate_leaves_the_gradient_of_an_mlstm_until_float_range_ends(dtype, bias):
    """A memory of true size e^bias is read by q whatever that is; where e^-m has no number, neither
    has what is read."""

    def run(b_i):
        names = {"W_q": (2, 2), "W_k": (2, 2), "W_v": (2, 2), "W_o": (2, 2)}
        rng = np.random.default_rng(0)
        p = {name: rng.normal(size=shape) for name, shape in names.items()}
        p |= {"w_i": np.zeros((1, 2)), "w_f": np.zeros((1, 2)), "b_o": np.zeros(2)}
        p |= {"b_i": np.array([b_i]), "b_f": np.array([3.0])}
        config = {
            "cell": "mlstm", "sequence_length": 20, "loss": "sum", "dtype": dtype,
            "weights": {"parameters": {name: name for name in p}},
        }  # fmt: skip
        (result,) = gradflow.analyze(config, weights=p)
        return result

    wide, low = run(-3.0), run(bias)
    np.testing.assert_allclose(
        np.asarray(low.flow.parts["C"]), np.asarray(wide.flow.parts["C"]), rtol=1e-4
    )
    lost = run(1.2 * bias)
    assert (lost.diagnosis.verdict, lost.diverged_at) == ("diverged", 1)


def test_an_indrnn_starts_from_ones_or_between_two_bounds():
    """A gradient through T steps of |u| ≤ γ^(1/T) grows by γ at most; of a linear unit by γ."""
    u = parameters(gradflow.load({"cell": "indrnn"}).runs[0])[0, 0]["u"]
    assert (u == 1).all()
    cell = {"type": "indrnn", "u_min": 0.2, "u_max": 0.7}
    u = parameters(gradflow.load({"cell": cell, "hidden_size": 500}).runs[0])[0, 0]["u"]
    assert 0.2 <= u.min() < 0.21
    assert 0.69 < u.max() <= 0.7
    gamma = 2 ** (1 / 40)
    cell = {"type": "indrnn", "u_min": gamma, "u_max": gamma}
    small = {"sequence_length": 40, "hidden_size": 16}
    linear, relu = gradflow.analyze(
        {"cell": [{**cell, "activation": "linear"}, {**cell, "activation": "relu"}], **small}
    )
    np.testing.assert_allclose(np.asarray(linear.flow.relative)[40], 2, rtol=1e-12)
    assert (np.asarray(relu.flow.relative) <= 2).all()


def test_weights_in_an_rwkv_decay_by_a_constant():
    net = random_net(CELLS["rwkv4"](), T=T, N=1, H=1)
    net.ds_T[..., net.cell.S :] = 0
    net.ds_T[..., net.cell.parts["h"].rows] = 0
    found = flow(net)
    with mpmath.workdps(50):
        decay = mpmath.exp(mpmath.mpf(net.params["time_decay"][0, 0]))
        for part in ("num", "den"):
            curve = found.parts[part]
            start = mpmath.ldexp(mpmath.mpf(curve.mantissa[0]), int(curve.exponent[0]))
            expected = np.array([start * mpmath.exp(-decay * k) for k in range(T + 1)])
            assert worst_error(curve, expected) < 1e-12


def jacobian(net):
    """ds_1/ds_0 of the first sample."""
    cell, params = net.cell, {name: a[0] for name, a in net.params.items()}
    _, arrays, w = step(cell, params, net.x[0, 0, :1], net.s0[0, :1])
    local = linearized(cell, arrays, w)
    basis = np.eye(cell.S, cell.S_all)[:, None]
    rows = empty((cell.S, 1, cell.S_all), float)
    dz = empty((cell.S, 1, cell.G_all), float)
    cell.pullback(cell.backward_views(local, basis, dz, rows), w)
    return rows[:, 0, : cell.S]


@pytest.mark.parametrize("seed", range(5))
def test_every_step_of_a_unicornn_keeps_volumes(seed):
    J = jacobian(random_net(CELLS["unicornn"](), H=6, seed=seed))
    np.testing.assert_allclose(np.linalg.det(J), 1, rtol=1e-13)


@pytest.mark.parametrize("gamma", [0.0, 0.05])
def test_an_antisymmetric_step_turns_and_hardly_stretches(gamma):
    """Where tanh has slope 1: |eigenvalue|² = (1 - eps gamma)² + eps² ω²."""
    net = random_net(CELLS["antisymmetric"](eps=0.1, gamma=gamma), H=6)
    net.x[...], net.s0[...], net.params["b"][...] = 0, 0, 0
    found = np.abs(np.linalg.eigvals(jacobian(net)))
    U = net.params["U"][0]
    turns = np.linalg.eigvals(U - U.T).imag
    expected = np.sqrt((1 - 0.1 * gamma) ** 2 + 0.01 * turns**2)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-13)
    assert gamma > 0 or found.max() > 1


def test_a_step_of_a_gated_deltanet_has_two_eigenvalues():
    """e^g along all but k, e^g (1 - beta) along k, for every column of M."""
    net = random_net(CELLS["gated_deltanet"](epsilon=0.0), H=4)
    p, x = {name: a[0] for name, a in net.params.items()}, net.x[0, 0, 0]
    decay = np.exp(-np.exp(p["A_log"]) * np.log1p(np.exp(p["w_g"] @ x + p["b_g"])))[0]
    beta = 1 / (1 + np.exp(-(p["w_beta"] @ x)))[0]
    found = np.sort(np.linalg.eigvals(jacobian(net)).real)
    expected = np.sort([decay] * 12 + [decay * (1 - beta)] * 4)
    np.testing.assert_allclose(found, expected, rtol=1e-7)  # of a matrix with equal eigenvalues


@pytest.mark.parametrize("leak", [0.1, 1.0])
def test_the_rates_of_a_leaky_cell_have_the_eigenvalues_of_its_matrix(leak):
    net = random_net(CELLS["leaky_voltage"](leak=leak), H=5)
    net.x[...], net.s0[...], net.params["b"][...] = 0, 0, 0  # a fixed point, of slope 1
    found = np.linalg.eigvals(jacobian(net))
    expected = 1 - leak + leak * np.linalg.eigvals(net.params["U"][0])
    order = np.lexsort((found.imag, found.real))
    other = np.lexsort((expected.imag, expected.real))
    np.testing.assert_allclose(found[order], expected[other], rtol=1e-12)


def test_a_cifg_is_an_lstm_whose_gates_mirror_each_other():
    net = random_net(CELLS["cifg"](), T=20)
    lstm = CELLS["lstm"]().sized(4, 2)
    mirrored = {**net.params, **{f"{k}_i": -net.params[f"{k}_f"] for k in "WUb"}}
    one, other = flow(net), flow(net._replace(cell=lstm, params=mirrored))
    for part in ("h", "c"):
        np.testing.assert_allclose(other.parts[part].log10(), one.parts[part].log10(), atol=1e-13)


def test_a_layernorm_lstm_does_not_see_the_scale_of_its_recurrent_weights():
    config = {
        "cell": {"type": "layernorm_lstm", "epsilon": 1e-14}, "ws_scale": [0.3, 1.0, 4.0],
        "hidden_size": 8, "sequence_length": 40, "initial_state": {"kind": "gaussian"},
    }  # fmt: skip
    first, *others = gradflow.analyze(config)
    for other in others:
        np.testing.assert_allclose(other.flow.state.log10(), first.flow.state.log10(), atol=1e-9)


@pytest.mark.parametrize(("cell", "bias"), [("lstm", "b_f"), ("janet", "b_f")])
def test_chrono_spreads_time_scales_evenly(cell, bias):
    """1 / (1 - f) is uniform on 2..T_max."""
    (run,) = gradflow.load({"cell": {"type": cell, "chrono": 784}, "hidden_size": 1024}).runs
    p = parameters(run)[0, 0]
    times = 1 + np.exp(p[bias])
    assert 2 <= times.min() < 15
    assert 770 < times.max() <= 784
    np.testing.assert_allclose(times.mean(), 393, atol=5 * 782 / np.sqrt(12 * 1024))
    np.testing.assert_allclose(np.quantile(times, [0.25, 0.75]), [197.5, 588.5], atol=60)
    if cell == "lstm":
        np.testing.assert_array_equal(p["b_i"], -p["b_f"])


def test_an_lru_starts_on_its_ring():
    options = {"r_min": 0.9, "r_max": 0.999, "max_phase": 0.5}
    (run,) = gradflow.load({"cell": {"type": "lru", **options}, "hidden_size": 4096}).runs
    p = parameters(run)[0, 0]
    squares, phase = np.exp(-2 * np.exp(p["nu_log"])), np.exp(p["theta_log"])
    assert squares.min() >= 0.81 - 1e-12
    assert squares.max() <= 0.999**2 + 1e-12
    np.testing.assert_allclose(squares.mean(), (0.81 + 0.999**2) / 2, atol=0.004)
    assert 0 <= phase.min() < phase.max() <= 0.5
    half_lives = np.log(2) / np.exp(p["nu_log"])
    np.testing.assert_allclose(np.median(half_lives), 13.8, atol=0.6)
    np.testing.assert_allclose(np.exp(2 * p["gamma_log"]), 1 - squares, rtol=1e-9)


def test_a_legendre_memory_holds_what_it_is_given():
    """A constant is the first polynomial alone; and it forgets: every eigenvalue is below 1."""
    (run,) = gradflow.load({"cell": {"type": "lmu", "order": 8, "theta": 50}}).runs
    p = parameters(run)[0, 0]
    at_rest = np.linalg.solve(np.eye(8) - p["A"], p["B"])
    np.testing.assert_allclose(at_rest, np.eye(8)[0], atol=1e-12)
    assert np.abs(np.linalg.eigvals(p["A"])).max() < 1


@pytest.mark.parametrize("N", [1, 2, 9])
def test_a_number_less_itself_has_no_gradient(N):
    """U - U^T of one unit: its terms are 0, not what rounding leaves of a difference."""
    (found,) = gradflow.analyze(
        {"cell": "antisymmetric", "hidden_size": 1, "batch_size": N, "sequence_length": 9}
    )
    assert not found.flow.terms["W_s"].floats().any()
    assert found.flow.state.log10().min() > -1
