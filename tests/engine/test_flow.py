"""The engine: closed forms, exactness past float range, and what no result may depend on."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import GRU, LSTM, RNN
from gradflow.engine import lengths
from gradflow.engine.flow import unroll
from gradflow.engine.lengths import BUDGET, tape_bytes_per_step
from gradflow.measures.flows import backpropagate
from gradflow.runs.initializers import orthogonal
from nets import (
    FORM_LABELS,
    FORMS,
    VARIANTS,
    Net,
    assert_same_bytes,
    curves,
    flow,
    flows,
    in_turn,
    mapped,
    one_run,
    random_net,
)
from reference import by_autograd, errors

every_variant = pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
both_batches = pytest.mark.parametrize("N", [1, 3, 20])


def still_net(W_s, *, T, N=1, state=0.0, activation="linear"):
    """A simple cell without input, started from a constant state."""
    W_s = np.asarray(W_s, dtype=float)
    H = len(W_s)
    params = {"W": np.ones((1, H, 1)), "U": W_s[None].copy(), "b": np.zeros((1, H))}
    s0 = np.full((1, N, H), state)
    return Net(
        RNN(activation=activation).sized(H, 1),
        params,
        np.zeros((T, 1, N, 1)),
        s0,
        np.ones((1, N, H)),
    )


def bundle(*nets):
    """Nets of one cell and shape as the runs of one bundle."""
    names = nets[0].params
    params = {name: np.concatenate([n.params[name] for n in nets]) for name in names}
    x, s0, ds_T = (
        np.concatenate([getattr(n, name) for n in nets], axis=axis)
        for name, axis in (("x", 1), ("s0", 0), ("ds_T", 0))
    )
    return Net(nets[0].cell, params, x, s0, ds_T)


# Closed forms, and exactness past float range


@pytest.mark.parametrize(
    ("g", "T", "log10_T"), [(0.5, 2000, -602.0599913279624), (1.5, 2500, 440.2281476392033)]
)
@both_batches
def test_a_scaled_identity_gives_powers_at_every_lag(g, T, log10_T, N):
    curve = flow(still_net(g * np.eye(3), T=T, N=N))
    logs = curve.state.log10() - curve.state.log10()[0]
    np.testing.assert_allclose(logs[-1], log10_T, rtol=1e-10)
    np.testing.assert_allclose(logs, np.arange(T + 1) * np.log10(g), rtol=1e-10, atol=1e-12)
    of_bias = curve.terms["b_s"].log10()  # the terms of a bias are the cotangents themselves
    np.testing.assert_allclose(of_bias - of_bias[0], logs[:-1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("g", [1e60, 1e-60, 1e150, 1e-150, 1e205, 1e-205])
@both_batches
def test_a_step_may_change_the_gradient_by_many_orders(g, N):
    curve = flow(still_net(g * np.eye(2), T=200, N=N))
    logs = np.arange(201) * np.log10(g)
    np.testing.assert_allclose(curve.state.log10() - curve.state.log10()[0], logs, rtol=1e-10)
    of_bias = curve.terms["b_s"].log10()
    np.testing.assert_allclose(of_bias - of_bias[0], logs[:-1], rtol=1e-10)


@pytest.mark.parametrize("g", [0.3, 1.0, 1.7])
def test_an_orthogonal_linear_net_scales_by_g_at_each_step(g):
    W_s = g * orthogonal(np.random.default_rng(1), 8, 8)
    curve = flow(still_net(W_s, T=300, N=4))
    ratio = curve.relative.log10()
    np.testing.assert_allclose(ratio, np.arange(301) * np.log10(g), rtol=1e-12, atol=1e-12)


def test_a_tanh_net_at_rest_is_the_linear_net():
    W_s = np.random.default_rng(2).standard_normal((6, 6))
    linear, tanh = (
        flow(still_net(W_s, T=90, N=3, activation=activation)) for activation in ("linear", "tanh")
    )
    assert_same_bytes(linear, tanh)


def gated_net_without_weights(cell, bias, T):
    net = random_net(cell, T=T, N=4, H=3)
    rng = np.random.default_rng(3)
    params = mapped(net.params, np.zeros_like)
    for name in params:
        if name.startswith("b_"):
            params[name] = rng.standard_normal(params[name].shape)
    return net._replace(params={**params, **{n: np.full((1, 3), v) for n, v in bias.items()}})


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.5])
def test_an_lstm_without_weights_forgets_by_its_forget_gate(bias):
    net = gated_net_without_weights(LSTM(), {"b_f": bias}, T=400)
    ds_T = net.ds_T.copy()
    ds_T[..., :3] = 0  # the gradient enters at c
    curve = flow(net._replace(ds_T=ds_T))
    expected = -np.log10(1 + np.exp(-bias)) * np.arange(401)
    c = curve.parts["c"]
    np.testing.assert_allclose((c / c[0]).log10(), expected, rtol=1e-12, atol=1e-12)
    assert (curve.parts["h"].log10() == -np.inf).all()


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.5])
@pytest.mark.parametrize("reset", ["after", "before"])
def test_a_gru_without_weights_forgets_by_its_update_gate(bias, reset):
    curve = flow(gated_net_without_weights(GRU(reset=reset), {"b_z": bias}, T=400))
    expected = -np.log10(1 + np.exp(-bias)) * np.arange(401)
    np.testing.assert_allclose(curve.relative.log10(), expected, rtol=1e-12, atol=1e-12)


@both_batches
@pytest.mark.parametrize(
    ("g", "T", "state"), [(1.0, 50, 1e200), (1.0, 50, 1e-200), (0.5, 300, 1e-200), (4, 400, 1e-100)]
)
def test_states_near_the_ends_of_float_range_keep_their_terms(g, T, state, N):
    """The term of W_s at every lag is g^(T-1) x state, whatever the lag."""
    curve = flow(still_net(g * np.eye(2), T=T, N=N, state=state))
    log10_term = np.log10(state) + (T - 1) * np.log10(g) + np.log10(2)
    np.testing.assert_allclose(curve.terms["W_s"].log10(), log10_term, rtol=1e-12)
    np.testing.assert_allclose(curve.totals["W_s"].log10(), log10_term + np.log10(T), rtol=1e-12)
    np.testing.assert_allclose(curve.share_W_s, np.arange(1, T + 1) / T, rtol=1e-12)


@both_batches
def test_an_input_long_ago_is_not_lost_below_float_range(N):
    net = still_net(0.25 * np.eye(2), T=2000, N=N)
    net.x[0] = 3.0
    curve = flow(net)
    expected = np.log10(3 * np.sqrt(2)) + 1999 * np.log10(0.25)
    assert (curve.terms["W_x"].log10()[:-1] == -np.inf).all()
    np.testing.assert_allclose(curve.terms["W_x"].log10()[-1], expected, rtol=1e-12)
    np.testing.assert_allclose(curve.totals["W_x"].log10(), expected, rtol=1e-12)


@pytest.mark.parametrize("g", [0.2, 0.9, 1.0, 1.3, 30.0])
@both_batches
def test_the_share_of_terms_of_one_sign_rises_to_one(g, N):
    net = still_net(g * np.eye(2), T=170, N=N, state=1e-3)
    net.x[...] = np.random.default_rng(4).uniform(0.5, 1, net.x.shape)
    share = flow(net).share_W_s
    assert (np.diff(share) >= -1e-12).all()
    assert abs(share[-1] - 1) < 1e-12


# Samples of very different sizes, and samples that die


@in_turn("cell, sizes", FORMS, [([1, 1e-250, 1e-150],), ([0, 1e-250, 1],), ([1, 0, 0],)])
def test_a_batch_may_mix_cotangents_of_any_size(cell, sizes):
    net = random_net(cell, T=8, N=3)
    ds_T = net.ds_T * np.array(sizes)[:, None]
    net = net._replace(ds_T=ds_T)
    net.s0[:, np.argmax(sizes)] = 0.0  # there the largest sample adds nothing to W_s
    assert max(errors(flow(net), by_autograd(net), net.cell).values()) < 1e-11


@pytest.mark.parametrize("N", [3, 20])
@pytest.mark.parametrize("ratio", [1.0, 1e-90])
def test_relu_samples_that_die_one_after_another_leave_the_others_exact(N, ratio):
    T = 40
    net = still_net([[1.0]], T=T, N=N, state=1.0, activation="relu")
    net.x[...] = 1.0
    dies_at = T - 2 - np.arange(N) if N == 20 else np.array([30, 20, 10])
    net.x[dies_at, 0, np.arange(N)] = -1e3  # z < 0: no gradient reaches the states before
    ds_T = ratio ** np.minimum(np.arange(N), 3.0).reshape(1, N, 1)  # the largest dies first
    net = net._replace(ds_T=ds_T)
    curve = flow(net)
    assert max(errors(curve, by_autograd(net), net.cell).values()) < 1e-13
    first_dead_lag = T - dies_at.min()
    logs = curve.state.log10()
    assert (logs[:first_dead_lag] > -np.inf).all()
    assert (logs[first_dead_lag:] == -np.inf).all()
    assert all((t.log10()[first_dead_lag:] == -np.inf).all() for t in curve.terms.values())


@both_batches
def test_a_dead_net_has_a_gradient_of_exactly_zero_from_lag_one(N):
    net = still_net(np.eye(2), T=20, N=N, activation="relu")
    net.x[...] = -1.0
    curve = flow(net)
    assert curve.state.log10()[0] == pytest.approx(np.log10(np.sqrt(2)))
    assert (curve.state.log10()[1:] == -np.inf).all()
    assert all((term.log10() == -np.inf).all() for term in curve.terms.values())
    assert all(total.log10() == -np.inf for total in curve.totals.values())
    assert np.isnan(curve.share_W_s).all()


# What no result depends on


def wild_bundle(cell, N, **sizes):
    """Runs that vanish, hold, explode and, where the cell lets them, diverge."""
    net = random_net(cell, R=4, N=N, **sizes)
    scales = np.array([0.05, 1.0, 30.0, 1e5])
    for p in net.cell.parameters.values():
        if p.role == "recurrent":
            net.params[p.name] *= scales.reshape(-1, *(1 for _ in p.shape))
    return net


SHAPES = [(1, 1, 1), (1, 9, 2), (3, 4, 1), (20, 5, 3)]


@in_turn(
    "cell, N, H, I, share",
    FORMS,
    [(*shape, share) for share in (True, False) for shape in SHAPES],
    each=2,
)
def test_runs_advanced_together_give_the_bytes_of_each_alone(cell, N, H, I, share):  # noqa: E741
    net = wild_bundle(cell, N, T=140, H=H, I=I)
    lost = unroll(net.cell, net.params, net.x, net.s0).diverged_at  # what is not measured
    for r, together in enumerate(flows(net, share=share)):
        if not lost[r]:
            assert_same_bytes(together, flow(one_run(net, r), share=share))


@every_variant
def test_one_input_for_all_runs_is_as_good_as_a_copy_for_each(cell):
    net = random_net(cell, R=3)
    shared = net._replace(x=net.x[:, :1])
    copied = net._replace(x=np.repeat(shared.x, 3, axis=1))
    for one, other in zip(flows(shared), flows(copied), strict=True):
        assert_same_bytes(one, other)


@in_turn("cell, N", FORMS, [3, 20])
@pytest.mark.parametrize(
    ("T", "H", "block"), [(140, 8, 40), pytest.param(600, 24, 256, marks=pytest.mark.fuzz)]
)
def test_recomputed_segments_give_the_same_bytes(cell, N, T, H, block, monkeypatch):
    monkeypatch.setattr(lengths, "_LONGEST_BLOCK", block)
    monkeypatch.setattr(lengths, "_LEAST_ROWS", block)
    net = wild_bundle(cell, N, T=T, H=H)
    trajectory = unroll(net.cell, net.params, net.x, net.s0, budget=1)
    assert len(trajectory.segments) > 2
    for one, other in zip(flows(net), backpropagate(trajectory, net.ds_T), strict=True):
        assert_same_bytes(one, other)


@every_variant
@pytest.mark.parametrize("N", [3, 20])
def test_without_the_share_all_else_is_the_same(cell, N):
    net = random_net(cell, T=140, N=N)
    with_share, without = curves(flow(net)), curves(flow(net, share=False))
    assert np.isnan(without.pop("share_W_s").mantissa).all()
    for name, curve in without.items():
        logs = with_share[name].log10()
        np.testing.assert_allclose(curve.log10(), logs, rtol=0, atol=1e-12, err_msg=name)


@every_variant
@pytest.mark.parametrize("N", [3, 20])
def test_float32_follows_float64(cell, N):
    net = random_net(cell, T=60, N=N, g=0.6)
    narrow = net._replace(
        params=mapped(net.params, np.float32),
        **{name: getattr(net, name).astype(np.float32) for name in ("x", "s0", "ds_T")},
    )
    wide = curves(flow(net))
    for name, curve in curves(flow(narrow)).items():
        found, expected = curve.log10(), wide[name].log10()
        if name.startswith(("state", "part")):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5, err_msg=name)
        else:  # terms may cancel at some lags
            with np.errstate(invalid="ignore"):
                apart = np.abs(found - expected)[np.isfinite(expected)]
            assert not len(apart) or np.median(apart) < 2e-5, name


def test_float32_reaches_as_far_as_float64():
    net = still_net(0.5 * np.eye(2), T=2000, N=20, state=1.0)
    net = Net(net.cell, mapped(net.params, np.float32), *map(np.float32, net[2:]))
    np.testing.assert_allclose(flow(net).relative.log10()[-1], -602.0599913279624, rtol=1e-10)


def test_a_cell_without_sizes_takes_them_from_parameters_and_inputs():
    net = random_net(LSTM(), N=3, I=2, H=4)
    found = unroll(net.cell.cell, net.params, net.x, net.s0)
    assert (found.cell.H, found.cell.I) == (4, 2)
    assert_same_bytes(flow(net), backpropagate(found, net.ds_T)[0])


# Divergence


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("budget", [BUDGET, 1])
def test_a_state_that_leaves_float_range_is_named_by_step_and_run(activation, budget):
    scales = (0.5, 10.0, 1e100, 1.0)
    nets = [still_net(g * np.eye(2), T=400, N=2, state=1.0, activation=activation) for g in scales]
    net = bundle(*nets)
    trajectory = unroll(net.cell, net.params, net.x, net.s0, budget=budget)
    np.testing.assert_array_equal(trajectory.diverged_at, [0, 309, 4, 0])
    together = backpropagate(trajectory, net.ds_T)
    for r in (0, 3):
        assert_same_bytes(together[r], flow(nets[r]))


def test_only_cells_without_bounds_diverge():
    diverging = set()
    for cell in VARIANTS:
        if not {"activation", "recurrent_activation"} & {*cell.options}:
            continue
        net = wild_bundle(cell, 3, T=140)
        if unroll(net.cell, net.params, net.x, net.s0).diverged_at.any():
            diverging.add(cell.label)
            assert {"linear", "relu"} & {*cell.options.values()}
    assert {"rnn[activation=linear]", "rnn[activation=relu]", "indrnn"} <= diverging


# The rest of the contract


@every_variant
def test_lag_zero_is_the_cotangent_handed_in_and_parts_add_up(cell):
    net = random_net(cell, T=5, N=6)
    net.ds_T[..., net.cell.S :] = 0
    curve = flow(net)
    given = np.sqrt((net.ds_T[0] ** 2).sum(axis=-1).mean())
    if not net.cell.gauge:
        np.testing.assert_allclose(curve.state.floats()[0], given, rtol=1e-15)
    squares = sum(part.floats() ** 2 for part in curve.parts.values())
    np.testing.assert_allclose(np.sqrt(squares), curve.state.floats(), rtol=1e-14)
    assert len(curve.state) == 6
    assert all(len(term) == 5 for term in (*curve.terms.values(), curve.share_W_s))


@every_variant
def test_every_step_is_reported_once_forward_and_once_backward(cell):
    net, steps = random_net(cell, T=300, N=20, H=30), []
    trajectory = unroll(net.cell, net.params, net.x, net.s0, progress=steps.append)
    assert sum(steps) == 300
    backpropagate(trajectory, net.ds_T, progress=steps.append)
    assert sum(steps) == 600


@every_variant
def test_the_tape_weighs_what_it_is_said_to(cell):
    T, N, H = 50, 3, 7
    net = random_net(cell, T=T, N=N, H=H)
    tape = unroll(net.cell, net.params, net.x, net.s0).last_tape
    kept = tape.states[1:].nbytes + tape.local.nbytes
    assert kept == T * tape_bytes_per_step(net.cell, N, 8)
