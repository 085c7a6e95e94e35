"""The per-lag columns that CSV and JSON share, named once."""

from __future__ import annotations

from collections.abc import Callable

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
