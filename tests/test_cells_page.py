"""docs/cells.md has every cell that comes with gradflow, with the equations of its file."""

from __future__ import annotations

import pytest

from gradflow.cells import CELLS
from pages import ROOT

TEXT = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_stands_there_with_the_equations_of_its_file(name):
    equations = CELLS[name].equations
    shown = equations.step.rstrip()
    if equations.output is not None:
        shown += f"\noutput: {equations.output.strip()}"
    assert TEXT.count(f"\n`{name}`\n\n```text\n{shown}\n```\n") == 1
