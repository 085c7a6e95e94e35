"""The views that a cell's code works on: rows of the engine's arrays, as columns (..., ., N)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gradflow.cells.contract import Views
from gradflow.equations.emit import Code
from gradflow.equations.layout import View
from gradflow.equations.sizes import Shape
from gradflow.numerics.arrays import Array

GIVEN = {
    "prepare": ("z", "saved", "x"),
    "step": ("z", "saved", "s", "s_next", "x"),
    "linearize": ("z", "saved", "s", "s_next", "x", "local"),
    "pullback": ("local", "ds", "dz", "ds_prev"),
    "settle": ("local", "ds", "dz"),
}
"""The arrays that each function's views are cut from."""


class Cut(NamedTuple):
    """A view: which array, its rows, and the shape that they are cut to, if any."""

    array: int
    at: tuple[Any, ...]
    shape: tuple[int, ...] | None
    merged: bool


def cuts(
    code: Code, rows: Mapping[str, Sequence[slice]], sizes: Callable[[Shape], tuple[int, ...]]
) -> dict[str, list[Cut]]:
    """The cuts of each function, `rows` being those of the entries of every array."""
    return {
        name: [_cut(view, GIVEN[name], code, rows[view.array], sizes) for view in views]
        for name, views in code.views.items()
    }


def _cut(
    view: View, given: tuple[str, ...], code: Code, rows: Sequence[slice],
    sizes: Callable[[Shape], tuple[int, ...]],
) -> Cut:  # fmt: skip
    start, stop = rows[view.first].start, rows[view.last].stop
    shape: tuple[int, ...] | None = None
    if view.form == "entries":
        count = view.last - view.first + 1
        shape = (count, (stop - start) // count)
    elif view.form in ("matrix", "merged"):
        entries = {"z": code.z, "dz": code.z, "saved": code.saved, "local": code.local}
        shape = sizes(entries.get(view.array, code.handed)[view.first].shape)
    index = (..., slice(start, stop), slice(None))
    return Cut(given.index(view.array), index, shape, view.form == "merged")


def views(cuts: Sequence[Cut], of: Sequence[Array]) -> Views:
    """The views of these arrays (..., N, width)."""
    laid_out, found = [a.mT for a in of], []
    for array, index, shape, merged in cuts:
        rows = laid_out[array][index]
        if shape is not None:
            *lead, _, N = rows.shape
            own = (shape[0], shape[1] * N) if merged else (*shape, N)
            rows = rows.reshape(*lead, *own)
        found.append(rows)
    return tuple(found)
