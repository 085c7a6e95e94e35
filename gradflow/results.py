"""What one run gives back: arrays against lag, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from gradflow import axes
from gradflow.measures.measured import Measured
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes

NO_SAMPLES: Array = np.zeros((0, 0))
NO_LAGS: Array = np.zeros(0)


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The gradient of the loss against time lag k = 0..T (lag 0: the last state).

    L_n is the loss of sample n, L its mean over the batch.

    Attributes:
        state: (T+1,) root mean square over the batch of ||dL_n/ds_{T-k}||, the full state.
        parts: the same for each part of the state, `h` and for an LSTM `c`.
        terms: (T,) for `W_x`, `W_s`, `b_s`: Frobenius norm of the term that the use of that
            parameter at step T-k adds to dL/dW.
        share_W_s: (T,) norm of the sum of the W_s terms at lags 0..k over the norm of the total
            (float64; NaN where the total is zero).
        start: scalar: what the curve is compared with: the gradient of the whole net at lag
            `first`, which for a lower layer is that of the layers above; None: `state[first]`.
        totals: scalars: norms of dL/dW_x, dL/dW_s, dL/db_s and, with an output layer, dL/dW_o.
        log_samples: (T+1, N) natural logarithm of each sample's own norm, -inf at an exact zero.
            A Result has them no more, since they may be as large as its input.
        log10_percentiles: (T+1, 3) the 10th, 50th and 90th percentile of the samples, as log10.
        log10_typical: (T+1,) log10 of their geometric mean, the typical curve; samples that are
            exactly zero are left out, -inf where they are more than half.
        log10_typical_start: what that is compared with: the same of the whole net at lag `first`.
        first: the lag of the last step at which the loss is read; before it there is no gradient.
        log_reach: (K+1, N) how far the loss of any one step reaches, where it is read at several:
            for each sample the mean over such steps t of the natural logarithm of
            ||dL_nt/ds_{t-k}||, each over its own value at k = 0, by k; -inf where most are exactly
            zero. A Result has it no more.
    """

    state: Magnitudes
    parts: Mapping[str, Magnitudes]
    terms: Mapping[str, Magnitudes]
    share_W_s: Array
    totals: Mapping[str, Magnitudes]
    start: Magnitudes | None = None
    log_samples: Array = field(default_factory=lambda: NO_SAMPLES)
    log10_percentiles: Array = field(default_factory=lambda: NO_SAMPLES)
    log10_typical: Array = field(default_factory=lambda: NO_LAGS)
    log10_typical_start: float = math.nan
    first: int = 0
    log_reach: Array = field(default_factory=lambda: NO_SAMPLES)

    def __repr__(self) -> str:
        """`<GradientFlow: lags 0 to 100, parts h, c, terms W_x, W_s, b_s>`."""
        named = {"parts": self.parts, "terms": self.terms}
        more = [f"{what} {', '.join(names)}" for what, names in named.items() if names]
        return f"<{', '.join([f'GradientFlow: lags 0 to {len(self.state) - 1}', *more])}>"

    @property
    def relative(self) -> Magnitudes:
        """(T+1,) `state` over `start`; NaN before the lag `first`."""
        found = self.state.per(self.state[self.first] if self.start is None else self.start)
        found.mantissa[: self.first] = np.nan
        return found


Direction = Literal["forward", "reverse"]
Verdict = Literal["vanishing", "exploding", "stable", "unknown", "diverged"]

NoRate = Literal["u-shaped", "bent", "zero", "short", "lost"]
"""Why a curve has no rate: it falls and rises again, or bends throughout; most samples have a
gradient that is exactly zero somewhere; fewer than two lags have one; it is no number somewhere."""


@dataclass(frozen=True)
class Diagnosis:
    """What a person wants to know of a run's curve.

    Attributes:
        verdict: `vanishing`, `exploding`, `stable` or `diverged`; `unknown` where the gradient is
            no number at a lag before any that leaves the thresholds.
        rate: the typical factor per step: e to the mean over samples of the slope of ln||dL_n/ds||
            against lag, where that is straight; None where it is nowhere.
        rate_ci: 95 % interval of this net's rate over inputs (another draw of inputs, the same
            weights); None without a rate and with too few lags for one.
        half_life: ln 1/2 / ln rate in steps; None unless the whole interval lies below 1.
        horizon: the first lag whose relative gradient leaves the thresholds; None: never, or, with
            the verdict `unknown`, unknown.
        horizon_typical: the same of the typical curve.
        projected_horizon: the lag, rounded up, at which the fitted line leaves the thresholds;
            None without a rate, where its interval holds 1, and where that is within T.
        no_rate: why there is no rate; None if there is one, and if the run diverged.
        of_reach: whether all of this is of how far the loss of any one step reaches, since the loss
            is read at several, rather than of the gradient of the whole loss.
    """

    verdict: Verdict
    rate: float | None = None
    rate_ci: tuple[float, float] | None = None
    half_life: float | None = None
    horizon: int | None = None
    horizon_typical: int | None = None
    projected_horizon: int | None = None
    no_rate: NoRate | None = None
    of_reach: bool = False

    def __str__(self) -> str:
        """`vanishing, rate 0.6365, horizon 14`."""
        said = {"rate": self.rate, "horizon": self.horizon}
        there = [f"{name} {value:.4g}" for name, value in said.items() if value is not None]
        return ", ".join([self.verdict, *there])


class Spread(NamedTuple):
    """A number over several seeds: its median, minimum and maximum; None: unknown, and of a horizon
    never within T. `seeds`: how many have such a number."""

    middle: float | Magnitudes | None
    low: float | Magnitudes | None
    high: float | Magnitudes | None
    seeds: int


@dataclass(frozen=True, eq=False)
class OverSeeds:
    """What runs that differ in the seed alone came to.

    Attributes:
        seeds: how many they are.
        verdicts: how many of them came to each verdict, the most frequent first.
        figures: every figure by its flat name: a number's spread, of a word how often each came:
            `8 vanishing, 2 stable`.
        log10_band: (T+1, 2) the lowest and the highest of their relative gradients at each lag, as
            log10.
    """

    seeds: int
    verdicts: Mapping[str, int]
    figures: Mapping[str, Spread | str]
    log10_band: Array = field(default_factory=lambda: NO_SAMPLES)

    def has_gaps(self, figure: str) -> bool:
        """Whether a figure is that of some of the seeds alone, since others have none."""
        found = self.figures.get(figure)
        return isinstance(found, Spread) and 0 < found.seeds < self.seeds


@dataclass(frozen=True, eq=False)
class LayerResult:
    """One layer and direction of a stacked or bidirectional net.

    Attributes:
        layer: from 0, the lowest.
        direction: `forward` or `reverse`; of a reverse one, lags count along its own time.
        diagnosis, flow, measures, over: as in Result, of this part alone; parameter terms are its
            own.
    """

    layer: int
    direction: Direction
    diagnosis: Diagnosis
    flow: GradientFlow
    measures: Mapping[str, Measured] = field(default_factory=dict)
    over: OverSeeds | None = None

    def __repr__(self) -> str:
        """`<LayerResult 0 forward: vanishing, rate 0.6365, horizon 14>`."""
        return f"<LayerResult {self.layer} {self.direction}: {self.diagnosis}>"

    @property
    def place(self) -> str:
        """Its name among the places of the net: `l0`, `l0_reverse`."""
        return f"l{self.layer}" + ("_reverse" if self.direction == "reverse" else "")


@dataclass(frozen=True, eq=False)
class Result:
    """One run of an experiment.

    Attributes:
        run: its number, from 0, in the order of the sweep.
        axes: the value of each of AXES, in their order; the cell by its label; None of what its
            cell has not.
        varied: those of `axes` that differ between the runs of the experiment.
        loss: the batch mean of the loss (inf or NaN where it left float range).
        diagnosis: rate, half-life, horizon, verdict.
        flow: the arrays against lag, of every layer together; None where the forward pass
            diverged, and for a bidirectional net, which has no one state.
        layers: each layer and direction of a net that has more than one. The diagnosis of a
            bidirectional net is that of its part whose gradient first leaves the thresholds.
        diverged_at: the step (1..T) whose state first left float range, else None.
        options: every option of its cell, by name.
        objective: the loss and where it is read, as people say it: `mse at the last step`.
        measures: what else was asked for, by the name of the measure, of the net as a whole; of
            its parts, see `layers`. Empty where the forward pass diverged.
        over: where this is made of several runs that differ in the seed: what they came to. Curves
            are their geometric means then, figures their medians; None: it is one run.
        thresholds: what its diagnosis was read with: the relative gradient below which it vanishes,
            and above which it explodes.
    """

    run: int
    axes: Mapping[str, str | int | float | None]
    varied: tuple[str, ...]
    loss: float
    diagnosis: Diagnosis
    flow: GradientFlow | None
    diverged_at: int | None = None
    layers: tuple[LayerResult, ...] = ()
    notes: tuple[str, ...] = field(default=())
    options: Mapping[str, str | int | float] = field(default_factory=dict)
    objective: str = ""
    measures: Mapping[str, Measured] = field(default_factory=dict)
    over: OverSeeds | None = None
    thresholds: tuple[float, float] = (1e-3, 1e3)

    def __repr__(self) -> str:
        """`<Result 1: lstm W_s×0.5, vanishing, rate 0.6365, horizon 14>`."""
        return f"<Result {self.run}: {self}>"

    def __str__(self) -> str:
        """`lstm W_s×0.5, vanishing, rate 0.6365, horizon 14`."""
        telling = [self.axes.get(name) for name in self.varied]
        pairs = zip(self.varied, telling, strict=True)
        said = [axes.phrase(name, value) for name, value in pairs if value is not None]
        name = " ".join(said) or str(self.axes.get("cell", ""))
        return f"{name}, {self.diagnosis}"

    @property
    def flows(self) -> dict[str, GradientFlow]:
        """What there is of curves: `net`, of the whole, where it has one state, and of a net of
        several layers or both directions each place, `l0`, `l0_reverse`; none where it diverged."""
        whole = {} if self.flow is None else {"net": self.flow}
        return {**whole, **{part.place: part.flow for part in self.layers}}

    @property
    def sequence_length(self) -> int:
        """T."""
        return int(self.axes["sequence_length"] or 0)


def decisive(result: Result) -> Result:
    """The result with the curve that its diagnosis was read from: of a bidirectional net, which has
    no one state, that of its part whose gradient first leaves the thresholds."""
    if result.flow is not None or not result.layers:
        return result
    part = next(part for part in result.layers if part.diagnosis == result.diagnosis)
    axes = {**result.axes, "layer": part.layer, "direction": part.direction}
    varied = (*result.varied, "layer", "direction")
    return replace(result, axes=axes, varied=varied, flow=part.flow)
