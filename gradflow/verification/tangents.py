"""How the loss changes along a direction, by forward equations and complex steps alone.

f(a + iεb) has the imaginary part ε f'(a)·b up to ε², without any subtraction (Squire and Trapp,
SIAM Review 40, 1998). Every step of time is taken so by itself, and what it gives is brought near
one before the next: no derivative is too large or too small to be followed to the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gradflow.cells import Params, SizedCell
from gradflow.cells.contract import Bound
from gradflow.engine.network import NetTrajectory, Place, merged
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import ZERO_EXPONENT, Scaled, near_one, scale
from gradflow.runs.experiment import Run
from gradflow.runs.losses import Objective
from gradflow.verification.limits import FloatRange

_STEP = 1e-120  # ε, whose square is below all else
_LONG_STEP = 1e-20  # where a derivative times ε comes near the end of float range
_SHORT_STEP = 1e-200  # where a derivative is so large that its square times ε² is not small
_SMALL, _LARGE = 1e-80, 1e40


@dataclass(frozen=True, eq=False)
class Tangents:
    """The path of one net, and the derivatives in double precision along what is moved on it.

    Places are (layer, direction); steps t count 1..T along a place's own time.

    Attributes:
        cells, params, goal: the net, by place, and its loss.
        inputs: (T, N, I) by place, along its own time.
        states: (T+1, N, S_all), likewise, as the net went through them.
        steps: (steps,) by place, the steps, in its own time, at which the loss is read.
        merge: what the directions of a layer make of their outputs.
        truncate: the state is cut off from its past behind every so many steps; None: nowhere.
        limits: what float range has lost on the way.
    """

    cells: Mapping[Place, SizedCell]
    params: Mapping[Place, Params]
    goal: Objective
    inputs: Mapping[Place, Array]
    states: Mapping[Place, Array]
    steps: Mapping[Place, Array]
    merge: str = "concat"
    truncate: int | None = None
    limits: FloatRange = field(default_factory=lambda: FloatRange("float64"))

    @staticmethod
    def of(net: NetTrajectory, goal: Objective, run: Run) -> Tangents:
        """Of the forward pass of a run."""
        params, inputs, states = {}, {}, {}
        for at, trajectory in net.places.items():
            own = trajectory.params.items()
            params[at] = {name: a[0].astype(np.float64) for name, a in own}
            inputs[at] = trajectory.x[:, 0].astype(np.float64)
            tapes = [tape.states[1:] for _, tape in trajectory.tapes()]
            path = np.concatenate([trajectory.starts[0][None], *tapes[::-1]])
            states[at] = path[:, 0].astype(np.float64)
        cells = {at: trajectory.cell for at, trajectory in net.places.items()}
        steps = {at: run.own_loss_steps(at) for at in cells}
        cut = run.loss.truncate
        limits = FloatRange(run.dtype)
        return Tangents(cells, params, goal, inputs, states, steps, net.merge, cut, limits)

    @cached_property
    def _bound(self) -> Mapping[Place, Bound]:
        """The parameters of every place that does not move along any, as its code reads them."""
        return {at: self.cells[at].bind(p) for at, p in self.params.items()}

    def along(self, at: Place, t: int, ds: Array | None = None, dp: Params | None = None) -> Scaled:
        """dL_n of every sample, (N, 1), when the state before step t of a place moves along `ds`
        (N, S_all), or the parameters of that step alone along `dp`.

        The loss of step t-1 sees the state move, the layer above has seen it as it was. Where the
        state is cut off from its past, what moves is followed to the end of its chunk of steps, and
        no further; the other layers are followed chunk by chunk likewise.
        """
        N = len(self.states[at][0])
        first = Scaled(np.zeros_like(self.states[at][0]), np.zeros(N, dtype=np.int64))
        if ds is not None:
            first = near_one(Scaled(ds, np.zeros(N, dtype=np.int64)))
        moved = {at: self._forward(at, first, t, dp=dp)}
        paths = dict(moved)
        below = moved[at]
        moved = {at: Scaled(below.value.copy(), below.exponent.copy())}
        moved[at][t - 1] = _nothing(self.states[at][0])
        for layer in range(at[0] + 1, 1 + max(place[0] for place in self.params)):
            dx = self._joint(layer - 1, moved)
            still = {
                place: _nothing(self.states[place][0]) for place in self.params if place[0] == layer
            }
            moved = {
                place: self._forward(place, start, 1, dx=dx[::-1] if place[1] else dx)
                for place, start in still.items()
            }
            paths |= moved
        return self._loss(paths)

    def reads_beyond_the_state(self, at: Place, t: int) -> bool:
        """Whether the loss reads, at step t, an output of a place that is no part of its state."""
        rows = self.goal.reads.get(at)
        return rows is not None and rows.start >= self.cells[at].S and t in self.steps[at]

    def _forward(
        self,
        at: Place,
        ds: Scaled,
        start: int,
        dx: Scaled | None = None,
        dp: Params | None = None,
    ) -> Scaled:
        """The derivatives (T+1, N, S_all) of the states of a place, `ds` that before step `start`,
        zero before. `dx` (T, N, I) are those of its inputs, `dp` of the parameters of the first
        step."""
        states = self.states[at]
        path = Scaled(np.zeros(states.shape), np.full(states.shape[:-1], ZERO_EXPONENT))
        path[start - 1] = ds
        for t in range(start, len(states)):
            own = dp if t == start else None
            cut_off = self.truncate and t > 1 and (t - 1) % self.truncate == 0
            before = _nothing(states[0]) if cut_off else path[t - 1]
            path[t] = self._step(at, t, before, None if dx is None else dx[t - 1], own)
        return path

    def _step(self, at: Place, t: int, ds: Scaled, dx: Scaled | None, dp: Params | None) -> Scaled:
        """The derivative (N, S_all) of s_t along those of s_{t-1}, of x_t and of the parameters."""
        x, s, p = self.inputs[at][t - 1], self.states[at][t - 1], self.params[at]
        unit = ds.exponent if dx is None else np.maximum(ds.exponent, dx.exponent)
        if dp is None and (unit == ZERO_EXPONENT).all():
            return ds
        if dp is not None:
            unit = np.zeros_like(unit)
        along_s = scale(ds.value, (ds.exponent - unit)[:, None])
        along_x = None if dx is None else scale(dx.value, (dx.exponent - unit)[:, None])

        def imaginary(step: float) -> Array:
            ahead = x if along_x is None else x + 1j * step * along_x
            own = p if dp is None else {n: a + 1j * step * dp[n] for n, a in p.items()}
            return self._next(at, ahead, s + 1j * step * along_s, own).imag

        with np.errstate(under="call", call=self.limits.note):
            found = near_one(Scaled(_derivative(imaginary), unit))
        self.limits.step(unit, found)
        for gauge in self.cells[at].gauge:
            rows = self.cells[at].parts[gauge].rows
            before = scale(along_s[:, rows], (unit - found.exponent)[:, None])
            self.limits.gauge(before, found.value[:, rows], np.delete(found.value, rows, axis=-1))
        return found

    def _loss(self, paths: Mapping[Place, Scaled]) -> Scaled:
        """dL_n (N, 1) along the paths of these places, each step of the loss by itself."""
        there = {at: path[self.steps[at]] for at, path in paths.items() if at in self.goal.reads}
        states = {at: self.states[at][self.steps[at]] for at in self.goal.reads}
        unit = np.maximum.reduce([ds.exponent for ds in there.values()])  # (steps, N)
        moved = {at: scale(ds.value, (ds.exponent - unit)[..., None]) for at, ds in there.items()}

        def imaginary(step: float) -> Array:
            ahead = {at: states[at] + 1j * step * ds for at, ds in moved.items()}
            found = self.goal.value({**states, **ahead}, slice(None)).imag[..., None]
            return np.asarray(self.goal.weight * found)

        each = near_one(Scaled(_derivative(imaginary), unit))
        top = each.exponent.max(axis=0)
        summed = scale(each.value, (each.exponent - top)[..., None]).sum(axis=0)
        return near_one(Scaled(summed, top))

    def _joint(self, layer: int, moved: Mapping[Place, Scaled]) -> Scaled:
        """What a layer hands upward, (T, N, D·P), or (T, N, P) where its directions are merged,
        along the states of those of its places that are `moved`."""
        parts, outputs = [], []
        for at in (place for place in self.params if place[0] == layer):
            path = moved[at] if at in moved else _nothing(self.states[at])
            own = Scaled(path.value[1:][..., self.cells[at].outputs], path.exponent[1:])
            parts.append(near_one(own[::-1] if at[1] else own))
            h = self.states[at][1:][..., self.cells[at].outputs]
            outputs.append(h[::-1] if at[1] else h)
        unit = np.maximum.reduce([part.exponent for part in parts])
        values = [scale(part.value, (part.exponent - unit)[..., None]) for part in parts]
        if self.merge == "mul" and len(values) > 1:
            return near_one(Scaled(values[0] * outputs[1] + values[1] * outputs[0], unit))
        return Scaled(merged(values, self.merge), unit)

    def _next(self, at: Place, x: Array, s: Array, p: Params) -> Array:
        """One step forward, s_{t-1} (N, S_all) to s_t, of real or complex numbers."""
        cell = self.cells[at]
        w = self._bound[at] if p is self.params[at] else cell.bind(p)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # saturated gates
            return cell.one_step(x, s, w, np.result_type(x, s, *p.values()))


def _nothing(like: Array) -> Scaled:
    """Vectors that do not move."""
    return Scaled(np.zeros(like.shape), np.full(like.shape[:-1], ZERO_EXPONENT))


def _derivative(imaginary: Callable[[float], Array]) -> Array:
    """The derivative (N, width) from the imaginary part that a step leaves; each sample by the
    step that leaves it well inside float range."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        found = imaginary(_STEP) / _STEP
        size = np.abs(found).max(axis=-1, keepdims=True)
        small, large = size < _SMALL, ~(size < _LARGE)
        for outside, step in ((small, _LONG_STEP), (large, _SHORT_STEP)):
            if outside.any():
                found = np.where(outside, imaginary(step) / step, found)
    return found
