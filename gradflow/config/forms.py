"""What models of a config share, and what its JSON Schema says where pydantic cannot know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gradflow.config.numbers import range_schema
from gradflow.measures import MEASURES, OPTIONAL

if TYPE_CHECKING:
    from gradflow.measures.contract import Option


class Strict(BaseModel):
    """A mapping of a config: no unknown keys, no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OneOrMany:
    """In the schema of a list: its only item may also be alone."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many, *range_schema(many["items"])]}


class NameOr:
    """In the schema of a mapping: one of these names may be given instead."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.names)}, handler(core)]}


class TextOr:
    """In the schema of a mapping: any text may be given instead."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}


class Without:
    """In a schema: no mapping in which these keys have these values."""

    def __init__(self, **values: object) -> None:
        self.values = values

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        wrong = {"type": "object", "required": [*self.values], "properties": self.values}
        return {"allOf": [handler(core), {"not": wrong}]}


class MeasureForms:
    """In the schema of `measure`: the measures with their options. `config.measures` checks it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _measures()


def _measures() -> dict[str, Any]:
    """What may be at `measure`."""
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
    return {**kind, "default": option.default, "description": option.meaning}


class ExpectForms:
    """In the schema of `expect`: the figures that there are, for editors to complete. What is wrong
    with it is found where results are held to it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        from gradflow.checks.figures import curves, kinds  # a run is not held to them

        named = {name: {"description": f"{kind}: min, max or is"} for name, kind in kinds().items()}
        against_lag = {name: {"description": curve.meaning} for name, curve in curves().items()}
        own = {
            "where": {"description": "the settings and options of the runs that are meant"},
            "allow_undecided": {"description": "whether an interval that holds the bound passes"},
        }
        return {"items": {"properties": {**own, **named, **against_lag}}}
