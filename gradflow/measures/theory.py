"""What the theory of wide random nets predicts, next to what is measured.

Of an rnn it is mean field (see `meanfield`): from the size of W_s, the input and the biases alone.
Of gated cells it is an approximation (see `transfer`) from averages of the net's own gates and
slopes. Both are of the random net with weights of the same size (the gain, ‖W_s‖_F/√H).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gradflow.cells.sized import SizedCell
from gradflow.columns import Array
from gradflow.engine.flow import Trajectory, backpropagate
from gradflow.equations.differentiate import others_of
from gradflow.equations.graph import Node
from gradflow.measures import meanfield, transfer
from gradflow.measures.batch import LN10, typical
from gradflow.measures.contract import Curve, Figure, Measure, Subject
from gradflow.measures.gradient import Gradient
from gradflow.measures.measured import Measured
from gradflow.measures.slopes import gains

_SETTLED = 4  # the first quarter of the steps is left out of rates


def theory(subject: Subject) -> list[Measured]:
    """The prediction for each run of one place.

    `log10_predicted`: the typical gradient against lag, from the measured one at lag 0.
    `rate_predicted`: its factor per step; of an rnn without leak √χ. `chi`: χ, by which the mean
    square of a cotangent changes in a step; `q`: the mean square of the pre-activations, both at
    the steps and samples of this input. `critical_predicted`: the `ws_scale` at which χ would be 1
    with the drive as it is; None: nowhere, or where the theory starts from measured gates.
    `predicted_error`: by how many decades the predicted curve is off at lag T, positive where it
    is too high.
    """
    cell = subject.cell
    if not transfer.is_simple(cell):
        note = (
            f"no theory of {cell.label}: its units do not meet in random recurrent matrices alone, "
            "or are not all alike"
        )
        return [Measured(note=note) for _ in range(subject.runs)]
    measured = _measured(subject)
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
        curve, figures = _from_averages(subject.trajectory, run)
        approximate = "an approximation, from averages of this net's own gates and slopes"
        note = approximate if note is None else f"{approximate}; {note}"
    predicted = curve + measured[0]
    error = predicted[-1] - measured[-1]
    figures["predicted_error"] = float(error) if math.isfinite(error) else None
    return Measured(curves={"log10_predicted": predicted}, figures=figures, note=note)


def _measured(subject: Subject) -> list[Array]:
    """(T+1,) log10 of the typical gradient of every run."""
    trajectory, ds_T = subject.trajectory, subject.ds_T[subject.place]
    watcher = Gradient(trajectory, ds_T)
    backpropagate(trajectory, ds_T, [watcher])
    return [typical(samples) / LN10 for samples in watcher.log_samples()]


class Elman(NamedTuple):
    """h_t = φ(W_s h_{t-1} + ...)."""

    activation: str


def elman_of(cell: SizedCell) -> Elman | None:
    """The cell as one nonlinearity around one recurrent product; None of any other."""
    (new, *more) = cell.report.reduced.new.values()
    slot = new.args[0] if new.kind == "function" else new
    if more or slot.kind != "slot" or not _is_elman(slot) or len(cell.report.blocks) != 1:
        return None
    return Elman(new.payload if new.kind == "function" else "linear")


def _is_elman(slot: Node) -> bool:
    """Whether a sum is W_s h_{t-1}, W_x x_t and biases alone."""
    matrices = [use for use in slot.payload.uses if use.kind == "matrix"]
    plain = all(arg.kind in ("previous", "x") for arg in slot.args)
    return plain and not others_of(slot) and {u.kind for u in matrices} == {"matrix"}


def _mean_field(
    trajectory: Trajectory, run: int, elman: Elman, settings: Mapping[str, object]
) -> tuple[Array, dict[str, float | str | None]]:
    """log10 of the prediction against lag, from 0 on, and its figures."""
    (gain,) = (float(values[run]) for values in gains(trajectory).values())
    drive = drive_of(trajectory, run)
    start = trajectory.starts[0][run].astype(np.float64)
    q, chi = meanfield.along(elman.activation, gain, (start**2).mean(axis=-1), drive)
    with np.errstate(divide="ignore"):
        logs = np.log(chi).mean(axis=1)
    settled = slice(len(logs) // _SETTLED, None)
    chi_settled = math.exp(logs[settled].mean())
    critical = meanfield.critical(elman.activation, float(drive[settled].mean()))
    scale = settings.get("ws_scale", gain)
    if critical is not None and gain > 0 and isinstance(scale, int | float):
        critical *= scale / gain
    else:
        critical = None
    curve = np.concatenate([[0.0], np.cumsum(logs[::-1])]) / (2 * LN10)
    return curve, {
        "q": _finite(float(q[settled].mean())),
        "chi": chi_settled,
        "rate_predicted": math.sqrt(chi_settled),
        "critical_predicted": critical,
    }


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


def _from_averages(trajectory: Trajectory, run: int) -> tuple[Array, dict[str, float | str | None]]:
    """The same of a cell whose gates are taken as they are measured."""
    rate = transfer.growth(transfer.averages(trajectory, run))
    curve = np.arange(len(trajectory.x) + 1) * math.log10(rate)
    return curve, {
        "q": None,
        "chi": rate**2,
        "rate_predicted": rate,
        "critical_predicted": None,
    }


MEASURE = Measure(
    "theory",
    "what the theory of wide random nets predicts",
    scope="place",
    curves=(
        Curve(
            "log10_predicted",
            "log10 of the gradient that the theory predicts, from the measured one at lag 0",
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
)
