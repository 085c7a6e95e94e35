"""Stacked and bidirectional nets for people: each layer and direction next to the whole net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradflow.results import LayerResult, Result

WHOLE = "all"
"""What the net as a whole has for a layer's number."""


def from_the_top(result: Result) -> tuple[LayerResult, ...]:
    """The layers of a result in the order of the rows of a CSV: where the net as a whole has none,
    from the top, since the gradient of a lower layer is zero at lag 0, and DuckDB takes a column
    whose first value is -inf for dates or text."""
    if result.flow is not None:
        return result.layers
    return tuple(sorted(result.layers, key=lambda part: -part.layer))


def with_parts(results: Sequence[Result]) -> list[Result]:
    """The results, and where any of them has parts, those after it, which differ in the axes
    of PLACE_AXES: `layer` and, in a bidirectional net, `direction`."""
    if not any(result.layers for result in results):
        return list(results)
    both = any(part.direction == "reverse" for result in results for part in result.layers)
    varied = (*results[0].varied, "layer", *(["direction"] if both else []))
    return [replace(part, varied=varied) for result in results for part in _parts(result)]


def _parts(result: Result) -> Iterator[Result]:
    """The net as a whole, where it has one state, then each part as a result."""
    if result.flow is not None or not result.layers:
        yield replace(result, axes={**result.axes, "layer": WHOLE, "direction": ""})
    for part in result.layers:
        axes = {**result.axes, "layer": part.layer, "direction": part.direction}
        of = {
            "diagnosis": part.diagnosis,
            "flow": part.flow,
            "over": part.over,
            "measures": part.measures,
        }
        yield replace(result, axes=axes, layers=(), **of)  # type: ignore[arg-type]
