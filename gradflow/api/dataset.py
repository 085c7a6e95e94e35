"""Results as an xarray dataset: curves and figures over the axes of the sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from gradflow.api.frames import columns
from gradflow.formats.columns import CURVES, MORE_CURVES, asked_curves, part_curves
from gradflow.formats.flat import settings
from gradflow.formats.look import Look
from gradflow.numerics.arrays import Array
from gradflow.results import Result


def dataset(xarray: ModuleType, results: Sequence[Result], look: Look) -> Any:
    """Curves over (what the sweep varies..., place, lag), figures over what the sweep varies; NaN,
    or '' of a word, if there is none. Where runs have the same settings (`ws_scale: [1, 1.0]`), or
    most of such a grid were empty, as of runs of several experiments, the axis is `run`, and along
    it lies what differs between them."""
    if not results:
        return xarray.Dataset()
    by_lag, by_run = columns(results, look, "lags"), columns(results, look, "runs")
    varied = list(results[0].varied)
    along: dict[str, Any] = {}
    if not _make_a_grid(by_run, varied):
        along = {name: ("run", _filled(by_run[name])) for name in varied}
        varied = ["run"]
    places = []
    if any(result.layers for result in results):
        by_lag["place"] = list(map(_place, by_lag["layer"], by_lag["direction"]))
        places = ["place"]
    every = (*CURVES, *MORE_CURVES, *part_curves(look.parts), *asked_curves(look.measures))
    known = settings(results[0], look.options)
    over_lags, over_runs = _Grid(by_lag, [*varied, *places, "lag"]), _Grid(by_run, varied)
    arrays = {one.name: over_lags.filled(by_lag[one.name], one.meaning) for one in every}
    arrays |= {name: over_runs.filled(own) for name, own in by_run.items() if name not in known}
    coordinates = {**over_lags.coordinates, **along, **_options(by_run, varied, look)}
    found = xarray.Dataset(arrays, coords=coordinates)
    found["lag"].attrs["units"] = "steps"
    return found


def _make_a_grid(by_run: dict[str, Any], names: Sequence[str]) -> bool:
    """Whether no two runs have the same values of all of these, and they fill half of the grid of
    such values."""
    known = [_plain(by_run[name]) for name in names]
    rows = list(zip(by_run["run"], *known, strict=True))
    places = math.prod(len(set(values)) for values in known)
    return len({row[1:] for row in rows}) == len(rows) and places <= 2 * len(rows)


def _options(
    by_run: dict[str, Any], varied: Sequence[str], look: Look
) -> dict[str, tuple[str, Any]]:
    """The options in which the cells differ, along the axis of the cells, or of the runs."""
    axis = next((name for name in ("cell", "run") if name in varied), None)
    if axis is None:
        return {}
    known = _plain(by_run[axis])
    firsts = [known.index(one) for one in dict.fromkeys(known)]
    found = {name: [by_run[name][at] for at in firsts] for name in look.options}
    return {name: (axis, own) for name, own in found.items() if len(set(map(str, own))) > 1}


def _place(layer: float, direction: str | None) -> str:
    if direction is None:
        return "net"
    return f"l{layer:.0f}" + ("_reverse" if direction == "reverse" else "")


def _height(place: str) -> tuple[int, str]:
    """The net as a whole first, then its places from below."""
    layer, _, direction = place.partition("_")
    return (-1 if place == "net" else int(layer[1:])), direction


class _Grid:
    """Where each row of a table lies on the axes that these columns of it make."""

    def __init__(self, table: dict[str, Any], names: Sequence[str]) -> None:
        self._names = names
        known = {name: list(dict.fromkeys(_plain(table[name]))) for name in names}
        if "place" in known:
            known["place"].sort(key=_height)
        self._at = tuple(
            np.array([known[name].index(value) for value in _plain(table[name])], dtype=np.int64)
            for name in names
        )
        numbers = [name for name in names if isinstance(table[name], np.ndarray)]
        self.coordinates = {
            name: [np.nan if value == "" and name in numbers else value for value in known[name]]
            for name in names
        }

    def filled(self, values: Any, meaning: str = "") -> tuple[Sequence[str], Array, dict[str, str]]:
        """The values on the axes, as xarray takes them."""
        shape = [len(own) for own in self.coordinates.values()]
        if isinstance(values, np.ndarray):
            array: Array = np.full(shape, np.nan)
        else:
            array = np.full(shape, "", dtype=object)
            values = ["" if value is None else value for value in values]
        array[self._at] = values if self._names else values[0]
        return self._names, array, {"description": meaning} if meaning else {}


def _filled(values: Any) -> Any:
    """Numbers as they are, '' if there is no word."""
    return values if isinstance(values, np.ndarray) else _plain(values)


def _plain(values: Any) -> list[Any]:
    """As Python's own, '' if there is none, since NaN is not equal to itself."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return ["" if value is None or value != value else value for value in listed]
