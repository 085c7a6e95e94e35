"""How far back the gradient of the loss at *any* step reaches: ‖∂L_t/∂s_{t-k}‖ for many t.

L_t is the same loss, read at step t. One backward pass carries the gradients of all of them, each
put in at its own step t (its *origin*), so that lag 0 is the origin whatever t is. The curve of one
t depends on what the net was fed just before it; the percentiles, over origins and samples, say
what holds for any t. Lag k has the origins t >= k alone: the largest lags rest on the last few, lag
T on t = T alone, whose values are those of the gradient of a loss at the last step.

Memory: T x origins x N logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradflow.engine.backward import normalise
from gradflow.engine.basis import Stretch, WholeState, stretches, true_values
from gradflow.engine.flow import Trajectory
from gradflow.engine.network import Place
from gradflow.measures.batch import PERCENTILES, percentiles_of_known
from gradflow.measures.contract import Curve, Measure, Option, Subject
from gradflow.measures.drawn import Lags
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LN10, Scaled, log_norms, safe_bits, squares_of

_LONGEST = 64

Gradient = Callable[[int, Mapping[Place, Array]], Mapping[Place, Array]]
"""From a step t and the states s_t (R, N, S_all) of all places that the pass goes through to
∂L_t/∂s_t of each sample, the same shape by place; a place left out has none."""

Keep = Callable[[int, Array, Array], None]
"""From the number of an origin and lags (L,) to the natural logarithms (L, P, R, N) of the norms
there, of P parts of the state; called once a stretch, lag 0 of an origin in its first."""


@dataclass(frozen=True, eq=False)
class Reached:
    """The gradients of the losses at many steps.

    Attributes:
        origins: the steps t, the last first.
        logs: (T+1, B, R, N) the natural logarithm of ‖∂L_t/∂s_{t-k}‖, lag by lag, of each origin,
            run and sample; -inf at an exact zero, NaN where t < k.
    """

    origins: tuple[int, ...]
    logs: Array

    def typical(self, r: int) -> Array:
        """(T+1,): the mean over origins and samples of run `r` of the logarithms, each relative to
        its own lag 0; exact zeros left out, -inf where they are more than half."""
        logs = self.logs[:, :, r]
        with np.errstate(invalid="ignore"):
            relative = (logs - logs[0]).reshape(len(logs), -1)
        known, there = ~np.isnan(relative), np.isfinite(relative)
        count = there.sum(axis=1)
        mean = np.where(there, relative, 0.0).sum(axis=1) / np.maximum(count, 1)
        return np.where(2 * count < known.sum(axis=1), -np.inf, mean)


def of(subject: Subject, *, origins: int) -> list[Measured]:
    """The curves of each run, log10 (T+1,)."""
    loss, places = subject.one_loss, subject.places
    assert loss is not None
    read = [at for at in places if at in loss.steps]
    if not read:
        note = "the loss reads no state of this layer, and what others send it has no one lag"
        return [Measured(note=note) for _ in range(subject.runs)]
    steps = loss.steps[read[0]]
    number = {int(t): i for i, t in enumerate(steps)}

    def gradient(t: int, states: Mapping[Place, Array]) -> dict[Place, Array]:
        return {at: loss.gradient(at, number[t], states) for at in read}

    passed = {at: subject.net.places[at] for at in (*places, *loss.together)}
    chosen = spaced(sorted(number), origins)
    return measured(reach(passed, places, gradient, chosen, truncate=loss.truncate))


def spaced(steps: Sequence[int], origins: int) -> list[int]:
    """Up to `origins` of the loss steps, evenly spaced, the last among them; the last first."""
    n = len(steps)
    chosen = {-(-n * i // origins) - 1 for i in range(1, origins + 1)} - {-1}
    return sorted({steps[i] for i in chosen}, reverse=True)


def reach(
    places: Mapping[Place, Trajectory],
    looked_at: Sequence[Place],
    gradient: Gradient,
    origins: Sequence[int],
    *,
    truncate: int | None = None,
    progress: Callable[[int], None] = lambda k: None,
) -> Reached:
    """The gradients of the losses at the steps `origins`.

    Args:
        places: the forward pass of every place that is looked at or that the loss reads; steps
            count along each place's own time.
        looked_at: one place, or layers upon each other, the lowest first.
        gradient: see `Gradient`.
        origins: steps 1..T, the last first.
        truncate: the state is cut off from its past behind every so many steps.
        progress: called with the steps done.
    """
    T, (R, N) = len(places[looked_at[0]].x), places[looked_at[0]].last.shape[:2]
    logs = np.full((T + 1, len(origins), R, N), np.nan)

    def keep(b: int, lags: Array, found: Array) -> None:
        logs[lags, b] = found[:, 0]

    go_back(places, looked_at, gradient, origins, keep, truncate=truncate, progress=progress)
    return Reached(tuple(origins), logs)


def go_back(
    places: Mapping[Place, Trajectory],
    looked_at: Sequence[Place],
    gradient: Gradient,
    origins: Sequence[int],
    keep: Keep,
    *,
    apart: bool = False,
    truncate: int | None = None,
    progress: Callable[[int], None] = lambda k: None,
) -> None:
    """What `reach` gives, handed over as it is found; arguments as there, and `apart`: whether the
    norm of each layer is wanted, or that of the whole state."""
    order = [*looked_at, *(at for at in places if at not in looked_at)]
    layers = [places[at] for at in looked_at]
    whole = WholeState(layers, layers[0].last.dtype)
    parts = whole.rows if apart else [slice(0, whole.S_all)]
    going = _Pass(whole, parts, looked_at, gradient, origins, layers[0].last.shape[:2], truncate)
    for stretch in stretches([places[at] for at in order], _LONGEST, progress):
        going.through(stretch, order, keep)


def measured(found: Reached) -> list[Measured]:
    """The curves of each run, log10 (T+1,)."""
    names = [f"log10_reach_p{p}" for p in PERCENTILES]
    result = []
    for r in range(found.logs.shape[2]):
        values = found.logs[:, :, r]
        curves = percentiles_of_known(values.reshape(len(values), -1)) / LN10
        result.append(Measured({name: curves[:, i] for i, name in enumerate(names)}))
    return result


class _Pass:
    """The cotangents of all origins on their way back: those whose origin has been passed."""

    def __init__(
        self,
        whole: WholeState,
        parts: Sequence[slice],
        looked_at: Sequence[Place],
        gradient: Gradient,
        origins: Sequence[int],
        shape: tuple[int, int],
        truncate: int | None,
    ) -> None:
        """`parts`: the rows whose norms are wanted; `shape`: R, N."""
        R, N = shape
        B = len(origins)
        self._whole, self._looked_at, self._gradient = whole, looked_at, gradient
        self._parts = parts
        self._origins = {t: b for b, t in enumerate(origins)}
        self._steps = np.array(origins)
        self._ds, self._out = whole.empty(B, R, N), whole.empty(B, R, N)
        self._exponent = np.zeros((B, R, N), dtype=np.int64)
        self._active, self._truncate = 0, truncate
        self._near = 4.0 ** (safe_bits(whole.dtype) // 4)

    def through(self, stretch: Stretch, order: Sequence[Place], keep: Keep) -> None:
        """Back through a stretch of steps of the places in `order`, those looked at first."""
        K, looked_at = len(stretch), len(self._looked_at)
        shape = (K + 1, len(self._parts), *self._exponent.shape)
        squares, units = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        for k in range(K, -1, -1):
            if k or not stretch.start:  # the first state of a stretch is the last of the next
                states = [s[k] for s in stretch.states]
                local = [own[k - 1] for own in stretch.local[:looked_at]]
                t = stretch.start + k
                if self._truncate is not None and t and t % self._truncate == 0:
                    self._ds[: self._active] = 0
                if t in self._origins:
                    self._begin(t, dict(zip(order, states, strict=True)), local)
                self._note(states[:looked_at], squares[k], units[k])
            if k and self._active:
                live = slice(self._active)
                self._whole.pull(local, self._ds[live], self._out[live])
                self._ds, self._out = self._out, self._ds
        first = 1 if stretch.start else 0
        logs = log_norms(squares[first:], units[first:])
        for b, t in enumerate(self._steps[: self._active]):
            steps = np.arange(stretch.start + first, min(t, stretch.start + K) + 1)
            keep(b, t - steps, logs[: len(steps), :, b])

    def _begin(self, t: int, states: Mapping[Place, Array], local: Sequence[Array]) -> None:
        """Put in the gradient of the loss at step t."""
        b = self._active
        self._active += 1
        own = self._ds[b, np.newaxis]
        own[...] = 0
        given = self._gradient(t, states)
        for at, rows in zip(self._looked_at, self._whole.rows, strict=True):
            if at in given:
                own[0][..., rows] = given[at]
        self._exponent[b] = 0
        self._whole.settle(local, own)

    def _moving(self, rows: slice) -> Array:
        """Those of these rows that are state: what is at an output is none."""
        moving = self._whole.moving
        inside: Array = moving[(moving >= rows.start) & (moving < rows.stop)]
        return inside

    def _note(self, states: Sequence[Array], squares: Array, units: Array) -> None:
        """The squared norms (P, B, R, N) of all that are on their way, by true values; then bring
        those near one that have left its neighbourhood."""
        live = slice(self._active)
        ds = self._ds[live]
        value, shift = true_values(ds, self._whole.log_scale(states))
        moving = self._whole.all_moving
        for rows, own, unit in zip(self._parts, squares, units, strict=True):
            state = value[..., rows if moving else self._moving(rows)]
            own[live], its = squares_of(state)
            unit[live] = its + shift + self._exponent[live]
        is_all = len(self._parts) == 1 and moving and value is ds and not its.any()
        kept, far = (squares[0, live], False) if is_all else squares_of(ds)
        if np.any(far) or not ((kept < self._near) & (kept > 1 / self._near)).all():
            near = normalise(Scaled(ds, self._exponent[live]))
            self._ds[live], self._exponent[live] = near.value, near.exponent


def _room(*, T: int, N: int, origins: int, **_: int) -> int:
    return 4 * 8 * T * N * min(origins, T)  # the logarithms, sorted, and where NaN is


MEASURE = Measure(
    "reach",
    "how far back the gradient of the loss at any one step reaches",
    curves=tuple(
        Curve(
            f"log10_reach_p{p}",
            f"log10 of the {p}th percentile, over steps t and samples, of ‖∂L_t/∂s_{{t-k}}‖, L_t "
            "the loss at step t alone",
            is_log10=True,
        )
        for p in PERCENTILES
    ),
    options={
        "origins": Option(
            16,
            "how many steps t, evenly spaced, the last among them: over those of the loss, or "
            "where it is at the last step alone over all",
            least=1,
        )
    },
    of=of,
    room=_room,
    drawn=(
        Lags(
            "loss of any one step",
            "log10_reach_p50",
            band=("log10_reach_p10", "log10_reach_p90"),
            named={
                "log10_reach_p50": "median",
                "log10_reach_p10": "p10",
                "log10_reach_p90": "p90",
            },
            relative=True,
        ),
    ),
)  # fmt: skip
