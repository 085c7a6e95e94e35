"""What `gradflow cells` says of a cell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from gradflow.cells import CELLS
from gradflow.formats import Look, cells


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
    text = "".join(cells.text([CELLS[name].equations], Look()))
    assert [line.strip() for line in text.splitlines() if "gates: " in line or "direct path" in line
            ] == lines  # fmt: skip
    (cell,) = json.loads("".join(cells.to_json([CELLS[name].equations], Look())))["cells"]
    assert len(cell["gates"] + cell["direct"]) > 0 or not lines
    markdown = "".join(cells.to_markdown([CELLS[name].equations], Look()))
    assert all(line[1:] in markdown for line in lines)


def test_the_output_is_there_where_it_is_more_than_a_part_of_the_state():
    for name in CELLS:
        equations = CELLS[name].equations
        text = "".join(cells.text([equations], Look(width=60)))
        lines = [line.strip() for line in text.splitlines() if line.startswith("  output: ")]
        (cell,) = json.loads("".join(cells.to_json([equations], Look())))["cells"]
        output = equations.output and equations.output.strip()
        assert cell["output"] == output
        assert lines == ([f"output: {output}"] if output else [])
    assert CELLS["sru"].equations.output == "r * c[t] + (1 - r) * (W_h @ x[t])"


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", ["lstm", "slstm", "gated_deltanet", "unicornn"])
def test_prose_fits_the_terminal_and_equations_stay_as_they_are(name, width):
    equations = CELLS[name].equations
    text = "".join(cells.text([equations], Look(width=width)))
    step = {f"  {line}".rstrip() for line in equations.step.strip().splitlines()}
    step |= {f"  output: {equations.output}"} if equations.output else set()
    for line in set(text.splitlines()) - step:
        assert cell_len(line) <= min(width, 100)
    assert step <= set(text.splitlines())
    words = " ".join(text.split())
    for parameter in equations.parameters:
        assert f" {parameter.name} " in words
    assert equations.about in words


def test_the_last_line_says_how_a_config_names_it():
    def last(*found):
        return "".join(cells.text(list(found), Look(width=200))).splitlines()[-1]

    gru, indrnn = (CELLS[name].equations for name in ("gru", "indrnn"))
    lstm = "`cell: lstm`, or with options `cell: {type: lstm, forget_bias: 0.0}`"
    assert lstm in last(gru, indrnn)
    assert last(gru).startswith("In a config: `cell: gru`, or with options `cell: {type: gru, ")
    own = replace(gru, name="my_own")
    assert "`cell: ./FILE.yaml`, or with options `cell: {type: ./FILE.yaml, reset: " in last(own)
    assert cells._hint([replace(own, options=())]) == "In a config: `cell: ./FILE.yaml`."
