"""Stacked and bidirectional nets: bookkeeping that needs no other framework."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.engine.flow import unroll
from gradflow.engine.network import MERGES, unroll_net
from gradflow.measures.flows import backpropagate, backpropagate_net
from nets import FORM_LABELS, FORMS, VARIANTS, in_turn, mapped, random_net, random_stack


@pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
def test_a_net_of_one_layer_is_that_layer(cell):
    net = random_net(cell, T=6, R=2)
    alone = backpropagate(unroll(net.cell, net.params, net.x, net.s0), net.ds_T)
    place = (0, 0)
    trajectory = unroll_net({place: net.cell}, {place: net.params}, net.x, {place: net.s0})
    stacked = backpropagate_net(trajectory, {place: net.ds_T})[place]
    for a, b in zip(alone, stacked, strict=True):
        np.testing.assert_array_equal(a.state.mantissa, b.state.mantissa)
        for name, term in a.terms.items():
            np.testing.assert_array_equal(term.mantissa, b.terms[name].mantissa)


@in_turn("cell, directions", FORMS, [1, 2])
def test_recomputation_and_stacking_change_no_byte(cell, directions):
    stack = random_stack(cell, layers=3, directions=directions, T=23, R=2)

    def curves(params, x, s0, ds, budget=2**30):
        found = backpropagate_net(unroll_net(stack.cells, params, x, s0, budget=budget), ds)
        return {at: [f.state for f in flows] for at, flows in found.items()}

    whole = curves(stack.params, stack.x, stack.s0, stack.ds_T)
    again = curves(stack.params, stack.x, stack.s0, stack.ds_T, budget=1)
    second = slice(1, 2)
    alone = curves(
        {at: mapped(p, lambda a: a[second]) for at, p in stack.params.items()},
        stack.x[:, second],
        {at: s[second] for at, s in stack.s0.items()},
        {at: d[second] for at, d in stack.ds_T.items()},
    )
    for at, (_, expected) in whole.items():
        for other in (again[at][1], alone[at][0]):
            np.testing.assert_array_equal(expected.mantissa, other.mantissa)
            np.testing.assert_array_equal(expected.exponent, other.exponent)


@pytest.mark.parametrize("g", [1e-40, 1e40])
def test_a_stack_far_outside_float_range_matches_its_closed_form(g):
    # Two linear scalar layers, no input: s² is fed by s¹. dL/ds²_{T-k} = g^k and, as each path
    # climbs once, dL/ds¹_{T-k} through time = k g^k (W_x = 1): k places where it may climb,
    # the last one being step T-k+1.
    cell = next(c for c in VARIANTS if c.label == "rnn[activation=linear]")
    T, R, N = 60, 1, 2
    one, zero = np.ones((R, 1, 1)), np.zeros((R, 1))
    stack = random_stack(cell, layers=2, directions=1, T=T, R=R, N=N, H=1, I=1)
    params = {at: {"W": one, "U": g * one, "b": zero} for at in stack.params}
    s0 = {at: np.zeros((R, N, 1)) for at in params}
    ds = {(0, 0): np.zeros((R, N, 1)), (1, 0): np.ones((R, N, 1))}
    found = backpropagate_net(unroll_net(stack.cells, params, np.zeros((T, R, N, 1)), s0), ds)
    k = np.arange(T + 1)
    upper, lower = (found[at][0].state.log10() for at in ((1, 0), (0, 0)))
    np.testing.assert_allclose(upper, k * np.log10(g), rtol=1e-12)
    assert lower[0] == -np.inf
    np.testing.assert_allclose(lower[1:], np.log10(k[1:]) + k[1:] * np.log10(g), rtol=1e-12)


@pytest.mark.parametrize("merge", MERGES)
def test_runs_that_are_left_out_change_no_byte_of_merged_directions(merge):
    cell = VARIANTS[0]
    stack = random_stack(cell, layers=2, directions=2, T=9, R=3)
    cells, params = dict(stack.cells), dict(stack.params)
    for at in ((1, 0), (1, 1)):
        if merge != "concat":
            cells[at] = cell.sized(4, 4)
            params[at] = {**params[at], "W": params[at]["W"][..., :4]}
    net = unroll_net(cells, params, stack.x, stack.s0, merge=merge)
    kept = np.array([0, 2])
    whole = backpropagate_net(net, stack.ds_T)
    part = backpropagate_net(net.select(kept), {at: ds[kept] for at, ds in stack.ds_T.items()})
    for at, flows in part.items():
        for found, run in zip(flows, kept, strict=True):
            np.testing.assert_array_equal(found.state.mantissa, whole[at][run].state.mantissa)
            assert (at[0] == 0) == (found.state.mantissa[0] == 0)
