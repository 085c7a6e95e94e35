"""Small random nets for the tests: every cell with every choice of its options."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import NamedTuple, get_args, get_type_hints

import numpy as np

from gradflow.cells import CELLS, RNN, Cell, Params
from gradflow.engine.flow import backpropagate, unroll
from gradflow.logspace import Magnitudes
from gradflow.results import GradientFlow


def variants() -> list[Cell]:
    """Every cell of CELLS, with every combination of its Literal options, and each kind of rnn with
    a leak; sizes are small."""
    cells = []
    for cls in CELLS.values():
        hints = get_type_hints(cls)
        choices = {
            f.name: (3,) if hints[f.name] is int else get_args(hints[f.name]) for f in fields(cls)
        }
        choices = {name: values for name, values in choices.items() if values}
        combinations = itertools.product(*choices.values())
        cells += [cls(**dict(zip(choices, values, strict=True))) for values in combinations]
    leaky = [replace(cell, leak=0.3) for cell in cells if isinstance(cell, RNN)]
    return cells + leaky


VARIANTS = variants()
LABELS = [cell.label for cell in VARIANTS]


def shapes(cell, H, I) -> Params:  # noqa: E741
    """The shape of each parameter of a cell."""
    G, P = H * len(cell.gates), cell.output_size(H)
    return Params((G, I), (G, P), (G,), (G,), (P, H) if cell.projects else None)


class Net(NamedTuple):
    """What the engine is given: parameters, inputs, initial state, cotangent of the last state."""

    cell: Cell
    params: Params
    x: np.ndarray
    s0: np.ndarray
    ds_T: np.ndarray


def random_net(cell, *, T=7, R=1, N=3, I=2, H=4, g=0.9, seed=0) -> Net:  # noqa: E741
    """R independent nets with Gaussian parameters, inputs, states and cotangents."""
    rng = np.random.default_rng(seed)
    P, S = cell.output_size(H), cell.state_size(H)

    def draw(*shape):
        return rng.standard_normal(shape)

    scales = Params(I**-0.5, g * P**-0.5, 0.3, 0.3, H**-0.5)
    params = shapes(cell, H, I).map(lambda shape, scale: scale * draw(R, *shape), scales)
    return Net(cell, params, draw(T, R, N, I), 0.5 * draw(R, N, S), draw(R, N, S))


def flows(net, *, share=True, **unroll_options) -> list[GradientFlow]:
    """The curves of every run of `net`."""
    trajectory = unroll(net.cell, net.params, net.x, net.s0, **unroll_options)
    return backpropagate(trajectory, net.ds_T, share=share)


def flow(net, **options) -> GradientFlow:
    """The curves of a net of one run."""
    (only,) = flows(net, **options)
    return only


def one_run(net, r) -> Net:
    """Run `r` of a stack, alone."""
    only = slice(r, r + 1)
    params = net.params.map(lambda a: a[only])
    return net._replace(params=params, x=net.x[:, only], s0=net.s0[only], ds_T=net.ds_T[only])


def curves(flow) -> dict[str, Magnitudes]:
    """Everything a flow measured, by name."""
    return {
        "state": flow.state,
        **{f"part {name}": curve for name, curve in flow.parts.items()},
        **{f"term {name}": curve for name, curve in flow.terms.items()},
        **{f"total {name}": total for name, total in flow.totals.items()},
        "share_W_s": Magnitudes.of(flow.share_W_s),
    }


def assert_same_bytes(one, other):
    for (name, a), b in zip(curves(one).items(), curves(other).values(), strict=True):
        np.testing.assert_array_equal(a.mantissa, b.mantissa, err_msg=name)
        known = ~np.isnan(a.mantissa)
        np.testing.assert_array_equal(a.exponent[known], b.exponent[known], err_msg=name)


class Stack(NamedTuple):
    """The same for a stacked or bidirectional net, by place (layer, direction)."""

    cell: Cell
    params: dict
    x: np.ndarray
    s0: dict
    ds_T: dict


def random_stack(cell, *, layers=2, directions=1, T=7, R=1, N=3, I=2, H=4, seed=0) -> Stack:  # noqa: E741
    """R independent nets of several layers; only the upper layer's last state meets the loss."""
    params, s0, ds_T = {}, {}, {}
    x = None
    for layer in range(layers):
        for direction in range(directions):
            at = layer, direction
            width = directions * cell.output_size(H) if layer else I
            net = random_net(cell, T=T, R=R, N=N, I=width, H=H, seed=[seed, layer, direction])
            x = net.x if x is None else x
            params[at], s0[at] = net.params, net.s0
            ds_T[at] = net.ds_T if layer == layers - 1 else np.zeros_like(net.ds_T)
    return Stack(cell, params, x, s0, ds_T)
