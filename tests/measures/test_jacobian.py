"""Singular values of ∂s_T/∂s_{T-k}: closed forms, and products of 200 digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from equations.published import equations
from gradflow.cells import CELLS, GRU, RNN, Cell
from gradflow.engine.flow import unroll
from gradflow.engine.network import unroll_net
from gradflow.measures.jacobian import _powers, jacobian
from gradflow.measures.singular import Largest
from gradflow.runs.initializers import orthogonal
from measures.jacobians import exact_jacobians, linear_net, log10_singular_values
from measures.whole_states import moving_rows, one_way, with_gauge
from nets import FORM_LABELS, FORMS, Stack, mapped, one_run, random_net, random_stack

NAMES = ("log10_sigma_max", "log10_sigma_rms", "log10_sigma_min")


def measured(net, samples=4, **options):
    return jacobian([unroll(net.cell, net.params, net.x, net.s0, **options)], samples)


def curves(net, **options):
    (only,) = measured(net, **options)
    return [only.curves[name] for name in NAMES]


def test_a_growing_then_shrinking_product_peaks_where_its_closed_form_does():
    largest, _, smallest = curves(linear_net([[0.9, 1], [0, 0.9]], T=60))
    assert largest.argmax() == 9
    assert 10 ** largest[9] == pytest.approx(3.912567, abs=5e-7)
    k = np.arange(61)
    np.testing.assert_allclose(largest + smallest, 2 * k * math.log10(0.9), atol=1e-13)  # the det


@pytest.mark.parametrize("g", [0.3, 1.0, 40.0])
def test_an_orthogonal_matrix_has_all_singular_values_at_g_to_the_k(g):
    W = g * orthogonal(np.random.default_rng(0), 5, 5)
    for curve in curves(linear_net(W, T=700)):
        np.testing.assert_allclose(curve, np.arange(701) * math.log10(g), atol=1e-11)


def test_a_symmetric_matrix_has_its_eigenvalues_whatever_lies_between_them():
    axes = orthogonal(np.random.default_rng(1), 6, 6)
    values = np.array([1.25, -1.0, 0.5, 1e-2, -1e-2, 2.0**-10])
    k = np.arange(1001)
    largest, rms, smallest = curves(linear_net(axes @ np.diag(values) @ axes.T, T=1000))
    np.testing.assert_allclose(largest, k * math.log10(1.25), atol=1e-10)
    np.testing.assert_allclose(smallest, -10 * k * math.log10(2.0), rtol=1e-11, atol=1e-13)
    assert largest[-1] - smallest[-1] > 3000
    squares = [sum(mpmath.mpf(float(v)) ** (2 * int(n)) for v in values) / 6 for n in k]
    np.testing.assert_allclose(rms, [float(mpmath.log10(v)) / 2 for v in squares], atol=1e-10)


def test_a_nilpotent_shift_is_exactly_zero_from_n_on():
    n = 5
    largest, rms, smallest = curves(linear_net(np.eye(n, k=1), T=9))
    k = np.arange(10)
    np.testing.assert_array_equal(largest, np.where(k < n, 0.0, -np.inf))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(rms, np.log10(np.maximum(n - k, 0) / n) / 2)
    np.testing.assert_array_equal(smallest, np.where(k < 1, 0.0, -np.inf))


def test_a_gru_at_rest_is_half_the_identity_and_a_quarter_of_its_candidate_matrix():
    net = random_net(GRU(), T=40, N=1, H=5)
    zero = {name: 0 * a for name, a in net.params.items()}
    zero |= {name: net.params[name] for name in net.params if name.startswith("U")}
    net = net._replace(params=zero, x=0 * net.x, s0=0 * net.s0)
    largest, _, smallest = curves(net)
    J = 0.5 * np.eye(5) + 0.25 * net.params["U_n"][0]
    with mpmath.workdps(200):
        M = mpmath.eye(5)
        for k in range(41):
            true = log10_singular_values(M)
            np.testing.assert_allclose([largest[k], smallest[k]], [true[0], true[-1]], atol=1e-12)
            M = mpmath.matrix(J.tolist()) * M


@pytest.mark.parametrize("T", [5, pytest.param(25, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
def test_every_cell_agrees_with_products_of_two_hundred_digits(cell, T):
    net = random_net(cell, T=T, N=1, I=2, H=3)
    found = curves(net)
    with mpmath.workdps(200):
        S = len(moving_rows(net.cell))
        M = mpmath.eye(S)
        for k, J in enumerate(reversed([None, *exact_jacobians(net)])):
            true = log10_singular_values(M)
            rms = float(mpmath.log10(mpmath.norm(M) / mpmath.sqrt(S))) if any(M) else -np.inf
            np.testing.assert_allclose([c[k] for c in found], [true[0], rms, true[-1]], atol=1e-8)
            M = M * J if J is not None else M


def test_units_that_are_off_make_the_smallest_exactly_zero():
    net = random_net(RNN(activation="relu"), T=8, N=3, H=20)
    largest, _, smallest = curves(net)
    assert np.isfinite(largest).all()
    assert smallest[0] == 0
    assert (smallest[2:] == -np.inf).all()


def test_a_part_that_follows_from_another_makes_the_smallest_exactly_zero():
    cell = Cell.of(
        equations(
            "twice",
            {"h": "H", "y": "H"},
            {"W": "H I", "U": "H H", "V": "H H"},
            "h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ y[t-1])\ny[t] = sin(h[t])",
        )
    )
    largest, _, smallest = curves(random_net(cell, T=6, N=2))  # fmt: skip
    assert np.isfinite(largest).all()
    assert (smallest[1:] == -np.inf).all()


@pytest.mark.parametrize("g", [1e-20, 1e-90])
def test_parts_that_differ_in_size_do_not(g):
    net = random_net(CELLS["lstm"](), T=10, N=1, H=3, g=g)
    smallest = curves(net)[2]
    with mpmath.workdps(1300):
        M = mpmath.eye(6)
        for k, J in enumerate(reversed(exact_jacobians(net)), 1):
            M = M * J
            np.testing.assert_allclose(smallest[k], log10_singular_values(M)[-1], rtol=1e-10)


def test_large_states_agree_with_their_plain_products():
    net = random_net(CELLS["lstm"](), T=12, N=3, H=20, I=3)
    largest, rms, smallest = curves(net)
    for k, values in enumerate(plain_values(net, n=3)):
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(largest[k], np.log10(values[:, 0]).mean(), atol=1e-12)
            mean = (values**2).mean(axis=1)
        np.testing.assert_allclose(rms[k], np.log10(mean).mean() / 2, atol=1e-12)
        if k < 4:  # after which the plain product has lost them
            np.testing.assert_allclose(smallest[k], np.log10(values[:, -1]).mean(), atol=1e-5)


def plain_values(net, n):
    """The singular values (n, S) of the plain products, lag by lag."""
    place = (0, 0)
    J = one_way(Stack({place: net.cell}, {place: net.params}, net.x, {place: net.s0}, {}), n)
    M = np.broadcast_to(np.eye(net.cell.S), (n, net.cell.S, net.cell.S))
    yield np.linalg.svd(M, compute_uv=False)
    for step in reversed(J):
        M = M @ step
        yield np.linalg.svd(M, compute_uv=False)


def test_the_bound_holds_and_is_that_of_slopes_and_the_norm_of_the_matrix():
    net = random_net(RNN(), T=6, N=2, H=4)
    (found,) = measured(net)
    bound = found.curves["log10_bound"]
    assert (bound >= found.curves["log10_sigma_max"] - 1e-12).all()
    states = [net.s0]
    for x in net.x:
        z = x @ net.params["W"].mT + net.params["b"][:, None] + states[-1] @ net.params["U"].mT
        states.append(np.tanh(z))
    slopes = (1 - np.square(states[1:])).max(axis=-1)[::-1, 0]  # (T, N)
    sigma = np.linalg.svd(net.params["U"][0], compute_uv=False)[0]
    expected = np.cumsum(np.log10(slopes * sigma), axis=0).mean(axis=1)
    np.testing.assert_allclose(bound, [0, *expected], atol=1e-12)
    assert found.figures["sigma_max_W_s"] == pytest.approx(sigma)
    radius = np.abs(np.linalg.eigvals(net.params["U"][0])).max()
    assert found.figures["spectral_radius_W_s"] == pytest.approx(radius)


@pytest.mark.parametrize(
    ("cell", "factor"),
    [
        (RNN(activation="linear"), lambda sigma: sigma),
        (RNN(activation="linear", leak=0.25), lambda sigma: 0.75 + 0.25 * sigma),
        (CELLS["indrnn"](activation="linear"), lambda sigma: sigma),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_the_bound_of_a_linear_cell(cell, factor):
    net = random_net(cell, T=5, N=1, H=4)
    (found,) = measured(net)
    one_step = math.log10(factor(found.figures["sigma_max_W_s"]))
    np.testing.assert_allclose(found.curves["log10_bound"], np.arange(6) * one_step, atol=1e-12)


def test_gated_cells_have_no_bound_and_a_figure_for_every_gate():
    (found,) = measured(random_net(GRU(), T=3))
    assert "log10_bound" not in found.curves
    assert [*found.figures][::2] == [f"sigma_max_W_s_{gate}" for gate in "rzn"]


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstm"]()], ids=lambda cell: cell.label)
def test_neither_the_runs_beside_it_nor_its_tape_change_a_run(cell):
    net = random_net(cell, T=30, R=3, N=5)
    alone = [measured(one_run(net, r), samples=2, budget=1)[0] for r in range(3)]
    for found, own in zip(measured(net, samples=2), alone, strict=True):
        for name in NAMES:
            np.testing.assert_array_equal(found.curves[name], own.curves[name])


def test_float32_nets_are_measured_in_float64():
    net = random_net(CELLS["lstm"](), T=300, N=2)
    small = net._replace(
        params=mapped(net.params, np.float32),
        x=net.x.astype(np.float32), s0=net.s0.astype(np.float32),
    )  # fmt: skip
    for one, other in zip(curves(net), curves(small), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstmp"](proj_size=2), GRU()], ids=lambda c: c.label)
def test_layers_upon_each_other_are_one_state(cell):
    net = random_stack(cell, layers=3, T=9, N=2, H=3)
    trajectory = unroll_net(net.cells, net.params, net.x, net.s0)
    (found,) = jacobian([*trajectory.places.values()])
    S = sum(own.S for own in net.cells.values())
    product = np.broadcast_to(np.eye(S), (2, S, S))
    for k, step in enumerate([*one_way(net, n=2)[::-1], None]):
        values = np.linalg.svd(product, compute_uv=False)[:, 0]
        largest = found.curves["log10_sigma_max"][k]
        np.testing.assert_allclose(largest, np.log10(values).mean(), atol=1e-11)
        product = product @ step if step is not None else product
    assert "log10_bound" not in found.curves
    assert all(name.endswith(("_l0", "_l1", "_l2")) for name in found.figures)


def test_a_gauge_is_reported_by_the_true_values():
    plain, scaled = with_gauge(T=14)
    (a,), (b,) = measured(plain), measured(scaled)
    for name in NAMES:
        np.testing.assert_allclose(a.curves[name], b.curves[name], atol=1e-9)


def test_the_largest_singular_value_of_a_sequence_is_that_of_each():
    rng = np.random.default_rng(3)
    n, S = 3, 40
    steps = rng.standard_normal((30, n, S, S)) / S**0.5
    steps[10] *= np.where(np.arange(S) == 17, 50.0, 1.0)[:, None]  # another direction takes over
    steps[20, 1] = 0
    A, largest = np.broadcast_to(np.eye(S), (n, S, S)), Largest()
    for step in steps:
        A = step @ A
        found = largest.squares(A, np.square(A).sum(axis=(1, 2)))
        true = np.linalg.svd(A, compute_uv=False)[:, 0] ** 2
        np.testing.assert_allclose(found, true, rtol=1e-12)


def test_scales_by_powers_of_two_and_a_gap_where_they_have_no_digits():
    factors, shift = _powers(np.array([[0.0, math.log(12.0)], [1e33, 0.0], [np.inf, 0.0]]))
    np.testing.assert_allclose(factors[0] * 2.0 ** shift[0], [1, 12], rtol=1e-15)
    assert np.isnan(factors[1:]).all()
