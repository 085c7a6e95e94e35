"""How much of the gradient goes the direct way, from each state to the next through no recurrent
matrix: c_t = f_t ∘ c_{t-1} of an LSTM, z_t of a GRU, 1 - a of a leaky integrator.

The textbook's ∂c_t/∂c_{t-1} = f_t is what is left of the chain rule where every recurrent matrix is
taken out of it (S. Hochreiter and J. Schmidhuber, Neural Computation 9, 1997, truncate their
gradients just so). So nothing is derived anew: the cell's own pullback runs once more with these
matrices set to zero. Where parts feed each other entry by entry (the real and imaginary part of a
complex state) that is a small block a unit, and its product is taken; matrices that are declared
not to be recurrent (a projection) stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradflow.engine.flow import Trajectory, backpropagate
from gradflow.engine.network import NetTrajectory, backpropagate_net
from gradflow.measures.batch import typical
from gradflow.measures.contract import Curve, Figure, Measure, Subject
from gradflow.measures.drawn import Lags
from gradflow.measures.gradient import Gradient
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes, log_norms_joined, root_sum_of_squares


def paths(subject: Subject) -> list[Measured]:
    """The direct path of each run.

    `log10_direct_path`: the root mean square, over units and samples, of the product of the direct
    partials of lags 1..k alone, over the parts of the state that have one; 0 at lag 0. Its square
    is the mean of what the direct path keeps of a cotangent with random signs.
    `paths_rate`: the typical factor per step of the gradient along direct paths alone.
    `direct_share`: ‖∂L/∂s_{T-k} along direct paths‖ / ‖∂L/∂s_{T-k}‖, both RMS over the batch. It
    may be above 1, where what comes through the matrices cancels some of it.
    """
    net, places = subject.net, subject.places
    cells = {at: net.places[at].cell for at in places}
    if not any(cell.traits.direct for cell in cells.values()):
        cell = next(iter(cells.values()))
        note = f"{cell.label} has no direct path: its state reaches the next through a matrix alone"
        return [Measured(note=note) for _ in range(subject.runs)]
    cut = NetTrajectory({at: without_matrices(t) for at, t in net.places.items()}, net.merge)
    whole, direct = (_watched(n, subject) for n in (net, cut))
    with np.errstate(invalid="ignore"):
        share = (_norms(direct) / _norms(whole)).floats()
    size = _direct_path(cut, subject).log10()
    with np.errstate(invalid="ignore"):  # where a net without bounds has left float range
        rates = [_rate(typical(samples)) for samples in _samples(direct)]
    return [
        Measured(
            curves={"log10_direct_path": size[:, r], "direct_share": share[:, r]},
            figures={"paths_rate": rates[r]},
        )
        for r in range(subject.runs)
    ]


def without_matrices(trajectory: Trajectory) -> Trajectory:
    """The same forward pass, with the recurrent matrices taken out of the way back."""
    return replace(trajectory, w=trajectory.cell.cut(trajectory.w))


def _watched(net: NetTrajectory, subject: Subject) -> list[Gradient]:
    """The loss's backward pass, by the places that are looked at."""
    watching = {at: Gradient(net.places[at], subject.ds_T[at]) for at in subject.places}
    observers = {at: [own] for at, own in watching.items()}
    backpropagate_net(net, subject.ds_T, observers, losses=subject.losses)
    return [*watching.values()]


def _norms(watched: Sequence[Gradient]) -> Magnitudes:
    """(T+1, R): the gradient's norm over several places."""
    return root_sum_of_squares([own.state() for own in watched])


def _samples(watched: Sequence[Gradient]) -> list[Array]:
    """(T+1, N), one a run: the logarithm of each sample's own norm."""
    by_run = zip(*(own.log_samples() for own in watched), strict=True)
    return [log_norms_joined(parts) for parts in by_run]


def _rate(curve: Array) -> float | None:
    """The factor per step of a typical curve (T+1,), over the last three quarters of the lags that
    have a gradient; None where fewer than two have."""
    there = np.flatnonzero(np.isfinite(curve))
    if len(there) < 2:
        return None
    last = int(there[-1])
    first = max(int(there[0]), last // 4)
    return math.exp(min((curve[last] - curve[first]) / (last - first), 700.0))


def _direct_path(cut: NetTrajectory, subject: Subject) -> Magnitudes:
    """(T+1, R): the root mean square of the products of direct partials, from a cotangent of
    random signs in each part that has one: squares of single entries are right for any signs,
    and where units mix (a layer norm) the mean over signs is."""
    found, width = [], 0
    for at in subject.places:
        trajectory = cut.places[at]
        parts = trajectory.cell.traits.direct
        for part in parts:
            start = _signs(trajectory, part)
            watcher = Gradient(trajectory, start)
            backpropagate(trajectory, start, [watcher])
            norms = watcher.parts()
            found += [norms[other] for other in parts]
            rows = trajectory.cell.parts[part].rows
            width += rows.stop - rows.start
    total = root_sum_of_squares(found)
    return total.over(width**0.5)


def _signs(trajectory: Trajectory, part: str) -> Array:
    """(R, N, S_all): ±1 in a part, by its true values, the same for every run."""
    cell, s = trajectory.cell, trajectory.last
    signs = np.zeros(s.shape, s.dtype)
    rows = cell.parts[part].rows
    shape = (s.shape[1], rows.stop - rows.start)
    drawn = np.random.default_rng(0).integers(0, 2, shape) * 2.0 - 1
    signs[..., rows] = drawn
    for scale, scaled in cell.gauge.items():
        if part in scaled:
            m = s[..., cell.parts[scale].rows]
            limit = 0.85 * math.log(np.finfo(m.dtype).max)  # e^±m is within float range up to here
            signs[..., rows] = drawn * np.exp(np.where(np.abs(m) <= limit, m, np.nan))
    return signs


MEASURE = Measure(
    "paths",
    "how much of the gradient goes from each state to the next through no recurrent matrix",
    scope="both",
    curves=(
        Curve(
            "log10_direct_path",
            "log10 of Π f_t (LSTM), Π z_t (GRU) alone: the product of the state's partials by its "
            "own past through no recurrent matrix, RMS over units and batch",
            is_log10=True,
        ),
        Curve(
            "direct_share",
            "‖∂L/∂s_{T-k} along direct paths alone‖ / ‖∂L/∂s_{T-k}‖, both RMS over the batch",
        ),
    ),
    figures=(
        Figure(
            "paths_rate",
            "number",
            "the typical factor per step of the gradient along direct paths alone",
        ),
    ),
    of=paths,
    drawn=(
        Lags("direct path alone", "log10_direct_path", label="product of partials"),
        Lags("direct share", "direct_share", shares=True, label="share of the gradient"),
    ),
)
