"""The gradients of the losses at many steps, against a backward pass from each."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.cells import CELLS, GRU, RNN
from gradflow.engine.flow import unroll
from gradflow.engine.network import unroll_net
from gradflow.measures import MEASURES
from gradflow.measures.batch import percentiles_of_known
from gradflow.measures.flows import backpropagate, backpropagate_net
from gradflow.measures.reach import Reached, measured, reach, spaced
from gradflow.numerics.magnitudes import log_norms_joined
from measures.jacobians import linear_net
from measures.whole_states import with_gauge
from nets import FORM_LABELS, FORMS, LABELS, VARIANTS, mapped, one_run, random_net, random_stack

PLACE = (0, 0)
every_form = pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)


def from_each(net, origins, **options):
    """Of a loss whose gradient is everywhere that of `net`."""
    places = {PLACE: unroll(net.cell, net.params, net.x, net.s0, **options)}
    return reach(places, [PLACE], lambda t, states: {PLACE: net.ds_T}, origins)


@every_form
def test_every_curve_is_that_of_a_backward_pass_from_its_origin(cell):
    net = random_net(cell, T=11, R=2, N=3)
    found = from_each(net, [11, 8, 3, 1])
    for b, t in enumerate(found.origins):
        flows = backpropagate(unroll(net.cell, net.params, net.x[:t], net.s0), net.ds_T)
        for r, flow in enumerate(flows):
            np.testing.assert_allclose(found.logs[: t + 1, b, r], flow.log_samples, atol=1e-11)
        assert np.isnan(found.logs[t + 1 :, b]).all()


@pytest.mark.parametrize("cell", VARIANTS, ids=LABELS)
def test_curves_past_float_range_are_those_of_a_backward_pass(cell):
    net = random_net(cell, T=40, N=2, g=1e-30)
    if not np.isfinite(unroll(net.cell, net.params, net.x, net.s0).last).all():
        return
    found = from_each(net, [40, 20])
    flows = [backpropagate(unroll(net.cell, net.params, net.x[:t], net.s0), net.ds_T)[0]
             for t in (40, 20)]  # fmt: skip
    for b, flow in enumerate(flows):
        logs = found.logs[: len(flow.log_samples), b, 0]
        np.testing.assert_allclose(logs, flow.log_samples, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("g", [1e-60, 1e60])
def test_far_outside_float_range_a_linear_net_has_its_closed_form(g):
    found = from_each(linear_net(g * np.eye(2), T=50), [50, 30, 10])
    k = np.arange(51)
    for b, t in enumerate(found.origins):
        expected = k[: t + 1] * np.log(g) + np.log(2) / 2
        np.testing.assert_allclose(found.logs[: t + 1, b, 0, 0], expected, rtol=1e-13)


@pytest.mark.parametrize("cell", FORMS, ids=FORM_LABELS)
def test_layers_upon_each_other_are_one_state(cell):
    net = random_stack(cell, layers=3, T=9, R=2, N=2, H=3)
    places = unroll_net(net.cells, net.params, net.x, net.s0).places
    found = reach(places, [*places], lambda t, states: net.ds_T, [9, 5, 1])
    for b, t in enumerate(found.origins):
        short = unroll_net(net.cells, net.params, net.x[:t], net.s0)
        flows = backpropagate_net(short, net.ds_T)
        for r in range(2):
            whole = log_norms_joined([flows[at][r].log_samples for at in places])
            np.testing.assert_allclose(found.logs[: t + 1, b, r], whole, atol=1e-11)


@pytest.mark.parametrize("cell", [RNN(), CELLS["lstm"]()], ids=lambda cell: cell.label)
def test_neither_the_runs_beside_it_nor_its_tape_change_a_run(cell):
    net = random_net(cell, T=90, R=3, N=5)
    together, again = from_each(net, [90, 60, 30]), from_each(net, [90, 60, 30], budget=1)
    np.testing.assert_array_equal(together.logs, again.logs)
    for r in range(3):
        alone = from_each(one_run(net, r), [90, 60, 30])
        np.testing.assert_array_equal(together.logs[:, :, r], alone.logs[:, :, 0])


def test_the_gradient_is_asked_for_with_the_state_of_its_step():
    net = random_net(GRU(), T=100, N=2)
    states = [net.s0]
    for x in net.x:
        states.append(unroll(net.cell, net.params, x[None], states[-1]).last)
    asked = []

    def gradient(t, known):
        np.testing.assert_allclose(known[PLACE], states[t], rtol=1e-12)
        asked.append(t)
        return {PLACE: net.ds_T}

    places = {PLACE: unroll(net.cell, net.params, net.x, net.s0, budget=1)}
    reach(places, [PLACE], gradient, [100, 65, 64, 63, 1])
    assert asked == [100, 65, 64, 63, 1]


def test_a_place_that_the_loss_does_not_read_has_nothing_of_its_own():
    net = random_net(RNN(), T=5)
    places = {PLACE: unroll(net.cell, net.params, net.x, net.s0)}
    found = reach(places, [PLACE], lambda t, states: {}, [5, 2])
    assert (found.logs[:3, 1] == -np.inf).all()


def test_a_gauge_is_reported_by_the_true_values():
    nets = [net._replace(ds_T=net.ds_T * (np.arange(net.cell.S_all) < 3)) for net in
            with_gauge(T=14, R=2)]  # fmt: skip
    plain, scaled = (from_each(net, [14, 7]) for net in nets)
    np.testing.assert_allclose(plain.logs, scaled.logs, atol=1e-11)


def test_float32_nets_keep_float32():
    net = random_net(CELLS["lstm"](), T=200, N=2, g=0.3)
    kinds = {name: getattr(net, name).astype(np.float32) for name in ("x", "s0", "ds_T")}
    small = net._replace(params=mapped(net.params, np.float32), **kinds)
    large, found = from_each(net, [200, 100]), from_each(small, [200, 100])
    assert large.logs[200, 0].max() < np.log(1e-45)
    np.testing.assert_allclose(found.logs, large.logs, atol=2e-3)


@pytest.mark.parametrize(
    ("steps", "origins", "expected"),
    [
        (range(1, 201), 4, [200, 150, 100, 50]),
        (range(1, 4), 16, [3, 2, 1]),
        ([5, 10, 90, 100], 2, [100, 10]),
        ([7], 16, [7]),
        (range(1, 101), 1, [100]),
        (range(1, 101), 3, [100, 67, 34]),
    ],
)
def test_origins_are_evenly_spaced_with_the_last_among_them(steps, origins, expected):
    assert spaced(steps, origins) == expected


def test_percentiles_are_over_the_origins_that_a_lag_has_and_over_samples():
    rng = np.random.default_rng(0)
    logs = rng.standard_normal((6, 3, 1, 4))
    logs[3:, 1], logs[5:, 2] = np.nan, np.nan
    logs[1, 0, 0, 0] = -np.inf
    (found,) = measured(Reached((5, 2, 4), logs))
    for k in range(6):
        values = logs[k][~np.isnan(logs[k])]
        if np.isfinite(values).all():
            expected = np.percentile(values, [10, 50, 90]) / np.log(10)
            np.testing.assert_allclose([c[k] for c in found.curves.values()], expected)
    assert [*found.curves] == ["log10_reach_p10", "log10_reach_p50", "log10_reach_p90"]
    assert percentiles_of_known(np.array([[-np.inf, -np.inf, 1.0, 2.0]]))[0, 0] == -np.inf


def test_the_typical_curve_is_relative_to_each_ones_own_start():
    net = linear_net(0.5 * np.eye(3), T=12, N=2)
    found = from_each(net._replace(ds_T=net.ds_T * np.array([[1.0], [5.0]])), [12, 6])
    np.testing.assert_allclose(found.typical(0), np.arange(13) * np.log(0.5), atol=1e-12)


def test_what_is_drawn_begins_at_one_as_the_relative_gradient_does():
    [drawn] = MEASURES["reach"].drawn
    assert drawn.relative
    assert drawn.middle == "log10_reach_p50"
