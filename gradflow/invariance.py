"""Whether a part that a cell declares a gauge is one: scale, and no memory.

Where m is a gauge of c, e^m c is what is true. With m moved by d and c made e^-d times as large
nothing true has changed, so a step from there must give the same e^m c, the same other parts and
the same output, from any state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gradflow.cells.contract import Bound, Params
from gradflow.cells.sized import SizedCell
from gradflow.engine.gauges import with_gauges
from gradflow.numerics import arrays
from gradflow.numerics.arrays import Array

_SAMPLES = 8
_MOVED = 0.5
_VISITED = 64  # steps that are followed
_FARTHEST = 1e6  # of a gauge; beyond it, rounding moves e^m by too much
_SMALLEST = 1e-200
_TOLERANCE = 1e-6  # what rounding makes of saturated gates is far below, a gauge that is none above


class Unfounded(NamedTuple):
    """A gauge that is none: `part` of the new state (or the output) differs by `error`, relative
    to its largest entry, once the gauge and what it scales are moved together."""

    gauge: str
    scaled: tuple[str, ...]
    part: str
    error: float

    @property
    def message(self) -> str:
        """What is wrong, in words."""
        own = " and ".join(self.scaled)
        what = "output" if self.part == "output" else f"{self.part}[t]"
        return (
            f"'{self.gauge}' is no gauge of {own}: with {self.gauge} greater by {_MOVED} and {own} "
            f"e^-{_MOVED} times as large, which is to change nothing, a step gives another {what} "
            f"(by {self.error:.2g} of its size)"
        )


def unfounded(
    cell: SizedCell, params: Params, x: Array | None = None, s0: Array | None = None
) -> tuple[Unfounded, ...]:
    """The gauges of a cell under which a step is not invariant, from a few states drawn at random
    and from those that it visits.

    Args:
        cell: the cell.
        params: its parameters, by name, each of its own shape.
        x: its input (T, N, I), of which the first steps and samples are followed; None: of none.
        s0: the state (N, S) that it starts from.
    """
    found = []
    for gauge, scaled in cell.gauge.items():
        with np.errstate(all="ignore"):
            worst = max(_differences(cell, params, gauge, x, s0), key=lambda pair: pair[1])
        if worst[1] > _TOLERANCE:
            found.append(Unfounded(gauge, tuple(scaled), *worst))
    return tuple(found)


def _differences(
    cell: SizedCell, params: Params, gauge: str, inputs: Array | None, s0: Array | None
) -> Iterator[tuple[str, float]]:
    """(part, how far it is moved relative to its size) of a step, over the samples whose new state
    is finite and whose gauges are not too far: the largest."""
    w = cell.bind({name: np.asarray(a, dtype=np.float64) for name, a in params.items()})
    for x, s in (_drawn(cell), *_visited(cell, w, inputs, s0)):
        yield from _differences_from(cell, w, gauge, x, s)


def _drawn(cell: SizedCell) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x = arrays.laid(rng.standard_normal((_SAMPLES, cell.I)))
    s = arrays.empty((_SAMPLES, cell.S_all), np.float64)
    s[...] = rng.standard_normal(s.shape)
    s[: _SAMPLES // 2] = np.abs(s[: _SAMPLES // 2])  # what is to be positive
    return x, s


def _visited(
    cell: SizedCell, w: Bound, inputs: Array | None, s0: Array | None
) -> Iterator[tuple[Array, Array]]:
    """The inputs of the first steps and the states before them, as long as these are in range."""
    if inputs is None or s0 is None:
        return
    s = arrays.empty((len(s0[:_SAMPLES]), cell.S_all), np.float64)
    s[...] = 0
    s[:, : cell.S] = s0[:_SAMPLES, : cell.S]
    s = with_gauges(cell, w, inputs[0, :_SAMPLES].astype(np.float64), s)
    for row in inputs[:_VISITED, :_SAMPLES]:
        if not np.isfinite(s).all() or not _is_near(cell, s).all():
            return
        x = arrays.laid(row.astype(np.float64))
        yield x, s
        s = cell.one_step(x, s, w)


def _differences_from(
    cell: SizedCell, w: Bound, gauge: str, x: Array, s: Array
) -> Iterator[tuple[str, float]]:
    moved = arrays.laid(s.copy())
    moved[..., cell.parts[gauge].rows] += _MOVED
    for part in cell.gauge[gauge]:
        moved[..., cell.parts[part].rows] *= np.exp(-_MOVED)
    one, other = (cell.one_step(x, start, w) for start in (s, moved))
    before, after = _parts(cell, one, one), _parts(cell, other, one)
    near = _is_near(cell, one) & _is_near(cell, other)
    for part, value in before.items():
        both = near & np.isfinite(value).all(axis=-1) & np.isfinite(after[part]).all(axis=-1)
        gap = np.abs(value[both] - after[part][both]).max(initial=0.0)
        size = max(np.abs(a[both]).max(initial=0.0) for a in (value, after[part]))
        yield part, float(gap / size) if size > _SMALLEST else 0.0


def _is_near(cell: SizedCell, s: Array) -> Array:
    """(N,): whether the gauges of states (N, S) are such that rounding does not move e^m."""
    gauges = [np.abs(s[:, cell.parts[name].rows]).max(axis=-1) for name in cell.gauge]
    near: Array = np.maximum.reduce(gauges) <= _FARTHEST
    return near


def _parts(cell: SizedCell, s: Array, like: Array) -> dict[str, Array]:
    """The parts of `s` that are no gauges, by the scale that `like` keeps them by, and the output
    where it has its own rows."""
    found = {name: s[:, p.rows] for name, p in cell.parts.items() if name not in cell.gauge}
    for gauge, scaled in cell.gauge.items():
        rows = cell.parts[gauge].rows
        m = s[:, rows] - like[:, rows]
        for part in scaled:
            apart = found[part].reshape(*m.shape, -1)  # entries that share a scale
            found[part] = (apart * np.exp(m)[..., None]).reshape(len(s), -1)
    if cell.outputs.start >= cell.S:
        found["output"] = s[:, cell.outputs]
    return found
