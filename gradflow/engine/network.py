"""Stacked and bidirectional nets: one layer after the other over all of time.

So each layer keeps its single input product. Backward, what the upper layer's inputs receive is
injected into the backward pass of the lower one. A `Place` (layer, direction) counts from 0;
direction 1 runs backward in time, and its steps and lags are counted along its own time. What both
directions of a layer hand to the next one is side by side, or their sum, average or product
(`merge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradflow.cells.contract import Params
from gradflow.cells.sized import SizedCell
from gradflow.engine.block import Block, Observer
from gradflow.engine.flow import Progress, Trajectory, blocks_backward, unroll
from gradflow.engine.lengths import BUDGET
from gradflow.machine.threads import ahead
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Scaled, near_one, sum_of_scaled

Place = tuple[int, int]
"""(layer, direction)."""

Watch = Callable[[Place, int, Array], None]
"""As `flow.Watch`, with the place that the states are of; steps count along its own time."""


@dataclass(frozen=True, eq=False)
class Losses:
    """What a loss that is read at other steps than the last one does on the way back.

    Attributes:
        entry: as `flow.Entry`, with the place that the states are of.
        truncate: behind every so many steps, in a place's own time, the state is cut off from its
            past; None: nowhere.
    """

    entry: Callable[[Place, int, Array], Array | None] = lambda at, t, states: None
    truncate: int | None = None


@dataclass(frozen=True, eq=False)
class NetTrajectory:
    """A forward pass through every layer and direction, in order."""

    places: Mapping[Place, Trajectory]
    merge: str = "concat"

    @property
    def directions(self) -> int:
        """1, or 2 for a bidirectional net."""
        return 1 + max(direction for _, direction in self.places)

    @property
    def last(self) -> dict[Place, Array]:
        """(R, N, S_all): each place's state at its own last step."""
        return {place: trajectory.last for place, trajectory in self.places.items()}

    @property
    def diverged_at(self) -> Array:
        """(R,): the step of the lowest place whose state left float range; 0 where none did."""
        found = np.zeros_like(next(iter(self.places.values())).diverged_at)
        for trajectory in self.places.values():
            found = np.where(found == 0, trajectory.diverged_at, found)
        return found

    def select(self, runs: Array) -> NetTrajectory:
        """The same forward pass with only these runs (indices)."""
        return NetTrajectory({at: t.select(runs) for at, t in self.places.items()}, self.merge)


def unroll_net(
    cells: Mapping[Place, SizedCell],
    params: Mapping[Place, Params],
    x: Array,
    s0: Mapping[Place, Array],
    *,
    merge: str = "concat",
    budget: int = BUDGET,
    watch: Watch = lambda at, t, states: None,
    progress: Progress = lambda steps: None,
) -> NetTrajectory:
    """Run R nets forward over `x` (T, R or 1, N, I); arguments as for `flow.unroll`, by place.

    `merge`, one of `MERGES`, says what the directions of a layer make of their outputs.
    """
    layers, directions = (1 + max(place[axis] for place in params) for axis in (0, 1))
    places: dict[Place, Trajectory] = {}
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            at = layer, direction
            ahead = x[::-1] if direction else x
            places[at] = unroll(
                cells[at],
                params[at],
                ahead,
                s0[at],
                outputs=layer + 1 < layers,
                budget=budget // len(params),
                watch=partial(watch, at),
                progress=progress,
            )
            if (h := places[at].outputs) is not None:
                outputs.append(h[::-1] if direction else h)
        if outputs:
            x = merged(outputs, merge)
    return NetTrajectory(places, merge)


MERGES = ("concat", "sum", "ave", "mul")
"""What the outputs of two directions may become: Keras's names for it."""


def merged(outputs: Sequence[Array], merge: str) -> Array:
    """What the directions of a layer hand to the next: (..., D·P), or (..., P) of two merged."""
    if merge == "concat" or len(outputs) == 1:
        return np.concatenate(outputs, axis=-1)
    forward, reverse = outputs
    if merge == "mul":
        return forward * reverse
    return forward + reverse if merge == "sum" else 0.5 * (forward + reverse)


def backpropagate_net(
    net: NetTrajectory,
    ds_T: Mapping[Place, Array],
    observers: Mapping[Place, Iterable[Observer]],
    *,
    losses: Losses | None = None,
    progress: Progress = lambda steps: None,
) -> None:
    """One backward pass through every place; arguments as for `flow.backpropagate`, by place.
    `losses` says what the loss adds at other steps than the last."""
    watching = {at: list(own) for at, own in observers.items()}
    worth = not any(trajectory.shares for trajectory in net.places.values())
    for at, block in ahead(net_blocks_backward(net, ds_T, progress, losses), worth=worth):
        for observer in watching.get(at, ()):
            observer.add(block)


def net_blocks_backward(
    net: NetTrajectory,
    ds_T: Mapping[Place, Array],
    progress: Progress = lambda steps: None,
    losses: Losses | None = None,
) -> Iterator[tuple[Place, Block]]:
    """The backward pass itself, the uppermost layer first: (place, block) of each block."""
    injected: dict[int, Scaled | None] = dict.fromkeys(range(net.directions))
    for layer in reversed(range(1 + max(layer for layer, _ in net.places))):
        received = []
        for direction in range(net.directions):
            at = layer, direction
            trajectory = net.places[at]
            dx = _Received(trajectory) if layer else None
            loss = partial(losses.entry, at) if losses else None
            truncate = losses.truncate if losses else None
            for block in blocks_backward(
                trajectory, ds_T[at], injected[direction], progress, loss=loss, truncate=truncate
            ):
                yield at, block
                if dx is not None:
                    dx.add(block)
            if dx is not None:
                received.append(dx.value[::-1] if direction else dx.value)
        if received:
            total = received[0] if len(received) == 1 else sum_of_scaled(*received)
            injected = _by_direction(total, net, layer - 1)


def _by_direction(dy: Scaled, net: NetTrajectory, layer: int) -> dict[int, Scaled | None]:
    """The cotangents of the outputs of a layer's directions, each along its own time, from that of
    what they hand on (T, R, N, D·P), or (T, R, N, P) where they are merged."""
    cut: dict[int, Scaled | None] = {}
    start = 0
    for direction in range(net.directions):
        value = dy.value
        if net.merge == "concat":
            width = net.places[layer, direction].cell.P
            value, start = value[..., start : start + width], start + width
        elif net.merge == "ave":
            value = 0.5 * value
        elif net.merge == "mul":
            value = value * _output(net, (layer, 1 - direction))
        own = near_one(Scaled(value, dy.exponent))
        cut[direction] = own[::-1] if direction else own
    return cut


def _output(net: NetTrajectory, at: Place) -> Array:
    """What a place below others hands to its layer's output (T, R, N, P), forward in time."""
    outputs = net.places[at].outputs
    assert outputs is not None
    return outputs[::-1] if at[1] else outputs


class _Received:
    """Collects what the inputs of a layer receive, dL/dx_t (T, R, N, I): W_x^T dL/dz_t, and what
    comes from where x_t is used otherwise."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.cell, self.W_x = trajectory.cell, trajectory.w.hoisted[..., :-1]
        shape = (*trajectory.x.shape[:1], *trajectory.last.shape[:2], trajectory.x.shape[-1])
        self.value = Scaled.empty(shape, trajectory.x.dtype)

    def add(self, block: Block) -> None:
        """The inputs of one block's steps."""
        dz = block.dz
        K, R, N, _ = dz.value.shape
        G_x = self.cell.G_x
        steps = slice(block.last_step - K, block.last_step)
        for r in range(R):
            rows = dz.value[::-1, r, :, :G_x].reshape(K * N, G_x)
            self.value.value[steps, r] = (rows @ self.W_x[r]).reshape(K, N, -1)
        if self.cell.dx is not None:
            self.value.value[steps] += dz.value[::-1, ..., self.cell.dx]
        self.value.exponent[steps] = dz.exponent[::-1]
