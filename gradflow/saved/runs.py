"""The runs of a file of results, as `gradflow.analyze` gave them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from gradflow.axes import Kind
from gradflow.formats.columns import NET, RUN
from gradflow.results import Diagnosis, Direction, LayerResult, NoRate, Result, Verdict
from gradflow.saved.curves import flow
from gradflow.saved.measured import measured
from gradflow.saved.values import (
    LARGEST,
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


def result(run: Any, at: str, parts: Sequence[str], options: Sequence[str]) -> Result:
    """One run; `parts` and `options` are those of the whole file. `varied` is left empty."""
    run = an_object(run, at)
    facts = {}
    for field in (*RUN, *NET):
        facts[field.name] = value = member(run, field.name, at)
        if type(value) not in _KINDS[field.kind]:
            damaged(f"{at}.{field.name}", f"a {field.kind}", value)
    T = facts["sequence_length"]
    if member(run, "lags", at) != list(range(T + 1)):
        damaged(f"{at}.lags", f"0 to {T}", run["lags"])
    chosen = {name: value for name, value in run.items() if name in options}
    for name, value in chosen.items():
        if type(value) not in (str, int, float):
            damaged(f"{at}.{name}", "the value of an option", value)
    places = member(run, "places", at)
    if not isinstance(places, list):
        damaged(f"{at}.places", "a list", places)
    loss, diverged_at = member(run, "loss", at), member(run, "diverged_at", at)
    found = Result(
        run=facts.pop("run"),
        axes=facts,
        varied=(),
        loss=math.nan if loss is None else number(loss, f"{at}.loss"),
        diagnosis=_diagnosis(run, at, T),
        flow=flow(run, at, T, parts),
        diverged_at=whole(diverged_at, f"{at}.diverged_at", T),
        layers=tuple(
            _place(place, f"{at}.places[{i}]", T, parts) for i, place in enumerate(places)
        ),
        notes=texts(member(run, "notes", at), f"{at}.notes"),
        options=chosen,
        objective=a_text(member(run, "objective", at), f"{at}.objective"),
        measures=measured(run, at, T),
    )
    if (found.diverged_at is None) != bool(found.flow or found.layers):
        damaged(at, "curves, or the step where the run diverged", "both or neither")
    return found


def _place(place: Any, at: str, T: int, parts: Sequence[str]) -> LayerResult:
    place = an_object(place, at)
    layer = whole(member(place, "layer", at), f"{at}.layer")
    curves = flow(place, at, T, parts)
    if layer is None or curves is None:
        damaged(at, "the number of a layer, and its curves", None)
    return LayerResult(
        layer=layer,
        direction=one_of(member(place, "direction", at), f"{at}.direction", get_args(Direction)),
        diagnosis=_diagnosis(place, at, T),
        flow=curves,
        measures=measured(place, at, T),
    )


def _diagnosis(run: Mapping[str, Any], at: str, T: int) -> Diagnosis:
    of_reach = member(run, "of_reach", at)
    if not isinstance(of_reach, bool):
        damaged(f"{at}.of_reach", "true or false", of_reach)
    found = an_object(member(run, "diagnosis", at), f"{at}.diagnosis")
    at = f"{at}.diagnosis"

    def figure(key: str) -> float | None:
        value = member(found, key, at)
        return None if value is None else number(value, f"{at}.{key}")

    def lag(key: str, most: int = LARGEST) -> int | None:
        return whole(member(found, key, at), f"{at}.{key}", most)

    interval = member(found, "rate_ci", at)
    if interval is not None:
        if not isinstance(interval, list) or len(interval) != 2:
            damaged(f"{at}.rate_ci", "two numbers", interval)
        low, high = (math.inf if end is None else number(end, f"{at}.rate_ci") for end in interval)
        interval = low, high
    why = member(found, "no_rate", at)
    return Diagnosis(
        verdict=one_of(member(found, "verdict", at), f"{at}.verdict", get_args(Verdict)),
        rate=figure("rate"),
        rate_ci=interval,
        half_life=figure("half_life"),
        horizon=lag("horizon", T),
        horizon_typical=lag("horizon_typical", T),
        projected_horizon=lag("projected_horizon"),
        no_rate=None if why is None else one_of(why, f"{at}.no_rate", get_args(NoRate)),
        of_reach=of_reach,
    )
