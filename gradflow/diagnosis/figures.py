"""The figures of a diagnosis, each with its meaning in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradflow.measures.contract import Figure
from gradflow.results import Diagnosis


@dataclass(frozen=True)
class DiagnosisFigure(Figure):
    """A figure that is read from a diagnosis; None: unknown."""

    of: Callable[[Diagnosis], object]


def _end(found: Diagnosis, which: int) -> float | None:
    return None if found.rate_ci is None else found.rate_ci[which]


FIGURES: tuple[DiagnosisFigure, ...] = (
    DiagnosisFigure(
        "rate",
        "number",
        "the typical factor per step; null where no part of the curve is straight",
        lambda found: found.rate,
    ),
    DiagnosisFigure(
        "rate_low", "number", "the lower end of its 95 % interval", lambda found: _end(found, 0)
    ),
    DiagnosisFigure(
        "rate_high", "number", "the upper end of its 95 % interval", lambda found: _end(found, 1)
    ),
    DiagnosisFigure(
        "rate_ci", "interval", "both ends: of this net, over inputs", lambda found: found.rate_ci
    ),
    DiagnosisFigure(
        "half_life",
        "number",
        "the steps in which the gradient halves; null unless the whole interval lies below 1",
        lambda found: found.half_life,
    ),
    DiagnosisFigure(
        "horizon",
        "number",
        "the first lag whose relative gradient leaves the thresholds; null: never within T",
        lambda found: found.horizon,
    ),
    DiagnosisFigure(
        "horizon_typical",
        "number",
        "the same of the typical curve, the geometric mean over the batch",
        lambda found: found.horizon_typical,
    ),
    DiagnosisFigure(
        "projected_horizon",
        "number",
        "the lag at which the fitted line leaves the thresholds, where that is beyond T",
        lambda found: found.projected_horizon,
    ),
    DiagnosisFigure(
        "verdict",
        "text",
        "vanishing, exploding, stable, unknown (the gradient is no number) or diverged",
        lambda found: found.verdict,
    ),
    DiagnosisFigure(
        "no_rate",
        "word",
        "why there is no rate: u-shaped, bent, zero, short or lost; null if there is one",
        lambda found: found.no_rate,
    ),
)
"""What a curve means."""
