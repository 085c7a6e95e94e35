"""The backward sweep through one block of steps, with every cotangent kept in float range.

No step looks at sizes. Where a cotangent is found to have left the safe range, the sweep is taken
up again from there with the exponent taken out; a power of two changes no digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gradflow import columns
from gradflow.cells.contract import Bound
from gradflow.cells.sized import SizedCell
from gradflow.columns import Array
from gradflow.logspace import (
    ZERO_EXPONENT,
    Scaled,
    are_near_one,
    exponent_of,
    safe_bits,
    scale,
)


class Sweep:
    """Goes back through blocks of up to K steps, one after the other, in the room it keeps: each
    block's result is overwritten by that of the next."""

    def __init__(self, cell: SizedCell, w: Bound, ds: Array, K: int) -> None:
        """For cotangents like `ds` (R, N, S_all)."""
        self.cell, self.w = cell, w
        R, N, S_all = ds.shape
        self._states = Scaled.empty((K + 1, R, N, S_all), ds.dtype)
        self._states.value[..., cell.S :] = 0  # no step hands a cotangent to an earlier output
        self._dz = Scaled.empty((K, R, N, cell.G_all), ds.dtype)
        self._arriving = columns.empty((K, R, N, S_all), ds.dtype)
        self._span = K  # the steps that are expected to stay in the safe range

    def through(
        self, local: Array, ds: Scaled, injected: Scaled | None = None
    ) -> tuple[Scaled, Scaled]:
        """Pull `ds` (R, N, S_all) back through the steps of a block, in the order of lags.

        Args:
            local: the local derivatives of K steps, (K, R, N, local).
            ds: the cotangent of the state after the first of these steps.
            injected: (K, R, N, P), added to the cotangent of the output of each step.

        Returns:
            (K+1, R, N, S_all), the cotangents of the states before any injection, `ds` first;
            (K, R, N, G_all), the cotangents of the pre-activations.
        """
        K = len(local)
        states, dz = self._states[: K + 1], self._dz[:K]
        states[0] = ds
        done = 0
        while done < K:
            stop = self._pull(local, injected, done, min(done + self._span, K))
            out_at = self._first_out_of_range(injected, done, stop)
            if out_at is None:
                self._span += self._span // 4 + 1
                done = stop
            else:
                self._span = out_at - done
                done = out_at
            if done < K:
                states[done] = normalise(states[done])
        return states, dz

    def settled(self, local: Array, ds: Scaled) -> Scaled:
        """`ds` (R, N, S_all) of a state with what arrives at the output of the same step brought to
        it; `local` (R, N, local) is that step's."""
        value = columns.laid(ds.value.copy())
        with unwatched():
            self.cell.settle(local, value, self._dz.value[0], self.w)
        return Scaled(value, ds.exponent)

    def _pull(self, local: Array, injected: Scaled | None, start: int, stop: int) -> int:
        """The steps from `start` to `stop`, or as many as can be carried in one unit; returns
        where it came to."""
        states, dz = self._states, self._dz
        unit, added = _common_unit(states[start], injected, start, stop)
        stop = start + len(added) if added is not None else stop
        steps = slice(start, stop)
        after = states.value[:-1] if added is None else self._arriving
        views = self.cell.backward_views(
            local[steps], after[steps], dz.value[steps], states.value[1:][steps]
        )
        first = scale(states.value[start], (states.exponent[start] - unit)[..., None])
        pullback, w = self.cell.pullback, self.w
        with unwatched():
            for k, step in enumerate(zip(*views, strict=True), start):
                if added is not None:
                    after[k] = states.value[k] if k > start else first
                    after[k, ..., self.cell.outputs] += added[k - start]
                    self.cell.settle(local[k], after[k], dz.value[k], w)
                pullback(step, w)
        states.exponent[start + 1 : stop + 1] = unit
        dz.exponent[steps] = unit
        return stop

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
    columns = vectors.mT
    ones = np.ones((1, columns.shape[-2]), columns.dtype)
    squares: Array = np.matmul(ones, np.square(columns))[..., 0, :]
    return squares


@contextmanager
def unwatched() -> Iterator[None]:
    """Arithmetic that may leave float range, which its caller looks for afterwards."""
    with np.errstate(all="ignore"):
        yield


def normalise(ds: Scaled) -> Scaled:
    """Bring each sample's cotangent (..., N, S) near one, and count it in its exponent (..., N).

    Samples of a batch that lie close together keep one exponent, so that parameter terms can be
    added over the batch as they stand. Where that holds already, nothing is done.
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
