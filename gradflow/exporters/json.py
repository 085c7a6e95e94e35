"""JSON: one object with the config and every run; strict, so no NaN and no Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from gradflow.columns import Array
from gradflow.exporters.columns import MAGNITUDES, percentiles
from gradflow.exporters.lags import all_lags
from gradflow.exporters.view import View
from gradflow.logspace import Magnitudes
from gradflow.results import Diagnosis, GradientFlow, LayerResult, Result

_TOTALS = ("W_x", "W_s", "b_s", "W_o")


def export(results: Iterable[Result], view: View) -> Iterator[str]:
    """`{"gradflow": version, "config": {...}, "runs": [...]}`, with one run a line."""
    head = {"gradflow": version("gradflow"), "config": view.config}
    yield _text(head)[:-1] + ', "runs": ['
    before = "\n"
    for result in results:
        lags = all_lags(result.sequence_length, view.lags)
        yield before + _with_curves(_run(result), result.flow, lags, closed=not result.layers)
        for part in result.layers:
            yield ', "layers": [\n' if part is result.layers[0] else ",\n"
            yield _with_curves(_part(part), part.flow, lags)
        yield "\n]}" if result.layers else ""
        before = ",\n"
    yield "\n]}\n"


def _with_curves(
    facts: dict[str, object], flow: GradientFlow | None, lags: Array, closed: bool = True
) -> str:
    """An object of the facts and the arrays against lag; not `closed`: without the last brace."""
    arrays = json.dumps(_arrays(flow, lags), allow_nan=False)
    text = f"{_text(facts)[:-1]}, {arrays[1:]}"
    return text if closed else text[:-1]


def _text(value: object) -> str:
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: object) -> object:
    """`value` as JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _run(result: Result) -> dict[str, object]:
    """One run without its arrays: what it is and what it means."""
    return {
        "run": result.run,
        **result.axes,
        **_totals(result.flow),
        "loss": result.loss,
        "diagnosis": _diagnosis(result.diagnosis),
        "diverged_at": result.diverged_at,
        "notes": result.notes,
    }


def _part(part: LayerResult) -> dict[str, object]:
    """One layer and direction without its arrays."""
    return {
        "layer": part.layer,
        "direction": part.direction,
        **_totals(part.flow),
        "diagnosis": _diagnosis(part.diagnosis),
    }


def _totals(flow: GradientFlow | None) -> dict[str, object]:
    totals = flow.totals if flow else {}
    return {
        "totals": {name: _numbers(totals.get(name)) for name in _TOTALS},
        "log10_totals": {name: _log10(totals.get(name)) for name in _TOTALS},
    }


def _diagnosis(diagnosis: Diagnosis) -> dict[str, object]:
    low, high = diagnosis.rate_ci or (None, None)
    return {
        "rate": diagnosis.rate,
        "rate_ci": diagnosis.rate_ci,
        "rate_low": low,
        "rate_high": high,
        "half_life": diagnosis.half_life,
        "horizon": diagnosis.horizon,
        "horizon_typical": diagnosis.horizon_typical,
        "projected_horizon": diagnosis.projected_horizon,
        "verdict": diagnosis.verdict,
        "no_rate": diagnosis.no_rate,
    }


def _numbers(magnitudes: Magnitudes | None) -> Array | None:
    """The numbers as floats, NaN where they lie outside float range (a zero is exactly zero)."""
    if magnitudes is None:
        return None
    floats = magnitudes.floats()
    return np.where((floats == 0) & (magnitudes.mantissa != 0), np.nan, floats)


def _log10(magnitudes: Magnitudes | None) -> Array | None:
    return None if magnitudes is None else magnitudes.log10()


def _arrays(flow: GradientFlow | None, lags: Array) -> dict[str, list[Any]]:
    """Every column of the CSV right of `lag`, and the logarithms of the magnitudes among them."""
    arrays = {"lags": lags.tolist()}
    for name, magnitudes in MAGNITUDES.items():
        column = magnitudes(flow) if flow else None
        arrays[name] = _listed(_numbers(column), lags)
        arrays[f"log10_{name}"] = _listed(_log10(column), lags)
    arrays["share_W_s"] = _listed(flow.share_W_s if flow else None, lags)
    for name, percentile in percentiles(flow).items():
        arrays[name] = _listed(percentile, lags)
    return arrays


def _listed(column: Array | None, lags: Array) -> list[Any]:
    """The column at `lags`; null past its end and where it is not finite."""
    if column is None:
        return [None] * len(lags)
    there = column[lags[: np.searchsorted(lags, len(column))]].astype(object)
    there[~np.isfinite(there.astype(np.float64))] = None
    listed: list[Any] = there.tolist()
    return listed + [None] * (len(lags) - len(there))
