"""Every figure of a run by its one flat name, the same in a check's `expect`.

Those of a place of a net have its layer behind the name, `rate_l0`, `rate_l0_reverse`. Over several
seeds a figure is their median, next to it the lowest and highest with `_seeds_low` and
`_seeds_high` behind the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradflow.axes import AXES, NET_AXES
from gradflow.diagnosis.figures import FIGURES
from gradflow.measures import MEASURES, UNASKED
from gradflow.measures.terms import TOTALS
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, LayerResult, OverSeeds, Result, Spread

Value = str | float | int | bool | Magnitudes | None

LOW, HIGH = "_seeds_low", "_seeds_high"
"""What is behind the name of a figure for the lowest and the highest over the seeds."""

HORIZONS = ("horizon", "horizon_typical")
"""The figures that are null where a gradient never leaves the thresholds."""


def settings(result: Result, options: Sequence[str]) -> dict[str, Value]:
    """What a run is: its number, axes and options."""
    axes: dict[str, Value] = {name: result.axes.get(name) for name in (*AXES, *NET_AXES)}
    return {"run": result.run, **axes, **{name: result.options.get(name) for name in options}}


def always(options: Sequence[str], measures: Sequence[str]) -> list[str]:
    """The names of settings and figures that every run has, of a net as a whole, in the order in
    which they come: of what was measured those with one name whatever the cell."""
    asked = [name for name in measures if name != UNASKED]
    fixed = [figure.name for name in asked for figure in MEASURES[name].figures]
    diagnosed = [figure.name for figure in FIGURES if figure.kind != "interval"]
    return [
        *("run", *AXES, *NET_AXES, *options),
        *("loss", *diagnosed, *_totals(None)),
        *(name for name in fixed if "<" not in name),
    ]


def figures(result: Result) -> dict[str, Value]:
    """Every figure of a run by its flat name, those of a net's places behind those of the whole."""
    found: dict[str, Value] = own(result)
    for part in result.layers:
        for name, value in own(part).items():
            found[_with_place(name, f"_{part.place}")] = value
    return found


def own(part: Result | LayerResult) -> dict[str, Value]:
    """Those of the net as a whole, or of one place."""
    if part.over is not None:
        return spread_out(part.over)
    found: dict[str, Value] = {"loss": part.loss} if isinstance(part, Result) else {}
    found |= {
        figure.name: _plain(figure.of(part.diagnosis))
        for figure in FIGURES
        if figure.kind != "interval"
    }
    found |= _totals(part.flow)
    for measured in part.measures.values():
        found |= {name: _plain(value) for name, value in measured.figures.items()}
    return found


def spread_out(over: OverSeeds, names: Iterable[str] | None = None) -> dict[str, Value]:
    """The figures of these names, or all, over the seeds, with the lowest and highest of each by
    their own names."""
    found: dict[str, Value] = {}
    for name in over.figures if names is None else names:
        spread = over.figures[name]
        if isinstance(spread, Spread):
            found |= {name: spread.middle, name + LOW: spread.low, name + HIGH: spread.high}
        else:
            found[name] = spread or None
    return found


def _with_place(name: str, suffix: str) -> str:
    """`rate_l0`, `rate_l0_seeds_low`."""
    for end in (LOW, HIGH):
        if name.endswith(end):
            return name.removesuffix(end) + suffix + end
    return name + suffix


def _plain(value: object) -> Value:
    return value if isinstance(value, str | float | int) else None


def _totals(flow: GradientFlow | None) -> dict[str, Value]:
    totals = {} if flow is None else flow.totals
    return {f"total_{name}": totals.get(name) for name in TOTALS}
