"""The gradients of a user's own net, checked from outside: forward equations and complex steps.

Only the forward code of the cell is used (see tangents.py), so that a mistake in a pullback cannot
hide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradflow.cells.contract import CURVES, Params, Use
from gradflow.cells.sized import SizedCell
from gradflow.counts import many
from gradflow.engine.block import Block
from gradflow.engine.network import NetTrajectory, Place, net_blocks_backward, unroll_net
from gradflow.invariance import unfounded
from gradflow.machine.threads import sharing
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes, Scaled, near_one
from gradflow.runs import sampling
from gradflow.runs.experiment import Run
from gradflow.runs.memory import threads_that_fit
from gradflow.runs.readings import Readings
from gradflow.verification.limits import in_one_unit
from gradflow.verification.tangents import Tangents

_MOST_LAGS = 12
_AGAINST = -1.1
_WEIGHT_STEP = 1e-100

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""The largest relative error that counts as agreement."""


@dataclass(frozen=True)
class ComparedGradient:
    """One quantity, by backpropagation and by complex step.

    Attributes:
        quantity: what was compared: `s`, or the curve of a role: `W_x`, `W_s`, `b_s`, `other`.
        place: (layer, direction) that it belongs to.
        lag: at which lag.
        backpropagated, complex_step: its derivative along one random direction, rms over batch
            (scalars).
        error: their largest difference, relative to the size that such a derivative has.
        tolerance: the error that counts as agreement.
    """

    quantity: str
    place: Place
    lag: int
    backpropagated: Magnitudes
    complex_step: Magnitudes
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Verification:
    """All comparisons of one run; `skipped` says why some were left out, `unfounded` which gauges
    are none."""

    run: Run
    comparisons: tuple[ComparedGradient, ...]
    skipped: str | None = None
    unfounded: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every comparison does, and every gauge is one."""
        return not self.unfounded and all(c.holds for c in self.comparisons)

    def __repr__(self) -> str:
        """`<Verification: lstm, 48 of 48 comparisons hold>`."""
        held = sum(one.holds for one in self.comparisons)
        count = f"{held} of {len(self.comparisons)} comparisons hold"
        return f"<Verification: {self.run.cell.label}, {count}>"


def verify(run: Run, threads: int = 1) -> Verification:
    """Compare the gradients of one run with complex-step derivatives, at about a dozen lags.

    At each lag, for each layer and direction: dL_n/ds_{T-k} of every sample, and the terms that
    step T-k adds to the gradient by the parameters of each role, each along one random direction.
    The complex steps follow the whole loss, read wherever the config has it; where the state is cut
    off from its past, they end with the chunk of steps that they began in. So many threads share
    the work of a wide run.
    """
    with sharing(threads_that_fit([run], threads)):
        return _verified(run)


def _verified(run: Run) -> Verification:
    params, x, s0 = sampling.parameters(run), sampling.inputs(run), sampling.initial_state(run)
    claims = (
        found
        for at, p in params.items()
        for found in unfounded(run.cells[at], p, x if at == (0, 0) else None, s0[at])
    )
    false = tuple(dict.fromkeys(found.message for found in claims))
    readings = Readings([run])
    one_run = {at: {name: a[None] for name, a in p.items()} for at, p in params.items()}
    start = {at: s[None] for at, s in s0.items()}
    net = unroll_net(run.cells, one_run, x[:, None], start, merge=run.merge, watch=readings.watch)
    readings.close()
    if diverged_at := int(net.diverged_at[0] or readings.lost_at[0]):
        why = f"the forward state left float range at step {diverged_at}"
        return Verification(run, (), why, false)
    compared = list(_compared(run, net, readings))
    found = tuple(one for one in compared if one is not None)
    aside = len(compared) - len(found)
    skipped = (
        f"{many(aside, 'derivative')} that complex steps do not settle: at a kink, where the slopes"
        " of the two sides differ; of terms that cancel; or with a gate's slope beyond float range"
    )
    return Verification(run, found, skipped if aside else None, false)


def _compared(
    run: Run, net: NetTrajectory, readings: Readings
) -> Iterator[ComparedGradient | None]:
    """Every derivative at about a dozen lags; None where complex steps do not settle one."""
    (goal,) = readings.objectives
    forward, T, tolerance = Tangents.of(net, goal, run), run.sequence_length, TOLERANCE[run.dtype]
    wanted = set(np.geomspace(1, T, _MOST_LAGS).round().astype(int) - 1)
    rng = np.random.default_rng(run.seed)
    ds_T, losses = readings.entering(net, np.array([0]))
    for at, block in net_blocks_backward(net, ds_T, losses=losses):
        for k in range(len(block.dz.value)):
            lag = T - block.last_step + k
            if lag not in wanted:
                continue
            for quantity, ours, slope in _derivatives(run.cells[at], block, k, at, forward, rng):
                # A term belongs to the step it is used in, the state before it to one lag more.
                of = lag + 1 if quantity == "s" else lag
                forward.limits.reset()
                theirs = slope(1)
                compared = _compare(quantity, at, of, ours, theirs, tolerance)
                settled = compared.holds or not (
                    forward.limits.lost(ours, theirs, block.ds[k][0], tolerance)
                    or not _is_smooth(theirs, slope(_AGAINST), tolerance / 10)
                )
                yield compared if settled else None


_Slope = Callable[[float], Scaled]
"""The derivative (N, 1) along this many times a direction."""


def _derivatives(
    cell: SizedCell, block: Block, k: int, at: Place, forward: Tangents, rng: np.random.Generator
) -> Iterator[tuple[str, Scaled, _Slope]]:
    """(quantity, what its derivative by backpropagation is the sum of, (N, width), complex step),
    per sample, at the lag of block index k."""
    t = block.last_step - k
    p, s = forward.params[at], block.s[k]
    dz = near_one(Scaled(block.dz.value[k, 0].astype(np.float64), block.dz.exponent[k, 0]))
    rights = {"x": block.x[k, 0], "s": s[0], "local": block.local[k, 0]}
    still = {name: np.zeros_like(a) for name, a in p.items()}
    for role, curve in CURVES.items():
        own = {q.name: rng.standard_normal(q.shape) for q in cell.parameters.values()
               if q.role == role and q.trained}  # fmt: skip
        if not own:
            continue
        moved = _moved_weights(cell, p, {**still, **own})
        summands = [_pushed(use, moved[use.weight], dz.value, rights) for use in cell.uses
                    if use.weight in moved]  # fmt: skip

        def slope(factor: float, own: dict[str, Array] = own) -> Scaled:
            dp = {name: factor * a for name, a in own.items()}
            return forward.along(at, t, dp={**still, **dp})

        yield curve, Scaled(np.concatenate(summands, axis=-1), dz.exponent), slope

    if forward.reads_beyond_the_state(at, t - 1):
        return  # of the state alone no forward equation gives that output; the terms hold it
    v = rng.standard_normal(s[0].shape)
    v[:, cell.S :] = 0
    for scale_part in cell.gauge:
        v[:, cell.parts[scale_part].rows] = 0
    before = near_one(Scaled(block.ds.value[k + 1].astype(np.float64), block.ds.exponent[k + 1]))
    yield (
        "s",
        Scaled(before.value[0] * v, before.exponent[0]),
        lambda factor: forward.along(at, t, ds=factor * v),
    )


def _moved_weights(cell: SizedCell, p: Params, dp: Params) -> dict[str, Array]:
    """How each weight changes along what moves."""
    moved = {}
    for name, weight in cell.weights.items():
        if any(dp[parameter].any() for parameter in weight.parameters):
            if weight.plain:
                moved[name] = dp[weight.parameters[0]].reshape(weight.shape)
            else:
                ahead = {n: a + 1j * _WEIGHT_STEP * dp[n] for n, a in p.items()}
                moved[name] = cell.value_of_weight(name, ahead).imag / _WEIGHT_STEP
    return moved


def _pushed(use: Use, V: Array, dz: Array, rights: dict[str, Array]) -> Array:
    """What a use of a weight gives along V, entry by entry times its cotangent: (N, rows)."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number is found to differ
        left = use.factor * dz[..., use.rows]
        V = V.T if use.transposed else V
        if use.kind == "bias":
            return left * V.reshape(-1)
        right = rights[use.operand.of][..., use.operand.rows].astype(np.float64)
        if use.kind == "diagonal":
            return left * (right * V.reshape(-1))
        apart = right.reshape(*right.shape[:-1], -1, use.columns)
        return left * (V @ apart).reshape(left.shape)


def _compare(
    name: str, at: Place, lag: int, ours: Scaled, theirs: Scaled, tolerance: float
) -> ComparedGradient:
    """Per sample; one whose derivative is far below the batch's counts by the batch."""
    summands, other, unit = in_one_unit(ours, theirs)
    mine = summands.sum(axis=-1)
    if not np.isfinite(mine).all():
        none, other_rms = Magnitudes.of(math.nan), Magnitudes.of(_rms(other), unit)
        return ComparedGradient(name, at, lag, none, other_rms, math.inf, tolerance)
    rms = [_rms(a) for a in (mine, other)]
    size = max(*rms, float(np.sqrt(np.mean((summands**2).sum(axis=-1)))))
    error = float(np.abs(mine - other[:, 0]).max()) / size if size else 0.0
    mine_rms, other_rms = (Magnitudes.of(a, unit) for a in rms)
    return ComparedGradient(name, at, lag, mine_rms, other_rms, error, tolerance)


def _rms(a: Array) -> float:
    return float(np.sqrt(np.mean(a**2)))


def _is_smooth(one: Scaled, against: Scaled, tolerance: float) -> bool:
    """Whether a derivative along `_AGAINST` times a direction is just that many times it: at a
    kink it is not, and neither is what rounding leaves of terms that cancel."""
    a, b, _ = in_one_unit(one, against)
    return bool(np.abs(b - _AGAINST * a).max() <= tolerance * np.abs(a).max())
