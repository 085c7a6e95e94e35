"""Results as JSON and back, without the loss of a bit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from gradflow import results
from gradflow.logspace import Magnitudes

_TYPES: dict[str, type[Any]] = {
    name: cls
    for name, cls in {**vars(results), "Magnitudes": Magnitudes}.items()
    if isinstance(cls, type) and is_dataclass(cls)
}


def to_json(value: object) -> Any:
    """Plain data for `json.dumps`; what JSON has no word for is a mapping with one `$` key."""
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
