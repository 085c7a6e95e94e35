"""What a measure is given, from the nets of the tests."""

from __future__ import annotations

from gradflow.engine.network import unroll_net
from gradflow.measures.contract import Subject


def subject_of(net, settings=None, **unroll_options) -> Subject:
    """A net of one place."""
    at = (0, 0)
    found = unroll_net({at: net.cell}, {at: net.params}, net.x, {at: net.s0}, **unroll_options)
    settings = settings or {}
    return Subject(found, {at: net.ds_T}, (at,), (settings,) * net.ds_T.shape[0])


def subjects_of_stack(stack, places=None, **unroll_options) -> Subject:
    """A net of several places: all of it, or some places."""
    net = unroll_net(stack.cells, stack.params, stack.x, stack.s0, **unroll_options)
    return Subject(net, stack.ds_T, tuple(places or net.places))


def with_parameters(net, **values):
    """The net with these parameters filled with a number each, all others 0."""
    params = {name: 0 * a + values.get(name, 0.0) for name, a in net.params.items()}
    return net._replace(params=params)
