"""The JSON Schema of a config: that of the model, and what holds between keys."""

from __future__ import annotations

from typing import Any

from gradflow.cells import CELLS
from gradflow.config.cells import LARGEST, LARGEST_SIZE
from gradflow.config.model import Config
from gradflow.config.numbers import range_schema
from gradflow.config.trained import ONLY_DRAWN, PROJECTING
from gradflow.equations.bounds import OR, SIGNS
from gradflow.equations.declaration import Equations, Option

Schema = dict[str, Any]

_GIVEN: Schema = {"required": ["weights"], "properties": {"weights": {"not": {"type": "null"}}}}
"""Holds where the parameters come from a file."""

_NAMED: Schema = {
    "required": ["weights"],
    "properties": {"weights": {
        "type": "object", "required": ["parameters"],
        "properties": {"parameters": {"not": {"type": "null"}}},
    }},
}  # fmt: skip
"""Holds where a tensor is named for each parameter."""

_OWN: list[Schema] = [
    {"type": "string", "pattern": r"[/\\]|\.ya?ml$"},
    {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "pattern": r"^equations$|[/\\]|\.ya?ml$"}},
    },
]
"""The user's own cell: a file, or a mapping that names one or holds equations."""

_TRAINED = "_trained"
"""Behind the name of a cell, what it may be where a file has its parameters."""


def schema() -> Schema:
    """What `load` accepts, as far as that is known without opening the files that are named."""
    model = Config.model_json_schema()
    del model["required"]
    cell = model["properties"]["cell"]
    for key in ("items", "type", "minItems", "anyOf"):
        cell.pop(key, None)
    model["$defs"] |= {name: _cell(CELLS[name].equations, [name]) for name in CELLS}
    model["$defs"] |= {f"{name}{_TRAINED}": _trained(name) for name in CELLS}
    shipped: list[Schema] = [
        {"enum": list(CELLS)},
        *({"$ref": f"#/$defs/{name}"} for name in CELLS),
    ]
    drawn, trained = _one_or_many([*shipped, *_OWN]), _cell_of_a_file()
    cell["anyOf"] = [*drawn["anyOf"], trained]
    initial = dict.fromkeys(ONLY_DRAWN, False)
    required = {"required": ["cell"], "properties": {"cell": drawn}}
    model["allOf"] = [
        {
            "if": _GIVEN,
            "then": {
                "properties": initial,
                "if": _NAMED,
                "then": required,
                "else": {"properties": {"cell": trained}},
            },
            "else": required,
        },
        {
            "if": {"required": ["loss"], "properties": {"loss": _is_loss("cross_entropy")}},
            "then": {"anyOf": [_GIVEN, _at_least("output_size", 2)]},
        },
    ]
    model["$defs"]["LossModel"]["allOf"] = [
        {"if": _is_loss("probe", "sum"), "then": {"properties": {"target": {"type": "null"}}}}
    ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model}


def _cell(equations: Equations, names: list[str], required: bool = True) -> Schema:
    """The mapping `{type: ..., options}` of a cell; an option may be a list, or of
    numbers a range, which is swept."""
    help_, bounds = dict(equations.help), dict(equations.bounds)
    properties: Schema = {"type": {"enum": names}}
    for option, given in equations.options:
        own = dict(bounds.get(option, ()))
        one, besides = _option(given, own), [{"const": own[OR]}] if OR in own else []
        others = [f"{SIGNS[k].words} {by}" for k, by in own.items() if isinstance(by, str)]
        properties[option] = {
            "description": "; ".join([help_.get(option, ""), *others]),
            "default": equations.defaults[option],
            "anyOf": [*_one_or_many([*besides, one])["anyOf"], *range_schema(one)],
        }
    more = {"required": ["type"]} if required else {}
    return {"type": "object", "properties": properties, **more, "additionalProperties": False}


_LIMITS = {
    "gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"
}  # fmt: skip


def _option(given: Option, bounds: dict[str, float | str]) -> Schema:
    """What an option may be, as far as that is known without the others."""
    if isinstance(given, tuple):
        return {"enum": list(given)}
    if isinstance(given, int):
        return {"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}
    limits = {_LIMITS[kind]: by for kind, by in bounds.items()
              if kind != OR and not isinstance(by, str)}  # fmt: skip
    return {"type": "number", "minimum": -LARGEST, "maximum": LARGEST, **limits}


def _cell_of_a_file() -> Schema:
    """The cell with `weights`: nothing, a name, or options whose `type` the file says."""
    one: list[Schema] = [{"enum": list(CELLS)}]
    one += [{"$ref": f"#/$defs/{name}{_TRAINED}"} for name in CELLS]
    alone = {"type": "array", "items": {"anyOf": one}, "minItems": 1, "maxItems": 1}
    return {"anyOf": [{"type": "null"}, *one, alone]}


def _trained(name: str) -> Schema:
    """A cell whose `type` the file may say."""
    names = [name, *(short for short, long in PROJECTING.items() if long == name)]
    return _cell(CELLS[name].equations, names, required=False)


def _one_or_many(items: list[Schema]) -> Schema:
    one = {"anyOf": items}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _is_loss(*kinds: str) -> Schema:
    """Holds for these losses, by their names or as mappings."""
    named = {"enum": list(kinds)}
    mapping = {"type": "object", "required": ["kind"], "properties": {"kind": named}}
    return {"anyOf": [named, mapping]}


def _at_least(key: str, least: int) -> Schema:
    return {"required": [key], "properties": {key: {"minimum": least}}}
