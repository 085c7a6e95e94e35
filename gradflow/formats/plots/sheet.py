"""A figure of panels: their grid, title and what is said below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from gradflow.formats import words
from gradflow.formats.plots import heat, style
from gradflow.formats.plots.scales import few, plain, shortened, wide, wrapped

_HEIGHT = 2.2  # inches of a panel
_USED = 0.94  # of the width, by text: pixels make it a little wider
_SCALE = 0.6  # inches that a scale takes next to a panel
_TITLE, _FACTS, _FOOT = 3, 4, 16  # lines at most: of a title, of facts, below all panels
_SURE = 0.45  # of a column: a head that is no wider has room, whatever is next to its panel
_GAP = 0.1  # inches between heads
_LETTERS = 1000  # of a title, more than its lines hold
_SAID = "_facts"
_SHOWN = 100  # pixels of an inch in a notebook


@dataclass(frozen=True)
class Panel:
    """What is drawn in one place of a figure.

    Attributes:
        draw: draws it; what it gives, if anything, is to have a colour bar.
        title: of the panel, in bold.
        facts: what is said below the title.
        x, y: what the scales are of.
        shares: panels next to each other that have the same text here have one y scale, which
            is at the first of them alone; "": it is at each.
        height: inches.
        alone: whether it takes the whole width of its row.
    """

    draw: Callable[[Axes], ScalarMappable | None]
    title: str = ""
    facts: str = ""
    x: str = ""
    y: str = ""
    shares: str = ""
    height: float = _HEIGHT
    alone: bool = False


class Sheet(Figure):
    """A figure that a notebook shows by itself, whether or not it has loaded pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Its picture, and how many pixels wide that is to be shown."""
        from gradflow.formats.plots.saving import content

        return content(self, "png"), {"width": round(self.get_figwidth() * _SHOWN)}


def figure(
    rows: Sequence[Sequence[Panel]],
    title: str | None,
    said: Sequence[str],
    notes: Sequence[str] = (),
) -> Figure:
    """The figure of rows of panels, of different lengths if need be.

    Args:
        rows: the panels, from the top.
        title: of the whole; None: none.
        said: what all have in common, in pieces.
        notes: what is drawn how, a line each.
    """
    with style.own():
        columns = max(map(len, rows))
        width = style.PAGE if columns > 1 else style.COLUMN
        heights = [max(panel.height for panel in row) for row in rows]
        head = _title(title, width)
        foot = wrapped(said, " · ", _USED * width, style.TINY)
        foot += wrapped(notes, " · ", _USED * width, style.TINY)
        foot = few(foot, _FOOT, _USED * width, style.TINY)
        height = sum(heights) + 0.15 * len(head) + 0.115 * len(foot) + 0.1
        made = Sheet(figsize=(width, height), layout="constrained")
        made.get_layout_engine().set(w_pad=0.05, h_pad=0.04, wspace=0.02, hspace=0.03)  # type: ignore[union-attr, call-arg]
        grid = made.add_gridspec(len(rows), columns, height_ratios=heights)
        axes = [
            [
                made.add_subplot(grid[at, :] if panel.alone else grid[at, i])
                for i, panel in enumerate(row)
            ]
            for at, row in enumerate(rows)
        ]
        for own, row in zip(axes, rows, strict=True):
            _row(own, row, width / columns - _SCALE)
        if head:
            made.suptitle(
                "\n".join(head), x=0.01, ha="left", fontsize=style.HEAD, fontweight="bold"
            )
        made.supxlabel(
            plain("\n".join(foot)), x=0.01, ha="left", fontsize=style.TINY, color=style.FAINT,
            linespacing=1.25,
        )  # fmt: skip
        if any(_width(panel, width / columns - _SCALE) > _SURE * width / columns
               for row in rows for panel in row):  # fmt: skip
            _fit(made, axes, rows, width / columns - _SCALE)
        made.set_label(". ".join(filter(None, [words.clean(title or ""), " · ".join(said)])))
        return made


def _title(title: str | None, width: float) -> list[str]:
    text = words.clean(title)[:_LETTERS] if title else ""
    lines = [line for line in wrapped([text], "", _USED * width, style.HEAD, True) if line]
    return [plain(line) for line in few(lines, _TITLE, _USED * width, style.HEAD, True)]


def _row(axes: Sequence[Axes], row: Sequence[Panel], inches: float) -> None:
    """Draw one row of panels, each about so wide."""
    bars: list[tuple[Axes, ScalarMappable]] = []
    for at, (ax, panel) in enumerate(zip(axes, row, strict=True)):
        mapped = panel.draw(ax)
        if mapped is not None:
            bars.append((ax, mapped))
        head(ax, panel, inches)
        inner = bool(panel.shares) and at > 0 and row[at - 1].shares == panel.shares
        if inner:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel(plain(shortened(panel.y, panel.height, style.LABEL)))
    for ax, mapped in bars[-1:] if len(bars) == len(row) else bars:
        heat.bar(ax, mapped)


def head(ax: Axes, panel: Panel, inches: float = style.COLUMN) -> None:
    """The panel's title, facts and the name of its lower scale; the panel is about so wide."""
    ax.set_xlabel(plain(shortened(panel.x, inches, style.LABEL)))
    title, facts = _lines(panel, inches)
    for earlier in [text for text in ax.texts if text.get_label() == _SAID]:
        earlier.remove()
    if facts:
        ax.annotate(
            plain("\n".join(facts)), (0, 1), xycoords="axes fraction", xytext=(0, 4), va="bottom",
            textcoords="offset points", fontsize=style.SMALL, color=style.INK, label=_SAID,
        )  # fmt: skip
    if title:
        pad = 4 + len(facts) * 9.5
        ax.set_title(plain("\n".join(title)), loc="left", pad=pad, fontsize=style.TITLE,
                     fontweight="bold", color=style.INK)  # fmt: skip


def _lines(panel: Panel, inches: float) -> tuple[list[str], list[str]]:
    """The lines of a panel's title and facts."""
    title = wrapped([panel.title], "", inches, style.TITLE, bold=True)
    facts = [line for line in wrapped([panel.facts], "", inches, style.SMALL) if line]
    return (few([line for line in title if line], _TITLE, inches, style.TITLE, bold=True),
            few(facts, _FACTS, inches, style.SMALL))  # fmt: skip


def _width(panel: Panel, inches: float) -> float:
    """The inches that title, facts and the name of the lower scale take."""
    title, facts = _lines(panel, inches)
    return max([
        _under(panel, inches),
        *(wide(line, style.TITLE, bold=True) for line in title),
        *(wide(line, style.SMALL) for line in facts),
    ])  # fmt: skip


def _under(panel: Panel, inches: float) -> float:
    """The inches that the name of the lower scale takes."""
    return wide(shortened(panel.x, inches, style.LABEL), style.LABEL)


def _fit(
    made: Figure, axes: Sequence[Sequence[Axes]], rows: Sequence[Sequence[Panel]], inches: float
) -> None:
    """Break anew the heads that do not fit where the layout has put their panels: what is next to
    a panel has taken of its width."""
    engine = made.get_layout_engine()
    assert engine is not None
    engine.execute(made)
    width = made.get_figwidth()
    for own, row in zip(axes, rows, strict=True):
        boxes = [ax.get_position() for ax in own]
        ends = [*(box.x0 * width for box in boxes[1:]), width]
        for ax, panel, box, end in zip(own, row, boxes, ends, strict=True):
            room = end - box.x0 * width - _GAP
            across = 2 * (end - (box.x0 + box.x1) / 2 * width) - _GAP
            if _width(panel, inches) > room or _under(panel, inches) > across:
                head(ax, panel, room)
                ax.set_xlabel(plain(shortened(panel.x, across, style.LABEL)))


def in_rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels one after the other, three in a row, or two where that fills it."""
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    return [list(panels[at : at + columns]) for at in range(0, len(panels), columns)]
