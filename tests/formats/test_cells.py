"""What `gradflow cells` says of a cell."""

from __future__ import annotations

import json

import pytest

from gradflow.cells import CELLS
from gradflow.formats import View, cells


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("lstm", ["gates: i, f, o (f keeps c)", "direct path, through no recurrent matrix: c"]),
        ("mgu", ["gates: f (1-f keeps h)", "direct path, through no recurrent matrix: h"]),
        ("indrnn", ["direct path, through no recurrent matrix: h"]),
        ("rnn", []),
    ],
)
def test_its_gates_and_its_direct_path(name, lines):
    text = "".join(cells.text([CELLS[name].equations], View()))
    assert [line.strip() for line in text.splitlines() if "gates: " in line or "direct path" in line
            ] == lines  # fmt: skip
    (cell,) = json.loads("".join(cells.to_json([CELLS[name].equations], View())))["cells"]
    assert len(cell["gates"] + cell["direct"]) > 0 or not lines
    markdown = "".join(cells.to_markdown([CELLS[name].equations], View()))
    assert all(line[1:] in markdown for line in lines)
