"""The gradient against lag: curves with their band, thresholds, horizon and names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.plots import style
from gradflow.formats.plots.layout import Group
from gradflow.formats.plots.scales import (
    along_lags,
    bounds,
    decades,
    finite,
    named_ends,
    plain,
    with_room,
    zeros_of,
)
from gradflow.measures import MEASURES
from gradflow.measures.drawn import Overlay
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, Result

BAND = "line: root mean square over the batch; band: 10th to 90th percentile, dotted: median"
SEEDS = "line: geometric mean over the seeds; band: lowest to highest"

_REPLACED = "_replaced"
"""The label, which no legend shows, of what is drawn anew where more curves come."""

_DOTTED, _DASHED = (0, (1, 1.6)), (0, (3.5, 2))


class Curve(Line2D):
    """A relative gradient against lag.

    Attributes:
        logs: (T+1,), zero also where it is relative to none.
        full: its name next to curves of other results, with its cell.
        light: its colour on a light page.
    """

    def __init__(self, result: Result, name: str, colour: str) -> None:
        line = relative(result)
        cell = words.clean(str(result.axes["cell"]))
        kind = cell.partition("[")[0]
        super().__init__(
            np.arange(len(line)), finite(line), color=colour, label=plain(name or cell)
        )
        self.logs = _named(result)
        self.full = name if kind in name else f"{cell} {name}".rstrip()
        self.light = colour


def relative(result: Result) -> Array:
    """(T+1,): log10 of the relative gradient."""
    assert result.flow is not None
    return result.flow.relative.log10()


def start(flow: GradientFlow) -> float:
    """log10 of what that is relative to."""
    found: Magnitudes = flow.state[flow.first] if flow.start is None else flow.start
    return float(found.log10())


def _over_start(logs: Array, flow: GradientFlow) -> Array:
    """Logarithms, relative to the start; no number where that is an exact zero."""
    with np.errstate(invalid="ignore"):
        return logs - start(flow)


def overlays(measures: Sequence[str]) -> Iterator[tuple[str, Overlay]]:
    """What measures of these names lay over the gradient."""
    for name in measures:
        for one in MEASURES[name].drawn:
            if isinstance(one, Overlay):
                yield name, one


def overlaid(result: Result, name: str, overlay: Overlay) -> Array | None:
    """One such curve, relative as the gradient is."""
    found = result.measures.get(name)
    values = found.curves.get(overlay.column) if found is not None else None
    if values is None or isinstance(values, Magnitudes) or result.flow is None:
        return None
    return _over_start(values, result.flow)


def band(result: Result) -> Array | None:
    """(T+1, 2 or 3): of the seeds the lowest and the highest curve; of the samples the 10th, 50th
    and 90th percentile. None if there is no such thing."""
    flow, over = result.flow, result.over
    if over is not None:
        return over.log10_band if len(over.log10_band) and over.seeds > 1 else None
    if flow is None or not len(flow.log10_percentiles):
        return None
    if (flow.log10_percentiles[:, 0] == flow.log10_percentiles[:, -1]).all():  # of one sample
        return None
    return _over_start(flow.log10_percentiles, flow)


def ends(groups: Sequence[Group], look: Look, measures: Sequence[str] = ()) -> tuple[float, float]:
    """The ends of the scale of several panels: all curves, and the thresholds where that does not
    flatten them."""
    results = [result for group in groups for result in group.results]
    lines = [relative(result) for result in results]
    bands = [band(result) for group in groups for result in group.results if _has_band(group)]
    extra = [overlaid(r, name, one) for name, one in overlays(measures) for r in results]
    low, high = bounds([*lines, *(one for one in (*bands, *extra) if one is not None)])
    vanishing, exploding = look.log10_thresholds
    near = low < 0.4 * vanishing or high < 0.4 * exploding
    low = min(low, vanishing - 0.5) if near else low
    high = max(high, exploding + 0.5) if high > 0.4 * exploding else high
    low, high = with_room(low, high)
    return low, max(high, 0.3)


def _has_band(group: Group) -> bool:
    return len(group.results) == 1 or all(result.over is not None for result in group.results)


def draw(
    ax: Axes, group: Group, scale: tuple[float, float], look: Look, measures: Sequence[str] = ()
) -> None:
    """The relative gradient of each run of a group; next to curves that are there already without
    what is said of one alone, all by their full names."""
    lines = [relative(result) for result in group.results]
    T = max(map(len, lines)) - 1
    earlier = len(drawn(ax))
    colours = style.colours(len(lines), group.ordered and len(lines) > 1)
    if earlier:
        colours = [style.COLOURS[(earlier + i) % len(style.COLOURS)] for i in range(len(lines))]
        scale = min(scale[0], ax.get_ylim()[0]), max(scale[1], ax.get_ylim()[1])
        T = max(T, int(ax.get_xlim()[1]))
        for artist in [*ax.lines, *ax.patches, *ax.texts]:
            if artist.get_label() == _REPLACED:
                artist.remove()
    ax.set_ylim(*scale)
    _thresholds(ax, look, *scale)
    for result, colour, name in zip(group.results, colours, group.names, strict=True):
        if _has_band(group):
            _band(ax, result, colour, alone=len(lines) == 1)
        for measure, one in overlays(measures):
            extra = overlaid(result, measure, one)
            if extra is not None:
                own = style.INK if len(lines) == 1 else colour
                ax.plot(np.arange(len(extra)), finite(extra), color=own, lw=0.9, ls=_DASHED)
        ax.add_line(Curve(result, name, colour))
    there = drawn(ax)
    for curve in there:
        _end_of(ax, curve, T)
    along_lags(ax, T)
    decades(ax)
    if len(there) == 1:
        _horizon(ax, group.results[0])
        found = [(one.name, overlaid(group.results[0], name, one))
                 for name, one in overlays(measures)]  # fmt: skip
        extras = [(name, line) for name, line in found if line is not None]
        named_ends(ax, [line for _, line in extras], [name for name, _ in extras],
                   [style.INK] * len(extras), label=_REPLACED)  # fmt: skip
        return
    names = group.names
    if earlier:
        names = tuple(curve.full for curve in there)
        for curve in there:
            curve.set_label(plain(curve.full))
    named_ends(ax, [curve.logs for curve in there], names, [curve.light for curve in there],
               label=_REPLACED)  # fmt: skip


def drawn(ax: Axes) -> list[Curve]:
    """The relative gradients that axes hold."""
    return [line for line in ax.lines if isinstance(line, Curve)]


def _named(result: Result) -> Array:
    """Its relative gradient, zero also if it is relative to none."""
    assert result.flow is not None
    return np.where(result.flow.state.mantissa == 0, -np.inf, relative(result))


def _thresholds(ax: Axes, look: Look, low: float, high: float) -> None:
    """What lies beyond the thresholds is shaded."""
    vanishing, exploding = look.log10_thresholds
    for begin, stop in ((low, vanishing), (exploding, high)):
        if begin < stop:
            ax.axhspan(begin, stop, color=style.SHADE, lw=0, zorder=0, label=_REPLACED)
    ax.axhline(0, color=style.FAINT, lw=0.5, zorder=1, label=_REPLACED)


def _band(ax: Axes, result: Result, colour: str, alone: bool) -> None:
    """It goes down to the bottom where its lower edge alone is zero, and ends where both are."""
    found = band(result)
    if found is None:
        return
    bottom, _ = ax.get_ylim()
    low, high = finite(found[:, 0]), finite(found[:, -1])
    low = np.where(np.isneginf(found[:, 0]) & np.isfinite(high), bottom, low)
    lags = np.arange(len(found))
    ax.fill_between(lags, low, high, color=colour, alpha=0.2 if alone else 0.14, lw=0)
    if found.shape[1] == 3:
        ax.plot(lags, finite(found[:, 1]), color=colour, lw=0.7, ls=_DOTTED)


def _end_of(ax: Axes, curve: Curve, T: int) -> None:
    """A cross where the gradient becomes exactly zero for good; a dot where a shorter run ends,
    since its name is at the right."""
    line, colour = finite(curve.logs), curve.light
    there = np.flatnonzero(np.isfinite(line))
    if len(there) and there[-1] + 1 < len(line):
        ax.plot(there[-1], line[there[-1]], marker="x", ms=4, color=colour, clip_on=False,
                label=_REPLACED)  # fmt: skip
    elif len(line) <= T:
        ax.plot(len(line) - 1, line[-1], marker="o", ms=3.4, mew=0, color=colour, zorder=3,
                label=_REPLACED)  # fmt: skip


def _horizon(ax: Axes, result: Result) -> None:
    """Where the gradient leaves the thresholds."""
    found = result.diagnosis
    if not found.horizon:
        return
    falls = found.verdict != "exploding"
    ax.axvline(found.horizon, color=style.INK, lw=0.6, ls=(0, (4, 3)), label=_REPLACED)
    left = found.horizon > 0.6 * result.sequence_length
    seen = _is_clear(ax, result, found.horizon, left, falls)
    at_bottom = falls == seen
    ax.annotate(
        f"horizon {found.horizon}", (found.horizon, 0 if at_bottom else 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if left else 3, 3 if at_bottom else -3), textcoords="offset points",
        ha="right" if left else "left", va="bottom" if at_bottom else "top", fontsize=style.SMALL,
        color=style.INK, label=_REPLACED,
    )  # fmt: skip


def _is_clear(ax: Axes, result: Result, lag: int, left: bool, falls: bool) -> bool:
    """Whether no curve runs through the place of the name, low at the side where it falls."""
    low, high = ax.get_ylim()
    T = result.sequence_length
    reach = slice(max(0, lag - T // 3), lag) if left else slice(lag, lag + T // 3 + 1)
    found = band(result)
    curve = relative(result)[reach] if found is None else found[reach]
    values = curve[np.isfinite(curve)]
    share = (values - low) / (high - low)
    return not len(share) or bool(share.min() > 0.14 if falls else share.max() < 0.86)


def facts(group: Group) -> str:
    """The verdict and the rate of a run that is alone in its panel."""
    if len(group.results) > 1:
        return ""
    [result] = group.results
    found, flow = result.diagnosis, result.flow
    assert flow is not None
    if nothing := words.unreached(flow):
        return nothing
    said = [words.outcome(result), zeros_of(flow.state.log10())]
    said += [f"rate {words.rate(found)} per step"] if found.rate is not None else []
    return ("loss of one step: " if found.of_reach else "") + plain(", ".join(filter(None, said)))


def notes(groups: Sequence[Group], look: Look, measures: Sequence[str]) -> Iterator[str]:
    """What is drawn how."""
    shown = [group for group in groups if not group.heat]
    low, high = look.thresholds
    if shown:
        seeds = any(result.over is not None for group in shown for result in group.results)
        if any(_has_band(group) and any(band(r) is not None for r in group.results)
               for group in shown):  # fmt: skip
            yield SEEDS if seeds else BAND
        yield f"shaded: below {low:g} or above {high:g} times the start"
    else:
        if any(result.over is not None for group in groups for result in group.results):
            yield "rows: geometric means over the seeds"
        yield f"dashed: where the gradient passes {low:g} or {high:g} times its start"
    many = [group for group in shown if len(group.results) > 1]
    for _, one in overlays(measures):
        if many:
            yield f"dashed: {one.name}"
