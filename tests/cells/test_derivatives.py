"""Every cell's derivatives against two other machines, and against its own step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nets import LABELS, VARIANTS, flow, random_net, shapes
from reference import by_autograd, errors, fifty_digits

every_variant = pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
drawn = settings(max_examples=12, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 5)

STEP = 1e-30  # of the complex step: its square is below the last digit, nothing is subtracted


def shift_biases(net, sizes, seed):
    """Push every pre-activation by one of ±sizes."""
    rng = np.random.default_rng(seed)
    shape = net.params.b_x.shape
    push = rng.choice(sizes, shape) * rng.choice([-1.0, 1.0], shape)
    return net._replace(params=net.params._replace(b_x=net.params.b_x + push))


@every_variant
@pytest.mark.parametrize("seed", range(2))
def test_every_curve_agrees_with_fifty_digits(cell, seed):
    net = random_net(cell, T=4, N=2, I=2, H=2, seed=seed)
    assert max(errors(flow(net), fifty_digits(net), cell).values()) < 1e-13


@every_variant
@pytest.mark.parametrize("sizes", [(12,), (40,), (0, 12, 40)], ids=str)
def test_saturated_nets_agree_with_fifty_digits(cell, sizes):
    net = shift_biases(random_net(cell, T=4, N=2, I=1, H=2), sizes, seed=10)
    found = errors(flow(net), fifty_digits(net), cell)
    if cell.name == "gru":
        # h_{t-1} - n of two values that both round to one keeps few digits of z's term at a
        # single lag; the gradient of the state and the totals do not depend on it.
        terms = [found.pop(name) for name in ("W_x", "W_s", "b_s")]
        assert max(terms) < 1e-3
    assert max(found.values()) < 1e-12


@every_variant
@given(T=st.integers(1, 8), N=sizes, I=sizes, H=sizes, seed=st.integers(0, 2**32 - 1))
@drawn
def test_every_curve_agrees_with_autograd_of_steps_with_own_parameters(cell, T, N, I, H, seed):  # noqa: E741
    net = random_net(cell, T=T, N=N, I=I, H=H, seed=seed)
    assert max(errors(flow(net), by_autograd(net), cell).values()) < 1e-9


def test_large_batches_and_long_sequences_agree_with_autograd():
    for cell in VARIANTS:
        net = random_net(cell, T=30, N=17, I=3, H=4)  # formed sums in place of Gram matrices
        assert max(errors(flow(net), by_autograd(net), cell).values()) < 1e-11


def step(cell, params, x, s):
    """One step from the contract's parts; also its views, for `linearize`."""
    z = x @ params.W_x.mT + cell.input_bias(params)[..., None, :]
    H = cell.hidden_size(s.shape[-1])
    s_next = np.empty(np.broadcast_shapes(s.shape, (*z.shape[:-1], 1)), z.dtype)
    saved = np.empty((*z.shape[:-1], cell.saved * H), z.dtype)
    views = cell.forward_views(z, saved, s, s_next)
    cell.step(views, params)
    return s_next, views


def linearized(cell, views, s_next):
    """What `linearize` fills."""
    H = cell.hidden_size(s_next.shape[-1])
    local = tuple(np.empty((*s_next.shape[:-1], H * width)) for width in cell.local)
    cell.linearize(views, local)
    return local


@every_variant
@given(lead=st.sampled_from([(), (1,), (3,), (2, 2)]), N=sizes, I=sizes, H=sizes, data=st.data())
@drawn
def test_pullback_is_the_transpose_of_the_step(cell, lead, N, I, H, data):  # noqa: E741
    """<v, pullback(g)> == <jvp(v), g>, v over the state and, at once, every parameter whose
    gradient is reported."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    S = cell.state_size(H)
    of_params = data.draw(st.sampled_from([lead, ()]))  # one net, or one for each run

    def draw(shape):
        return rng.standard_normal((*of_params, *shape))

    params, v_params = shapes(cell, H, I).map(draw), shapes(cell, H, I).map(draw)
    v_params = v_params._replace(W_p=params.map(np.zeros_like).W_p)
    x, s, v_s, g = (rng.standard_normal((*lead, N, width)) for width in (I, S, S, S))

    complex_params = params.map(lambda p, v: p + 1j * STEP * v, v_params)
    pushed, _ = step(cell, complex_params, x + 0j, s + 1j * STEP * v_s)
    jvp = pushed.imag / STEP

    s_next, views = step(cell, params, x, s)
    local = linearized(cell, views, s_next)
    dz, ds_prev = np.empty((*lead, N, H * len(cell.gates))), np.empty_like(s)
    cell.pullback(cell.backward_views(local, g, dz, ds_prev), params)
    left, factors = cell.recurrent_factors(local, dz, s)
    dW_s = np.zeros((*lead, *params.W_s.shape[-2:]))
    for rows, right in factors:
        dW_s[..., rows, :] += left[..., rows].mT @ right
    gradients = (dz.mT @ x, dW_s, dz.sum(axis=-2), left.sum(axis=-2))

    pairs = [(v_s, ds_prev), *zip(v_params[:4], gradients, strict=True)]
    products = [(v * gradient).ravel() for v, gradient in pairs]
    pulled = np.concatenate(products)
    assert abs(pulled.sum() - (jvp * g).sum()) < 1e-13 * (1 + np.abs(pulled).sum())


@every_variant
def test_a_basis_of_cotangents_gives_the_full_state_jacobian(cell):
    net = random_net(cell, N=1, I=2, H=3)
    params, x, s = net.params.map(lambda a: a[0]), net.x[0, 0], net.s0[0]
    S = s.shape[-1]
    s_next, views = step(cell, params, x, s)
    local = linearized(cell, views, s_next)
    basis, rows = np.eye(S)[:, None], np.empty((S, 1, S))
    dz = np.empty((S, 1, 3 * len(cell.gates)))
    cell.pullback(cell.backward_views(local, basis, dz, rows), params)

    columns = [step(cell, params, x + 0j, s + 1j * STEP * e)[0].imag[0] / STEP for e in np.eye(S)]
    np.testing.assert_allclose(rows[:, 0], np.transpose(columns), rtol=1e-13, atol=1e-15)
