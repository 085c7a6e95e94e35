"""The backward sweep through one block of steps, with every cotangent kept in float range.

No step looks at sizes. Where a cotangent is found to have left the safe range, the sweep is taken
up again from there with the exponent taken out; a power of two changes no digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from gradflow import columns
from gradflow.cells.base import Cell, Local, Params
from gradflow.columns import Array
from gradflow.logspace import ZERO_EXPONENT, Scaled, exponent_of, safe_bits, scale


@dataclass(frozen=True, eq=False)
class Room:
    """Where a sweep through a block of up to K steps puts what it finds; the next one puts its
    own there. `states` (K+1, R, N, S) and `dz` (K, R, N, G) are its result; `arriving`
    (K, R, N, S) are the cotangents with what a layer above injects, in the unit of `states`."""

    states: Scaled
    dz: Scaled
    arriving: Array

    @staticmethod
    def of(cell: Cell, ds: Array, K: int) -> Room:
        """Room for K steps of cotangents like `ds` (R, N, S)."""
        R, N, S = ds.shape
        G = cell.hidden_size(S) * len(cell.gates)
        return Room(
            Scaled.empty((K + 1, R, N, S), ds.dtype),
            Scaled.empty((K, R, N, G), ds.dtype),
            columns.empty((K, R, N, S), ds.dtype),
        )


def sweep(
    cell: Cell, p: Params, local: Local, ds: Scaled, room: Room, injected: Scaled | None = None
) -> tuple[Scaled, Scaled]:
    """Pull `ds` (R, N, S) back through the K steps of a block, in the order of lags.

    Args:
        cell, p: the cell and its parameters.
        local: the local derivatives, (K, R, N, .) each.
        ds: the cotangent of the state after the first of these steps.
        room: where the results are put.
        injected: (K, R, N, P), added to the cotangent of h after each step.

    Returns:
        (K+1, R, N, S), the cotangents of the states before any injection, `ds` first;
        (K, R, N, G), the cotangents of the pre-activations.
    """
    K = len(local[0])
    states, dz = room.states[: K + 1], room.dz[:K]
    states[0] = ds
    done, span = 0, K
    while done < K:
        stop = min(done + span, K)
        unit, added = _common_unit(states[done], injected, done, stop)
        stop = done + len(added) if added is not None else stop
        steps = slice(done, stop)
        after = states.value[:-1] if added is None else room.arriving
        local_here = tuple(a[steps] for a in local)
        views = cell.backward_views(
            local_here, after[steps], dz.value[steps], states.value[1:][steps]
        )
        start = scale(states.value[done], (states.exponent[done] - unit)[..., None])
        with unwatched():
            for k, step in enumerate(zip(*views, strict=True), done):
                if added is not None:
                    after[k] = states.value[k] if k > done else start
                    after[k, ..., : added.shape[-1]] += added[k - done]  # to h, the first part
                cell.pullback(step, p)
        states.exponent[done + 1 : stop + 1] = unit
        dz.exponent[steps] = unit
        out_at = _first_out_of_range(states.value[done + 1 : stop + 1])
        if out_at is None:
            done, span = stop, 2 * span
        else:
            done, span = done + out_at + 1, max(1, out_at)
            states[done] = normalise(states[done])
    return states, dz


@contextmanager
def unwatched() -> Iterator[None]:
    """Arithmetic that may leave float range, which its caller looks for afterwards."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        yield


def normalise(ds: Scaled) -> Scaled:
    """Bring each sample's cotangent (..., N, S) near one, and count it in its exponent (..., N).

    Samples of a batch that lie close together keep one exponent, so that parameter terms can be
    added over the batch as they stand.
    """
    own = exponent_of(ds.value, (-1,))
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


def _first_out_of_range(ds: Array) -> int | None:
    """The first k where some cotangent of ds (K, R, N, S) can no longer be squared safely."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.vecdot(ds, ds)
    bits = safe_bits(ds.dtype)
    inside = (squares < 4.0**bits) & (squares > 4.0**-bits)
    if not inside.all():  # a cotangent may be zero, but not be squared away
        inside |= (squares == 0) & ~ds.any(axis=-1)
    safe = inside.all(axis=(1, 2))
    return None if safe.all() else int(safe.argmin())
