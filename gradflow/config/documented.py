"""The reference of the config as Markdown tables, from the models and the cells' declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from gradflow.cells import CELLS
from gradflow.config.model import MODELS, SWEPT, Config
from gradflow.config.starter import default_text
from gradflow.equations.bounds import OR

_MAPPINGS = {
    "ws_init": "(init)",
    "input": "(file)",
    "initial_state": "(state)",
    "loss": "loss",
    "weights": "weights",
    "thresholds": "thresholds",
}
"""The keys that take a mapping, and the name of its model."""


def table() -> str:
    """`key | default | meaning`, a row a key in the order of the model; + marks those that may be
    a list, which is swept."""
    rows = []
    for name, field in Config.model_fields.items():
        key = f"`{name}` +" if name in SWEPT else f"`{name}`"
        default = "–" if field.is_required() else f"`{default_text(name)}`"
        rows.append((key, default.replace("`null`", "none"), field.description or ""))
    return _table(("key", "default", "meaning"), rows)


def mappings() -> str:
    """A section for each key that takes a mapping, with a row for each key of that."""
    return "\n".join(_mapping(key, MODELS[model]) for key, model in _MAPPINGS.items())


def options() -> str:
    """Every option of every cell: `cell | option | default | values | meaning`."""
    rows = []
    for name, cell in CELLS.items():
        equations = cell.equations
        meanings, bounds = dict(equations.help), dict(equations.bounds)
        for option, given in equations.options:
            default = f"`{equations.defaults[option]}`"
            value = _of(given, dict(bounds.get(option, ())))
            rows.append((f"`{name}`", f"`{option}`", default, value, meanings.get(option, "")))
    return _table(("cell", "option", "default", "value", "meaning"), rows)


def _mapping(key: str, model: type[BaseModel]) -> str:
    rows = []
    for name, entry in model.model_json_schema()["properties"].items():
        default = entry.get("default")
        shown = "–" if default is None else f"`{str(default).lower()}`"
        rows.append((f"`{name}`", shown, _values(entry), entry.get("description", "")))
    about = " ".join(inspect.getdoc(model).split())  # type: ignore[union-attr]
    head = ("key", "default", "value", "meaning")
    return f"### `{key}`\n\n{about}\n\n{_table(head, rows)}"


def _values(entry: Mapping[str, Any]) -> str:
    """What a property of a JSON Schema may be, in words."""
    several = entry.get("anyOf") or entry.get("oneOf")
    if several:
        return " or ".join(_values(one) for one in several if one.get("type") != "null")
    if "enum" in entry:
        return _either([f"`{value}`" for value in entry["enum"]])
    kind = entry.get("type", "object")
    if kind in ("integer", "number"):
        return _number("a whole number" if kind == "integer" else "a number", entry)
    if kind == "array":
        return "a list"
    return {"boolean": "`true` or `false`", "string": "text"}.get(kind, "a mapping")


def _number(noun: str, entry: Mapping[str, Any]) -> str:
    """A number within its bounds; those that only keep it within float range are left out."""
    bounds = [
        f"{words} {_limit(entry[key])}"
        for keys, words in _BOUNDS.items()
        for key in keys
        if key in entry and (isinstance(entry[key], str) or abs(entry[key]) < 1e18)
    ]
    besides = f"{entry[OR]:g} or " if OR in entry else ""
    return f"{besides}{noun} {' and '.join(bounds)}".rstrip()


def _limit(bound: float | str) -> str:
    """A number, or the name of another option."""
    return f"`{bound}`" if isinstance(bound, str) else f"{bound:g}"


_BOUNDS = {
    ("minimum", "ge"): "at least",
    ("exclusiveMinimum", "gt"): "above",
    ("maximum", "le"): "at most",
    ("exclusiveMaximum", "lt"): "below",
}
"""What bounds are called in a schema and in a cell's declaration, and here."""


def _of(given: object, bounds: Mapping[str, Any]) -> str:
    """What an option of a cell may be, in words."""
    if isinstance(given, tuple):
        return _either([f"`{name}`" for name in given])
    return _number("a whole number" if isinstance(given, int) else "a number", bounds)


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), f"|{'|'.join('---' for _ in head)}|", *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
