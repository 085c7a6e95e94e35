"""The cells: equations, options, citation, from their declarations; for people, in Markdown, and as
JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from gradflow import __version__
from gradflow.cells import CELLS
from gradflow.equations.declaration import Equations
from gradflow.exporters import markdown

_IN_A_CONFIG = (
    "In a config: `cell: lstm`, or with options `cell: {type: lstm, forget_bias: 1.0}`.\n"
)


def text() -> Iterator[str]:
    """Every cell of CELLS."""
    for name in CELLS:
        yield from of_cell(CELLS[name].equations)
        yield "\n"
    yield _IN_A_CONFIG


def of_cell(equations: Equations) -> Iterator[str]:
    """One cell."""
    yield f"{equations.name}\n"
    yield from (f"  {line}".rstrip() + "\n" for line in _description(equations))
    yield f"\n  state: {_shapes(equations.state)}\n"
    declared = [(p.name, p.shape) for p in equations.parameters]
    yield from (f"  {line}\n" for line in textwrap.wrap(f"parameters: {_shapes(declared)}", 78))
    for option in _options(equations):
        yield f"  option {option['name']}: {option['values']} (default {option['default']})\n"
        yield f"    {option['meaning']}\n"


def to_markdown() -> Iterator[str]:
    """A section a cell, its options as a table."""
    for cell in _described():
        yield f"### {markdown.escaped(cell['name'])}\n\n"
        yield from markdown.fenced(cell["description"], "text")
        yield f"\nState: {', '.join(cell['state'])}. "
        yield f"Parameters: {', '.join(cell['parameters'])}.\n\n"
        options = cell["options"]
        if options:
            heads = ("option", "values", "default", "meaning")
            keys = ("name", "values", "default", "meaning")
            columns = [[str(option[key]) for option in options] for key in keys]
            yield from markdown.table(list(zip(heads, columns, strict=True)), left=len(heads))
            yield "\n"
    yield _IN_A_CONFIG


def to_json() -> Iterator[str]:
    """The same as one JSON object."""
    facts = {"gradflow": __version__, "format": 1, "cells": list(_described())}
    yield json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


def _described() -> Iterator[dict[str, Any]]:
    for name in CELLS:
        equations = CELLS[name].equations
        yield {
            "name": name,
            "description": "\n".join(_description(equations)),
            "state": [part for part, _ in equations.state],
            "parameters": {p.name: list(p.shape) for p in equations.parameters},
            "options": list(_options(equations)),
        }


def _description(equations: Equations) -> list[str]:
    """What it is, its equations, where it was published."""
    step = equations.step.strip().split("\n")
    return [equations.about, "", *step, "", *textwrap.wrap(equations.cite, 78)]


def _shapes(named: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    return ", ".join(
        f"{name} {sizes[0] if len(sizes) == 1 else '[' + ', '.join(sizes) + ']'}"
        for name, sizes in named
    )


def _options(equations: Equations) -> Iterator[dict[str, Any]]:
    """Name, possible values in words, default and meaning of each option."""
    about = dict(equations.help)
    for name, given in equations.options:
        number = "a whole number" if isinstance(given, int) else "a number"
        yield {
            "name": name,
            "values": " | ".join(given) if isinstance(given, tuple) else number,
            "default": equations.defaults[name],
            "meaning": about.get(name, ""),
        }
