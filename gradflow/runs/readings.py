"""Where the losses of a bundle of runs are read: from the states as they go by, forward, and as
cotangents that enter on the way back.

Nothing is kept of a net whose loss reads one place at a time: its states are read from the tape in
both directions of time. Where a loss reads both directions of a bidirectional net at once, the
outputs of the top layer are kept at the steps that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gradflow.engine.lengths import block_length
from gradflow.engine.network import Losses, NetTrajectory, Place
from gradflow.measures.contract import OneLoss
from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.runs.experiment import Run
from gradflow.runs.losses import Objective, States, Which, objective

_READ_ELEMENTS = 2**20  # elements of states or outputs that are read at once


class Readings:
    """The losses of R runs of equal shape. `watch` is shown every state of the forward pass, and
    `close` ends it; the rest holds from then on.

    Attributes:
        lost_at: (R,), the step 1..T whose loss has a gradient that is not finite; 0 where none has.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        first = runs[0]
        self.runs = runs
        self.objectives = [objective(run) for run in runs]
        self.lost_at = np.zeros(len(runs), dtype=np.int64)
        self._of_W_o = [o.output_gradient() for o in self.objectives]
        self._samples = [np.zeros(first.batch_size) for _ in runs]
        self._orders: dict[Place, Array] = {}
        self._own: dict[Place, Array] = {}
        for at in self._reads:
            own = first.own_loss_steps(at)
            self._orders[at] = np.argsort(own)
            self._own[at] = own[self._orders[at]]
        self._kept: dict[Place, Array] = {}
        if self._joint:
            n, R, N = len(first.loss_steps), len(runs), first.batch_size
            for at in self._reads:
                shape = (n, R, N, first.output_width(at))
                self._kept[at] = arrays.empty(shape, np.dtype(first.dtype))

    @property
    def _reads(self) -> Sequence[Place]:
        return list(self.objectives[0].reads)

    @property
    def _joint(self) -> bool:
        return self.objectives[0].joint

    def watch(self, at: Place, t: int, states: Array) -> None:
        """Read the states (K, R, N, S_all) of a place that its steps t, t+1, ... have given."""
        if at not in self._own:
            return
        which, steps = self._within(at, t, len(states))
        if self._joint:
            rows = self.objectives[0].reads[at]
            for i, k in zip(which, steps, strict=True):
                self._kept[at][i] = states[k, ..., rows]
            return
        for part in self._parts(at, t + steps):
            for r in range(len(self.runs)):
                self._read(r, {at: states[steps[part], r]}, which[part])

    def close(self) -> None:
        """The forward pass is over."""
        if self._joint:
            numbers = np.arange(len(self.runs[0].loss_steps))
            for part in self._parts(self._reads[0], numbers + 1):
                which = numbers[part]
                for r in range(len(self.runs)):
                    self._read(r, self._kept_states(r, which), which)

    @property
    def values(self) -> list[float]:
        """The loss of each run, the batch mean; inf or NaN where it left float range."""
        with np.errstate(over="ignore", invalid="ignore"):
            return [float(samples.mean()) for samples in self._samples]

    def output_gradient(self, r: int) -> Magnitudes | None:
        """The norm of dL/dW_o, L the batch mean; None: there is no output layer."""
        summed = self._of_W_o[r]
        return summed.norm().over(self.runs[r].batch_size) if summed is not None else None

    def entering(
        self, net: NetTrajectory, runs: Array, only: int | None = None
    ) -> tuple[dict[Place, Array], Losses | None]:
        """What enters the backward pass of these runs (indices), which `net` has: the cotangents of
        the last states, (R, N, S_all) by place, and those of all others, None if there are none.
        `only` is the one step of the loss, by number, that is meant."""
        entry = self.entry(runs, only)
        ds_T = {}
        for at, last in net.last.items():
            found = entry(at, len(net.places[at].x), last[None])
            ds_T[at] = np.zeros_like(last) if found is None else found[0]
        loss = self.runs[0].loss
        plain = loss.at == "last" and loss.truncate is None
        return ds_T, None if plain else Losses(entry, loss.truncate)

    def one_loss(self, runs: Array) -> OneLoss:
        """The loss of one step alone, for these runs (indices)."""
        first, weight = self.runs[0], self.objectives[0].weight
        anywhere = first.loss.at == "last"
        together = tuple(self._reads) if anywhere and self._joint else ()

        def gradient(at: Place, number: int, states: States) -> Array:
            if not anywhere:
                t = int(first.own_loss_steps(at)[number])
                found = self.entry(runs, number)(at, t, states[at][None])
                assert found is not None
                own: Array = found[0]
                return own if weight == 1 else own / weight
            ds = arrays.empty(states[at].shape, states[at].dtype)
            for row, r in enumerate(runs):
                its = {place: states[place][row] for place in together or (at,)}
                ds[row] = self.objectives[r].gradient(its, 0)[at]
            return ds

        every = np.arange(1, first.sequence_length + 1)
        steps = {at: every if anywhere else first.own_loss_steps(at) for at in self._reads}
        return OneLoss(steps, gradient, together, first.loss.truncate)

    def entry(
        self, runs: Array, only: int | None = None
    ) -> Callable[[Place, int, Array], Array | None]:
        """For these runs (indices): from a place and the states (K, R, N, S_all) of its steps t,
        t+1, ... to what the loss adds to their cotangents, alike; None where it is not read. `only`
        as in `entering`."""

        def entry(at: Place, t: int, states: Array) -> Array | None:
            if at not in self._own:
                return None
            which, steps = self._within(at, t, len(states))
            if only is not None:
                steps, which = steps[which == only], which[which == only]
            if not len(which):
                return None
            ds = arrays.empty(states.shape, states.dtype)
            ds[...] = 0
            for part in self._parts(at, t + 1 + steps):
                for row, r in enumerate(runs):
                    here: States = {at: states[steps[part], row]}
                    if self._joint:
                        here = self._kept_states(r, which[part])
                    ds[steps[part], row] = self.objectives[r].gradient(here, which[part])[at]
            return ds

        return entry

    def _within(self, at: Place, t: int, K: int) -> tuple[Array, Array]:
        """Which of the loss's steps are among the K steps from t, and where among them."""
        own = self._own[at]
        start, stop = np.searchsorted(own, [t, t + K])
        return self._orders[at][start:stop], own[start:stop] - t

    def _parts(self, at: Place, steps: Array) -> Iterator[slice]:
        """Stretches of these steps, in order: the same ones however the steps are handed over, so
        that no digit depends on that."""
        run = self.runs[0]
        cells = [run.cells[place] for place in self._reads]
        widest = max(run.output_size, *(cell.S_all for cell in cells))
        most = max(1, _READ_ELEMENTS // (run.batch_size * widest))
        block = (steps - 1) // block_length(run.cells[at], run.batch_size)
        for own in np.split(np.arange(len(steps)), 1 + np.flatnonzero(np.diff(block))):
            for start in range(0, len(own), most):
                yield slice(own[start], own[start:][:most][-1] + 1)

    def _read(self, r: int, states: States, which: Which) -> None:
        """Add the losses of some steps."""
        goal: Objective = self.objectives[r]
        with np.errstate(over="ignore", invalid="ignore"):
            losses = goal.value(states, which)
            summed = np.cumsum([self._samples[r], *(goal.weight * losses)], axis=0)
            self._samples[r] = summed[-1]
            found = goal.gradient(states, which).values()
            finite = np.all([np.isfinite(ds).all(axis=(1, 2)) for ds in found], axis=0)
        if not finite.all():
            lost = self.runs[r].loss_steps[np.asarray(which)[~finite]].min()
            before = self.lost_at[r]
            self.lost_at[r] = min(lost, before) if before else lost
            return
        of_W_o = self._of_W_o[r]
        if of_W_o is not None and goal.by_output is not None:
            of_W_o.add(*goal.by_output(states, which))

    def _kept_states(self, r: int, which: Array) -> dict[Place, Array]:
        """States (steps, N, S_all) that are zero but for what was kept of them."""
        run, found = self.runs[r], {}
        for at, rows in self.objectives[r].reads.items():
            shape = (len(which), run.batch_size, run.cells[at].S_all)
            found[at] = np.zeros(shape, np.dtype(run.dtype))
            found[at][..., rows] = self._kept[at][which, r]
        return found
