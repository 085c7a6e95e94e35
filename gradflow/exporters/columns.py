"""Every column and figure that CSV, JSON, its schema and the README's table have, named once.

A column says its name, its meaning and where its value is found; what shows results goes through
these lists. What is to be shown in addition gets a line here and nothing anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from gradflow.columns import Array
from gradflow.logspace import Magnitudes
from gradflow.results import AXES, NET_AXES, Diagnosis, GradientFlow

S = TypeVar("S")

Kind = Literal["text", "word", "whole", "number", "interval", "truth"]
"""What a single value is; a number may be unknown, a word missing."""


@dataclass(frozen=True)
class Field:
    """One thing that tells a run, or a place in its net, from the others."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True)
class Figure(Generic[S]):
    """A number or word that is read from an `S`; None: unknown."""

    name: str
    kind: Kind
    meaning: str
    of: Callable[[S], object]


@dataclass(frozen=True)
class Curve:
    """Values against lag: (T+1,) or (T,), of any size as Magnitudes or else as floats; None where
    the cell has no such thing."""

    name: str
    meaning: str
    of: Callable[[GradientFlow], Magnitudes | Array | None]
    any_size: bool = True


_KINDS: dict[str, Kind] = {
    "cell": "text",
    "ws_init": "word",
    "ws_scale": "number",
    "wx_init": "text",
    "wx_scale": "number",
    "bias_scale": "number",
    "bidirectional": "truth",
}
_MEANINGS = {"cell": "its short label; options that differ from their default in brackets"}


def _setting(name: str) -> Field:
    return Field(name, _KINDS.get(name, "whole"), _MEANINGS.get(name, "what the config says"))


RUN = (Field("run", "whole", "the run's number, from 0"), *map(_setting, AXES))
"""What tells the runs apart, left of the lag."""

LAG = Field("lag", "whole", "k = 0..T; 0 is the last state")

CURVES = (
    Curve(
        "grad_norm",
        "root mean square over the batch of ‖∂L_n/∂s_{T-k}‖₂, the full state",
        lambda flow: flow.state,
    ),
    Curve(
        "log10_grad_norm",
        "its logarithm, the number to compute with: right at any size, -inf at an exact zero",
        lambda flow: flow.state.log10(),
        any_size=False,
    ),
    Curve("relative", "grad_norm over that of the whole net at lag 0", lambda flow: flow.relative),
    Curve("grad_h", "the part of it that is ∂L/∂h", lambda flow: flow.parts.get("h")),
    Curve(
        "grad_c",
        "the part of it that is ∂L/∂c; empty where there is no c",
        lambda flow: flow.parts.get("c"),
    ),
    Curve(
        "grad_W_x",
        "Frobenius norm of the term that step T-k adds to ∂L/∂W_x, L the batch mean; empty at "
        "lag T",
        lambda flow: flow.terms.get("W_x"),
    ),
    Curve("grad_W_s", "likewise of ∂L/∂W_s", lambda flow: flow.terms.get("W_s")),
    Curve("grad_b", "likewise of ∂L/∂b", lambda flow: flow.terms.get("b_s")),
    Curve(
        "share_W_s",
        "‖terms of lags 0..k, summed‖ / ‖∂L/∂W_s‖",
        lambda flow: flow.share_W_s,
        any_size=False,
    ),
)
"""What is measured at each lag."""

NET = tuple(map(_setting, NET_AXES))
"""How the layers of the net stand, right of what is measured."""

PLACE = (
    Field("layer", "whole", "from 0, the lowest; empty in the rows of the whole net"),
    Field("direction", "text", "forward or reverse; empty in the rows of the whole net"),
)
"""Which part of the net the row tells of."""

_PERCENTILES = ("10th", "50th", "90th")


def _percentile(which: int) -> Callable[[GradientFlow], Array | None]:
    return lambda flow: flow.log10_percentiles[:, which] if len(flow.log10_percentiles) else None


MORE_CURVES: tuple[Curve, ...] = (
    *(
        Curve(
            f"log10_p{order[:2]}",
            f"{order} percentile over the batch of log10 ‖∂L_n/∂s_{{T-k}}‖, each sample's own",
            _percentile(which),
            any_size=False,
        )
        for which, order in enumerate(_PERCENTILES)
    ),
    Curve(
        "grad_other",
        "likewise of the parameters that are neither input nor recurrent weights nor biases; empty "
        "where there are none",
        lambda flow: flow.terms.get("other"),
    ),
)
"""More of what is measured at each lag, right of the place: columns are only ever added."""

PARTS_MEANING = "one column, `grad_` and its name, for each part of a state that is neither h nor c"


def part_curves(parts: Iterable[str]) -> tuple[Curve, ...]:
    """The curves of the parts of a state that have no column of their own."""
    return tuple(
        Curve(f"grad_{part}", f"the part of grad_norm that is ∂L/∂{part}", _part(part))
        for part in dict.fromkeys(parts)
        if part not in ("h", "c")
    )


def _part(name: str) -> Callable[[GradientFlow], Magnitudes | None]:
    return lambda flow: flow.parts.get(name)


OPTIONS_MEANING = "one column for each option of the cells: `forget_bias`, `reset`, …"

FIGURES: tuple[Figure[Diagnosis], ...] = (
    Figure(
        "rate",
        "number",
        "the typical factor per step; null where no part of the curve is straight",
        lambda found: found.rate,
    ),
    Figure(
        "rate_low", "number", "the lower end of its 95 % interval", lambda found: _end(found, 0)
    ),
    Figure(
        "rate_high", "number", "the upper end of its 95 % interval", lambda found: _end(found, 1)
    ),
    Figure(
        "rate_ci", "interval", "both ends: of this net, over inputs", lambda found: found.rate_ci
    ),
    Figure(
        "half_life",
        "number",
        "the steps in which the gradient halves; null unless the whole interval lies below 1",
        lambda found: found.half_life,
    ),
    Figure(
        "horizon",
        "number",
        "the first lag whose relative gradient leaves the thresholds; null: never within T",
        lambda found: found.horizon,
    ),
    Figure(
        "horizon_typical",
        "number",
        "the same of the typical curve, the geometric mean over the batch",
        lambda found: found.horizon_typical,
    ),
    Figure(
        "projected_horizon",
        "number",
        "the lag at which the fitted line leaves the thresholds, where that is beyond T",
        lambda found: found.projected_horizon,
    ),
    Figure(
        "verdict",
        "text",
        "vanishing, exploding, stable or diverged",
        lambda found: found.verdict,
    ),
    Figure(
        "no_rate",
        "word",
        "why there is no rate: u-shaped, bent, zero or short; null where there is one",
        lambda found: found.no_rate,
    ),
)
"""What a curve means."""

TOTALS = ("W_x", "W_s", "b_s", "other", "W_o")
"""The parameters whose whole gradient is reported."""


def _end(found: Diagnosis, which: int) -> float | None:
    return None if found.rate_ci is None else found.rate_ci[which]


def reference() -> str:
    """The columns of the CSV as a Markdown table; neighbours of one meaning share a row."""
    shown = [(field.name, field.meaning) for field in (*RUN, LAG)]
    shown += [(curve.name, curve.meaning) for curve in CURVES]
    shown += [(field.name, field.meaning) for field in (*NET, *PLACE)]
    shown += [(curve.name, curve.meaning) for curve in MORE_CURVES]
    rows: list[tuple[list[str], str]] = []
    for name, meaning in shown:
        if not (rows and rows[-1][1] == meaning):
            rows.append(([], meaning))
        rows[-1][0].append(f"`{name}`")
    lines = [f"| {', '.join(names)} | {meaning} |" for names, meaning in rows]
    lines += [f"| … | {PARTS_MEANING} |", f"| … | {OPTIONS_MEANING} |"]
    return "\n".join(["| column | meaning |", "|---|---|", *lines]) + "\n"
