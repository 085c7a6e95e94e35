"""The runs of a file of results, as `gradflow.analyze` gave them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from gradflow.axes import KNOWN, Kind
from gradflow.formats.columns import NET, RUN
from gradflow.results import Direction, LayerResult, Result
from gradflow.saved.curves import flow
from gradflow.saved.diagnosed import diagnosis
from gradflow.saved.measured import measured
from gradflow.saved.repeated import check_repeated
from gradflow.saved.values import (
    a_text,
    an_object,
    damaged,
    member,
    number,
    one_of,
    texts,
    whole,
)

_KINDS: Mapping[Kind, tuple[type, ...]] = {
    "text": (str,),
    "word": (str, type(None)),
    "whole": (int,),
    "number": (int, float, type(None)),
    "truth": (bool,),
}


def result(
    run: Any,
    at: str,
    parts: Sequence[str],
    options: Sequence[str],
    thresholds: tuple[float, float],
) -> Result:
    """One run; what follows `at` is of the whole file. `varied` is left empty."""
    run = an_object(run, at)
    facts = _facts(run, at)
    T = facts["sequence_length"]
    if member(run, "lags", at) != list(range(T + 1)):
        damaged(f"{at}.lags", f"0 to {T}", run["lags"])
    places = member(run, "places", at)
    if not isinstance(places, list):
        damaged(f"{at}.places", "a list", places)
    loss, diverged_at = member(run, "loss", at), member(run, "diverged_at", at)
    whole_flow = flow(run, at, T, parts)
    found = Result(
        run=facts.pop("run"),
        axes=facts,
        varied=(),
        loss=math.nan if loss is None else number(loss, f"{at}.loss"),
        diagnosis=diagnosis(run, at, T, whole_flow, thresholds),
        flow=whole_flow,
        diverged_at=whole(diverged_at, f"{at}.diverged_at", T),
        layers=tuple(
            _place(place, f"{at}.places[{i}]", T, parts, thresholds)
            for i, place in enumerate(places)
        ),
        notes=texts(member(run, "notes", at), f"{at}.notes"),
        options=_options(run, at, options),
        objective=a_text(member(run, "objective", at), f"{at}.objective"),
        measures=measured(run, at, T),
        thresholds=thresholds,
    )
    _check(found, at, run["diagnosis"])
    check_repeated(run, at, found)
    return found


def _facts(run: Mapping[str, Any], at: str) -> dict[str, Any]:
    """What tells the run apart, and what is said of its net. An axis that says what goes without
    saying is that in a file that was written before there was such an axis."""
    plain = {name: axis.plain for name, axis in KNOWN.items() if axis.plain is not None}
    facts = {}
    for field in (*RUN, *NET):
        facts[field.name] = value = member({**plain, **run}, field.name, at)
        if type(value) not in _KINDS[field.kind]:
            damaged(f"{at}.{field.name}", f"a {field.kind}", value)
    return facts


def _options(run: Mapping[str, Any], at: str, names: Sequence[str]) -> dict[str, Any]:
    """The options of its cell."""
    chosen = {name: value for name, value in run.items() if name in names}
    for name, value in chosen.items():
        if type(value) not in (str, int, float):
            damaged(f"{at}.{name}", "the value of an option", value)
    return chosen


def _check(found: Result, at: str, diagnosis: object) -> None:
    """What it holds goes together; `diagnosis` as it was written."""
    if (found.diverged_at is None) != bool(found.flow or found.layers):
        damaged(at, "curves, or the step where the run diverged", "both or neither")
    if (found.diverged_at is None) == (found.diagnosis.verdict == "diverged"):
        expected = "diverged of a run that did, and of no other"
        damaged(f"{at}.diagnosis.verdict", expected, found.diagnosis.verdict)
    of_places = [place.diagnosis for place in found.layers]
    if found.flow is None and of_places and found.diagnosis not in of_places:
        expected = "that of the place whose gradient first leaves the thresholds"
        damaged(f"{at}.diagnosis", expected, diagnosis)


def _place(
    place: Any, at: str, T: int, parts: Sequence[str], thresholds: tuple[float, float]
) -> LayerResult:
    place = an_object(place, at)
    layer = whole(member(place, "layer", at), f"{at}.layer")
    curves = flow(place, at, T, parts)
    if layer is None or curves is None:
        damaged(at, "the number of a layer, and its curves", None)
    return LayerResult(
        layer=layer,
        direction=one_of(member(place, "direction", at), f"{at}.direction", get_args(Direction)),
        diagnosis=diagnosis(place, at, T, curves, thresholds),
        flow=curves,
        measures=measured(place, at, T),
    )
