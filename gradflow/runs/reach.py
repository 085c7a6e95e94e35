"""How far the loss of any one step reaches, where it is read at several.

The gradient of the whole loss says where gradient arrives: with a loss at every step it is as large
at lag 100 as at lag 0, however fast each step's own gradient vanishes. So for several of the steps
t, evenly spaced, the loss of step t alone goes back, and ||dL_t/ds_{t-k}|| is read against k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradflow.columns import Array
from gradflow.engine.flow import Progress
from gradflow.engine.network import NetTrajectory, Place, backpropagate_net
from gradflow.logspace import log_norms_joined
from gradflow.measures.gradient import Gradient
from gradflow.runs.experiment import Run
from gradflow.runs.readings import Readings

MOST_ORIGINS = 16


def origins(run: Run) -> list[int]:
    """Which of the steps of the loss, by number, are gone back from, the last among them; none
    where there is but one."""
    count = len(run.loss_steps)
    if count == 1:
        return []
    chosen: list[float] = np.linspace(0, count - 1, min(count, MOST_ORIGINS)).round().tolist()
    return list(map(int, chosen))


class Reach:
    """The mean over origins of the logs of one run, by place, and of all its layers together."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._means: dict[Place | None, _MeanOfLogs] = {}

    def add(self, origin: int, logs: Mapping[Place, Array]) -> None:
        """Add what the loss of one step gives, ln ||dL_t/ds|| (T+1, N) by place and lag."""
        own = {}
        for at, by_lag in logs.items():
            t = int(self.run.own_loss_steps(at)[origin])
            own[at] = by_lag[len(by_lag) - 1 - t :]
        whole: dict[Place | None, Array] = dict(own.items())
        for direction in {at[1] for at in own}:
            joined = log_norms_joined([a for at, a in own.items() if at[1] == direction])
            if not self.run.bidirectional:
                whole[None] = joined
            for key in whole:
                if key is None or key[1] == direction:
                    self._mean(key).add(whole[key], joined[0])

    def at(self, place: Place | None) -> Array:
        """(K+1, N): of a place, or of a one-way net as a whole."""
        return self._mean(place).mean()

    def _mean(self, place: Place | None) -> _MeanOfLogs:
        if place not in self._means:
            shape = self.run.sequence_length + 1, self.run.batch_size
            self._means[place] = _MeanOfLogs(shape)
        return self._means[place]


class _MeanOfLogs:
    """The mean of curves (K+1, N) of several lengths, each over its own start, for each sample."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sum = np.zeros(shape)
        self._count = np.zeros(shape, dtype=np.int16)  # of those that are not exactly zero
        self._curves = np.zeros(shape[0], dtype=np.int16)

    def add(self, logs: Array, start: Array) -> None:
        """Add a curve and what it is compared with, (N,)."""
        there = (logs > -np.inf) & (start > -np.inf)
        self._sum[: len(logs)] += np.where(there, logs - np.where(there, start, 0), 0)
        self._count[: len(logs)] += there
        self._curves[: len(logs)] += 1

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
    found: Sequence[Reach] = [Reach(readings.runs[r]) for r in runs]
    for origin in chosen:
        ds_T, losses = readings.entering(net, runs, only=origin)
        watching = {at: Gradient(t, ds_T[at]) for at, t in net.places.items()}
        observers = {at: [own] for at, own in watching.items()}
        backpropagate_net(net, ds_T, observers, losses=losses, progress=progress)
        logs = {at: own.log_samples() for at, own in watching.items()}
        for row, reach in enumerate(found):
            reach.add(origin, {at: own[row] for at, own in logs.items()})
    return list(found)
