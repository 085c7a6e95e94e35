"""The cells: equations, options, citation, from the cells themselves; for people, in Markdown,
and as JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from gradflow import __version__
from gradflow.cells import CELLS, Cell
from gradflow.exporters import markdown


def text() -> Iterator[str]:
    """Every cell of CELLS."""
    for name, cls in CELLS.items():
        yield f"{name}\n"
        for line in (inspect.getdoc(cls) or "").splitlines():
            yield f"  {line}".rstrip() + "\n"
        yield "\n  state: " + ", ".join(cls.state_parts)
        yield "    gates, in the order of the rows of W_x and W_s: " + " ".join(cls.gates) + "\n"
        yield from _options(cls)
        yield "\n"
    yield "In a config: `cell: lstm`, or with options `cell: {type: lstm, forget_bias: 1.0}`.\n"


def to_markdown() -> Iterator[str]:
    """A section a cell, its options as a table."""
    for cell in _described():
        yield f"### {markdown.escaped(cell['name'])}\n\n"
        yield from markdown.fenced(cell["description"], "text")
        yield f"\nState: {', '.join(cell['state'])}. Gates, in the order of the rows of W_x and "
        yield f"W_s: {' '.join(cell['gates'])}.\n\n"
        options = cell["options"]
        if options:
            heads = ("option", "values", "default", "meaning")
            keys = ("name", "values", "default", "meaning")
            columns = [[str(option[key]) for option in options] for key in keys]
            yield from markdown.table(list(zip(heads, columns, strict=True)), left=len(heads))
            yield "\n"
    yield "In a config: `cell: lstm`, or with options `cell: {type: lstm, forget_bias: 1.0}`.\n"


def to_json() -> Iterator[str]:
    """The same as one JSON object."""
    facts = {"gradflow": __version__, "format": 1, "cells": list(_described())}
    yield json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


def _described() -> Iterator[dict[str, Any]]:
    for name, cls in CELLS.items():
        yield {
            "name": name,
            "description": inspect.getdoc(cls) or "",
            "state": list(cls.state_parts),
            "gates": list(cls.gates),
            "options": [
                {
                    "name": option,
                    "values": values,
                    "default": default,
                    "meaning": cls.option_help[option],
                }
                for option, values, default in _choices(cls)
            ],
        }


def _choices(cls: type[Cell]) -> Iterator[tuple[str, str, Any]]:
    """Name, possible values in words, and default of each option."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        kind = hints[field.name]
        number = "a whole number" if kind is int else "a number"
        yield field.name, " | ".join(map(str, get_args(kind))) or number, field.default


def _options(cls: type[Cell]) -> Iterator[str]:
    for name, values, default in _choices(cls):
        yield f"  option {name}: {values} (default {default})\n"
        yield f"    {cls.option_help[name]}\n"
