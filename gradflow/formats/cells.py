"""The cells: equations, options, citation, from their declarations; for people, in Markdown, and as
JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradflow import __version__
from gradflow.cells import CELLS
from gradflow.cells.cell import Cell
from gradflow.equations.declaration import Equations
from gradflow.equations.traits import traits
from gradflow.formats import markdown
from gradflow.formats.look import Look

_LONGEST = 100  # columns of a line of prose


def text(cells: Sequence[Equations], look: Look) -> Iterator[str]:
    """A paragraph a cell."""
    for equations in cells:
        yield from _paragraph(_described(equations), look.width)
        yield "\n"
    yield from _wrapped(_hint(cells), look.width, 0)


def to_markdown(cells: Sequence[Equations], look: Look) -> Iterator[str]:
    """A section a cell, its options as a table."""
    for equations in cells:
        cell = _described(equations)
        yield f"### {markdown.escaped(cell['name'])}\n\n{markdown.prose(cell['about'])}\n\n"
        yield from markdown.fenced(_equations(cell), "text")
        for what in (
            cell["cite"],
            f"State: {cell['state']}.",
            f"Parameters: {cell['parameters']}.",
            f"Constants: {cell['constants']}." if cell["constants"] else "",
            *(f"{line[0].upper()}{line[1:]}." for line in _on_memory(cell)),
        ):
            yield f"\n{markdown.prose(what)}\n" if what else ""
        yield "\n"
        options = cell["options"]
        if options:
            heads = ("option", "values", "default", "meaning")
            keys = ("name", "values", "default", "meaning")
            columns = [[str(option[key]) for option in options] for key in keys]
            yield from markdown.table(list(zip(heads, columns, strict=True)), left=len(heads))
            yield "\n"
    yield f"{_hint(cells)}\n"


def to_json(cells: Sequence[Equations], look: Look) -> Iterator[str]:
    """The same as one JSON object."""
    facts = {"gradflow": __version__, "format": 1, "cells": list(map(_described, cells))}
    yield json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


def _hint(cells: Sequence[Equations]) -> str:
    """How a config names one: that which is shown, of many the LSTM."""
    example = cells[0] if len(cells) == 1 else CELLS["lstm"].equations
    has_name = example.name in CELLS or CELLS.is_own(example.name)
    type_ = example.name if has_name else "./FILE.yaml"
    said = f"In a config: `cell: {type_}`"
    if not example.options:
        return f"{said}."
    name, default = next(iter(example.defaults.items()))
    return f"{said}, or with options `cell: {{type: {type_}, {name}: {default}}}`."


def _paragraph(cell: dict[str, Any], width: int) -> Iterator[str]:
    yield f"{cell['name']}\n"
    yield from _wrapped(cell["about"], width)
    yield "\n" + textwrap.indent(_equations(cell), "  ") + "\n"
    yield from _wrapped(cell["cite"], width)
    yield "\n" if cell["cite"] else ""
    yield from _wrapped(f"state: {cell['state']}", width)
    yield from _wrapped(f"parameters: {cell['parameters']}", width)
    if cell["constants"]:
        yield from _wrapped(f"constants: {cell['constants']}", width)
    for line in _on_memory(cell):
        yield from _wrapped(line, width)
    for option in cell["options"]:
        text = f"option {option['name']}: {option['values']} (default {option['default']})"
        yield from _wrapped(text, width)
        yield from _wrapped(option["meaning"], width, 4)


def _equations(cell: Mapping[str, Any]) -> str:
    """The step, and in a line what the loss sees where that is more than a part of the state."""
    output = f"output: {cell['output']}\n" if cell["output"] is not None else ""
    return f"{cell['step']}{output}"


def _wrapped(text: str, width: int, indent: int = 2) -> Iterator[str]:
    """In lines that fit, those after the first further in."""
    lines = textwrap.wrap(
        text,
        min(width, _LONGEST),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 * (indent > 0)),
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (f"{line}\n" for line in lines)


def _described(equations: Equations) -> dict[str, Any]:
    about = dict(equations.help)
    return {
        "name": equations.name,
        "about": equations.about,
        "step": "\n".join(map(str.rstrip, equations.step.strip().splitlines())) + "\n",
        "output": None if equations.output is None else " ".join(equations.output.split()),
        "cite": equations.cite,
        "state": _shapes(equations.state),
        "parameters": _shapes([(p.name, p.shape) for p in equations.parameters if p.trained]),
        "constants": _shapes([(p.name, p.shape) for p in equations.parameters if not p.trained]),
        **_memory(equations),
        "options": [
            {
                "name": name,
                "values": _values(given),
                "default": equations.defaults[name],
                "meaning": about.get(name, ""),
            }
            for name, given in equations.options
        ],
    }


def _memory(equations: Equations) -> dict[str, list[str]]:
    """The gates of a cell at its defaults, and how its state goes to the next one directly."""
    found = traits(Cell.of(equations).compiled_for(64, 64).step, dict(equations.gauge))
    return {
        "gates": list(found.gates),
        "keeps": [f"{keeper.name} keeps {keeper.part}" for keeper in found.keepers],
        "direct": list(found.direct),
    }


def _on_memory(cell: dict[str, Any]) -> Iterator[str]:
    """In a line each, if there is something to say."""
    if cell["gates"]:
        kept = f" ({', '.join(cell['keeps'])})" if cell["keeps"] else ""
        yield f"gates: {', '.join(cell['gates'])}{kept}"
    if cell["direct"]:
        yield f"direct path, through no recurrent matrix: {', '.join(cell['direct'])}"


def _values(given: object) -> str:
    if isinstance(given, tuple):
        return " | ".join(given)
    return "a whole number" if isinstance(given, int) else "a number"


def _shapes(named: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """Names with their sizes: `h H, U [H, H]`."""
    return ", ".join(
        f"{name} {sizes[0] if len(sizes) == 1 else '[' + ', '.join(sizes) + ']'}"
        for name, sizes in named
    )
