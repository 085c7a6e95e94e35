"""What the theory of wide random nets predicts, next to what is measured.

Of an rnn it is mean field (see `meanfield`, and `leaky` of one that leaks), from the size of W_s,
the input and the biases alone. Of gated cells it is an approximation (see `transfer`) from averages
of the net's own gates and slopes. Both are of the random net with weights of the same size (the
gain, ‖W_s‖_F/√H).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gradflow.cells.sized import SizedCell
from gradflow.engine.flow import Trajectory
from gradflow.engine.network import backpropagate_net
from gradflow.equations.differentiate import others_of
from gradflow.equations.graph import Node
from gradflow.measures import leaky, meanfield, transfer
from gradflow.measures.batch import typical
from gradflow.measures.contract import Curve, Figure, Measure, Subject
from gradflow.measures.drawn import Overlay
from gradflow.measures.gradient import Gradient
from gradflow.measures.measured import Measured
from gradflow.measures.slopes import gains
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LN10

_MOST = 2**22  # numbers of the drive that its covariance is taken from
_SETTLED = 4  # the first quarter of the steps is left out of rates


def theory(subject: Subject) -> list[Measured]:
    """The prediction for each run of one place.

    `log10_predicted`: the typical gradient of the loss at the last step against lag, from the
    measured one at lag 0, or, where the last state meets no loss, at the first lag that has one.
    What a layer receives from those above it on the way is left out.
    `rate_predicted`: its factor per step; of an rnn without leak √χ. `chi`: χ, by which the mean
    square of a cotangent changes in a step; `q`: the mean square of the pre-activations, both at
    the steps and samples of this input. `critical_predicted`: the `ws_scale` at which χ would be 1
    with the drive as it is; None: nowhere. `q` and it are of an rnn alone: gates are taken as they
    are measured. `predicted_error`: by how many decades the predicted curve is off at lag T,
    positive where it is too high; there where both are of the same thing, a loss at the last step.
    """
    cell = subject.cell
    if not transfer.is_simple(cell):
        note = (
            f"no theory of {cell.label}: its units do not meet in random recurrent matrices alone, "
            "or are not all alike"
        )
        return [Measured(note=note) for _ in range(subject.runs)]
    measured = _measured(subject)
    with np.errstate(all="ignore"):  # states may be too large to be squared
        return [_of_run(subject, run, measured[run]) for run in range(subject.runs)]


def _of_run(subject: Subject, run: int, measured: Array) -> Measured:
    settings: Mapping[str, object] = subject.settings[run] if subject.settings else {}
    if settings.get("trained"):
        note = "of the random net with weights of the same size, which a trained one is not"
    elif str(settings.get("ws_init")).startswith("identity"):
        return Measured(note="no theory of ws_init: identity, which is not random")
    else:
        note = None
    elman = elman_of(subject.cell)
    if elman is not None:
        curve, figures = _mean_field(subject.trajectory, run, elman, settings)
    else:
        averages = transfer.averages(subject.trajectory, run)
        if not averages.are_finite:
            return Measured(note="no theory of states that are too large to be squared")
        curve, figures = _from_averages(averages, len(subject.trajectory.x))
        approximate = "an approximation, from averages of this net's own gates and slopes"
        note = approximate if note is None else f"{approximate}; {note}"
    there = np.flatnonzero(measured > -np.inf)
    first = int(there[0]) if len(there) else 0  # a lower layer's last state meets no loss
    predicted = np.where(np.arange(len(curve)) < first, np.nan, curve - curve[first])
    predicted += measured[first] if len(there) else 0.0
    if first == 0 and subject.losses is None and math.isfinite(measured[-1]):
        figures["predicted_error"] = float(predicted[-1] - measured[-1])
    return Measured(curves={"log10_predicted": predicted}, figures=figures, note=note)


def _measured(subject: Subject) -> list[Array]:
    """(T+1,) log10 of the typical gradient of every run."""
    watcher = Gradient(subject.trajectory, subject.ds_T[subject.place])
    observers = {subject.place: [watcher]}
    backpropagate_net(subject.net, subject.ds_T, observers, losses=subject.losses)
    return [typical(samples) / LN10 for samples in watcher.log_samples()]


class Elman(NamedTuple):
    """h_t = (1-a) h_{t-1} + a φ(W_s h_{t-1} + W_x x_t + b).

    `share` is a. `factor`: what the equations multiply the sum with beforehand, a where φ is linear
    and 1 otherwise.
    """

    activation: str
    share: float
    factor: float


def elman_of(cell: SizedCell) -> Elman | None:
    """The cell as one nonlinearity around one recurrent product; None of any other."""
    (new, *more) = cell.traits.reduced.new.values()
    if more or len(cell.traits.blocks) != 1:
        return None
    terms = [(1.0, new)]
    if new.kind == "sum" and not new.payload[1]:
        terms = list(zip(new.payload[0], new.args, strict=True))
    elif new.kind == "slot":
        terms += others_of(new)
    kept = sum(sign for sign, term in terms if term.kind == "previous")
    applied = [(sign, term) for sign, term in terms if term.kind != "previous"]
    (share, around) = applied[0]
    slot = around.args[0] if around.kind == "function" else around
    if len(applied) > 1 or slot.kind != "slot" or not _is_elman(slot, new):
        return None
    factors = {use.factor for use in slot.payload.uses}
    factor = factors.pop() if around.kind == "slot" else 1.0
    if abs(share * factor + kept - 1) > 1e-12 or not 0 < share * factor <= 1:
        return None
    return Elman(around.payload if around.kind == "function" else "linear", share * factor, factor)


def _is_elman(slot: Node, new: Node) -> bool:
    """Whether a sum is W_s h_{t-1}, W_x x_t and biases alone, all times one factor, added to the
    old state where it is the new one itself."""
    uses = slot.payload.uses
    plain = all(arg.kind in ("previous", "x") for arg in slot.args)
    alone = slot is new or not others_of(slot)
    one = len({use.factor for use in uses}) == 1
    return plain and alone and one and {use.kind for use in uses} <= {"matrix", "bias"}


def _mean_field(
    trajectory: Trajectory, run: int, elman: Elman, settings: Mapping[str, object]
) -> tuple[Array, dict[str, float | str | None]]:
    """log10 of the prediction against lag, from 0 on, and its figures."""
    (gain,) = (float(values[run]) for values in gains(trajectory).values())
    if elman.share < 1:
        return _leaky(trajectory, run, elman, gain, settings)
    drive = drive_of(trajectory, run)
    start = trajectory.starts[0][run].astype(np.float64)
    q, chi = meanfield.along(elman.activation, gain, (start**2).mean(axis=1), drive)
    with np.errstate(divide="ignore"):
        logs = np.log(chi).mean(axis=1)
    settled = slice(len(logs) // _SETTLED, None)
    chi_settled = math.exp(logs[settled].mean())
    critical = meanfield.critical(elman.activation, float(drive[settled].mean()))
    curve = np.concatenate([[0.0], np.cumsum(logs[::-1])]) / (2 * LN10)
    return curve, {
        "q": _finite(float(q[settled].mean())),
        "chi": chi_settled,
        "rate_predicted": math.sqrt(chi_settled),
        "critical_predicted": _scale_of(critical, gain, settings),
    }


def _scale_of(critical: float | None, gain: float, settings: Mapping[str, object]) -> float | None:
    """The `ws_scale` of a gain."""
    scale = settings.get("ws_scale", gain)
    if critical is None or gain == 0 or not isinstance(scale, int | float):
        return None
    return critical * scale / gain


def _leaky(
    trajectory: Trajectory, run: int, elman: Elman, gain: float, settings: Mapping[str, object]
) -> tuple[Array, dict[str, float | str | None]]:
    """The same of a leaky rnn, at its fixed point."""
    drive = covariance_of_drive(trajectory, run, leaky.length_of(elman.share)) / elman.factor**2
    found = leaky.leaky(elman.activation, gain, elman.share, drive)
    critical = leaky.critical(elman.activation, elman.share, drive)
    curve = np.arange(len(trajectory.x) + 1) * math.log10(found.rate)
    return curve, {
        "q": _finite(found.q),
        "chi": found.rate**2,
        "rate_predicted": found.rate,
        "critical_predicted": _scale_of(critical, gain, settings),
    }


def covariance_of_drive(trajectory: Trajectory, run: int, length: int) -> Array:
    """(length,): the mean over units, samples and steps of d_t d_{t+τ}, d = W_x x_t + biases;
    beyond half of the steps what it is there on average."""
    x = trajectory.x[:, run if trajectory.x.shape[1] > 1 else 0]
    T, cell = len(x), trajectory.cell
    samples = max(1, min(x.shape[1], _MOST // (T * cell.H)))
    hoisted = trajectory.w.hoisted[run].astype(np.float64)
    d = x[:, :samples].astype(np.float64) @ hoisted[:, :-1].T + hoisted[:, -1]
    spectrum = np.fft.rfft(d.reshape(T, -1), 2 * T, axis=0)
    sums = np.fft.irfft((np.abs(spectrum) ** 2).mean(axis=1), 2 * T)[:T]
    found: Array = sums / (T - np.arange(T))
    known = max(1, min(length, T // 2))
    tail = float(found[known // 2 : known].mean()) if known > 1 else 0.0
    return np.concatenate([found[:known], np.full(length - known, tail)])


def _finite(q: float) -> float | None:
    return q if q < meanfield.LARGEST else None


def drive_of(trajectory: Trajectory, run: int) -> Array:
    """(T, N): the mean square over units of W_x x_t + biases."""
    hoisted = trajectory.w.hoisted[run].astype(np.float64)
    x = trajectory.x[:, run if trajectory.x.shape[1] > 1 else 0]
    found = np.empty(x.shape[:2])
    for at in range(0, len(x), 256):
        block = x[at : at + 256].astype(np.float64)
        found[at : at + 256] = np.square(block @ hoisted[:, :-1].T + hoisted[:, -1]).mean(axis=-1)
    return found


def _from_averages(
    averages: transfer.Averages, T: int
) -> tuple[Array, dict[str, float | str | None]]:
    """The same of a cell whose gates are taken as they are measured."""
    rate = transfer.growth(averages)
    curve = np.arange(T + 1) * math.log10(rate)
    return curve, {
        "chi": rate**2,
        "rate_predicted": rate,
    }


MEASURE = Measure(
    "theory",
    "what the theory of wide random nets predicts",
    scope="place",
    curves=(
        Curve(
            "log10_predicted",
            "log10 of the gradient that the theory predicts, from the measured one at lag 0",
            is_log10=True,
        ),
    ),
    figures=(
        Figure("q", "number", "the mean square of an rnn's pre-activations"),
        Figure("chi", "number", "χ: the factor per step of a cotangent's mean square"),
        Figure("rate_predicted", "number", "the factor per step that the theory predicts"),
        Figure(
            "critical_predicted",
            "number",
            "the ws_scale at which an rnn neither loses nor blows up its gradient, driven as it is",
        ),
        Figure(
            "predicted_error",
            "number",
            "decades by which the prediction is above (below, if negative) the typical gradient at "
            "lag T",
        ),
    ),
    of=theory,
    drawn=(Overlay("log10_predicted", "theory", critical="critical_predicted", axis="ws_scale"),),
)
