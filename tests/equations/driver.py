"""A compiled cell driven step by step, without the engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradflow.cells.cell import Cell
from gradflow.numerics.arrays import empty, laid


class Net(NamedTuple):
    """Parameters (R, *shape), x (T, R, N, I), s0 (R, N, S_all), cotangents of s_T (R, N, S) and
    of the output at T (R, N, P) or None."""

    cell: object  # a SizedCell
    params: dict
    x: np.ndarray
    s0: np.ndarray
    ds_T: np.ndarray
    dy_T: np.ndarray | None = None


def as_number(text, H, I, options):  # noqa: E741
    """A size as a number: H, I, an option, a multiple of H, or a number."""
    known = {"H": H, "I": I, **options}
    return known[text] if text in known else int(text[0]) * H if "*" in text else int(text)


def random_net(cell: Cell, *, T=5, R=1, N=3, I=2, H=3, seed=0, scale=0.7, output=None) -> Net:  # noqa: E741
    """A net with Gaussian parameters, inputs, states and cotangents."""
    sized = cell.sized(H, I)
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape)

    params = {}
    for p in sized.parameters.values():
        size = p.shape[-1] ** -0.5 if len(p.shape) == 2 else 0.5
        params[p.name] = scale * size * draw(R, *p.shape)
    for declared in cell.equations.parameters:  # also those that only dead code names
        shape = [as_number(text, H, I, cell.options) for text in declared.shape]
        params.setdefault(declared.name, 0.3 * draw(R, *shape))
    s0 = np.zeros((R, N, sized.S_all))
    s0[..., : sized.S] = 0.5 * draw(R, N, sized.S)
    ds_T = draw(R, N, sized.S)
    for scale in sized.gauge:
        ds_T[..., sized.parts[scale].rows] = 0
    late = sized.outputs.start >= sized.S
    dy = draw(R, N, sized.P) if (late if output is None else output) else None
    return Net(sized, params, draw(T, R, N, I), s0, ds_T, dy)


class Pass(NamedTuple):
    states: np.ndarray  # (T+1, R, N, S_all)
    ds: np.ndarray  # (T+1, R, N, S_all), in the order of steps
    dz: np.ndarray  # (T, R, N, G_all)
    local: np.ndarray


def forward(net, dtype=None):
    """The states, and what `linearize` fills for all steps at once."""
    cell, (T, R, N, _) = net.cell, net.x.shape
    dtype = dtype or np.result_type(net.x, net.s0, *net.params.values())
    w = cell.bind(net.params)
    states = empty((T + 1, R, N, cell.S_all), dtype)
    z = empty((T, R, N, cell.G), dtype)
    saved = empty((T, R, N, cell.saved), dtype)
    local = empty((T, R, N, cell.local), dtype)
    states[0] = net.s0
    one = np.concatenate([net.x, np.ones((T, R, N, 1))], axis=-1)
    z[..., : cell.G_x] = (w.hoisted @ one.mT).mT
    x = laid(net.x)
    with np.errstate(all="ignore"):
        cell.prepare(z, saved, x, w)
        views = cell.forward_views(z, saved, states[:-1], states[1:], x)
        for t in range(T):
            cell.step(tuple(view[t] for view in views), w)
        if not np.issubdtype(dtype, np.complexfloating):
            cell.linearize(z, saved, states[:-1], states[1:], x, local, w)
    return states, local, w


def both_ways(net) -> Pass:
    """Forward and backward."""
    cell, (T, R, N, _) = net.cell, net.x.shape
    states, local, w = forward(net)
    ds = empty((T + 1, R, N, cell.S_all), float)
    dz = empty((T, R, N, cell.G_all), float)
    ds[...] = 0
    ds[-1][..., : cell.S] = net.ds_T
    with np.errstate(all="ignore"):
        if net.dy_T is not None:
            ds[-1][..., cell.outputs] += net.dy_T
            cell.settle(local[-1], ds[-1], dz[-1], w)
        views = cell.backward_views(local, ds[1:], dz, ds[:-1])
        for t in reversed(range(T)):
            cell.pullback(tuple(view[t] for view in views), w)
    return Pass(states, ds, dz, local)


def terms(net, done: Pass) -> dict[str, np.ndarray]:
    """(T, R, *shape) of each trained parameter: what each step adds to the gradient of the sum over
    samples of their losses."""
    cell, T = net.cell, len(net.x)
    arrays = {"x": net.x, "s": done.states[:-1], "local": done.local}
    of_weights = {}
    for use in cell.uses:
        left = done.dz[..., use.rows]
        if use.operand.of == "one":
            right = np.ones((*left.shape[:-1], 1))
        else:
            right = arrays[use.operand.of][..., use.operand.rows]
        if use.kind == "matrix":
            left, right = (
                a.reshape(*a.shape[:-1], -1, use.columns).swapaxes(-1, -2).reshape(
                    *a.shape[:-2], -1, a.shape[-1] // use.columns)
                for a in (left, right)
            )  # fmt: skip
            term = left.mT @ right
            term = term.mT if use.transposed else term
        else:
            term = (left * right).sum(axis=-2)
        shape = cell.weights[use.weight].shape
        if use.transposed and use.kind != "matrix":
            term = term.reshape(*term.shape[:-1], *shape[::-1]).swapaxes(-1, -2)
        term = use.factor * term.reshape(*term.shape[:2], *shape)
        of_weights[use.weight] = of_weights.get(use.weight, 0) + term
    found = {p.name: np.zeros((T, *net.params[p.name].shape))
             for p in cell.parameters.values() if p.trained}  # fmt: skip
    for name, term in of_weights.items():
        weight = cell.weights[name]
        pulled = {weight.parameters[0]: term} if weight.plain else cell.pull_weight(
            name, term, net.params)  # fmt: skip
        for parameter, own in pulled.items():
            found[parameter] += own.reshape(found[parameter].shape)
    return found
