"""The cells as text: equations, options, citation, from their declarations."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gradflow.cells import CELLS
from gradflow.equations.declaration import Equations


def text() -> Iterator[str]:
    """Every cell of CELLS."""
    for name in CELLS:
        yield from of_cell(CELLS[name].equations)
        yield "\n"
    yield "In a config: `cell: lstm`, or with options `cell: {type: lstm, forget_bias: 1.0}`.\n"


def of_cell(equations: Equations) -> Iterator[str]:
    """One cell."""
    yield f"{equations.name}\n"
    yield f"  {equations.about}\n\n"
    for line in equations.step.strip().splitlines():
        yield f"  {line}".rstrip() + "\n"
    yield "\n"
    for line in textwrap.wrap(equations.cite, 78):
        yield f"  {line}\n"
    yield f"\n  state: {_shapes(equations.state)}\n"
    declared = [(p.name, p.shape) for p in equations.parameters]
    yield from (f"  {line}\n" for line in textwrap.wrap(f"parameters: {_shapes(declared)}", 78))
    yield from _options(equations)


def _shapes(named: object) -> str:
    return ", ".join(
        f"{name} {sizes[0] if len(sizes) == 1 else '[' + ', '.join(sizes) + ']'}"
        for name, sizes in named  # type: ignore[attr-defined]
    )


def _options(equations: Equations) -> Iterator[str]:
    about = dict(equations.help)
    for name, given in equations.options:
        number = "a whole number" if isinstance(given, int) else "a number"
        choices = " | ".join(given) if isinstance(given, tuple) else number
        yield f"  option {name}: {choices} (default {equations.defaults[name]})\n"
        yield f"    {about[name]}\n"
