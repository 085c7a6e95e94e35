"""Which figures a run will not have, as far as its config says so before it is run."""

from __future__ import annotations

import re

from gradflow.checks.figures import BY_PLACE, TOTAL, curves
from gradflow.errors import nearest
from gradflow.measures.terms import COLUMNS, parameters_of
from gradflow.results import Direction
from gradflow.runs.experiment import Run

_OF_GATES = re.compile(r"gates_(.+?)_(?:mean|p\d\d|below_0\.1|above_0\.9|time_scale_p\d\d)")


def lacks(run: Run, figure: str, place: tuple[int, Direction] | None) -> str | None:
    """Why a run has no such figure or column, at a place or of the net as a whole; None where it
    has, or only the run can tell.

    Args:
        figure: a known name, without the place.
    """
    if figure == "loss":
        return None if place is None else "the loss is one of the net as a whole"
    curve = curves(run.cell.state_parts).get(figure)
    of_flow = curve is not None and curve.of is not None
    if place is None and run.bidirectional and (of_flow or figure.startswith(TOTAL)):
        return BY_PLACE
    name = figure if curve is None else curve.name
    label, cell = run.cell.label, run.cell.sized(run.hidden_size, run.input_size)
    parameter = COLUMNS.get(name, name.removeprefix(TOTAL))
    if parameter in COLUMNS.values() and parameter not in parameters_of(cell):
        return f"{label} has no such parameters: it has {', '.join(parameters_of(cell))}"
    part = name.removeprefix("grad_")
    if of_flow and name == f"grad_{part}" and name not in (*COLUMNS, "grad_norm"):
        has = ", ".join(run.parts)
        return None if part in run.parts else f"{label} has no such part: its state is {has}"
    if (found := _OF_GATES.fullmatch(figure)) and found[1] not in cell.traits.gates:
        near = nearest(found[1], cell.traits.gates)
        hint = f"; did you mean {near}?" if near else ""
        return f"{label} has no gate {found[1]}{hint}"
    return None


def last_lag(run: Run, figure: str) -> int:
    """Of a column of this run; the terms of parameters have none at lag T."""
    name = figure.removeprefix("log10_")
    return run.sequence_length - (name in COLUMNS or name == "share_W_s")
