"""What the JSON Schema of a config says of keys whose values the model does not check by itself."""

from __future__ import annotations

from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


class MeasureForms:
    """In the schema of `measure`: the measures with their options. `config.measures` checks it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        from gradflow.config.measures import json_schema

        return json_schema()
