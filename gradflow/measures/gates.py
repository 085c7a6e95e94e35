"""How far a cell's gates are open, over steps, units and samples.

A gate is a named intermediate that is a sigmoid (or a hard one) and multiplies something; the
equations say which. Of what keeps a part of the state, c_t = f_t ∘ c_{t-1} + ..., a value f is
for a time scale of -1/ln f steps, in which what is kept falls to 1/e (C. Tallec and Y. Ollivier,
arXiv:1804.11188; T. Can, K. Krishnamurthy and D. J. Schwab, arXiv:2007.15243). It is taken from the
gate's argument, -ln σ(z) = ln(1 + e^-z), since f itself rounds to 1 from 10^16 steps on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from gradflow.engine.flow import Trajectory
from gradflow.equations.graph import Node
from gradflow.equations.samples import Samples
from gradflow.equations.traits import Keeper
from gradflow.measures.batch import PERCENTILES
from gradflow.measures.contract import Figure, Measure, Subject
from gradflow.measures.distribution import BINS, Distribution
from gradflow.measures.drawn import Figures, Row, Rows, known
from gradflow.measures.measured import Measured
from gradflow.measures.steps import blocks_of_values
from gradflow.numerics.arrays import Array

_LONGEST, _SHORTEST = 80.0, 16.0  # in powers of 2: decays of a step that are kept apart


def gates(subject: Subject) -> list[Measured]:
    """The gates of one place, a `Measured` a run: figures `gates_<gate>_mean`, `_p10`, `_p50`,
    `_p90`, `_below_0.1`, `_above_0.9`, and of what keeps a part of the state
    `gates_<keeper>_time_scale_p50`, `_p90` in steps (infinite of a hard gate that is 1)."""
    cell = subject.cell
    if not cell.traits.gates:
        note = (
            f"{cell.label} has no gates: none of its named intermediates is a sigmoid that "
            "multiplies something"
        )
        return [Measured(note=note) for _ in range(subject.runs)]
    return [_of_run(subject.trajectory, run) for run in range(subject.runs)]


def _of_run(trajectory: Trajectory, run: int) -> Measured:
    traits, cell = trajectory.cell.traits, trajectory.cell
    steps = len(trajectory.x) * trajectory.last.shape[1]

    def count(node: Node) -> int:
        return int(steps * math.prod(cell.sizes(node.shape)))

    openings = {name: _Opening(count(node)) for name, node in traits.gates.items()}
    scales = {k.name: Distribution(count(k.value), -_LONGEST, _SHORTEST) for k in traits.keepers}
    for values in blocks_of_values(trajectory, run):
        for name, node in traits.gates.items():
            openings[name].add(values.of(node))
        for keeper in traits.keepers:
            scales[keeper.name].add(_log2_decay(values, keeper))
    figures: dict[str, float | str | None] = {}
    for name, opening in openings.items():
        figures |= {f"gates_{name}_{what}": value for what, value in opening.figures()}
    for name, scale in scales.items():
        figures |= {f"gates_{name}_time_scale_{p}": v for p, v in _time_scales(scale).items()}
    exact = all(o.distribution.is_exact for o in openings.values())
    note = None if exact else f"percentiles of gates are read from a histogram of {BINS:,} bins"
    return Measured(figures=figures, note=note)


class _Opening:
    """How far one gate is open."""

    def __init__(self, count: int) -> None:
        self.distribution, self.count = Distribution(count, 0.0, 1.0), count
        self.total, self.below, self.above = 0.0, 0, 0

    def add(self, values: Array) -> None:
        self.distribution.add(values)
        self.total += float(values.sum(dtype=np.float64))
        self.below += int(np.count_nonzero(values < 0.1))
        self.above += int(np.count_nonzero(values > 0.9))

    def figures(self) -> Iterator[tuple[str, float]]:
        yield "mean", self.total / self.count
        found = self.distribution.percentiles(PERCENTILES)
        yield from ((f"p{p}", value) for p, value in zip(PERCENTILES, found, strict=True))
        yield "below_0.1", self.below / self.count
        yield "above_0.9", self.above / self.count


def _log2_decay(values: Samples, keeper: Keeper) -> Array:
    """log2 of -ln of what keeps a part; infinite where that is 1 or 0."""
    with np.errstate(divide="ignore"):
        if keeper.decay is not None:
            decay = values.of(keeper.decay).astype(np.float64)
        else:
            decay = -np.log(values.of(keeper.value).astype(np.float64))
        return np.log2(np.maximum(decay, 0.0))


def _time_scales(decays: Distribution) -> Mapping[str, float]:
    """The percentiles of 1/decay, infinite beyond the longest that are kept apart."""

    def steps(log2: Array) -> Array:
        return np.where(log2 <= -_LONGEST, np.inf, np.exp2(-log2))

    return dict(zip(("p50", "p90"), decays.percentiles((50, 90), falling=steps), strict=True))


def _rows(figures: Figures) -> list[Row]:
    """Each gate: its median, from the 10th to the 90th percentile, and how much of it is shut or
    open for good."""
    names = [name[6:-4] for name in figures if name.startswith("gates_") and name.endswith("_p50")]
    found = []
    for name in names:
        middle = known(figures, f"gates_{name}_p50")
        if middle is None or name.endswith("_time_scale"):
            continue
        low, high = (known(figures, f"gates_{name}_{end}") for end in ("p10", "p90"))
        shut, wide = (known(figures, f"gates_{name}_{end}") for end in ("below_0.1", "above_0.9"))
        said = f"{100 * (shut or 0):.0f} % shut, {100 * (wide or 0):.0f} % open"
        found.append(Row(name, middle, low, high, said))
    return found


MEASURE = Measure(
    "gates",
    "how far the gates are open, and for how long what keeps the state keeps it",
    scope="place",
    figures=(
        Figure("gates_<gate>_mean", "number", "mean over steps, units and samples"),
        *(
            Figure(f"gates_<gate>_p{p}", "number", f"{p}th percentile over the same")
            for p in PERCENTILES
        ),
        Figure("gates_<gate>_below_0.1", "number", "the share that is nearly closed"),
        Figure("gates_<gate>_above_0.9", "number", "the share that is nearly open"),
        Figure(
            "gates_<gate>_time_scale_p50",
            "number",
            "of what keeps the state (LSTM f, GRU z, MGU 1-f): median of -1/ln f, in steps",
        ),
        Figure("gates_<gate>_time_scale_p90", "number", "90th percentile of that"),
    ),
    of=gates,
    drawn=(Rows("gates", "how far open: p10, median, p90", of=_rows, ends=(0.0, 1.0)),),
)
