"""Results as JSON and back, without the loss of a bit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from gradflow import results
from gradflow.measures import MEASURES
from gradflow.measures.measured import Measured
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.runs.experiment import Run

_TYPES: dict[str, type[Any]] = {
    name: cls
    for name, cls in vars(results).items()
    if isinstance(cls, type) and (is_dataclass(cls) or cls is Magnitudes)
}


def to_json(value: object) -> Any:
    """Plain data for `json.dumps`; what JSON has no word for is a mapping with one `$` key."""
    if isinstance(value, Magnitudes):  # one alone is a float too
        return {"$Magnitudes": {name: to_json(item) for name, item in vars(value).items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode("ascii")
        return {"$array": [value.dtype.str, list(value.shape), data]}
    if is_dataclass(value) and type(value) is _TYPES.get(type(value).__name__):
        members = {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
        return {f"${type(value).__name__}": members}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"$tuple": [to_json(item) for item in value]}
    raise TypeError(f"no record of a {type(value).__qualname__}")


def from_json(data: Any) -> Any:
    """What `to_json` was given."""
    if not isinstance(data, dict):
        return data
    name = next(iter(data), "")
    if not name.startswith("$"):
        return {key: from_json(item) for key, item in data.items()}
    content = data[name]
    if name == "$tuple":
        return tuple(from_json(item) for item in content)
    if name == "$array":
        dtype, shape, text = content
        return np.frombuffer(base64.b64decode(text), np.dtype(dtype)).reshape(shape).copy()
    return _TYPES[name[1:]](**{key: from_json(item) for key, item in content.items()})


def result_of(value: object, run: Run) -> results.Result:
    """`value`, once it is known to be a Result, of this run, and whole: every member of the type
    and the length that `results` declares.

    Raises:
        ValueError: it is not.
    """
    expected = {
        "axes": run.axes,
        "options": run.cell.options,
        "objective": run.objective,
        "notes": run.trained.notes if run.trained else (),
    }
    if not isinstance(value, results.Result):
        raise ValueError("no result")
    if any(getattr(value, name) != own for name, own in expected.items()):
        raise ValueError("it is of another run")
    if not _is(replace(value, axes={}, options={}), results.Result):
        raise ValueError("a member of another type")
    for diagnosis in (value.diagnosis, *(part.diagnosis for part in value.layers)):
        for lag in (diagnosis.horizon, diagnosis.horizon_typical):
            if lag is not None and not 0 <= lag <= value.sequence_length:
                raise ValueError("a horizon beyond the first step")
    for flow in (value.flow, *(part.flow for part in value.layers)):
        if flow is not None and not _is_whole(flow, value.sequence_length):
            raise ValueError("a curve of another length, or of other numbers")
    asked = {one.name for one in run.measures}
    for found in (value.measures, *(part.measures for part in value.layers)):
        for name, measured in found.items():
            if name not in asked or not _is_measured(name, measured, value.sequence_length):
                raise ValueError("a measure that was not asked for, or other curves than its own")
    return value


def _is_measured(name: str, found: Measured, T: int) -> bool:
    """Whether the curves are those of a measure, with the lengths and kinds that they should
    have."""
    declared = {curve.name: curve for curve in MEASURES[name].curves}
    for of, values in found.curves.items():
        shapes = ((T,), (T + 1,))
        if of not in declared or declared[of].any_size != isinstance(values, Magnitudes):
            return False
        if isinstance(values, Magnitudes):
            shape = np.asarray(values.mantissa).shape
            if not (_holds(values.mantissa, shape, "f") and _holds(values.exponent, shape, "i")):
                return False
        elif not any(_holds(values, shape, "f") for shape in shapes):
            return False
        if np.asarray(getattr(values, "mantissa", values)).shape not in shapes:
            return False
    return True


def _is_whole(flow: results.GradientFlow, T: int) -> bool:
    """Whether its arrays have the lengths and the kinds of numbers that they should have."""
    lags, no_samples = (T + 1,), results.NO_SAMPLES.shape
    per_lag = [flow.state, *flow.parts.values()]
    magnitudes = [
        *((m, lags) for m in per_lag),
        *((m, (T,)) for m in flow.terms.values()),
        *((m, ()) for m in (*flow.totals.values(), flow.start) if m is not None),
    ]
    floats = [
        (flow.share_W_s, (T,)),
        (flow.log_samples, no_samples),
        (flow.log_reach, no_samples),
        (flow.log10_percentiles, (T + 1, 3) if len(flow.log10_percentiles) else no_samples),
        (flow.log10_typical, lags if len(flow.log10_typical) else results.NO_LAGS.shape),
        *((m.mantissa, shape) for m, shape in magnitudes),
    ]
    integers = [(m.exponent, shape) for m, shape in magnitudes]
    return (
        0 <= flow.first < T
        and all(_holds(array, shape, "f") for array, shape in floats)
        and all(_holds(array, shape, "i") for array, shape in integers)
        and not any((np.asarray(m.mantissa) < 0).any() for m, _ in magnitudes)
    )


def _holds(array: Any, shape: tuple[int, ...], kind: str) -> bool:
    found = np.asarray(array)
    return found.shape == shape and found.dtype.kind == kind


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of the type that an annotation names."""
    kind = getattr(kind, "__value__", kind)  # of a `type` alias, as NumPy's NDArray is from 2.5 on
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple and isinstance(value, tuple):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(kinds) == len(value) and all(map(_is, value, kinds))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_is(item, inner[1]) for item in value.values())
    if origin is np.ndarray:  # of one number too
        return isinstance(value, np.ndarray | int | float)
    if isinstance(kind, type) and (is_dataclass(kind) or kind is Magnitudes):
        members = _members(kind)
        alike = isinstance(value, kind) if kind is Magnitudes else type(value) is kind
        return alike and all(_is(getattr(value, n), m) for n, m in members.items())
    if kind in (int, float):
        return isinstance(value, kind | int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


@cache
def _members(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
