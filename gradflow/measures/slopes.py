"""The slopes of the functions around a recurrent product, next to the size of its weights.

The factor of a step is φ'(z) W_s: with entries that do not know of each other its mean square is
gain² ⟨φ'²⟩, gain = ‖W_s‖_F/√H, and the gradient of an rnn grows or shrinks by about
gain x √⟨φ'²⟩ a step (H. Sompolinsky, A. Crisanti and H. J. Sommers, Physical Review Letters 61,
1988; S. Schoenholz et al., arXiv:1611.01232). Slopes are exact where a function saturates: from
e^-z, not as 1 - tanh², so that their geometric mean is right too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gradflow.engine.flow import Trajectory
from gradflow.equations.weights import evaluate
from gradflow.measures.contract import Figure, Measure, Subject
from gradflow.measures.drawn import Figures, Row, Rows, known
from gradflow.measures.measured import Measured
from gradflow.measures.steps import blocks_of_values
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import squares_of

SATURATED = 0.1


def slopes(subject: Subject) -> list[Measured]:
    """The slopes of one place, a `Measured` a run, over steps, units and samples: `slopes_rms`
    √⟨φ'²⟩, `slopes_geometric` exp⟨ln|φ'|⟩ (0 where a slope is), `slopes_saturated` the share below
    0.1 in size; of several functions together, and of each as `slopes_<function>_rms`, ...;
    `gain` ‖W_s‖_F/√H, of several recurrent weights one each, `gain_<block>`."""
    cell, trajectory, R = subject.cell, subject.trajectory, subject.runs
    if not cell.traits.functions:
        note = f"{cell.label} has no recurrent weights: no function is around their products"
        return [Measured(note=note) for _ in range(R)]
    gain = gains(trajectory)
    found = []
    for run in range(R):
        own = {name: float(values[run]) for name, values in gain.items()}
        found.append(Measured(figures={**_figures(trajectory, run), **own}))
    return found


def gains(trajectory: Trajectory) -> dict[str, Array]:
    """‖W‖_F/√rows of every recurrent weight, (R,), by the name of its figure."""
    cell, found = trajectory.cell, {}
    blocks = cell.traits.blocks
    for block in blocks:
        weight = evaluate(block.weight, trajectory.params, cell.H, cell.I)
        squares, exponent = squares_of(weight.astype(np.float64), weight.ndim - 1)
        found["gain" if len(blocks) == 1 else f"gain_{block.name}"] = np.ldexp(
            np.sqrt(squares / weight.shape[1]), exponent.astype(np.int32)
        )
    return found


class _Slopes:
    """The slopes of one function."""

    def __init__(self) -> None:
        self.count, self.squares, self.logs, self.saturated = 0, 0.0, 0.0, 0

    def add(self, slope: Array) -> None:
        size = np.abs(slope.astype(np.float64))
        self.count += size.size
        with np.errstate(all="ignore"):  # a slope may be 0, and one of exp too large to be squared
            self.squares += float(np.vdot(size, size))
            self.logs += float(np.log(size).sum())
        self.saturated += int(np.count_nonzero(size < SATURATED))


def _figures(trajectory: Trajectory, run: int) -> Mapping[str, float]:
    functions = trajectory.cell.traits.functions
    found = {function.name: _Slopes() for function in functions}
    for values in blocks_of_values(trajectory, run):
        for name, slope, like in functions:
            value = values.of(like)
            found[name].add(np.ones_like(value) if slope is None else values.of(slope))
    figures = _read("slopes", list(found.values()))
    for name, own in found.items() if len(found) > 1 else ():
        figures |= _read(f"slopes_{name}", [own])
    return figures


def _read(name: str, parts: list[_Slopes]) -> dict[str, float]:
    count = sum(part.count for part in parts)
    return {
        f"{name}_rms": math.sqrt(sum(part.squares for part in parts) / count),
        f"{name}_geometric": math.exp(sum(part.logs for part in parts) / count),
        f"{name}_saturated": sum(part.saturated for part in parts) / count,
    }


_MEANINGS = {
    "rms": "√⟨φ'²⟩ over steps, units and samples",
    "geometric": "exp⟨ln|φ'|⟩, 0 where a slope is 0",
    "saturated": f"the share of slopes below {SATURATED} in size",
}


def _rows(figures: Figures) -> list[Row]:
    """The slopes of all functions together, and the gain of each weight."""
    called = {"slopes_rms": "rms slope", "slopes_geometric": "geometric", "slopes_saturated":
              "saturated"}  # fmt: skip
    called |= {
        name: "gain W_s" + (f" {name[5:]}" if name != "gain" else "")
        for name in figures
        if name == "gain" or name.startswith("gain_")
    }
    values = {text: known(figures, name) for name, text in called.items()}
    return [Row(text, value) for text, value in values.items() if value is not None]


MEASURE = Measure(
    "slopes",
    "the slopes of the functions around a recurrent product, next to the size of its weights",
    scope="place",
    figures=(
        *(Figure(f"slopes_{what}", "number", meaning) for what, meaning in _MEANINGS.items()),
        *(
            Figure(f"slopes_<function>_{what}", "number", f"of one of several functions: {meaning}")
            for what, meaning in _MEANINGS.items()
        ),
        Figure("gain", "number", "‖W_s‖_F/√H, of the only recurrent weight"),
        Figure("gain_<block>", "number", "the same of one of several, by gate"),
    ),
    of=slopes,
    drawn=(Rows("slopes and gain of W_s", "size", of=_rows, mark=1.0),),
)
