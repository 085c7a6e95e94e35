"""The loss at a step, and its gradient with respect to the states there.

mse            L_n = ½ ||O_t - Y_t||²,  O_t = W_o h_t + b_o,  Y_t ~ N(0, 1)
cross_entropy  L_n = -log softmax(W_o h_t + b_o)[y_t],  y_t a class drawn uniformly
probe          L_n = v · s_t,  v a random unit vector over the whole state; of a part that a gauge
               scales, of its true values, over the scale that they are kept by at t
sum            L_n = the sum of h_t

h_t is that of the top layer; of a bidirectional net, both directions side by side: each at its own
last step, or both at step t of the input. Of several steps the loss is the mean or the sum, so that
each counts by a `weight`. States are given by place, {(layer, direction): (..., N, S)}, with the
steps that are meant on the axis before the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gradflow.cells import SizedCell
from gradflow.engine.backward import unwatched
from gradflow.engine.network import Place
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Magnitudes, exponent_of, safe_bits, scale
from gradflow.runs.experiment import Run
from gradflow.runs.sampling import output_layer, stream

States = Mapping[Place, Array]

Which = int | slice | Array
"""Which of the steps of `Run.loss_steps`, counted from 0: states have an axis for them, but for
one alone."""


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of one run, step by step.

    Attributes:
        value: states (..., N, S_all), real or complex, to the loss of each sample (..., N).
        gradient: the same states to dL_n/ds, by place.
        reads: the rows of a state that the loss reads, by place.
        weight: what the loss of one step counts in that of all.
        joint: whether the loss of a step is more than the sum of what each place adds to it.
        by_output: states to dL_n/d(W_o h + b_o) (..., N, O) and h (..., N, D·P); None: there is no
            output layer.
    """

    value: Callable[[States, Which], Array]
    gradient: Callable[[States, Which], dict[Place, Array]]
    reads: Mapping[Place, slice]
    weight: float = 1.0
    joint: bool = False
    by_output: Callable[[States, Which], tuple[Array, Array]] | None = None

    def output_gradient(self) -> OuterSum | None:
        """What collects the gradient by W_o, L the batch mean; None: there is no output layer."""
        return OuterSum() if self.by_output is not None else None


def objective(run: Run) -> Objective:
    """The loss that `run` names, with its output layer and targets drawn."""
    return _OBJECTIVES[run.loss.kind](run)


class OuterSum:
    """The sum over samples of left ⊗ right, at any size: as a matrix in units of 2**exponent."""

    def __init__(self) -> None:
        self._total: Array | None = None
        self._exponent = ZERO_EXPONENT

    def add(self, left: Array, right: Array) -> None:
        """Add the samples of `left` (..., O) and `right` (..., P)."""
        left, right = (a.reshape(-1, a.shape[-1]) for a in (left, right))
        sizes = [exponent_of(a, (-1,)) for a in (left, right)]
        zero = np.any([size == ZERO_EXPONENT for size in sizes], axis=0)
        unit = 0
        if (np.abs(sizes)[:, ~zero] > safe_bits(left.dtype) // 4).any():
            together = np.where(zero, ZERO_EXPONENT, np.add(*sizes))
            unit = int(together.max())
            right = scale(right, np.where(zero, 0, -sizes[1])[:, None])
            shift = np.where(zero, 0, -sizes[0] + (together - unit))
            left = scale(left, shift[:, None])
        with unwatched():
            self._add(left.T @ right, unit)

    def _add(self, product: Array, exponent: int) -> None:
        if self._total is None:
            self._total, self._exponent = product, exponent
            return
        top = max(self._exponent, exponent)
        self._total = scale(self._total, np.asarray(self._exponent - top))
        self._total = self._total + scale(product, np.asarray(exponent - top))
        self._exponent = top

    def norm(self) -> Magnitudes:
        """The Frobenius norm."""
        assert self._total is not None
        own = exponent_of(self._total, (0, 1))
        near = abs(own) <= safe_bits(self._total.dtype) // 4
        shift = np.asarray(0 if near or own == ZERO_EXPONENT else own)
        square = np.square(scale(self._total, -shift), dtype=np.float64).sum()
        return Magnitudes.of(np.sqrt(square), self._exponent + shift)


def _mse(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    shape = (len(run.loss_steps), run.batch_size, len(W_o))
    target = run.loss.target
    if target is None:
        target = stream(run, "target").standard_normal(shape)
    Y = _each_step(run, target, shape).astype(run.dtype, copy=False)

    def residual(s: States, which: Which) -> Array:
        difference: Array = _top(run, s) @ W_o.T + b_o - Y[which]
        return difference

    return _through_output_layer(
        run, W_o, lambda s, which: 0.5 * (residual(s, which) ** 2).sum(axis=-1), residual
    )


def _cross_entropy(run: Run) -> Objective:
    W_o, b_o = output_layer(run)
    shape = (len(run.loss_steps), run.batch_size, 1)
    classes = run.loss.target
    if classes is None:
        classes = stream(run, "target").integers(len(W_o), size=shape)
    y = _each_step(run, np.asarray(classes, dtype=np.int64), shape)

    def one_hot(which: Which) -> Array:
        right = y[which]
        hot = np.zeros((*right.shape[:-1], len(W_o)), run.dtype)
        np.put_along_axis(hot, right, 1, axis=-1)
        return hot

    def log_softmax(s: States) -> Array:
        a = _top(run, s) @ W_o.T + b_o
        largest = a.real.argmax(axis=-1, keepdims=True)
        a = a - np.take_along_axis(a, largest, axis=-1)
        others = np.exp(a)  # in the sum with 1 they would lose their digits
        np.put_along_axis(others, largest, 0, axis=-1)
        result: Array = a - np.log1p(others.sum(axis=-1, keepdims=True))
        return result

    def value(s: States, which: Which) -> Array:
        return np.asarray(-(log_softmax(s) * one_hot(which)).sum(axis=-1))

    def delta(s: States, which: Which) -> Array:
        hot = one_hot(which)
        others = np.exp(log_softmax(s)) * (1 - hot)
        right = others.sum(axis=-1, keepdims=True)  # 1 - softmax(a)[y], which would cancel
        result: Array = others - hot * right
        return result

    return _through_output_layer(run, W_o, value, delta)


def _each_step(run: Run, target: float | Array, shape: tuple[int, ...]) -> Array:
    """A target for each step at which the loss is read, (steps, N, O)."""
    given = np.asarray(target)
    if given.ndim == 3 and len(given) != shape[0]:  # one for each step of the input
        given = given[run.loss_steps - 1]
    return np.broadcast_to(given, shape)


def _through_output_layer(
    run: Run,
    W_o: Array,
    value: Callable[[States, Which], Array],
    delta: Callable[[States, Which], Array],
) -> Objective:
    """`delta`: states to dL_n/d(W_o h + b_o), (..., N, O)."""
    weight = _weight(run)

    def gradient(s: States, which: Which) -> dict[Place, Array]:
        return _gradient_of_top(run, s, _times(weight, delta(s, which) @ W_o))

    def by_output(s: States, which: Which) -> tuple[Array, Array]:
        return _times(weight, delta(s, which)), _top(run, s)

    joint = len(run.top_places) > 1
    return Objective(value, gradient, _outputs(run), weight, joint, by_output)


def _probe(run: Run) -> Objective:
    widths = {at: run.state_width(at) for at in run.places}
    v = stream(run, "probe").standard_normal(sum(widths.values()))
    v = (v / np.linalg.norm(v)).astype(run.dtype)
    cuts = np.cumsum(list(widths.values()))[:-1]
    by_place = dict(zip(widths, np.split(v, cuts), strict=True))
    weight = _weight(run)
    return Objective(
        lambda s, which: np.sum([_true(run.cells[at], s[at]) @ by_place[at] for at in s], 0),
        lambda s, which: {
            at: _over_the_state(run.cells[at], _times(weight, by_place[at]), s[at]) for at in s
        },
        {at: slice(0, width) for at, width in widths.items()},
        weight,
    )


def _sum(run: Run) -> Objective:
    weight = _weight(run)
    return Objective(
        lambda s, which: _top(run, s).sum(axis=-1),
        lambda s, which: _gradient_of_top(run, s, np.full_like(_top(run, s), weight)),
        _outputs(run),
        weight,
    )


def _weight(run: Run) -> float:
    """What one step's loss counts."""
    return 1 / len(run.loss_steps) if run.loss.reduce == "mean" else 1.0


def _times(weight: float, a: Array) -> Array:
    return a if weight == 1 else weight * a


def _outputs(run: Run) -> dict[Place, slice]:
    """The rows of the output, at the top."""
    return {at: run.cells[at].outputs for at in run.top_places}


def _top(run: Run, s: States) -> Array:
    """The output of those places of the top layer that are given, (..., N, D·P)."""
    there = [at for at in run.top_places if at in s]
    return np.concatenate([s[at][..., run.cells[at].outputs] for at in there], axis=-1)


def _true(cell: SizedCell, s: Array) -> Array:
    """The state (..., N, S) of `s` (..., N, S_all), parts that a gauge scales by their true values
    over the scale they are kept by: as they are, but for what a complex step moves the gauge by."""
    own = s[..., : cell.S]
    if not cell.gauge:
        return own
    own = own.copy()
    for gauge, scaled in cell.gauge.items():
        m = own[..., cell.parts[gauge].rows]
        for part in scaled:
            a = own[..., cell.parts[part].rows]
            apart = a.reshape(*m.shape, -1)  # entries that share a scale; one of all, or one each
            a[...] = (apart * np.exp(m - m.real)[..., None]).reshape(a.shape)
        m[...] = 0
    return own


def _over_the_state(cell: SizedCell, v: Array, s: Array) -> Array:
    """`v` (S,) for every sample, zero in the rows of `s` (..., N, S_all) that are a gauge or no
    state."""
    ds = np.zeros_like(s)
    ds[..., : len(v)] = v
    for gauge in cell.gauge:
        ds[..., cell.parts[gauge].rows] = 0
    return ds


def _gradient_of_top(run: Run, s: States, dh: Array) -> dict[Place, Array]:
    """The gradient by place where the loss reads h of the top layer alone."""
    ds = {at: np.zeros_like(state) for at, state in s.items()}
    start = 0
    for at in (at for at in run.top_places if at in s):
        stop = start + run.output_width(at)
        ds[at][..., run.cells[at].outputs] = dh[..., start:stop]
        start = stop
    return ds


_OBJECTIVES: dict[str, Callable[[Run], Objective]] = {
    "mse": _mse,
    "cross_entropy": _cross_entropy,
    "probe": _probe,
    "sum": _sum,
}
