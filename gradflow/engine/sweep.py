"""The backward sweep through one block of steps, with every cotangent kept in float range.

No step looks at sizes. Where a cotangent is found to have left the safe range, the sweep is taken
up again from there with the exponent taken out; a power of two changes no digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gradflow.cells.base import Cell, Local, Params
from gradflow.logspace import ZERO_EXPONENT, Array, Scaled, exponent_of, safe_bits, scale


def sweep(
    cell: Cell, p: Params, local: Local, ds: Scaled, injected: Scaled | None = None
) -> tuple[Scaled, Scaled]:
    """Pull `ds` (R, N, S) back through the K steps of a block, in the order of lags.

    Args:
        cell, p: the cell and its parameters.
        local: the local derivatives, (K, R, N, .) each.
        ds: the cotangent of the state after the first of these steps.
        injected: (K, R, N, P), added to the cotangent of h after each step.

    Returns:
        (K+1, R, N, S), the cotangents of the states before any injection, `ds` first;
        (K, R, N, G), the cotangents of the pre-activations.
    """
    K, (R, N, S) = len(local[0]), ds.value.shape
    states = Scaled.empty((K + 1, R, N, S), ds.value.dtype)
    dz = Scaled.empty((K, R, N, cell.hidden_size(S) * len(cell.gates)), ds.value.dtype)
    states[0] = ds
    done, span = 0, K
    while done < K:
        stop = min(done + span, K)
        unit, added = _common_unit(states[done], injected, done, stop)
        stop = done + len(added) if added is not None else stop
        current = scale(states.value[done], (states.exponent[done] - unit)[..., None])
        with unwatched():
            for k in range(done, stop):
                if added is not None:
                    current = current.copy()
                    current[..., : added.shape[-1]] += added[k - done]  # to h, the first part
                at_k = tuple(a[k] for a in local)
                cell.pullback(at_k, current, p, dz.value[k], states.value[k + 1])
                current = states.value[k + 1]
        states.exponent[done + 1 : stop + 1] = unit
        dz.exponent[done:stop] = unit
        out_at = _first_out_of_range(states.value[done + 1 : stop + 1])
        if out_at is None:
            done, span = stop, 2 * span
        else:
            done, span = done + out_at + 1, max(1, out_at)
            states[done] = normalise(states[done])
    return states, dz


@contextmanager
def unwatched() -> Iterator[None]:
    """Arithmetic that may leave float range, which its caller looks for afterwards.

    NumPy passes slices (the gates of z, the parts of a state) through buffers; short ones, kept
    in the nearest cache, make these steps up to an eighth faster.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        np.setbufsize(256)  # which errstate restores
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
    largest = np.abs(ds).max(axis=-1)
    bits = safe_bits(ds.dtype)
    inside = (largest < 2.0**bits) & ((largest > 2.0**-bits) | (largest == 0))
    safe = inside.all(axis=(1, 2))
    return None if safe.all() else int(safe.argmin())
