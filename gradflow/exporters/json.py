"""JSON: one object with the config and every run; strict, so no NaN and no Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from gradflow import __version__
from gradflow.columns import Array
from gradflow.exporters.columns import CURVES, FIGURES, MORE_CURVES, TOTALS, Curve, part_curves
from gradflow.exporters.view import View
from gradflow.logspace import Magnitudes
from gradflow.provenance import provenance
from gradflow.results import Diagnosis, GradientFlow, LayerResult, Result

FORMAT = 1
"""What `format` says; another number where a key changes its meaning or goes away."""


def export(results: Iterable[Result], view: View) -> Iterator[str]:
    """`{"gradflow": version, ..., "config": {...}, "runs": [...]}`, with one run a line."""
    yield json.dumps(head(view.config), allow_nan=False)[:-1] + ', "runs": ['
    before = "\n"
    for result in results:
        yield before + json.dumps(_run(result), allow_nan=False)[:-1] + ', "places": ['
        for part in result.layers:
            yield ("\n" if part is result.layers[0] else ",\n") + json.dumps(_place(part))
        yield "]}"
        before = ",\n"
    yield "\n]}\n"


def head(config: Mapping[str, object]) -> dict[str, object]:
    """What stands before the results: with what they were made."""
    content = plain(config)
    return {
        "gradflow": __version__,
        "format": FORMAT,
        "provenance": provenance(content),
        "config": content,
    }


def plain(value: object) -> object:
    """`value` as JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def curve_names(parts: Iterable[str] = ()) -> dict[str, Curve]:
    """The arrays against lag: the columns of the CSV, with those of these parts of a state, and the
    logarithm of every magnitude."""
    named = {}
    for curve in (*CURVES, *MORE_CURVES, *part_curves(parts)):
        named[curve.name] = curve
        if curve.any_size:
            named[f"log10_{curve.name}"] = curve
    return named


def _run(result: Result) -> dict[str, object]:
    """One run but for its places."""
    return {
        "run": result.run,
        **_plain_mapping(result.axes),
        **_plain_mapping(result.options),
        **_totals(result.flow),
        "loss": plain(result.loss),
        "objective": result.objective,
        "diagnosis": diagnosis(result.diagnosis),
        "diverged_at": result.diverged_at,
        "notes": list(result.notes),
        "lags": list(range(result.sequence_length + 1)),
        **_curves(result.flow, result.sequence_length + 1),
    }


def _place(part: LayerResult) -> dict[str, object]:
    """One layer and direction."""
    return {
        "layer": part.layer,
        "direction": part.direction,
        **_totals(part.flow),
        "diagnosis": diagnosis(part.diagnosis),
        **_curves(part.flow, len(part.flow.state)),
    }


def _plain_mapping(values: Mapping[str, object]) -> dict[str, object]:
    return {name: plain(value) for name, value in values.items()}


def diagnosis(found: Diagnosis) -> dict[str, object]:
    """Every figure of a curve by its name."""
    return {figure.name: plain(figure.of(found)) for figure in FIGURES}


def _totals(flow: GradientFlow | None) -> dict[str, object]:
    totals = flow.totals if flow else {}
    numbers = {name: _listed(totals[name][np.newaxis]) for name in TOTALS if name in totals}
    logs = {name: _listed(totals[name].log10()[np.newaxis]) for name in numbers}
    return {
        "totals": {name: numbers.get(name, [None])[0] for name in TOTALS},
        "log10_totals": {name: logs.get(name, [None])[0] for name in TOTALS},
    }


def _curves(flow: GradientFlow | None, length: int) -> dict[str, object]:
    """Every array against lag, null past its end."""
    arrays: dict[str, object] = {}
    for name, curve in curve_names(flow.parts if flow else ()).items():
        values = None if flow is None else curve.of(flow)
        if isinstance(values, Magnitudes) and name != curve.name:
            values = values.log10()
        listed = [] if values is None else _listed(values)
        arrays[name] = listed + [None] * (length - len(listed))
    return arrays


def _listed(values: Magnitudes | Array) -> list[object]:
    """Numbers; as decimal text where they lie outside float range, null where not finite."""
    floats = values.floats() if isinstance(values, Magnitudes) else values
    listed = floats.astype(object)
    listed[~np.isfinite(floats)] = None
    if isinstance(values, Magnitudes) and not (fits := values.fits_floats).all():
        listed[~fits] = values[~fits].texts()
    as_list: list[object] = listed.tolist()
    return as_list
