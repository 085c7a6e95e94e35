"""Whole numbers that keys of the config take, and ranges of numbers."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema


def _whole(value: object) -> object:
    """1e6 is a whole number, though YAML reads it as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_BYTES = re.compile(r"^([0-9]{1,12}) ?(KiB|MiB|GiB)$")


def _bytes(value: object) -> object:
    """`512MiB` as a number of bytes."""
    found = _BYTES.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    return int(found[1]) << {"KiB": 10, "MiB": 20, "GiB": 30}[found[2]]


_LARGEST = 2**62  # more than any machine has room for, and products of it still fit a float
Size = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_whole)]
Index = Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_whole)]
Seed = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_whole)]
Bytes = Annotated[
    int,
    Field(ge=1, le=2**60),
    BeforeValidator(lambda value: _bytes(_whole(value))),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 2**60},
                {"type": "string", "pattern": _BYTES.pattern},
            ]
        }
    ),
]


MOST_RUNS = 1_000_000
"""The longest sweep that is taken on."""

RANGE_SCALES = ("linear", "log")
"""How the numbers of a range may be spaced; the first where it does not say."""


def range_schema(number: dict[str, Any]) -> list[dict[str, Any]]:
    """In the schema of a list of such numbers, what may be given instead; of anything else
    nothing."""
    if number.get("type") not in ("integer", "number"):
        return []
    count = {"type": "integer", "minimum": 2, "maximum": MOST_RUNS}
    return [
        {
            "type": "object",
            "properties": {
                "from": number,
                "to": number,
                "count": count,
                "scale": {"enum": [*RANGE_SCALES], "default": RANGE_SCALES[0]},
            },
            "required": ["from", "to", "count"],
            "additionalProperties": False,
        }
    ]
