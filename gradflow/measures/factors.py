"""Why in a line: the factors that a step's gradient is multiplied by, as the equations name them.

Of a cell whose state meets itself through one recurrent product alone (rnn), ∂s_t/∂s_{t-1} =
φ'(z_t) W_s, and the factor of a step is about gain x slope: ‖W_s‖_F/√H times √⟨φ'²⟩ (H.
Sompolinsky, A. Crisanti and H. J. Sommers, Physical Review Letters 61, 1988). Of a cell with a gate
that keeps its state (LSTM f, GRU z), ∂c_t/∂c_{t-1} = f_t on the direct path, and what the rest of
the cell multiplies it by is the rate over that. Read at a few dozen steps, so that it costs little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gradflow.cells.sized import SizedCell
from gradflow.engine.flow import Tape, Trajectory
from gradflow.equations.graph import Node
from gradflow.machine.threads import share
from gradflow.measures.contract import Figure, Measure, Subject
from gradflow.measures.drawn import Figures, Row, Rows, known
from gradflow.measures.measured import Measured
from gradflow.measures.slopes import gains
from gradflow.numerics.arrays import Array, distinct
from gradflow.numerics.products import SHARED

_STEPS, _PARTS = 32, 4


def factors(subject: Subject) -> list[Measured]:
    """The factors of one place, a `Measured` a run: `factors_gain` and `factors_slope`, or
    `factors_keep`, the geometric mean of the gate `factors_gate` that keeps the state."""
    if not has_factors(subject.cell):
        label = subject.cell.label
        note = f"{label} has neither a gate that keeps its state nor one recurrent product alone"
        return [Measured(note=note) for _ in range(subject.runs)]
    if subject.cell.traits.keepers:
        return [Measured(figures=_keep(subject.trajectory, run)) for run in range(subject.runs)]
    return [Measured(figures=_gain(subject.trajectory, run)) for run in range(subject.runs)]


def has_factors(cell: SizedCell) -> bool:
    """Whether a cell has a gate that keeps its state, or is one recurrent product."""
    traits = cell.traits
    one_product = len(traits.functions) == len(traits.blocks) == 1 and not traits.direct
    return bool(traits.keepers) or one_product


def _at_some_steps(trajectory: Trajectory, run: int, node: Node) -> Array:
    """A node that the traits name, (K, 1, N, *shape) in float64, at a few steps, evenly spaced over
    those whose tape is kept; a part of them at a time, by whichever thread takes it."""
    start, stop = trajectory.segments[-1]
    tape: Tape = trajectory.last_tape
    at, _ = distinct(np.linspace(0, stop - start - 1, _STEPS).round().astype(np.int64))
    own = slice(run, run + 1)
    x = trajectory.x[start:stop] if trajectory.x.shape[1] == 1 else trajectory.x[start:stop, own]
    params = {name: a[own] for name, a in trajectory.params.items()}
    parts = np.array_split(at, _PARTS)
    found: list[Array] = [at] * _PARTS

    def some(part: slice) -> None:
        for which in range(_PARTS)[part]:
            of = parts[which]
            states = tape.states[of, own], tape.states[of + 1, own]
            values = trajectory.cell.samples(*states, x[of], params).of(node)
            found[which] = values.astype(np.float64)

    share(some, _PARTS, worth=trajectory.last.size * trajectory.cell.H >= SHARED)
    return np.concatenate(found)


def _keep(trajectory: Trajectory, run: int) -> Mapping[str, float | str | None]:
    keeper = trajectory.cell.traits.keepers[0]
    if keeper.decay is not None:
        decay = _at_some_steps(trajectory, run, keeper.decay)
    else:
        with np.errstate(divide="ignore"):
            decay = -np.log(_at_some_steps(trajectory, run, keeper.value))
    return {"factors_gate": keeper.name, "factors_keep": math.exp(-float(decay.mean()))}


def _gain(trajectory: Trajectory, run: int) -> Mapping[str, float | str | None]:
    (gain,), (function,) = gains(trajectory).values(), trajectory.cell.traits.functions
    slope = function.slope
    rms = 1.0
    if slope is not None:
        rms = math.sqrt(float(np.mean(_at_some_steps(trajectory, run, slope) ** 2)))
    return {"factors_gain": float(gain[run]), "factors_slope": rms}


def _rows(figures: Figures) -> list[Row]:
    """The gain and the slope with their product, or what a gate keeps."""
    gain, slope = (known(figures, f"factors_{name}") for name in ("gain", "slope"))
    if gain is not None and slope is not None:
        return [Row("gain W_s", gain), Row("rms slope", slope), Row("product", gain * slope)]
    keep = known(figures, "factors_keep")
    return [] if keep is None else [Row(f"{figures['factors_gate']} keeps", keep)]


MEASURE = Measure(
    "factors",
    "what a step multiplies the gradient by: the gain of W_s and its slopes, or what a gate keeps",
    scope="place",
    figures=(
        Figure("factors_gain", "number", "‖W_s‖_F/√H, of a cell that is one recurrent product"),
        Figure("factors_slope", "number", "√⟨φ'²⟩ of the function around it"),
        Figure("factors_gate", "word", "the gate that keeps the state, if there is one"),
        Figure("factors_keep", "number", "its geometric mean: what the direct path keeps a step"),
    ),
    of=factors,
    drawn=(Rows("what a step multiplies by", "factor", of=_rows, mark=1.0),),
)
