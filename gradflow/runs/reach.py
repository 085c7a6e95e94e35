"""How far the loss of any one step reaches, where it is read at several.

The gradient of the whole loss says where gradient arrives: with a loss at every step it is as large
at lag 100 as at lag 0, however fast each step's own gradient vanishes. So for several of the steps
t, evenly spaced, the loss of step t alone goes back, and ||dL_t/ds_{t-k}|| is read against k. One
backward pass carries them all. In a bidirectional net of several layers, where what a layer
receives from above comes from either end of time, each takes a backward pass by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradflow.engine.flow import Progress
from gradflow.engine.network import NetTrajectory, Place, backpropagate_net
from gradflow.measures.contract import OneLoss
from gradflow.measures.gradient import Gradient
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import log_norms_joined
from gradflow.runs.experiment import Run
from gradflow.runs.readings import Readings

MOST_ORIGINS = 16


def origins(run: Run) -> list[int]:
    """Which of the steps of the loss, by number, are gone back from, the last among them; none
    if there is but one."""
    count = len(run.loss_steps)
    if count == 1:
        return []
    chosen: list[float] = np.linspace(0, count - 1, min(count, MOST_ORIGINS)).round().tolist()
    return list(map(int, chosen))


def passes(run: Run) -> int:
    """How often a run is gone back through for it."""
    count = len(origins(run))
    return count if count and _is_mixed(run) else min(count, 1)


def _is_mixed(run: Run) -> bool:
    """Whether one direction of time hands gradients to the other."""
    return run.bidirectional and run.layers > 1


class Reach:
    """The mean over origins of the logs of one run, by place, and of all its layers together."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._means: dict[Place | None, _MeanOfLogs] = {}

    def add(self, origin: int, lags: Array, logs: Mapping[Place, Array]) -> None:
        """Add what the loss of one step gives at some lags, lag 0 first of all: ln ||dL_t/ds||
        (L, N) of the places of one direction."""
        joined = log_norms_joined(list(logs.values()))
        whole: dict[Place | None, Array] = dict(logs.items())
        if not self.run.bidirectional:
            whole[None] = joined
        for key, own in whole.items():
            if key not in self._means:
                shape = self.run.sequence_length + 1, self.run.batch_size
                self._means[key] = _MeanOfLogs(shape)
            self._means[key].add(origin, lags, own, joined)

    def at(self, place: Place | None) -> Array:
        """(K+1, N): of a place, or of a one-way net as a whole."""
        return self._means[place].mean()


class _MeanOfLogs:
    """The mean of curves (K+1, N) of several lengths, each over its own start, for each sample."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sum = np.zeros(shape)
        self._count = np.zeros(shape, dtype=np.int16)  # of those that are not exactly zero
        self._curves = np.zeros(shape[0], dtype=np.int16)
        self._starts: dict[int, Array] = {}

    def add(self, curve: int, lags: Array, logs: Array, start: Array) -> None:
        """Add some lags (L,) of a curve, (L, N), and of what it is compared with at lag 0."""
        if curve not in self._starts:
            self._starts[curve] = start[lags == 0][0]
        first = self._starts[curve]
        there = (logs > -np.inf) & (first > -np.inf)
        self._sum[lags] += np.where(there, logs - np.where(there, first, 0), 0)
        self._count[lags] += there
        self._curves[lags] += 1

    def mean(self) -> Array:
        """At each lag over the curves that come so far; -inf where more than half of them are
        exactly zero."""
        length = int(np.count_nonzero(self._curves))
        count, curves = self._count[:length], self._curves[:length, None]
        mean = self._sum[:length] / np.maximum(count, 1)
        return np.where(2 * count < curves, -np.inf, mean)


def measure(
    net: NetTrajectory,
    readings: Readings,
    runs: Array,
    progress: Progress = lambda steps: None,
) -> list[Reach] | None:
    """The reach of these runs (indices), which `net` has; None where the loss has one step."""
    chosen = origins(readings.runs[0])
    if not chosen:
        return None
    found = [Reach(readings.runs[r]) for r in runs]
    if _is_mixed(readings.runs[0]):
        _by_passes(found, chosen, net, readings, runs, progress)
    else:
        for direction in range(net.directions):
            _together(found, chosen, net, readings.one_loss(runs), direction, progress)
    return found


def _together(
    found: Sequence[Reach],
    chosen: Sequence[int],
    net: NetTrajectory,
    loss: OneLoss,
    direction: int,
    progress: Progress,
) -> None:
    """Of the places of one direction, all origins at once."""
    from gradflow.measures.reach import go_back  # not where a loss has one step

    places = {at: t for at, t in net.places.items() if at[1] == direction}
    read = [at for at in places if at in loss.steps]
    number = {int(loss.steps[read[0]][origin]): origin for origin in chosen}
    steps = sorted(number, reverse=True)

    def gradient(t: int, states: Mapping[Place, Array]) -> dict[Place, Array]:
        return {at: loss.gradient(at, number[t], states) for at in read}

    def keep(b: int, lags: Array, logs: Array) -> None:
        for row, reach in enumerate(found):
            reach.add(number[steps[b]], lags, {at: logs[:, i, row] for i, at in enumerate(places)})

    def advanced(steps: int) -> None:
        progress(steps * len(places))

    go_back(places, [*places], gradient, steps, keep, apart=True, truncate=loss.truncate,
          progress=advanced)  # fmt: skip


def _by_passes(
    found: Sequence[Reach],
    chosen: Sequence[int],
    net: NetTrajectory,
    readings: Readings,
    runs: Array,
    progress: Progress,
) -> None:
    """Of all places, a backward pass from each origin."""
    for origin in chosen:
        ds_T, losses = readings.entering(net, runs, only=origin)
        watching = {at: Gradient(t, ds_T[at]) for at, t in net.places.items()}
        observers = {at: [own] for at, own in watching.items()}
        backpropagate_net(net, ds_T, observers, losses=losses, progress=progress)
        logs = {at: own.log_samples() for at, own in watching.items()}
        for row, reach in enumerate(found):
            for direction in range(net.directions):
                own = {at: by_run[row] for at, by_run in logs.items() if at[1] == direction}
                t = int(reach.run.own_loss_steps(next(iter(own)))[origin])
                since = reach.run.sequence_length - t
                reach.add(origin, np.arange(t + 1), {at: a[since:] for at, a in own.items()})
