"""pydantic's complaints in our words: what was expected, what was found, the nearest name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gradflow.cells import CELLS
from gradflow.config.model import Config
from gradflow.config.tree import Path, Tree

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least one value",
    "string_too_short": "a name",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
    "union_tag_not_found": "a name or a mapping that has {discriminator}",
}


def faults_in(error: ValidationError, data: Tree) -> Iterable[tuple[Path, bool, str]]:
    """(key path, whether the key itself is at fault, message) of each error, one a place."""
    seen = set()
    for details in error.errors():
        path = _path_in(data, details["loc"])
        unknown, missing = (details["type"] == t for t in ("extra_forbidden", "missing"))
        if unknown or missing:
            path = (*path, str(details["loc"][-1])) if path[-1:] != details["loc"][-1:] else path
        if path not in seen:  # the branches of a union each complain of the same place
            seen.add(path)
            yield path, unknown, _message(details, path)


def _path_in(data: Tree, loc: Iterable[str | int]) -> Path:
    """The part of pydantic's location that is a place in the config: without union tags, without
    the index of an item that stands alone."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]  # type: ignore[index]
            path.append(part)
    return tuple(path)


def _message(details: ErrorDetails, path: Path) -> str:
    kind, context = details["type"], details.get("ctx", {})
    found: object = details["input"]
    if kind == "extra_forbidden":
        return f"unknown key{_did_you_mean(str(path[-1]), _keys_at(details['loc']))}"
    if kind == "missing":
        names = ", ".join(CELLS)
        return (
            f"required, for example `cell: lstm` (of {names})" if path == ("cell",) else "required"
        )
    if kind not in _EXPECTED:
        return details["msg"]
    if kind == "union_tag_invalid":  # what was found is the tag, not the mapping around it
        found = context["tag"]
    expected = _EXPECTED[kind].format(**context).replace("'", "")
    message = f"expected {expected}, found {_shown(found)}"
    known = context.get("expected") or context.get("expected_tags")
    if known and isinstance(found, str):
        return message + _did_you_mean(found, [n.strip(" '") for n in _split(known)])
    return message


def _split(names: str) -> list[str]:
    return names.replace(" or ", ",").split(",")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean hidden_size?`, or the known names where none is near."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 10 else ""


def _keys_at(loc: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at `loc` (whose last part is the unknown one) does know."""
    schema: Any = Config.model_json_schema()
    definitions = schema["$defs"]
    if len(loc) == 1:
        return list(schema["properties"])
    by_name = {
        "thresholds": ["Thresholds"],
        "loss": ["LossModel"],
        "input": ["GaussianSignal", "Zeros", "FileInput"],
        "initial_state": ["GaussianSignal", "Zeros"],
    }
    models = by_name.get(str(loc[0]), [])
    models += [cls.__name__ for name, cls in CELLS.items() if name in loc[1:-1]]
    return [key for model in models for key in definitions[model]["properties"]]


def _shown(value: object) -> str:
    """What was found, short, as YAML has it."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
