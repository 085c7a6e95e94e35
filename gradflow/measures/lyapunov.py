"""Finite-time Lyapunov exponents of the full state: the average growth per step, in nats, of
volumes of 1, 2, 3, ... dimensions, one direction after the other.

With M the product of the Jacobians J_t = ∂s_t/∂s_{t-1} over a window of K steps and M = QR,
λ_i = ln |R_ii| / K; as K grows they tend to ln σ_i(M) / K, whatever the start (Oseledets 1968;
Benettin et al. 1980; for recurrent nets Engelken, Wolf and Abbott 2023, arXiv:2006.02427, and Vogt
et al. 2022, Frontiers in Applied Mathematics and Statistics 8). λ_1 < 0: every gradient vanishes;
λ_1 > 0: chaos, and gradients explode. λ_1 is the rate of the typical sample: e^λ_1 is `rate`.

The basis is pulled back through Jᵀ, as gradients are, from the last step to the first: Mᵀ has the
singular values of M, so the exponents are the same, and no second derivation of a cell is needed.
`transient` steps are left out at either end: at the end of the sequence, where the pass begins,
the basis turns into its directions; at its start the state is still on its way from s_0.

The basis is made orthonormal only when its vectors have turned towards each other: after so many
steps that the least angle between one and those before it, sin φ_i = R_ii / ‖a_i‖, is expected to
be 1e-7, and never (but where one step does it) below 1e-9. Blocks of vectors are factored by the
Cholesky factor of AᵀA; what such an R lacks in digits the next one has, since Q R is A whatever R
is (the last one is taken twice), and only the rounding of A stays: 1e-16 / sin φ_i in each ln R_ii.
Where that cannot be had of a single step, Householder's QR is taken; a direction of which rounding
leaves nothing (sin φ < 1e-13 in a single step, as where a unit is off) counts as lost: its exponent
is -inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradflow.counts import many
from gradflow.engine.basis import Stretch, WholeState, one_run, stretches, with_basis_axis
from gradflow.engine.flow import Trajectory
from gradflow.measures.contract import Figure, Measure, Option, Subject
from gradflow.measures.drawn import Figures, Spectrum, known, numbered
from gradflow.measures.measured import Measured
from gradflow.measures.orthonormal import orthonormalised
from gradflow.numerics.arrays import Array

_ALL = 128  # exponents that are measured without being asked for; their cost grows as S³
_SOME = 10
_LEAST_ANGLE = math.log(1e-7)  # of which rounding leaves 9 digits
_WORST_ANGLE = math.log(1e-9)
_FARTHEST = 200.0  # nats by which vectors may grow between two looks at them


@dataclass(frozen=True, eq=False)
class Exponents:
    """The exponents of one run, in nats per step.

    Attributes:
        samples: (n, count), each sample's, largest first; -inf of a direction that is lost.
        halves: (2, n, count): those of the later and of the earlier half of the window, in the
            order of the whole.
        S: how many there are.
    """

    samples: Array
    halves: Array
    S: int

    @property
    def mean(self) -> Array:
        """(count,): over the samples."""
        return np.asarray(self.samples.mean(axis=0))

    @property
    def spread(self) -> Array:
        """(count,): the standard deviation over the samples; NaN of one sample."""
        lost = np.asarray(~np.isfinite(self.samples).all(axis=0))
        known = np.where(lost, 0.0, self.samples)
        spread = known.std(axis=0, ddof=1) if len(known) > 1 else np.full(len(lost), np.nan)
        return np.where(lost, np.nan, spread)

    @property
    def convergence(self) -> float:
        """How far the exponents still move: the largest difference between the two halves of the
        window, of the means over the samples; NaN if there are no halves."""
        known = np.isfinite(self.halves).all(axis=(0, 1))
        if not known.any():
            return math.nan
        later, earlier = self.halves[..., known].mean(axis=1)
        return float(np.abs(later - earlier).max())


def exponents(
    layers: Sequence[Trajectory],
    count: int = 0,
    transient: int = -1,
    samples: int = 4,
    progress: Callable[[int], None] = lambda k: None,
) -> list[Exponents]:
    """The exponents of each run.

    Args:
        layers: the forward pass of one layer, or of layers upon each other, the lowest first.
        count: how many, the largest; 0: all of a state of up to 128 components, else 10.
        transient: steps left out at either end; -1: a tenth of T.
        samples: how many of the batch, the first ones.
        progress: called with the steps done.

    Raises:
        ValueError: the transient leaves no step.
    """
    T = len(layers[0].x)
    transient = T // 10 if transient < 0 else transient
    if 2 * transient >= T:
        raise ValueError(
            f"a transient of {many(transient, 'step')} at either end leaves none of the {T}"
        )
    runs = range(len(layers[0].last))
    return [_of_run(one_run(layers, r), count, transient, samples, progress) for r in runs]


def of(subject: Subject, *, count: int, transient: int, samples: int) -> list[Measured]:
    """The figures of each run."""
    try:
        found = exponents(subject.layers, count, transient, samples)
    except ValueError as why:
        return [Measured(note=str(why)) for _ in range(subject.runs)]
    return [measured(own) for own in found]


def measured(found: Exponents) -> Measured:
    """The figures of one run."""
    mean, spread = found.mean, found.spread
    whole = len(mean) == found.S
    figures: dict[str, float | str | None] = {"lyapunov_max": float(mean[0])}
    figures |= {f"lyapunov_{i}": float(value) for i, value in enumerate(mean, 1)}
    figures |= {f"lyapunov_spread_{i}": _known(value) for i, value in enumerate(spread, 1)}
    figures |= {
        "lyapunov_sum": float(mean.sum()) if whole else None,
        "kaplan_yorke": kaplan_yorke(mean, whole),
        "lyapunov_convergence": _known(found.convergence),
    }
    return Measured(figures=figures)


def kaplan_yorke(mean: Array, whole: bool) -> float | None:
    """The dimension of the attractor after Kaplan and Yorke (1979): j + (λ_1 + ... + λ_j) /
    |λ_{j+1}|, j the most exponents whose sum is not negative. None where the exponents that were
    measured do not reach that far; all of them, where even the sum of all is not negative."""
    sums = np.cumsum(mean)
    negative = np.flatnonzero(sums < 0)
    if not len(negative):
        return float(len(mean)) if whole else None
    j = int(negative[0])
    above = float(sums[j - 1]) if j else 0.0
    return j + above / abs(float(mean[j]))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _of_run(
    layers: Sequence[Trajectory],
    count: int,
    transient: int,
    samples: int,
    progress: Callable[[int], None],
) -> Exponents:
    whole = WholeState(layers, np.dtype(np.float64))
    n, T = min(samples, layers[0].last.shape[1]), len(layers[0].x)
    if count == 0:
        count = whole.S if whole.S <= _ALL else _SOME
    count = min(count, whole.S)
    basis = _Basis(whole, n, count)
    first, last = transient, T - transient
    # Sums of ln R_ii are read at these steps, later ones first.
    stops = sorted({first, (first + last) // 2, last}, reverse=True)
    sums: dict[int, Array] = {}
    for stretch in stretches(layers, T, progress):
        for low, high in _pieces(stretch, stops):
            basis.back(stretch, n, low, high)
            if low in stops:
                sums[low] = basis.settled()
        if stretch.start <= first:
            break
    if last == T:
        sums[T] = np.zeros((n, count))
    with np.errstate(invalid="ignore"):  # of directions that are lost
        found = (sums[first] - sums[last]) / (last - first)
        halves = [(sums[b] - sums[a]) / (a - b) for a, b in pairwise(stops)]
    found = np.where(np.isneginf(sums[first]), -np.inf, found)
    order = np.argsort(-found, axis=-1, kind="stable")
    ordered = [np.take_along_axis(a, order, axis=-1) for a in (found, *halves)]
    both = np.stack(ordered[1:]) if len(halves) == 2 else np.full((2, n, count), np.nan)
    return Exponents(ordered[0], both, whole.S)


def _pieces(stretch: Stretch, stops: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The steps low+1..high of a stretch, cut where sums are read, backward in time; none before
    the last of `stops`."""
    ends = [stretch.start + len(stretch), *(s for s in stops if s > stretch.start), stretch.start]
    ends = sorted({max(s, stops[-1]) for s in ends if s <= ends[0]}, reverse=True)
    for high, low in pairwise(ends):
        yield low, high


class _Basis:
    """The vectors of n samples on their way back, orthonormal whenever `back` returns."""

    def __init__(self, whole: WholeState, n: int, count: int) -> None:
        self._whole = whole
        self._Q = whole.empty(n, 1, count)
        for sample in range(n):  # a general direction: that of an axis may be one that never turns
            draw = np.random.default_rng(sample).standard_normal((whole.S, count))
            self._Q[sample, 0][:, whole.moving] = np.linalg.qr(draw)[0].T
        self._rooms = [whole.empty(n, 1, count) for _ in range(2)]
        self.logs = np.zeros((n, count))  # Σ ln R_ii so far
        self._span = 1

    def back(self, stretch: Stretch, n: int, low: int, high: int) -> None:
        """Through the steps high, ..., low+1."""
        local = [with_basis_axis(own[..., :n, :]) for own in stretch.local]
        local = [own.astype(np.float64, copy=False) for own in local]
        scales = self._whole.log_scale([s[:, :, :n] for s in stretch.states])
        at = high - stretch.start
        stop = low - stretch.start
        while at > stop:
            span = min(self._span, at - stop)
            at -= self._advance(local, scales, at, span)

    def settled(self) -> Array:
        """Σ ln R_ii (n, count) so far, the last R to all digits: what rounding left of the basis's
        being orthonormal is taken out once more."""
        found = orthonormalised(self._Q.copy(), surely=True)
        assert found is not None
        self._Q, self.logs = found.Q, self.logs + found.logs
        return self.logs

    def _advance(self, local: Sequence[Array], scales: Array | None, at: int, span: int) -> int:
        """`span` steps back from the state `at`, or fewer; gives how many it were."""
        A = self._pulled(local, scales, at, span)
        found = orthonormalised(A, surely=span == 1)
        if found is None or (
            span > 1 and (found.angle < _WORST_ANGLE or np.abs(found.sizes).max() > _FARTHEST)
        ):
            self._span = max(1, span // 2)
            return self._advance(local, scales, at, self._span)
        self._Q = found.Q
        self.logs = self.logs + found.logs
        per_step = min(found.angle, -1e-3) / span
        reach = max(float(np.abs(found.sizes).max()), 1e-3) / span
        wanted = int(min(_LEAST_ANGLE / per_step, _FARTHEST / 2 / reach))
        self._span = max(1, min(wanted, 2 * span))
        return span

    def _pulled(self, local: Sequence[Array], scales: Array | None, at: int, span: int) -> Array:
        """(n, 1, count, S_all): the vectors `span` steps before the state `at`."""
        here, there = self._rooms
        here[...] = self._Q if scales is None else self._Q * _share(scales[at])
        for step in range(at - 1, at - 1 - span, -1):
            self._whole.pull([own[step] for own in local], here, there)
            here, there = there, here
        if scales is not None:
            here /= _share(scales[at - span])
        return here


def _share(log_scale: Array) -> Array:
    """(n, 1, 1, S_all): e^m from the logarithms (1, n, S_all) of one step, of one run."""
    return np.exp(np.moveaxis(log_scale[..., None, :], 0, 1))


def _room(*, N: int, S: int, samples: int, count: int, **_: int) -> int:
    vectors = min(count or (S if S <= _ALL else _SOME), S)
    return 8 * min(samples, N) * S * vectors * 16  # copies of the basis, and dL/dz of a step


def _spectrum(figures: Figures) -> list[tuple[float, float]]:
    """Each exponent and its spread."""
    spreads = numbered(figures, "lyapunov_spread")
    return list(zip(numbered(figures, "lyapunov"), spreads, strict=True))


def _dimension(figures: Figures) -> str:
    found = known(figures, "kaplan_yorke")
    return "" if found is None else f"Kaplan-Yorke dimension {found:.3g}"


def _exponent(name: str, meaning: str) -> Figure:
    return Figure(name, "number", meaning, is_log=True)


MEASURE = Measure(
    "lyapunov",
    "finite-time Lyapunov exponents of the full state, in nats per step",
    figures=(
        _exponent("lyapunov_max", "the largest, the mean over samples"),
        _exponent("lyapunov_<i>", "the i-th largest, likewise"),
        _exponent("lyapunov_spread_<i>", "its standard deviation over samples"),
        _exponent(
            "lyapunov_sum", "of all of them, the mean of ln|det|; null where not all were measured"
        ),
        Figure("kaplan_yorke", "number", "the Kaplan-Yorke dimension; null where the exponents do "
               "not reach that far"),
        _exponent(
            "lyapunov_convergence",
            "the largest difference of an exponent between the two halves of the window",
        ),
    ),
    options={
        "count": Option(
            0, f"how many, the largest; 0: all of a state of up to {_ALL} components, else {_SOME}",
            least=0,
        ),
        "transient": Option(-1, "steps left out at either end; -1: a tenth of T", least=-1),
        "samples": Option(4, "how many of the batch are looked at, the first ones", least=1),
    },
    of=of,
    room=_room,
    drawn=(
        Spectrum(
            "Lyapunov exponents", "nats per step", of=_spectrum, mark=0.0, said=_dimension
        ),
    ),
)  # fmt: skip
