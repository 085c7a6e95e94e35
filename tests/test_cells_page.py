"""What docs/cells.md shows of the cells that come with gradflow: every one, by its own equations,
and figures that a command on the page draws."""

from __future__ import annotations

import re

import pytest

from gradflow.cells import CELLS
from pages import ROOT, snippets

PAGE = ROOT / "docs" / "cells.md"
TEXT = PAGE.read_text(encoding="utf-8")
FIGURES = sorted(path.name for path in (ROOT / "docs" / "figures").glob("cells-*.svg"))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_stands_there_with_the_equations_of_its_file(name):
    equations = CELLS[name].equations
    shown = equations.step.rstrip()
    if equations.output is not None:
        shown += f"\noutput: {equations.output.strip()}"
    assert TEXT.count(f"\n`{name}`\n\n```text\n{shown}\n```\n") == 1


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_by_a_command_from_a_config_of_the_page(figure):
    config = figure.replace(".svg", ".yaml")
    assert f"](figures/{figure})" in TEXT
    drawn = [s.text for s in snippets(TEXT) if f"--output docs/figures/{figure}" in s.text]
    assert drawn == [f"gradflow analyze {config} --output docs/figures/{figure}\n"]
    (written,) = (s.text for s in snippets(TEXT) if s.tags.get("file") == config)
    (title,) = re.findall(r"^title: (.*)$", written, re.MULTILINE)
    words = (ROOT / "docs" / "figures" / figure).read_text(encoding="utf-8")
    assert title in words
