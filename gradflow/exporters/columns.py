"""The per-lag columns that CSV and JSON share, named once."""

from __future__ import annotations

from collections.abc import Callable

from gradflow.columns import Array
from gradflow.logspace import Magnitudes
from gradflow.results import GradientFlow

MAGNITUDES: dict[str, Callable[[GradientFlow], Magnitudes | None]] = {
    "grad_norm": lambda flow: flow.state,
    "relative": lambda flow: flow.relative,
    "grad_h": lambda flow: flow.parts.get("h"),
    "grad_c": lambda flow: flow.parts.get("c"),
    "grad_W_x": lambda flow: flow.terms.get("W_x"),
    "grad_W_s": lambda flow: flow.terms.get("W_s"),
    "grad_b": lambda flow: flow.terms.get("b_s"),
}
"""Each magnitude against lag, (T+1,) or (T,); None where the cell has no such part."""

PERCENTILES = ("log10_p10", "log10_p50", "log10_p90")
"""Over the batch, of each sample's own norm."""


def percentiles(flow: GradientFlow | None) -> dict[str, Array | None]:
    """Each of PERCENTILES against lag, (T+1,); None where there are none."""
    if flow is None or not len(flow.log10_percentiles):
        return dict.fromkeys(PERCENTILES)
    return dict(zip(PERCENTILES, flow.log10_percentiles.T, strict=True))
