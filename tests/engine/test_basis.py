"""Layers upon each other as one state: its Jacobians by complex steps through every layer."""

from __future__ import annotations

import numpy as np
import pytest

from cells.test_derivatives import STEP, gauges_of, step
from equations.checks import as_read
from gradflow.engine.basis import WholeState, true_values, with_basis_axis
from gradflow.engine.network import unroll_net
from nets import FORM_LABELS, FORMS, random_stack

T, N = 3, 2


def moved(stack, x, states, along):
    """The next states (B, N, S_all) of each layer where those before, (N, S_all), move along
    directions (B, N, S_all)."""
    found = []
    x = np.broadcast_to(x + 0j, (len(along[0]), *x.shape))
    for at, s, own in zip(stack.cells, states, along, strict=True):
        params = {name: a[0] for name, a in stack.params[at].items()}
        pushed, *_ = step(stack.cells[at], params, x, s + 1j * STEP * own)
        found.append(pushed)
        x = pushed[..., stack.cells[at].outputs]
    return found


@pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
def test_jacobians_are_those_of_complex_steps(cell):
    stack = random_stack(cell, layers=2, T=T, N=N, I=1, H=2)
    net = unroll_net(stack.cells, stack.params, stack.x, stack.s0)
    trajectories = list(net.places.values())
    whole = WholeState(trajectories, np.dtype(np.float64))
    tapes = [trajectory.last_tape for trajectory in trajectories]
    found = whole.jacobians_T([tape.local for tape in tapes])
    assert found.shape == (T, N, whole.S, whole.S)

    cells = [*stack.cells.values()]
    gauges = [row + own.start for own, c in zip(whole.rows, cells, strict=True)
              for row in gauges_of(c)]  # fmt: skip
    for t in range(T):
        states = [tape.states[t, 0] for tape in tapes]
        directions = np.broadcast_to(np.eye(whole.S_all)[:, None], (whole.S_all, N, whole.S_all))
        along = [directions[..., own] for own in whole.rows]
        after = moved(stack, stack.x[t, 0], states, along)
        read = [as_read(c, s).imag / STEP for c, s in zip(cells, after, strict=True)]
        J_T = np.moveaxis(np.concatenate(read, axis=-1), 1, 0)  # (N, from, to)
        J_T = J_T[:, whole.moving][:, :, whole.moving]
        assert not set(gauges) & set(whole.moving.tolist())
        np.testing.assert_allclose(found[t], J_T, rtol=1e-10, atol=1e-13 * np.abs(J_T).max())


def test_a_basis_takes_the_place_of_the_batch():
    local = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # (K, R, N, local)
    found = with_basis_axis(local)
    assert found.shape == (2, 4, 3, 1, 5)
    np.testing.assert_array_equal(found[1, 2, 1, 0], local[1, 1, 2])


def test_true_values_are_taken_by_the_logarithm_of_their_scale():
    ds, log_scale = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[900.0, 897.0], [-2000.0, 1.0]])
    values, power = true_values(ds, log_scale)
    with np.errstate(divide="ignore"):
        logs = np.log2(np.abs(values)) + power[:, None]
    expected = np.log2(np.abs(ds)) - log_scale / np.log(2)
    assert logs[0] == pytest.approx(expected[0], rel=1e-12)
    assert logs[1, 0] == pytest.approx(expected[1, 0], rel=1e-12)
    assert values[1, 1] == 0  # lies 2^-2887 below the other
    assert (np.sign(values) == [[1, -1], [1, 0]]).all()
    assert true_values(ds, None) == (ds, 0)
