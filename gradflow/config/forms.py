"""What the JSON Schema of a config says of keys whose values the model does not check by itself."""

from __future__ import annotations

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gradflow.measures import MEASURES, OPTIONAL
from gradflow.measures.contract import Option


class MeasureForms:
    """In the schema of `measure`: the measures with their options. `config.measures` checks it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _measures()


class ExpectForms:
    """In the schema of `expect`: the figures that there are. `config.expect` checks it, and only
    where results are held to it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        from gradflow.config.expect import json_schema

        return json_schema()


def _measures() -> dict[str, Any]:
    """What may stand at `measure`."""
    one: list[dict[str, Any]] = [{"enum": list(OPTIONAL)}]
    for name in OPTIONAL:
        options = {key: _schema(option) for key, option in MEASURES[name].options.items()}
        one.append(
            {
                "type": "object",
                "description": MEASURES[name].meaning,
                "required": ["type"],
                "properties": {"type": {"const": name}, **options},
                "additionalProperties": False,
            }
        )
    many = {"type": "array", "items": {"anyOf": one}}
    return {"anyOf": [*one, many, {"type": "null"}]}


def _schema(option: Option) -> dict[str, Any]:
    if option.choices:
        return {"enum": list(option.choices), "description": option.meaning}
    kind: dict[str, Any] = {"type": "integer" if isinstance(option.default, int) else "number"}
    if option.least is not None:
        kind["minimum"] = option.least
    if option.most is not None:
        kind["maximum"] = option.most
    return {**kind, "default": option.default, "description": option.meaning}
