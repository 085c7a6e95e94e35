"""A basis of cotangents: many of them, pulled back through the same steps at once.

What is pulled back is the whole state: that of one layer, or of layers upon each other, whose
cotangents at one step are side by side in one vector. Within a step the uppermost layer comes
first; what its input receives is added to the output of the layer below. Each vector carries one
power of two, whatever layer its largest component is in.

Vectors are (..., R, N, S_all) as everywhere, with leading axes of any kind. A basis may be put in
two places. On a leading axis, (B, R, N, S_all), each of its vectors is an ordinary cotangent of the
whole batch: right for few vectors and many samples. In the place of the batch, (N, R, B, S_all),
samples lead and W_sᵀ is multiplied with all vectors of a sample at once: right for few samples
and many vectors. The local derivatives, which all vectors share, are broadcast and not copied.

Memory: the tape of one segment, as in the ordinary backward pass, and what the caller holds; a step
has room for dL/dz of one layer, as many vectors as are pulled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradflow.cells.sized import SizedCell
from gradflow.engine.backward import unwatched
from gradflow.engine.flow import Trajectory
from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array
from gradflow.numerics.products import product

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Stretch:
    """K consecutive steps of every layer, the lowest first: those from `start` + 1 on.

    Attributes:
        start: the step before the first.
        states: (K+1, R, N, S_all) of each layer, s_start first.
        local: (K, R, N, local) of each layer.
    """

    start: int
    states: list[Array]
    local: list[Array]

    def __len__(self) -> int:
        return len(self.local[0])


def stretches(
    trajectories: Sequence[Trajectory], longest: int, progress: Progress = lambda steps: None
) -> Iterator[Stretch]:
    """All steps, in stretches of up to `longest`, backward in time. Each layer's tape may be kept
    in its own segments; these are computed again as in the ordinary backward pass."""
    tapes = [t.tapes() for t in trajectories]
    held = [next(own) for own in tapes]
    stop = len(trajectories[0].x)
    while stop > 0:
        start = max(stop - longest, *(first for first, _ in held))
        cuts = [(slice(start - first, stop - first), tape) for first, tape in held]
        yield Stretch(
            start,
            [tape.states[cut.start : cut.stop + 1] for cut, tape in cuts],
            [tape.local[cut] for cut, tape in cuts],
        )
        progress(stop - start)
        stop = start
        if stop:
            held = [
                next(own) if first == stop else (first, tape)
                for own, (first, tape) in zip(tapes, held, strict=True)
            ]


class WholeState:
    """The state of one layer, or of layers upon each other (the lowest first), as one vector.

    Attributes:
        cells: of each layer.
        rows: of each layer, in the vector.
        S_all: the vector's width.
        moving: the rows that are state and have a derivative: neither outputs that are no state nor
            gauges.
    """

    def __init__(self, trajectories: Sequence[Trajectory], dtype: np.dtype[np.generic]) -> None:
        """`dtype`: what the vectors are calculated in."""
        self.cells: list[SizedCell] = [t.cell for t in trajectories]
        stops = np.cumsum([cell.S_all for cell in self.cells]).tolist()
        self.rows = [
            slice(stop - cell.S_all, stop) for cell, stop in zip(self.cells, stops, strict=True)
        ]
        self.S_all: int = stops[-1]
        self.moving = np.concatenate(
            [
                np.arange(rows.start + part.rows.start, rows.start + part.rows.stop)
                for cell, rows in zip(self.cells, self.rows, strict=True)
                for name, part in cell.parts.items()
                if name not in cell.gauge
            ]
        )
        self.dtype = dtype
        self._w = [
            t.cell.bind({name: a.astype(dtype, copy=False) for name, a in t.params.items()})
            for t in trajectories
        ]
        self._W_x_T = [np.ascontiguousarray(w.hoisted[..., :-1].mT) for w in self._w]
        self._room: dict[tuple[int, ...], Array] = {}

    @property
    def S(self) -> int:
        """How many components of the state have a derivative."""
        return len(self.moving)

    @property
    def all_moving(self) -> bool:
        """Whether every row of the vector is state and has a derivative."""
        return self.S_all == self.S

    def empty(self, *lead: int) -> Array:
        """Room for vectors (*lead, S_all), zero; the last of `lead` is innermost in memory."""
        room = arrays.empty((*lead, self.S_all), self.dtype)
        room[...] = 0
        return room

    def pull(self, local: Sequence[Array], ds: Array, out: Array) -> None:
        """One step of the chain rule, for any number of steps at once where these are an axis.

        Args:
            local: (..., R, N, local) of each layer, or (..., R, 1, local) where the basis is in
                the place of the batch; they broadcast against `ds`.
            ds: (..., R, N, S_all), dL/ds_t; used up.
            out: the same, filled with dL/ds_{t-1}.
        """
        above: Array | None = None
        with unwatched():
            for at in reversed(range(len(self.cells))):
                above = self._pull_layer(at, local[at], ds, out, above)

    def jacobians_T(self, local: Sequence[Array]) -> Array:
        """(K, N, S, S): the transposes of ∂s_t/∂s_{t-1} of K steps of one run, in the rows that
        move, from `local` (K, 1, N, local) of each layer: the identity pulled through each step."""
        local = [with_basis_axis(own) for own in local]
        K, N = local[0].shape[:2]
        ds, out = (self.empty(K, N, 1, self.S) for _ in range(2))
        ds[..., np.arange(self.S), self.moving] = 1
        self.pull(local, ds, out)
        pulled = out[:, :, 0].mT
        return pulled if self.all_moving else pulled[..., self.moving, :]

    def settle(self, local: Sequence[Array], ds: Array) -> None:
        """Bring what a loss puts into the rows of outputs to the state, in place; arguments as for
        `pull`. What is there is left for the step, whose sums the output may read."""
        for at, cell in enumerate(self.cells):
            if cell.settles:
                own = ds[..., self.rows[at]]
                with unwatched():
                    cell.settle(self._spread(local[at], ds), own, self._dz(at, ds), self._w[at])

    def _pull_layer(
        self, at: int, local: Array, ds: Array, out: Array, above: Array | None
    ) -> Array | None:
        """The step of one layer, with what its output receives from `above`; gives what its input
        receives, if there is a layer below."""
        cell, w, dz = self.cells[at], self._w[at], self._dz(at, ds)
        own, before = ds[..., self.rows[at]], out[..., self.rows[at]]
        local = self._spread(local, ds)
        if above is not None:
            beyond = own[..., cell.S :]
            settled = beyond.copy()  # what a loss put there is in the state already
            beyond[...] = 0
            own[..., cell.outputs] += above
            cell.settle(local, own, dz, w)
            beyond += settled
        cell.pullback(tuple(cell.backward_views(local, own, dz, before)), w)
        if cell.S_all > cell.S:
            before[..., cell.S :] = 0
        if at == 0:
            return None
        dx = product(self._W_x_T[at], dz.mT[..., : cell.G_x, :]).mT
        if cell.dx is not None:
            dx += dz[..., cell.dx]
        return dx

    @staticmethod
    def _spread(local: Array, ds: Array) -> Array:
        """The local derivatives as if each vector of the batch's place had its own."""
        N = ds.shape[-2]
        return (
            local
            if local.shape[-2] == N
            else np.broadcast_to(local, (*local.shape[:-2], N, local.shape[-1]))
        )

    def _dz(self, at: int, ds: Array) -> Array:
        """Room for dL/dz of a layer."""
        shape = (*ds.shape[:-1], self.cells[at].G_all)
        key = (at, *shape)
        if key not in self._room:
            self._room = {k: a for k, a in self._room.items() if k[0] != at}
            self._room[key] = arrays.empty(shape, self.dtype)
        return self._room[key]

    def log_scale(self, states: Sequence[Array]) -> Array | None:
        """(..., R, N, S_all): the natural logarithm of what a component is kept as a share of: m
        for those that are kept as e^-m times their true value; None where all are kept as they are.
        `states` are (..., R, N, S_all) of each layer."""
        if not any(cell.gauge for cell in self.cells):
            return None
        found = np.zeros((*states[0].shape[:-1], self.S_all))
        for cell, rows, s in zip(self.cells, self.rows, states, strict=True):
            for scale, scaled in cell.gauge.items():
                m = s[..., cell.parts[scale].rows]
                for part in scaled:
                    own = cell.parts[part].rows
                    found[..., rows.start + own.start : rows.start + own.stop] = m
        return found


def with_basis_axis(local: Array) -> Array:
    """(..., R, N, local) for a basis in the place of the batch: (..., N, R, 1, local)."""
    return np.moveaxis(local[..., None, :], -3, -4)


def true_values(ds: Array, log_scale: Array | None) -> tuple[Array, Array | int]:
    """Cotangents (..., S_all) of what is kept as e^-m times its true value, by the true values:
    e^-m ds, and the powers of two (...) that they are in units of."""
    if log_scale is None:
        return ds, 0
    power = -log_scale / math.log(2.0)
    top = np.floor(power.max(axis=-1))
    scaled: Array = ds * np.exp2(power - top[..., None]).astype(ds.dtype)
    return scaled, top.astype(np.int64)


def one_run(trajectories: Sequence[Trajectory], r: int) -> list[Trajectory]:
    """The layers of run `r` alone."""
    if len(trajectories[0].diverged_at) == 1:
        return [*trajectories]
    return [t.select(np.array([r])) for t in trajectories]
