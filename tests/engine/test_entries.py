"""Losses that enter at many steps, and states that are cut off: the chain rule step by step, with
Jacobians of complex steps."""

from __future__ import annotations

import numpy as np
import pytest

from cells.test_derivatives import STEP, gauges_of, step
from equations.checks import as_read
from gradflow.engine import lengths
from gradflow.engine.flow import blocks_backward, unroll
from nets import FORMS, in_turn, random_net

PLAIN = [cell for cell in FORMS if not cell.sized(2, 1).settles]
T = 9


def jacobian(cell, params, x, s):
    """ds_t/ds_{t-1} of each sample, (N, S, S), from x_t (N, I) and s_{t-1} (N, S)."""
    moved = s + 1j * STEP * np.eye(cell.S)[:, None]  # (S, N, S)
    pushed, *_ = step(cell, params, np.broadcast_to(x + 0j, (cell.S, *x.shape)), moved)
    J = np.moveaxis(as_read(cell, pushed).imag / STEP, 0, -1)
    gauges = gauges_of(cell)
    J[:, gauges], J[:, :, gauges] = 0, 0
    return J


def expected(net, states, entries, truncate):
    """The cotangents of the states 0..T, (T+1, N, S), from what enters at each of them."""
    params = {name: a[0] for name, a in net.params.items()}
    ds = entries.copy()
    for t in range(T - 1, -1, -1):
        if not (truncate and t and t % truncate == 0):
            J = jacobian(net.cell, params, net.x[t, 0], states[t])
            ds[t] += np.einsum("nij,ni->nj", J, ds[t + 1])
    return ds


def states_of(trajectory):
    """(T+1, N, S)."""
    tapes = [tape.states[1:, 0] for _, tape in trajectory.tapes()]
    return np.concatenate([trajectory.starts[0], *tapes[::-1]])


def found(trajectory, entries, every, truncate):
    """The same by the engine, which is asked for blocks of steps."""

    def loss(first, states):
        steps = np.arange(first, first + len(states))
        if not (steps % every == 0).any():
            return None
        return np.where((steps % every == 0)[:, None, None, None], entries[steps, None], 0.0)

    ds = np.empty_like(entries)
    for block in blocks_backward(trajectory, entries[-1:].copy(), loss=loss, truncate=truncate):
        values = np.ldexp(block.ds.value, block.ds.exponent[..., None])[:, 0]
        ds[block.last_step - len(values) + 1 : block.last_step + 1] = values[::-1]
    return ds


@in_turn("cell, every, truncate", PLAIN, [(1, None), (2, 4), (3, None), (1, 3), (9, 5)])
@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1e120, 1e-120)], ids=str)
def test_what_enters_goes_back_until_it_is_cut_off(cell, every, truncate, sizes, monkeypatch):
    monkeypatch.setattr(lengths, "_LONGEST_BLOCK", 4)
    monkeypatch.setattr(lengths, "_LEAST_ROWS", 4)
    net = random_net(cell, T=T, N=2, I=1, H=2, g=0.7)
    rng = np.random.default_rng(1)
    entries = rng.standard_normal((T + 1, 2, net.cell.S))
    entries *= np.array([sizes[t % 2] for t in range(T + 1)])[:, None, None]
    entries[[t for t in range(T + 1) if t % every or t == 0]] = 0
    entries[T] = rng.standard_normal((2, net.cell.S))
    entries[..., gauges_of(net.cell)] = 0
    for budget in (2**30, 1):
        trajectory = unroll(net.cell, net.params, net.x, net.s0, budget=budget)
        true = expected(net, states_of(trajectory), entries, truncate)
        ds = found(trajectory, entries, every, truncate)
        scale = np.abs(true).max(axis=-1, keepdims=True)
        assert np.all(np.abs(ds - true) <= 1e-10 * scale)
