"""The JSON Schema of a config: that of the model, and what holds between keys."""

from __future__ import annotations

from typing import Any

from gradflow.config.model import CELL_MODELS, Config
from gradflow.config.trained import NOT_BESIDE, PROJECTING

Schema = dict[str, Any]

_GIVEN: Schema = {"required": ["weights"], "properties": {"weights": {"not": {"type": "null"}}}}
"""Holds where the parameters come from a file."""

_OWN: list[Schema] = [
    {"type": "string", "pattern": r"[/\\]|\.ya?ml$"},
    {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "pattern": r"^equations$|[/\\]|\.ya?ml$"}},
    },
]
"""A cell of the user's own: a file, or a mapping that names one or holds equations."""


def schema() -> Schema:
    """What `load` accepts, as far as it can be told without opening the files that are named."""
    model = Config.model_json_schema()
    del model["required"]
    cell = model["properties"]["cell"]
    drawn, trained = _one_or_many([cell.pop("anyOf")[0], *_OWN]), _cell_of_a_file()
    cell["anyOf"] = [*drawn["anyOf"], trained]
    for name in CELL_MODELS:
        _let_options_be_lists(model["$defs"][name]["properties"])
    from_file = {"cell": trained, **dict.fromkeys(NOT_BESIDE, False)}
    model["allOf"] = [
        {
            "if": _GIVEN,
            "then": {"properties": from_file},
            "else": {"required": ["cell"], "properties": {"cell": drawn}},
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


def _cell_of_a_file() -> Schema:
    """The cell beside `weights`: nothing, a name, or options whose `type` the file tells."""
    one: list[Schema] = [{"enum": list(CELL_MODELS)}]
    for name, model in CELL_MODELS.items():
        mapping = model.model_json_schema()
        names = [name, *(short for short, long in PROJECTING.items() if long == name)]
        properties = {**mapping["properties"], "type": {"enum": names}}
        one.append({"type": "object", "properties": properties, "additionalProperties": False})
    alone = {"type": "array", "items": {"anyOf": one}, "minItems": 1, "maxItems": 1}
    return {"anyOf": [{"type": "null"}, *one, alone]}


def _one_or_many(items: list[Schema]) -> Schema:
    one = {"anyOf": items}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _let_options_be_lists(options: Schema) -> None:
    for name, one in options.items():
        if name != "type":
            about = {key: one[key] for key in ("description", "default", "title") if key in one}
            options[name] = {
                **about,
                "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
            }


def _is_loss(*kinds: str) -> Schema:
    """Holds for these losses, by their names or as mappings."""
    named = {"enum": list(kinds)}
    mapping = {"type": "object", "required": ["kind"], "properties": {"kind": named}}
    return {"anyOf": [named, mapping]}


def _at_least(key: str, least: int) -> Schema:
    return {"required": [key], "properties": {key: {"minimum": least}}}
