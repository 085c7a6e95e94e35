"""What a run's rate is the product of, and which factor decides it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gradflow.counts import many
from gradflow.measures.measured import Measured
from gradflow.results import Diagnosis

MEASURES = ("factors", "slopes", "gates", "paths")
"""What has to be measured of a run that is to be explained."""

_BALANCED = 5e-3  # of a product so near to 1, no factor decides
_NEAR = 0.05  # so near to 1, a gain is neither small nor large
_SATURATED = 0.2  # from this share of slopes on, saturation is spoken of


@dataclass(frozen=True)
class Factor:
    """One factor of the rate.

    Attributes:
        name: what it is.
        value: a step.
        detail: what there is to know of it, in a phrase, or nothing.
    """

    name: str
    value: float
    detail: str = ""


@dataclass(frozen=True)
class Factors:
    """The factors, and what they come to.

    Attributes:
        factors: two, or one.
        predicted: their product, where it is a prediction; None where the last factor is what the
            measured rate leaves, so that they multiply to it.
        decides: which factor makes the rate what it is, in a phrase.
    """

    factors: tuple[Factor, ...]
    predicted: float | None
    decides: str


def factors_of(found: Diagnosis, measures: Mapping[str, Measured]) -> Factors | None:
    """The factors of a run, or of a place of a net; None where its cell has none or there is no
    rate."""
    figures = {name: value for one in measures.values() for name, value in one.figures.items()}
    if (gain := _number(figures, "factors_gain")) is not None:
        slope = _number(figures, "factors_slope")
        return None if slope is None else _of_a_product(gain, slope, figures, found)
    if found.rate is None or not found.rate > 0:
        return None
    direct = _number(figures, "paths_rate")
    if direct is None or not direct > 0:
        return None
    return _of_a_path(direct, found.rate, figures)


def _number(figures: Mapping[str, float | str | None], name: str) -> float | None:
    value = figures.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _of_a_product(
    gain: float, slope: float, figures: Mapping[str, float | str | None], found: Diagnosis
) -> Factors:
    """φ'(z) W_s: the gain of W_s times the rms slope."""
    saturated = _number(figures, "slopes_saturated")
    detail = "" if saturated is None else f"{saturated:.0%} of the slopes are below 0.1"
    both = (
        Factor("gain of W_s", gain),
        Factor("rms slope", slope, detail if slope < 1 else ""),
    )
    weigh = abs(math.log(gain)) if gain > 0 else math.inf
    bend = abs(math.log(slope)) if slope > 0 else math.inf
    if abs(gain * slope - 1) < _BALANCED:
        decides = "W_s and the slopes, neither of which shrinks or enlarges it"
        if weigh >= _BALANCED:
            decides = f"the balance of W_s and the slopes: {gain:.3g} makes up for {slope:.3g}"
    elif slope == 1 or weigh >= bend:
        size = "small" if gain < 1 else "large"
        if weigh < _NEAR:
            size = "just below 1" if gain < 1 else "just above 1"
        decides = f"the size of W_s: a gain of {gain:.3g} is {size}"
    elif saturated is not None and saturated >= _SATURATED:
        decides = f"saturation: {saturated:.0%} of the slopes are below 0.1"
    else:
        decides = f"the slopes: {slope:.3g} in the root mean square"
    return Factors(both, gain * slope, decides)


def _of_a_path(direct: float, rate: float, figures: Mapping[str, float | str | None]) -> Factors:
    """What the direct path keeps, times what the rest of the cell makes of it."""
    gate = figures.get("factors_gate")
    detail = ""
    if isinstance(gate, str):
        p10, p50, p90 = (_number(figures, f"gates_{gate}_p{p}") for p in (10, 50, 90))
        scale = _number(figures, f"gates_{gate}_time_scale_p50")
        if p10 is not None and p50 is not None and p90 is not None:
            detail = f"{gate} is {p50:.3g} in the median, {p10:.3g} to {p90:.3g} for four in five"
        if scale is not None:
            detail += f"{', ' if detail else ''}a time scale of {many(f'{scale:.3g}', 'step')}"
    has_rest = abs(math.log(rate / direct)) > 1e-6
    path = Factor(f"direct path {gate}" if isinstance(gate, str) else "direct path", direct, detail)
    if not has_rest:
        return Factors((path,), None, "the direct path, which is all there is")
    rest = Factor("the rest", rate / direct)
    keeps = gate if isinstance(gate, str) else "it"
    decides = f"the direct path: {keeps} keeps {direct:.3g} a step"
    if abs(math.log(rest.value)) > abs(math.log(direct)):
        decides = f"the recurrent weights: they make {rest.value:.3g} of it a step"
    return Factors((path, rest), None, decides)
