"""The backward pass through one block of steps, with every cotangent kept in float range.

No step looks at sizes. Where a cotangent is found to have left the safe range, the pass is taken
up again from there with the exponent taken out; a power of two changes no digit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from gradflow.cells.contract import Bound
from gradflow.cells.sized import SizedCell
from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import (
    ZERO_EXPONENT,
    Scaled,
    are_near_one,
    exponent_of,
    safe_bits,
    scale,
    sum_of_scaled,
)


class Entering(NamedTuple):
    """What happens to the states 1..K of a block besides what comes to them through time.

    Attributes:
        loss: (K, R, N, S_all), what the loss adds to their cotangents; None: nothing.
        cuts: those of them, by number, that nothing comes to through time.
        behind: (R, N, local), the local derivatives of the step that made state K, where the cell
            settles.
    """

    loss: Scaled | None = None
    cuts: Collection[int] = ()
    behind: Array | None = None


class BackwardPass:
    """Goes back through blocks of up to K steps, one after the other, in the room it keeps: each
    block's result is overwritten by that of the next, or with two rooms of the one after that."""

    def __init__(self, cell: SizedCell, w: Bound, ds: Array, K: int, rooms: int = 1) -> None:
        """For cotangents like `ds` (R, N, S_all)."""
        self.cell, self.w = cell, w
        R, N, S_all = ds.shape
        self._rooms = [self._room_for(ds, K) for _ in range(rooms)]
        self._states, self._dz = self._rooms[0]
        self._room = arrays.empty((R, N, cell.G_all), ds.dtype)
        self._arriving = arrays.empty((K, R, N, S_all), ds.dtype)
        self._span = K  # the steps that are expected to stay in the safe range

    def through(
        self,
        local: Array,
        ds: Scaled,
        injected: Scaled | None = None,
        entering: Entering | None = None,
    ) -> tuple[Scaled, Scaled]:
        """Pull `ds` (R, N, S_all) back through the steps of a block, in the order of lags.

        Args:
            local: the local derivatives of K steps, (K, R, N, local).
            ds: the cotangent of the state after the first of these steps.
            injected: (K, R, N, P), added to the cotangent of the output of each step on its way
                through that step; it is no part of the cotangents of the states.
            entering: what the loss adds to the states between, which is part of theirs.

        Returns:
            (K+1, R, N, S_all), the cotangents of the states before any injection, `ds` first;
            (K, R, N, G_all), the cotangents of the pre-activations.
        """
        K = len(local)
        self._rooms.reverse()
        self._states, self._dz = self._rooms[0]
        states, dz = self._states[: K + 1], self._dz[:K]
        states[0] = ds
        loss, cuts = (entering.loss, entering.cuts) if entering else (None, ())
        if injected is None and loss is None and not ds.value.any():
            self._nothing(K)
            return states, dz
        ends = [*sorted(cuts), K]
        done = 0
        while done < K:
            end = next(cut for cut in ends if cut > done)
            stop = self._pull(local, injected, loss, done, min(done + self._span, end))
            out_at = self._first_out_of_range(injected, done, stop)
            if out_at is None:
                self._span += self._span // 4 + 1
                done = stop
                if entering:
                    self._enter(done, entering, local)
            else:
                self._span = out_at - done
                done = out_at
            if done < K:
                states[done] = normalise(states[done])
        return states, dz

    def settled(self, local: Array, ds: Scaled) -> Scaled:
        """`ds` (R, N, S_all) of a state with what arrives at the output of the same step brought to
        it; `local` (R, N, local) is that step's."""
        value = arrays.laid(ds.value.copy())
        with unwatched():
            self.cell.settle(local, value, self._room, self.w)
        return Scaled(value, ds.exponent)

    def _room_for(self, ds: Array, K: int) -> tuple[Scaled, Scaled]:
        """Room for what `through` gives of K steps."""
        *batch, S_all = ds.shape
        states = Scaled.empty((K + 1, *batch, S_all), ds.dtype)
        states.value[..., self.cell.S :] = 0  # no step hands a cotangent to an earlier output
        return states, Scaled.empty((K, *batch, self.cell.G_all), ds.dtype)

    def _nothing(self, K: int) -> None:
        """K steps that no gradient comes to."""
        for part in (self._states[1 : K + 1], self._dz[:K]):
            part.value[...] = 0
            part.exponent[...] = ZERO_EXPONENT

    def _enter(self, k: int, entering: Entering, local: Array) -> None:
        """What the loss adds to state `k`, whose cotangent has just come through time, or was to be
        cut off from it."""
        ds = self._states[k]
        if k in entering.cuts:
            ds = Scaled(np.zeros_like(ds.value), np.full_like(ds.exponent, ZERO_EXPONENT))
        elif entering.loss is None:
            return
        if entering.loss is not None and entering.loss.value[k - 1].any():
            ds.value[..., self.cell.S :] = 0
            ds = normalise(sum_of_scaled(ds, entering.loss[k - 1]))
            if self.cell.settles:
                behind = local[k] if k < len(local) else entering.behind
                assert behind is not None
                ds = self.settled(behind, ds)
        self._states[k] = ds

    def _pull(
        self, local: Array, injected: Scaled | None, loss: Scaled | None, start: int, stop: int
    ) -> int:
        """The steps from `start` to `stop`, or as many as can be carried in one unit; returns
        where it came to. What the loss adds at either end is not added here."""
        states, dz = self._states, self._dz
        unit, added = _common_unit(states[start], injected, start, stop)
        stop = start + len(added) if added is not None else stop
        own = _within_unit(loss, unit, start + 1, stop) if loss is not None else None
        stop = start + 1 + len(own) if own is not None else stop
        steps = slice(start, stop)
        after = states.value[:-1] if added is None else self._arriving
        views = self.cell.backward_views(
            local[steps], after[steps], dz.value[steps], states.value[1:][steps]
        )
        first = scale(states.value[start], (states.exponent[start] - unit)[..., None])
        pullback, w = self.cell.pullback, self.w
        with unwatched():
            for k, step in enumerate(zip(*views, strict=True), start):
                if own is not None and k > start:
                    states.value[k, ..., self.cell.S :] = 0
                    states.value[k] += own[k - start - 1]
                    self.cell.settle(local[k], states.value[k], self._room, self.w)
                if added is not None:
                    after[k] = states.value[k] if k > start else first
                    self._inject(added[k - start], local[k], after[k])
                pullback(step, w)
        states.exponent[start + 1 : stop + 1] = unit
        dz.exponent[steps] = unit
        return stop

    def _inject(self, added: Array, local: Array, ds: Array) -> None:
        """Add to the cotangent of a state and its output, in place, what the output of its step
        (R, N, P) receives from above; what the loss put at that output is settled already."""
        beyond = slice(self.cell.S, None)
        settled = ds[..., beyond].copy() if self.cell.settles else None
        if settled is not None:
            ds[..., beyond] = 0
        ds[..., self.cell.outputs] += added
        self.cell.settle(local, ds, self._room, self.w)
        if settled is not None:
            ds[..., beyond] += settled

    def _first_out_of_range(self, injected: Scaled | None, start: int, stop: int) -> int | None:
        """The first step behind `start` that has to be taken again from a cotangent near one: what
        it starts from can no longer be squared safely, or what it gives may have lost digits."""
        if stop - start == 1:
            return None
        ds, dz = self._states.value[start + 1 : stop + 1], self._dz.value[start + 1 : stop]
        before = ds[:-1] if injected is None else self._arriving[start + 1 : stop]
        bits = safe_bits(ds.dtype)
        with unwatched():
            given = _squares(ds)
            taken = given[:-1] if injected is None else _squares(before)
            near = are_near_one(taken, bits // 4)
            if near.all():  # most often
                return None
            between = _squares(dz)
        fine = near | (
            are_near_one(given[1:], 4 * bits // 3) & are_near_one(between, 4 * bits // 3)
        )
        fine &= are_near_one(taken, bits)
        if not fine.all():  # a cotangent may be zero, but neither squared nor scaled away
            zero = (taken == 0) & ~before.any(axis=-1)
            if injected is not None:
                zero &= ~injected.value[start + 1 : stop].any(axis=-1)
            fine |= zero
        steps = fine.all(axis=(1, 2))
        return None if steps.all() else start + 1 + int(steps.argmin())


def _squares(vectors: Array) -> Array:
    """(..., N): sums of squares of vectors (..., N, width), about; the fastest way there is."""
    if vectors.shape[-2] < 4:
        return np.asarray(np.vecdot(vectors, vectors))
    laid_out = vectors.mT
    ones = np.ones((1, laid_out.shape[-2]), laid_out.dtype)
    squares: Array = np.matmul(ones, np.square(laid_out))[..., 0, :]
    return squares


@contextmanager
def unwatched() -> Iterator[None]:
    """Arithmetic that may leave float range, which its caller looks for afterwards."""
    with np.errstate(all="ignore"):
        yield


def normalise(ds: Scaled) -> Scaled:
    """Bring each sample's cotangent (..., N, S) near one, and count it in its exponent (..., N).

    Samples of a batch that lie close together keep one exponent, so that parameter terms can be
    added over the batch as they are. Where that holds already, nothing is done.
    """
    own = exponent_of(ds.value, (-1,))
    near = np.abs(own) <= safe_bits(ds.value.dtype) // 4
    if near.all() and (ds.exponent == ds.exponent[..., :1]).all():
        return ds
    zero = own == ZERO_EXPONENT
    wanted = _shared(np.where(zero, ZERO_EXPONENT, ds.exponent + own), ds.value.dtype)
    shift = np.where(zero, 0, ds.exponent - wanted)
    return Scaled(scale(ds.value, shift[..., None]), wanted)


def _shared(exponent: Array, dtype: np.dtype[np.generic]) -> Array:
    """(..., N) exponents, those close to the largest of their batch raised to it."""
    top = exponent.max(axis=-1, keepdims=True)
    return np.where(exponent > top - safe_bits(dtype) // 4, top, exponent)


def _common_unit(
    ds: Scaled, injected: Scaled | None, done: int, stop: int
) -> tuple[Array, Array | None]:
    """The exponent (R, N) in which the steps from `done` on are carried, and the injected
    cotangents in that unit, up to the step before the first that would not fit."""
    if injected is None:
        return ds.exponent, None
    unit = np.maximum(ds.exponent, injected.exponent[done])
    unit = _shared(unit, ds.value.dtype)
    shift = injected.exponent[done:stop] - unit
    fits: Array = np.all(shift <= safe_bits(ds.value.dtype) // 2, axis=(1, 2))
    count = len(fits) if fits.all() else max(1, int(fits.argmin()))
    return unit, scale(injected.value[done : done + count], shift[:count, ..., None])


def _within_unit(loss: Scaled, unit: Array, start: int, stop: int) -> Array:
    """What the loss adds to the states from `start` to before `stop`, in units of 2**`unit` (R, N),
    up to the one before the first that would not fit."""
    here = loss[start - 1 : stop - 1]
    shift = here.exponent - unit
    fits: Array = np.all(shift <= safe_bits(loss.value.dtype) // 2, axis=(1, 2))
    count = len(fits) if fits.all() else int(fits.argmin())
    return scale(here.value[:count], shift[:count, ..., None])
