"""The loss at the last step, and its gradient with respect to the last state.

mse            L_n = ½ ||O_T - Y||²,  O_T = W_o h_T + b_o,  Y ~ N(0, 1)
cross_entropy  L_n = -log softmax(W_o h_T + b_o)[y],  y a class drawn uniformly
probe          L_n = v · s_T,  v a random unit vector over the whole state
sum            L_n = the sum of h_T
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradflow.experiment import Run
from gradflow.logspace import Array, Magnitudes
from gradflow.sampling import output_layer, stream
from gradflow.terms import Terms


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of one run.

    Attributes:
        value: s_T (N, S), real or complex, to the loss of each sample (N,).
        gradient: s_T (N, S) to dL_n/ds_T (N, S).
        output_gradient: s_T to the norm of dL/dW_o, L the batch mean; None: no output layer.
    """

    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    output_gradient: Callable[[Array], Magnitudes] | None = None


def objective(run: Run) -> Objective:
    """The loss that `run` names, with its output layer and target drawn."""
    return _OBJECTIVES[run.loss.kind](run)


def _mse(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    shape = (run.batch_size, run.output_size)
    target = run.loss.target
    if target is None:
        target = stream(run, "target").standard_normal(shape)
    Y = np.broadcast_to(target, shape).astype(run.dtype)

    def residual(s: Array) -> Array:
        difference: Array = s[..., : run.hidden_size] @ W_o.T + b_o - Y
        return difference

    return _through_output_layer(
        run, W_o, lambda s: 0.5 * (residual(s) ** 2).sum(axis=-1), residual
    )


def _cross_entropy(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    classes = run.loss.target
    if classes is None:
        classes = stream(run, "target").integers(run.output_size, size=run.batch_size)
    y = np.broadcast_to(np.asarray(classes, dtype=np.int64).ravel(), run.batch_size)
    one_hot = np.zeros((run.batch_size, run.output_size), run.dtype)
    one_hot[np.arange(run.batch_size), y] = 1

    def log_softmax(s: Array) -> Array:
        a = s[..., : run.hidden_size] @ W_o.T + b_o
        a = a - a.real.max(axis=-1, keepdims=True)
        result: Array = a - np.log(np.exp(a).sum(axis=-1, keepdims=True))
        return result

    return _through_output_layer(
        run,
        W_o,
        lambda s: -(log_softmax(s) * one_hot).sum(axis=-1),
        lambda s: np.exp(log_softmax(s)) - one_hot,
    )


def _through_output_layer(
    run: Run, W_o: Array, value: Callable[[Array], Array], delta: Callable[[Array], Array]
) -> Objective:
    """`delta`: s_T to dL_n/d(W_o h_T + b_o), (N, O)."""
    H = run.hidden_size

    def gradient(s: Array) -> Array:
        ds = np.zeros_like(s)
        ds[..., :H] = delta(s) @ W_o
        return ds

    def output_gradient(s: Array) -> Magnitudes:
        terms = Terms.zeros((1, run.output_size, H), s.dtype)
        left, h = delta(s)[None, None], s[None, None, :, :H]
        terms.add(left, [(slice(None), h)], np.zeros((1, 1), dtype=np.int64))
        return terms.total.norm()[0].over(len(s))

    return Objective(value, gradient, output_gradient)


def _probe(run: Run) -> Objective:
    v = stream(run, "probe").standard_normal(run.hidden_size * len(run.cell.state_parts))
    v = (v / np.linalg.norm(v)).astype(run.dtype)
    return Objective(lambda s: s @ v, lambda s: np.broadcast_to(v, s.shape).copy())


def _sum(run: Run) -> Objective:
    H = run.hidden_size

    def gradient(s: Array) -> Array:
        ds = np.zeros_like(s)
        ds[..., :H] = 1
        return ds

    return Objective(lambda s: s[..., :H].sum(axis=-1), gradient)


_OBJECTIVES: dict[str, Callable[[Run], Objective]] = {
    "mse": _mse,
    "cross_entropy": _cross_entropy,
    "probe": _probe,
    "sum": _sum,
}
