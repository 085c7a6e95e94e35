"""What was measured besides the gradient, as each measure says that it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.plots import heat, style
from gradflow.formats.plots.layout import Group
from gradflow.formats.plots.scales import (
    LAG,
    RELATIVE,
    along_lags,
    and_more,
    bounds,
    decades,
    few,
    finite,
    named_ends,
    plain,
    with_room,
    wrapped,
)
from gradflow.formats.plots.sheet import Panel
from gradflow.formats.plots.values import rows, spectrum, tall
from gradflow.measures import MEASURES
from gradflow.measures.drawn import Drawn, Lags, Overlay, Rows, Spectrum
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import Result

_MOST_SHARE = 2.0  # above which a share is cut off
_MOST_NOTES = 4
_MOST_LINES = 5  # of the text in an empty panel
_FEW_BANDS = 3  # that can lie over each other


def asked(look: Look) -> tuple[str, ...]:
    """The measures that the config asks for: a single run has its factors measured unasked, for
    its table."""
    listed = look.config.get("measure")
    named = {one.get("type") for one in listed if isinstance(one, Mapping)} if isinstance(
        listed, Sequence) else set()  # fmt: skip
    return tuple(name for name in look.measures if name in named)


def drawings(measures: Sequence[str]) -> Iterator[tuple[str, Drawn]]:
    """What measures of these names have their own panels for."""
    for name in measures:
        for one in MEASURES[name].drawn:
            if not isinstance(one, Overlay):
                yield name, one


def panels(groups: Sequence[Group], name: str, drawn: Drawn, look: Look) -> list[Panel]:
    """A panel a group of one drawing; none where no run has what it is of."""
    if not any(_has(result, name, drawn) for group in groups for result in group.results):
        return []
    lines = [group for group in groups if not group.heat]
    scale = _ends(lines or groups, name, drawn) if isinstance(drawn, Lags) else (0.0, 0.0)

    def panel(group: Group) -> Panel:
        if not any(_has(result, name, drawn) for result in group.results):
            return _nothing(group, name)
        if isinstance(drawn, Rows):
            return rows(group, name, drawn)
        if isinstance(drawn, Spectrum):
            return spectrum(group, name, drawn)
        assert isinstance(drawn, Lags)
        if group.heat:
            return _rows(group, name, drawn, look)
        return _lags(group, name, drawn, scale)

    return [panel(group) for group in groups]


def notes(results: Sequence[Result], measures: Sequence[str]) -> list[str]:
    """Why a run has no such thing, a line for all cells that lack it alike; or what there is to
    know of the numbers."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in measures:
        for result in results:
            note = result.measures[name].note if name in result.measures else None
            if note is not None:
                label, text = str(result.axes["cell"]), words.clean(note)
                found.setdefault((name, text.replace(label, "")), {})[label] = text
    lines = []
    for (name, said), texts in found.items():
        one = next(iter(texts.values()))
        of_all = len(texts) == 1 or one == said
        lines.append(f"{name}: {one if of_all else 'not of ' + ', '.join(texts)}")
    return and_more(lines, _MOST_NOTES)


def _has(result: Result, name: str, drawn: Drawn) -> bool:
    found = result.measures.get(name)
    if found is None:
        return False
    if isinstance(drawn, Lags):
        return drawn.middle in found.curves
    return not isinstance(drawn, Overlay) and bool(drawn.of(found.figures))


def _nothing(group: Group, name: str) -> Panel:
    """A panel that says why it is empty."""
    notes = [r.measures[name].note or "" for r in group.results if name in r.measures]
    text = words.clean(notes[0]).partition(":")[0] if notes else "not measured"

    def draw(ax: Axes) -> None:
        ax.set_axis_off()
        said = few(wrapped([text], "", 1.5, style.SMALL), _MOST_LINES, 1.5, style.SMALL)
        ax.text(0.5, 0.5, plain("\n".join(said)), ha="center", va="center", fontsize=style.SMALL,
                color=style.FAINT, transform=ax.transAxes)  # fmt: skip

    return Panel(draw, title=group.title)


# Against lag


def curve(result: Result, name: str, drawn: Lags, column: str) -> Array | None:
    """One curve of a drawing, as it is drawn; None where this run has none."""
    found = result.measures.get(name)
    if found is None or column not in found.curves:
        return None
    values, first = (_plain(found.curves.get(c)) for c in (column, drawn.middle))
    if not drawn.relative or not len(first):
        return values
    return values - first[0] if np.isfinite(first[0]) else values


def _plain(values: Array | Magnitudes | None) -> Array:
    if values is None:
        return np.zeros(0)
    return values.log10() if isinstance(values, Magnitudes) else values


def _ends(groups: Sequence[Group], name: str, drawn: Lags) -> tuple[float, float]:
    """The ends of the scale: of what is drawn in full, and of bands as far as they do not flatten
    it."""
    results = [result for group in groups for result in group.results]

    def found(columns: Sequence[str]) -> tuple[float, float]:
        curves = (curve(r, name, drawn, column) for r in results for column in columns)
        return bounds([one for one in curves if one is not None])

    low, high = found((drawn.middle, *drawn.dashed))
    if drawn.shares:
        return 0.0, min(max(high, 1.0), _MOST_SHARE) * 1.05
    wide = found(drawn.columns)
    span = max(high - low, 1.0)
    return with_room(max(wide[0], low - 1.5 * span), min(wide[1], high + 1.5 * span))


def _lags(group: Group, name: str, drawn: Lags, scale: tuple[float, float]) -> Panel:
    alone = len(group.results) == 1
    banded = sum(_has(result, name, drawn) for result in group.results) <= _FEW_BANDS

    def draw(ax: Axes) -> None:
        ax.set_ylim(*scale)
        ax.axhline(1 if drawn.shares else 0, color=style.FAINT, lw=0.5, zorder=1)
        colours = style.colours(len(group.results), group.ordered and not alone)
        ends: list[tuple[Array, str, str]] = []
        for result, colour, called in zip(group.results, colours, group.names, strict=True):
            curves = {column: curve(result, name, drawn, column) for column in drawn.columns}
            there = {column: line for column, line in curves.items() if line is not None}
            if drawn.middle not in there:
                continue
            _curves(ax, drawn, there, colour, alone, banded)
            for column, line in there.items():
                if alone and column in drawn.named:
                    ends.append((line, drawn.named[column], colour))
                elif not alone and column == drawn.middle:
                    ends.append((line, called, colour))
        along_lags(ax, max(result.sequence_length for result in group.results))
        if not drawn.shares:
            decades(ax)
        if ends:
            named_ends(ax, *zip(*ends, strict=True))

    title = group.title if group.title else drawn.title
    facts = drawn.title if group.title else "" if alone else _band_said(drawn, banded)
    y = RELATIVE if drawn.relative else drawn.label
    return Panel(draw, title, facts, LAG, y, shares=f"{name} {drawn.title}")


def _curves(
    ax: Axes, drawn: Lags, there: Mapping[str, Array], colour: str, alone: bool, banded: bool
) -> None:
    """The curves of one run, by their columns."""
    edges = [there[column] for column in drawn.band or () if column in there]
    if banded and len(edges) == 2:
        low, high = (_within(edge, ax.get_ylim()) for edge in edges)
        ax.fill_between(np.arange(len(low)), low, high, color=colour, lw=0,
                        alpha=0.2 if alone else 0.12)  # fmt: skip
    middle = there[drawn.middle]
    ax.plot(np.arange(len(middle)), finite(middle), color=colour)
    for column in drawn.dashed:
        if column in there:
            ax.plot(np.arange(len(there[column])), finite(there[column]), color=colour, lw=0.9,
                    ls=(0, (3.5, 2)))  # fmt: skip


def _rows(group: Group, name: str, drawn: Lags, look: Look) -> Panel:
    """The curve of every run of a heat map, as a row of one."""

    def draw(ax: Axes) -> ScalarMappable:
        found = [curve(result, name, drawn, drawn.middle) for result in group.results]
        if drawn.shares:
            with np.errstate(divide="ignore", invalid="ignore"):
                found = [None if one is None else np.log10(one) for one in found]
        return heat.curves_as_rows(ax, group, found, look, passing=drawn.relative)

    called = drawn.named.get(drawn.middle, "")
    title = f"{drawn.title}: {called}" if called else drawn.title
    y = words.symbol(group.axis or "") if group.numeric else ""
    both = (group.title, title) if group.title else (title, "")
    return Panel(draw, *both, LAG, y, repr((group.values, group.names)),
                 2.2 if group.numeric else tall(group))  # fmt: skip


def _within(line: Array, scale: tuple[float, float]) -> Array:
    """A curve whose zeros, where it ends, are at the lower end of the scale."""
    return np.where(np.isneginf(line), scale[0], line)


def _band_said(drawn: Lags, banded: bool) -> str:
    """What line and band are, where their ends have no names."""
    called = [drawn.named.get(drawn.middle, "")]
    if banded and drawn.band is not None:
        low, high = (drawn.named.get(column, "") for column in drawn.band)
        called.append(f"band: {low} to {high}")
    called += [f"dashed: {drawn.named[column]}" for column in drawn.dashed]
    return "; ".join(filter(None, called))
