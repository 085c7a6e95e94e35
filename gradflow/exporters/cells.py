"""The cells as text: equations, options, citation, from the cells themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import get_args, get_type_hints

from gradflow.cells import CELLS, Cell


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


def _options(cls: type[Cell]) -> Iterator[str]:
    hints = get_type_hints(cls)
    for field in fields(cls):
        kind = hints[field.name]
        number = "a whole number" if kind is int else "a number"
        choices = " | ".join(map(str, get_args(kind))) or number
        yield f"  option {field.name}: {choices} (default {field.default})\n"
        yield f"    {cls.option_help[field.name]}\n"
