"""JSON: one object with the config and every run; strict, so no NaN and no Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from gradflow import __version__
from gradflow.columns import Array
from gradflow.diagnosis.figures import FIGURES
from gradflow.formats.columns import CURVES, MORE_CURVES, part_curves, values
from gradflow.formats.figures import nested
from gradflow.formats.view import View
from gradflow.logspace import Magnitudes
from gradflow.measures import MEASURES
from gradflow.measures.contract import Curve, Values
from gradflow.measures.measured import Measured
from gradflow.measures.terms import TOTALS
from gradflow.provenance import provenance
from gradflow.results import Diagnosis, GradientFlow, LayerResult, Result

FORMAT = 1
"""What `format` says; another number where a key changes its meaning or goes away."""


def export(results: Iterable[Result], view: View) -> Iterator[str]:
    """`{"gradflow": version, ..., "config": {...}, "runs": [...]}`, with one run a line."""
    made = {
        **(view.made or head(view.config)),
        "parts": list(view.parts),
        "options": list(view.options),
        "measures": list(view.measures),
    }
    yield json.dumps(made, allow_nan=False)[:-1] + ', "runs": ['
    before = "\n"
    for result in results:
        yield before + json.dumps(_run(result), allow_nan=False)[:-1] + ', "places": ['
        for part in result.layers:
            yield ("\n" if part is result.layers[0] else ",\n") + json.dumps(_place(part))
        yield "]}"
        before = ",\n"
    yield "\n]}\n"


def head(config: Mapping[str, object]) -> dict[str, object]:
    """What comes before the results: with what they were made."""
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
    return with_logarithms((*CURVES, *MORE_CURVES, *part_curves(parts)))


def with_logarithms(curves: Iterable[Curve]) -> dict[str, Curve]:
    """Curves by the names of their arrays: their own, and that of the logarithm of a magnitude."""
    named = {}
    for curve in curves:
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
        **_starts(result.flow),
        "loss": plain(result.loss),
        "objective": result.objective,
        "diagnosis": diagnosis(result.diagnosis),
        "of_reach": result.diagnosis.of_reach,
        "diverged_at": result.diverged_at,
        "notes": list(result.notes),
        "lags": list(range(result.sequence_length + 1)),
        **_curves(result.flow, result.sequence_length + 1),
        **_asked(result.measures, result.sequence_length + 1),
    }


def _place(part: LayerResult) -> dict[str, object]:
    """One layer and direction."""
    return {
        "layer": part.layer,
        "direction": part.direction,
        **_totals(part.flow),
        **_starts(part.flow),
        "diagnosis": diagnosis(part.diagnosis),
        "of_reach": part.diagnosis.of_reach,
        **_curves(part.flow, len(part.flow.state)),
        **_asked(part.measures, len(part.flow.state)),
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


def _starts(flow: GradientFlow | None) -> dict[str, object]:
    """What the curves are compared with, and the typical curve, which horizons are read from."""
    if flow is None:
        return dict.fromkeys(("first", "start", "log10_typical", "log10_typical_start"))
    start = None if flow.start is None else _listed(flow.start[np.newaxis])[0]
    typical = _listed(flow.log10_typical) if len(flow.log10_typical) else None
    typical_start = plain(flow.log10_typical_start)
    return {
        "first": flow.first,
        "start": start,
        "log10_typical": typical,
        "log10_typical_start": typical_start,
    }


def _curves(flow: GradientFlow | None, length: int) -> dict[str, object]:
    """Every array against lag, null past its end."""
    named = curve_names(flow.parts if flow else ())
    return {
        name: _array(name, curve, values(curve, flow, {}), length) for name, curve in named.items()
    }


def _asked(measures: Mapping[str, Measured], length: int) -> dict[str, object]:
    """What was asked for besides: the curves among the others, the figures by the measure's
    name."""
    arrays: dict[str, object] = {}
    for name, measured in measures.items():
        named = with_logarithms(MEASURES[name].curves)
        for of, curve in named.items():
            arrays[of] = _array(of, curve, values(curve, None, {name: measured}), length)
        figures = {figure: plain(value) for figure, value in measured.figures.items()}
        arrays[name] = {**nested(MEASURES[name], figures), "note": measured.note}
    return {**arrays, "measured": {name: _exactly(one) for name, one in measures.items()}}


def _exactly(measured: Measured) -> dict[str, object]:
    """What of a measure's results the keys beside this one leave open, so that they can be read
    back: figures that are not finite, how long curves are, and where those are infinite."""
    curves: dict[str, object] = {}
    for name, curve in measured.curves.items():
        curves[name] = {"length": len(curve)}
        if not isinstance(curve, Magnitudes) and np.isinf(curve).any():
            infinite = {sign: np.flatnonzero(curve == float(sign)) for sign in ("-inf", "inf")}
            curves[name] = {"length": len(curve), **_plain_mapping(infinite)}
    figures = {name: _number_or_text(value) for name, value in measured.figures.items()}
    return {"note": measured.note, "figures": figures, "curves": curves}


def _number_or_text(value: object) -> object:
    """A figure; where it is not finite, in an object: `{"float": "inf"}`."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(float(value))}
    return plain(value)


def _array(name: str, curve: Curve, found: Values, length: int) -> list[object]:
    """A curve, or its logarithm if that is what is named."""
    if isinstance(found, Magnitudes) and name != curve.name:
        found = found.log10()
    listed = [] if found is None else _listed(found)
    return listed + [None] * (length - len(listed))


def _listed(values: Magnitudes | Array) -> list[object]:
    """Numbers; as decimal text where they lie outside float range, null where not finite."""
    floats = values.floats() if isinstance(values, Magnitudes) else values
    listed = floats.astype(object)
    listed[~np.isfinite(floats)] = None
    if isinstance(values, Magnitudes) and not (fits := values.fits_floats).all():
        listed[~fits] = values[~fits].texts()
    as_list: list[object] = listed.tolist()
    return as_list
