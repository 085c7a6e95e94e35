"""How much of ∂L/∂W_s the last k steps make: what truncated backpropagation would keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradflow.measures.contract import Curve, Measure
from gradflow.measures.terms import ParameterTerms
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes, root_sum_of_squares
from gradflow.results import GradientFlow

MEASURE = Measure(
    "share",
    "what backpropagation that is cut off after k steps would keep of ∂L/∂W_s",
    scope="both",
    curves=(
        Curve(
            "share_W_s",
            "‖terms of lags 0..k, summed‖ / ‖∂L/∂W_s‖",
            of=lambda flow: flow.share_W_s,
        ),
    ),
)


def share(terms: ParameterTerms, totals: Mapping[str, Magnitudes], T: int) -> Array:
    """(T, R), from the running sum that `terms` has measured; NaN where it has not."""
    running = terms.running()
    return np.full((T, terms.R), np.nan) if running is None else running.per(totals["W_s"]).floats()


def together(flows: Sequence[GradientFlow], totals: Mapping[str, Magnitudes]) -> Array:
    """(T,): the share of several places as that of one set of parameters with these totals."""
    if "W_s" not in totals:
        return np.full(flows[0].share_W_s.shape, np.nan)
    running = [Magnitudes.of(np.nan_to_num(f.share_W_s)) * f.totals["W_s"] for f in flows]
    return root_sum_of_squares(running).per(totals["W_s"]).floats()
