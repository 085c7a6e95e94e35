"""Every cell's derivatives against two other machines, and against its own step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equations.checks import as_read
from gradflow.engine.flow import unroll
from gradflow.numerics.arrays import empty
from nets import FORM_LABELS, FORMS, LABELS, VARIANTS, flow, in_turn, random_net, random_params
from reference import by_autograd, errors, fifty_digits, moved_by_ulps

every_variant = pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
every_form = pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
drawn = settings(max_examples=4, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 5)

BEYOND = {"rwkv4": "a decay of e^-e^12 leaves float range in one step"}
"""Cells whose saturated nets floats do not hold, and why."""

CANCELS = {"slstm"}
"""Cells whose gates learn by what cancels where they are saturated: what is left has the rounding
of what arrived, and is right relative to that. Of h = o c' / n', with i' = e^(i - m), f' alike,
c' = f' c + i' z and n' = f' n + i', the derivative by i is (o / n') i' (z - c' / n'). There
z - c' / n' = (f' / n') (z n - c): where f' is e^-40, that difference of two numbers is as small.
"""

STEP = 1e-30  # of the complex step: its square is below the last digit, nothing is subtracted


def shift_biases(net, sizes, seed):
    """Push every pre-activation by one of ±sizes."""
    rng = np.random.default_rng(seed)
    params = dict(net.params)
    for p in net.cell.parameters.values():
        if p.role == "bias":
            push = rng.choice(sizes, (1, *p.shape)) * rng.choice([-1.0, 1.0], (1, *p.shape))
            params[p.name] = params[p.name] + push
    return net._replace(params=params)


@every_form
def test_every_curve_agrees_with_fifty_digits(cell):
    net = random_net(cell, T=2, N=2, I=1, H=2)
    assert max(errors(flow(net), fifty_digits(net), net.cell).values()) < 1e-13


@in_turn("cell, sizes", FORMS, [([12],), ([40],), ([0, 12, 40],)])
def test_saturated_nets_agree_with_fifty_digits(cell, sizes):
    if cell.name in BEYOND and 0 not in sizes:
        pytest.skip(BEYOND[cell.name])
    net = shift_biases(random_net(cell, T=3, N=1, I=1, H=2), sizes, seed=10)
    expected = fifty_digits(net)
    found = errors(flow(net), expected, net.cell, of_largest=cell.name in CANCELS)
    if max(found.values()) > 1e-12:
        # A state and a candidate that both round to one lose their difference, which is the slope
        # of the gate between them.
        rounding = moved_by_ulps(net, expected)
        found = {
            name: error
            for name, error in found.items()
            if rounding[name.removeprefix("total ").replace("share_", "")] < 1e-13
        }
        assert found
    assert max(found.values()) < 1e-12


@every_variant
@given(T=st.integers(1, 5), N=sizes, I=sizes, H=sizes, seed=st.integers(0, 2**32 - 1))
@drawn
def test_every_curve_agrees_with_autograd_of_steps_with_own_parameters(cell, T, N, I, H, seed):  # noqa: E741
    net = random_net(cell, T=T, N=N, I=I, H=H, seed=seed)
    if not np.abs(unroll(net.cell, net.params, net.x, net.s0).last).max() < 100:
        return  # a gate without bounds, whose states square at every step
    assert max(errors(flow(net), by_autograd(net), net.cell).values()) < 1e-9


@pytest.mark.parametrize(
    ("T", "N", "I", "H"), [(3, 9, 2, 3), pytest.param(5, 17, 3, 4, marks=pytest.mark.fuzz)]
)
def test_large_batches_and_long_sequences_agree_with_autograd(T, N, I, H):  # noqa: E741
    for cell in {cell.name: cell for cell in FORMS}.values():
        net = random_net(cell, T=T, N=N, I=I, H=H)  # formed sums in place of Gram matrices
        assert max(errors(flow(net), by_autograd(net), net.cell).values()) < 1e-11


def step(cell, params, x, s):
    """One step from the contract's parts; also its arrays, for `linearize`."""
    lead, N = np.broadcast_shapes(s.shape[:-2], x.shape[:-2]), s.shape[-2]
    w = cell.bind(params)
    dtype = np.result_type(s, x, *params.values())
    z, saved, s_next = (
        empty((*lead, N, width), dtype) for width in (cell.G, cell.saved, cell.S_all)
    )
    z[..., : cell.G_x] = x @ w.hoisted[..., :-1].mT + w.hoisted[..., None, :, -1]
    arrays = z, saved, s, s_next, x
    with np.errstate(all="ignore"):
        cell.prepare(z, saved, x, w)
        cell.step(cell.forward_views(*arrays), w)
    return s_next, arrays, w


def gauges_of(cell):
    """The rows of the state that are a gauge."""
    return [row for scale in cell.gauge for row in range(cell.S)[cell.parts[scale].rows]]


def linearized(cell, arrays, w):
    """What `linearize` fills."""
    local = empty((*arrays[0].shape[:-1], cell.local), float)
    with np.errstate(all="ignore"):
        cell.linearize(*arrays, local, w)
    return local


@every_variant
@given(lead=st.sampled_from([(), (1,), (3,), (2, 2)]), N=sizes, I=sizes, H=sizes, data=st.data())
@drawn
def test_pullback_is_the_transpose_of_the_step(cell, lead, N, I, H, data):  # noqa: E741
    """<v, pullback(g)> == <jvp(v), g>, v over the state and, at once, every parameter."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    of_params = data.draw(st.sampled_from([lead, ()]))  # one net, or one for each run
    cell = cell.sized(H, I)

    def draw():
        whole = random_params(cell, rng, int(np.prod(of_params, dtype=int)))
        return {name: a.reshape(*of_params, *a.shape[1:]) for name, a in whole.items()}

    params = draw()
    v_params = {name: a if cell.parameters[name].trained else 0 * a for name, a in draw().items()}
    widths = (I, cell.S_all, cell.S_all, cell.S_all)
    x, s, v_s, g = (rng.standard_normal((*lead, N, width)) for width in widths)
    g[..., [*gauges_of(cell), *range(cell.S, cell.S_all)]] = 0
    v_s[..., cell.S :] = 0
    moved = {name: a + 1j * STEP * v_params[name] for name, a in params.items()}
    for scale in cell.gauge:
        v_s[..., cell.parts[scale].rows] = 0
    pushed, *_ = step(cell, moved, x + 0j, s + 1j * STEP * v_s)
    jvp = as_read(cell, pushed).imag / STEP

    _, arrays, w = step(cell, params, x, s)
    local = linearized(cell, arrays, w)
    dz, ds_prev = (empty((*lead, N, width), float) for width in (cell.G_all, cell.S_all))
    cell.pullback(cell.backward_views(local, g, dz, ds_prev), w)
    products = [(v_s * ds_prev)[..., : cell.S].ravel()]
    rights = {"x": x, "s": s, "local": local, "one": np.ones((*lead, N, 1))}
    for use in cell.uses:
        left, right = dz[..., use.rows], rights[use.operand.of][..., use.operand.rows]
        V = cell.value_of_weight(use.weight, moved).imag / STEP
        V = V.mT if use.transposed else V
        if use.kind == "matrix":
            along = V[..., None, :, :] @ right.reshape(*right.shape[:-1], -1, use.columns)
            along = along.reshape(*along.shape[:-2], -1)
        else:
            along = right * V.reshape(*of_params, 1, -1)
        products.append((use.factor * left * along).ravel())
    pulled = np.concatenate(products)
    assert abs(pulled.sum() - (jvp * g).sum()) < 1e-13 * (1 + np.abs(pulled).sum())


@every_variant
def test_a_basis_of_cotangents_gives_the_full_state_jacobian(cell):
    net = random_net(cell, N=1, I=2, H=3)
    cell, params = net.cell, {name: a[0] for name, a in net.params.items()}
    x, s = net.x[0, 0], net.s0[0]
    S = cell.S
    _, arrays, w = step(cell, params, x, s)
    local = linearized(cell, arrays, w)
    basis, rows = np.eye(S, cell.S_all)[:, None], np.empty((S, 1, cell.S_all))
    dz = np.empty((S, 1, cell.G_all))
    cell.pullback(cell.backward_views(local, basis, dz, rows), w)

    columns_of = [
        as_read(cell, step(cell, params, x + 0j, s + 1j * STEP * e)[0]).imag[0] / STEP
        for e in np.eye(S, cell.S_all)
    ]
    real = np.setdiff1d(np.arange(S), gauges_of(cell))
    found, expected = rows[real, 0][:, real], np.transpose(columns_of)[real][:, real]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15 * np.abs(expected).max())
