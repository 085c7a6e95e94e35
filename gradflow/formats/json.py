"""JSON: one object with the config and every run; strict, so no NaN and no Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from gradflow import __version__
from gradflow.diagnosis.figures import FIGURES
from gradflow.formats.columns import CURVES, MORE_CURVES, part_curves, values
from gradflow.formats.figures import nested
from gradflow.formats.flat import HIGH, LOW, Value, spread_out
from gradflow.formats.look import Look
from gradflow.measures import MEASURES
from gradflow.measures.contract import Curve, Measure, Values
from gradflow.measures.measured import Measured
from gradflow.measures.terms import TOTALS
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.provenance import provenance
from gradflow.results import Diagnosis, GradientFlow, LayerResult, OverSeeds, Result

FORMAT = 1
"""What `format` says; another number where a key changes its meaning or goes away."""


def export(results: Iterable[Result], look: Look) -> Iterator[str]:
    """`{"gradflow": version, ..., "config": {...}, "runs": [...]}`, with one run a line."""
    made = {
        **(look.made or head(look.config)),
        **({} if look.over is None else {"over": look.over}),
        "parts": list(look.parts),
        "options": list(look.options),
        "measures": list(look.measures),
    }
    yield json.dumps(made, allow_nan=False)[:-1] + ', "runs": ['
    before = "\n"
    for result in results:
        yield before + json.dumps(of_run(result), allow_nan=False)[:-1] + ', "places": ['
        for part in result.layers:
            yield ("\n" if part is result.layers[0] else ",\n") + json.dumps(of_place(part))
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


def of_run(result: Result) -> dict[str, object]:
    """One run but for its places."""
    return {
        "run": result.run,
        **_plain_mapping(result.axes),
        **_plain_mapping(result.options),
        **_sizes(result),
        **_loss(result),
        "objective": result.objective,
        **_meaning(result),
        "diverged_at": result.diverged_at,
        "notes": list(result.notes),
        "lags": list(range(result.sequence_length + 1)),
        **_arrays(result, result.sequence_length + 1),
    }


def of_place(part: LayerResult) -> dict[str, object]:
    """One layer and direction."""
    return {
        "layer": part.layer,
        "direction": part.direction,
        **_sizes(part),
        **_meaning(part),
        **_arrays(part, len(part.flow.state)),
    }


def _sizes(part: Result | LayerResult) -> dict[str, object]:
    """What a run or a place has as single numbers."""
    return {**_totals(part), **_starts(part.flow)}


def _meaning(part: Result | LayerResult) -> dict[str, object]:
    """What the curve of a run or a place says, and whether that is of its reach."""
    return {"diagnosis": _diagnosis(part), "of_reach": part.diagnosis.of_reach}


def _arrays(part: Result | LayerResult, length: int) -> dict[str, object]:
    """What a run or a place has against lag, and what else was measured."""
    return {**_curves(part.flow, length), **_asked(part, length)}


def _plain_mapping(values: Mapping[str, object]) -> dict[str, object]:
    return {name: plain(value) for name, value in values.items()}


def diagnosis(found: Diagnosis) -> dict[str, object]:
    """Every figure of a curve by its name."""
    return {figure.name: plain(figure.of(found)) for figure in FIGURES}


def _loss(result: Result) -> dict[str, object]:
    over = result.over
    if over is None:
        return {"loss": plain(result.loss)}
    return {name: plain(value) for name, value in spread_out(over, ["loss"]).items()}


def _diagnosis(part: Result | LayerResult) -> dict[str, object]:
    """The same of a run or a place; over seeds with the lowest and highest of each number."""
    found = diagnosis(part.diagnosis)
    if part.over is not None:
        names = [name for name in found if name in part.over.figures]
        found |= {name: plain(value) for name, value in spread_out(part.over, names).items()}
    return found


def _totals(part: Result | LayerResult) -> dict[str, object]:
    totals: dict[str, Value] = dict.fromkeys(TOTALS)
    if part.over is not None:
        spreads = spread_out(part.over, [f"total_{name}" for name in TOTALS])
        totals |= {name.removeprefix("total_"): value for name, value in spreads.items()}
    elif part.flow is not None:
        totals |= part.flow.totals
    there = {name: one for name, one in totals.items() if isinstance(one, Magnitudes)}
    nothing = dict.fromkeys(totals)
    return {
        "totals": nothing | {name: _listed(one.reshape(1))[0] for name, one in there.items()},
        "log10_totals": nothing
        | {name: _listed(one.log10()[np.newaxis])[0] for name, one in there.items()},
    }


def _starts(flow: GradientFlow | None) -> dict[str, object]:
    """What the curves are compared with, and the typical curve, which horizons are read from."""
    if flow is None:
        return dict.fromkeys(("first", "start", "log10_typical", "log10_typical_start"))
    start = None if flow.start is None else _listed(flow.start.reshape(1))[0]
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


def _asked(part: Result | LayerResult, length: int) -> dict[str, object]:
    """What else was asked for: the curves among the others, the figures by the measure's
    name."""
    arrays: dict[str, object] = {}
    for name, measured in part.measures.items():
        named = with_logarithms(MEASURES[name].curves)
        for of, curve in named.items():
            arrays[of] = _array(of, curve, values(curve, None, {name: measured}), length)
        figures = {figure: plain(value) for figure, value in measured.figures.items()}
        arrays[name] = {**nested(MEASURES[name], figures), "note": measured.note}
        if part.over is not None:
            arrays[name] = {**_spreads(MEASURES[name], part.over, figures), "note": measured.note}
    if part.over is not None:
        return {**arrays, "measured": {}}
    return {**arrays, "measured": {name: _exactly(one) for name, one in part.measures.items()}}


def _spreads(measure: Measure, over: OverSeeds, names: Iterable[str]) -> dict[str, object]:
    """The figures of a measure over seeds, the lowest and highest under the innermost key."""
    found = spread_out(over, names)
    nests = []
    for end in ("", LOW, HIGH):
        figures = {name: plain(found[name + end]) for name in names if name + end in found}
        nests.append(_ended(nested(measure, figures), end))
    both = nests[0]
    for nest in nests[1:]:
        for key, value in nest.items():
            inner = both.get(key)
            both[key] = {**inner, **value} if isinstance(inner, dict) else value  # type: ignore
    return both


def _ended(nest: Mapping[str, object], end: str) -> dict[str, object]:
    return {
        (key if isinstance(value, dict) else key + end): (
            {inner + end: one for inner, one in value.items()} if isinstance(value, dict) else value
        )
        for key, value in nest.items()
    }


def _exactly(measured: Measured) -> dict[str, object]:
    """What of a measure's results the keys next to this one leave open, so that they can be read
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
