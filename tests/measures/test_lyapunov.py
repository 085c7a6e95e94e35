"""Lyapunov exponents: closed forms, determinants, and a published net."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, RNN
from gradflow.engine.flow import unroll
from gradflow.engine.network import unroll_net
from gradflow.measures import lyapunov
from gradflow.measures.lyapunov import exponents, kaplan_yorke
from gradflow.measures.orthonormal import lower_inverse, orthonormalised
from gradflow.runs.initializers import orthogonal
from measures.jacobians import linear_net
from measures.whole_states import one_way, with_gauge
from nets import (
    FORM_LABELS,
    FORMS,
    Net,
    Stack,
    mapped,
    one_run,
    random_net,
    random_params,
    random_stack,
)

PLACE = (0, 0)


def trajectory(net, **options):
    return unroll(net.cell, net.params, net.x, net.s0, **options)


def found(net, **options):
    (only,) = exponents([trajectory(net)], **options)
    return only


def jacobians(net, n):
    return one_way(Stack({PLACE: net.cell}, {PLACE: net.params}, net.x, {PLACE: net.s0}, {}), n)


@pytest.mark.parametrize("g", [1e-40, 0.5, 3.0])
def test_an_orthogonal_matrix_has_one_exponent(g):
    only = found(linear_net(g * orthogonal(np.random.default_rng(0), 5, 5), T=30), transient=0)
    np.testing.assert_allclose(only.mean, math.log(g), atol=1e-13, rtol=1e-13)
    assert only.convergence < 1e-12 * abs(math.log(g)) + 1e-13


def test_a_symmetric_matrix_has_the_logarithms_of_its_eigenvalues():
    axes = orthogonal(np.random.default_rng(1), 6, 6)
    values = np.array([2.0, -1.2, 0.7, 0.1, -1e-3, 1e-9])
    only = found(linear_net(axes @ np.diag(values) @ axes.T, T=400), transient=150)
    np.testing.assert_allclose(only.mean, np.log(np.abs(values)), atol=1e-8)
    assert only.samples.shape == (1, 6)
    assert np.isnan(only.spread).all()
    assert only.convergence < 1e-8


def test_the_first_exponents_are_those_of_the_whole_spectrum():
    net = random_net(CELLS["lstm"](), T=60, N=3, H=8)
    whole, some = found(net), found(net, count=3)
    assert whole.samples.shape == (3, 16)
    assert some.samples.shape == (3, 3)
    # The basis turns into its directions in another way, which finite times remember.
    np.testing.assert_allclose(some.mean, whole.mean[:3], atol=0.05)


@pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
def test_the_sum_is_the_mean_of_the_logarithms_of_the_determinants(cell):
    net = random_net(cell, T=30, N=2, H=4)
    only = found(net, transient=3)
    window = jacobians(net, 2)[3:27]
    signs, logs = np.linalg.slogdet(window)
    if (signs == 0).any():  # a unit that is off
        assert only.mean.sum() == -np.inf
        return
    sums = only.samples.sum(axis=1)  # exactly 0 where every step keeps volumes
    np.testing.assert_allclose(sums, logs.mean(axis=0), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstm"](), GRU()], ids=lambda cell: cell.label)
def test_exponents_are_those_of_a_decomposition_at_every_step(cell):
    net = random_net(cell, T=50, N=2, H=6)
    only = found(net, transient=5)
    S = net.cell.S
    for n in range(2):
        Q = np.linalg.qr(np.random.default_rng(n).standard_normal((S, S)))[0]
        sums = np.zeros(S)
        for t, J in reversed([*enumerate(jacobians(net, 2)[:, n], 1)]):
            Q, R = np.linalg.qr(J.T @ Q)
            if 5 < t <= 45:
                sums += np.log(np.abs(np.diagonal(R)))
        np.testing.assert_allclose(only.samples[n], np.sort(sums / 40)[::-1], atol=1e-8)


def test_vectors_are_made_orthonormal_only_as_often_as_they_need_it(monkeypatch):
    calls = []

    def counted(A, surely):
        calls.append(A.shape)
        return orthonormalised(A, surely)

    monkeypatch.setattr(lyapunov, "orthonormalised", counted)
    net = random_net(RNN(), T=400, N=2, H=30)
    found(net, count=5)
    few = len(calls)
    assert few < 400 / 8
    found(net)
    assert few < len(calls) - few < 400


def test_units_that_are_off_lose_as_many_directions():
    # Two of four units are off at all times: rank 2.
    W = np.diag([0.9, 0.5, 0.7, 0.3])
    net = linear_net(W, T=200)
    params = {**net.params, "b": np.array([[0.0, 0.0, -9.0, -9.0]])}
    s0 = np.ones((1, 1, 4))
    only = found(Net(RNN(activation="relu").sized(4, 1), params, net.x, s0, s0), transient=0)
    np.testing.assert_allclose(only.mean[:2].sum(), math.log(0.9 * 0.5), atol=0.03)
    np.testing.assert_array_equal(only.mean[2:], -np.inf)
    assert np.isnan(only.spread[2:]).all()


def test_a_nilpotent_shift_loses_every_direction():
    only = found(linear_net(np.eye(4, k=1), T=12), transient=0)
    np.testing.assert_array_equal(only.mean, -np.inf)
    assert kaplan_yorke(only.mean, True) == 0


@pytest.mark.parametrize(
    ("mean", "whole", "dimension"),
    [
        ([0.9, 0.0, -14.57], True, 2 + 0.9 / 14.57),  # Lorenz
        ([-0.1, -0.2], True, 0.0),
        ([0.3, 0.1, -0.2], False, None),
        ([0.3, 0.1, -0.2], True, 3.0),
        ([0.5, -np.inf], True, 1.0),
    ],
)
def test_the_dimension_of_kaplan_and_yorke(mean, whole, dimension):
    assert kaplan_yorke(np.array(mean), whole) == dimension


def test_a_transient_that_leaves_nothing_is_refused():
    net = random_net(RNN(), T=10)
    with pytest.raises(ValueError, match="a transient of 5 steps at either end leaves none of"):
        found(net, transient=5)
    assert np.isfinite(found(net, transient=4).mean).all()
    assert np.isfinite(found(random_net(RNN(), T=1)).mean).all()


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstm"]()], ids=lambda cell: cell.label)
def test_neither_the_runs_beside_it_nor_its_tape_change_a_run(cell):
    net = random_net(cell, T=30, R=3, N=5)
    together = exponents([trajectory(net)], samples=2, count=3)
    for r, only in enumerate(together):
        (alone,) = exponents([trajectory(one_run(net, r))], samples=2, count=3)
        (again,) = exponents([trajectory(one_run(net, r), budget=1)], samples=2, count=3)
        np.testing.assert_array_equal(only.samples, alone.samples)
        np.testing.assert_allclose(only.samples, again.samples, atol=1e-10)


def test_float32_nets_are_measured_in_float64():
    net = random_net(GRU(), T=100, N=2)
    small = net._replace(
        params=mapped(net.params, np.float32),
        x=net.x.astype(np.float32), s0=net.s0.astype(np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(found(net).mean, found(small).mean, atol=1e-4)


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstmp"](proj_size=2), GRU()], ids=lambda c: c.label)
def test_layers_upon_each_other_are_one_state(cell):
    net = random_stack(cell, layers=3, T=20, N=2, H=3)
    places = unroll_net(net.cells, net.params, net.x, net.s0).places
    (only,) = exponents([*places.values()], transient=2)
    logs = np.linalg.slogdet(one_way(net, n=2)[2:18])[1]
    np.testing.assert_allclose(only.samples.sum(axis=1), logs.mean(axis=0), rtol=1e-9)


def test_a_gauge_is_reported_by_the_true_values():
    plain, scaled = with_gauge(T=14)
    # A direction of c and n is kept only by its ratio, which rounding blurs.
    np.testing.assert_allclose(found(plain, count=5).mean, found(scaled, count=5).mean, atol=1e-6)


def test_vectors_of_any_size_are_made_orthonormal():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((2, 1, 6, 9)) * 10.0 ** rng.integers(-300, 300, (2, 1, 6, 1))
    A[1, 0, 3] = 0
    made = orthonormalised(A.copy(), surely=True)
    for n in range(2):
        live = [i for i in range(6) if A[n, 0, i].any()]
        unit = A[n, 0, live] / np.abs(A[n, 0, live]).max(axis=1, keepdims=True)
        R = np.linalg.qr(unit.T)[1]
        expected = np.log(np.abs(np.diagonal(R))) + np.log(np.abs(A[n, 0, live]).max(axis=1))
        np.testing.assert_allclose(made.logs[n, live], expected, rtol=1e-10)
        Q = made.Q[n, 0][live]
        np.testing.assert_allclose(Q @ Q.T, np.eye(len(live)), atol=1e-9)
    assert made.logs[1, 3] == -np.inf
    assert not made.Q[1, 0, 3].any()


def test_a_triangular_matrix_is_inverted_half_by_half():
    L = np.tril(np.random.default_rng(0).standard_normal((2, 50, 50))) + 8 * np.eye(50)
    np.testing.assert_allclose(
        lower_inverse(L) @ L, np.broadcast_to(np.eye(50), L.shape), atol=1e-12
    )


def chaotic_net(H, T, N, g, seed=0):
    """h' = tanh(g W h), W Gaussian: Sompolinsky, Crisanti and Sommers (1988)."""
    cell = RNN().sized(H, 1)
    rng = np.random.default_rng(seed)
    params = random_params(cell, rng, 1, g) | {"b": np.zeros((1, H))}
    return Net(cell, params, np.zeros((T, 1, N, 1)), rng.standard_normal((1, N, H)), None)


def test_a_chaotic_net_has_a_largest_exponent_near_that_of_mean_field_theory():
    only = found(chaotic_net(200, T=400, N=4, g=3.0), count=3, transient=80)
    assert only.mean[0] == pytest.approx(0.310, abs=0.04)  # another net of this size: ± 0.02
    assert kaplan_yorke(only.mean, False) is None


@pytest.mark.fuzz
def test_a_large_chaotic_net_has_the_published_exponent():
    # g = 3: 0.310 by mean field, 0.3096 at H = 4096 (Engelken, Wolf and Abbott).
    values = [found(chaotic_net(1024, T=600, N=2, g=3.0, seed=seed), count=1, transient=100).mean[0]
              for seed in range(4)]  # fmt: skip
    assert np.mean(values) == pytest.approx(0.310, abs=0.006)
