"""What the JSON Schema of a config says of keys whose values the model does not check by itself."""

from __future__ import annotations

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gradflow.checks.figures import curves, kinds
from gradflow.measures import MEASURES, OPTIONAL
from gradflow.measures.contract import Option


class MeasureForms:
    """In the schema of `measure`: the measures with their options. `config.measures` checks it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _measures()


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


class ExpectForms:
    """In the schema of `expect`: the figures that there are, for editors to complete. What is wrong
    with it is told where results are held to it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        named = {name: {"description": f"{kind}: min, max or is"} for name, kind in kinds().items()}
        against_lag = {name: {"description": curve.meaning} for name, curve in curves().items()}
        own = {
            "where": {"description": "the settings and options of the runs that are meant"},
            "allow_undecided": {"description": "whether an interval that holds the bound passes"},
        }
        return {"items": {"properties": {**own, **named, **against_lag}}}
