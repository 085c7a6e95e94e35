"""The loss at the last step, and its gradient with respect to the last states.

mse            L_n = ½ ||O_T - Y||²,  O_T = W_o h_T + b_o,  Y ~ N(0, 1)
cross_entropy  L_n = -log softmax(W_o h_T + b_o)[y],  y a class drawn uniformly
probe          L_n = v · s_T,  v a random unit vector over the whole state; of a part that a gauge
               scales, of its true values, over the scale that they are kept by at T
sum            L_n = the sum of h_T

h_T is that of the top layer; of a bidirectional net, both directions side by side, each at its
own last step. States are given by place: {(layer, direction): (N, S)}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gradflow.cells import SizedCell
from gradflow.columns import Array
from gradflow.engine.network import Place
from gradflow.engine.sweep import unwatched
from gradflow.engine.terms import Terms
from gradflow.logspace import Magnitudes, safe_bits
from gradflow.runs.experiment import Run
from gradflow.runs.sampling import output_layer, stream

States = Mapping[Place, Array]


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of one run.

    Attributes:
        value: last states, real or complex, to the loss of each sample (N,).
        gradient: last states to dL_n/ds_T, (N, S) by place.
        output_gradient: last states to the norm of dL/dW_o, L the batch mean; None: there is no
            output layer.
    """

    value: Callable[[States], Array]
    gradient: Callable[[States], dict[Place, Array]]
    output_gradient: Callable[[States], Magnitudes] | None = None


def objective(run: Run) -> Objective:
    """The loss that `run` names, with its output layer and target drawn."""
    return _OBJECTIVES[run.loss.kind](run)


def _mse(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    shape = (run.batch_size, len(W_o))
    target = run.loss.target
    if target is None:
        target = stream(run, "target").standard_normal(shape)
    Y = np.broadcast_to(target, shape).astype(run.dtype)

    def residual(s: States) -> Array:
        difference: Array = _top(run, s) @ W_o.T + b_o - Y
        return difference

    return _through_output_layer(
        run, W_o, lambda s: 0.5 * (residual(s) ** 2).sum(axis=-1), residual
    )


def _cross_entropy(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    classes = run.loss.target
    if classes is None:
        classes = stream(run, "target").integers(len(W_o), size=run.batch_size)
    y = np.broadcast_to(np.asarray(classes, dtype=np.int64).ravel(), run.batch_size)
    one_hot = np.zeros((run.batch_size, len(W_o)), run.dtype)
    one_hot[np.arange(run.batch_size), y] = 1

    def log_softmax(s: States) -> Array:
        a = _top(run, s) @ W_o.T + b_o
        largest = a.real.argmax(axis=-1, keepdims=True)
        a = a - np.take_along_axis(a, largest, axis=-1)
        others = np.exp(a)  # in the sum beside 1 they would lose their digits
        np.put_along_axis(others, largest, 0, axis=-1)
        result: Array = a - np.log1p(others.sum(axis=-1, keepdims=True))
        return result

    def delta(s: States) -> Array:
        others = np.exp(log_softmax(s)) * (1 - one_hot)
        right = others.sum(axis=-1, keepdims=True)  # 1 - softmax(a)[y], which would cancel
        result: Array = others - one_hot * right
        return result

    return _through_output_layer(
        run, W_o, lambda s: -(log_softmax(s) * one_hot).sum(axis=-1), delta
    )


def _through_output_layer(
    run: Run, W_o: Array, value: Callable[[States], Array], delta: Callable[[States], Array]
) -> Objective:
    """`delta`: last states to dL_n/d(W_o h_T + b_o), (N, O)."""

    def output_gradient(s: States) -> Magnitudes:
        with unwatched():
            h, left = _top(run, s), delta(s)
            square = np.square(left.T @ h, dtype=np.float64).sum()
            if 4.0 ** -safe_bits(h.dtype) < square < 4.0 ** safe_bits(h.dtype):
                return Magnitudes.of(np.sqrt(square)).over(len(h))
            # Near the ends of float range, or exactly zero.
            terms = Terms({"W_o": h.shape[-1]}, 1, len(W_o), h.dtype)
            zero = np.zeros((1, 1, len(h)), dtype=np.int64)
            terms.add(left[None, None], [(slice(None), {"W_o": h[None, None]})], zero)
            return terms.total("W_o")[0].over(len(h))

    return Objective(value, lambda s: _gradient_of_top(run, s, delta(s) @ W_o), output_gradient)


def _probe(run: Run) -> Objective:
    widths = {at: run.state_width(at) for at in run.places}
    v = stream(run, "probe").standard_normal(sum(widths.values()))
    v = (v / np.linalg.norm(v)).astype(run.dtype)
    cuts = np.cumsum(list(widths.values()))[:-1]
    by_place = dict(zip(widths, np.split(v, cuts), strict=True))
    return Objective(
        lambda s: np.sum([_true(run.cells[at], s[at]) @ v for at, v in by_place.items()], axis=0),
        lambda s: {at: _over_the_state(run.cells[at], v, s[at]) for at, v in by_place.items()},
    )


def _sum(run: Run) -> Objective:
    return Objective(
        lambda s: _top(run, s).sum(axis=-1),
        lambda s: _gradient_of_top(run, s, np.ones_like(_top(run, s))),
    )


def _top(run: Run, s: States) -> Array:
    """The output of the top layer at T, (N, D·P)."""
    return np.concatenate([s[at][..., run.cells[at].outputs] for at in run.top_places], axis=-1)


def _true(cell: SizedCell, s: Array) -> Array:
    """The state (N, S) of `s` (N, S_all), parts that a gauge scales by their true values over the
    scale they are kept by: as they are, but for what a complex step moves the gauge by."""
    own = s[..., : cell.S]
    if not cell.gauge:
        return own
    own = own.copy()
    for scale, scaled in cell.gauge.items():
        m = own[..., cell.parts[scale].rows]
        for part in scaled:
            a = own[..., cell.parts[part].rows]
            apart = a.reshape(*m.shape, -1)  # entries that share a scale; one of all, or one each
            a[...] = (apart * np.exp(m - m.real)[..., None]).reshape(a.shape)
        m[...] = 0
    return own


def _over_the_state(cell: SizedCell, v: Array, s: Array) -> Array:
    """`v` (S,) for every sample, zero in the rows of `s` (N, S_all) that are a gauge or no
    state."""
    ds = np.zeros_like(s)
    ds[..., : len(v)] = v
    for scale in cell.gauge:
        ds[..., cell.parts[scale].rows] = 0
    return ds


def _gradient_of_top(run: Run, s: States, dh: Array) -> dict[Place, Array]:
    """The gradient by place where the loss reads h_T of the top layer alone."""
    ds = {at: np.zeros_like(state) for at, state in s.items()}
    for at, part in zip(run.top_places, np.split(dh, len(run.top_places), axis=-1), strict=True):
        ds[at][..., run.cells[at].outputs] = part
    return ds


_OBJECTIVES: dict[str, Callable[[Run], Objective]] = {
    "mse": _mse,
    "cross_entropy": _cross_entropy,
    "probe": _probe,
    "sum": _sum,
}
