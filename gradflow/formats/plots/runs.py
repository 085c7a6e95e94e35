"""The figure of an experiment: its gradients, and what else was measured."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from gradflow.errors import InputError
from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.plots import curves, heat, measured, sheet
from gradflow.formats.plots.layout import MOST_PANELS, Group, plan
from gradflow.formats.plots.scales import LAG, RELATIVE
from gradflow.formats.plots.sheet import Panel
from gradflow.formats.plots.values import tall
from gradflow.results import Result


def nothing(results: Sequence[Result]) -> InputError:
    """Says why there is nothing to draw."""
    why = "every run left float range going forward" if results else "there are no runs"
    return InputError(f"there is nothing to draw: {why}")


_MOST = 24  # panels, groups times what is drawn of each


def figure(results: Sequence[Result], look: Look) -> Figure:
    """See `gradflow.formats.plots.figure`."""
    asked = measured.asked(look)
    drawings = list(measured.drawings(asked))
    groups = plan(results, min(MOST_PANELS, max(3, _MOST // (1 + len(drawings)))))
    if not groups:
        raise nothing(results)
    aspects = [gradients(groups, look), *(measured.panels(groups, *one, look) for one in drawings)]
    rows = in_grid([aspect for aspect in aspects if aspect], len(groups))
    shown = [result for group in groups for result in group.results]
    notes = [
        *curves.notes(groups, look, asked),
        *heat.notes(groups),
        *measured.notes([*results, *shown], asked),
    ]
    return sheet.figure(rows, look.title, said(results, shown), notes)


def gradients(groups: Sequence[Group], look: Look) -> list[Panel]:
    """The gradient against lag, a panel a group."""
    asked = measured.asked(look)
    scale = curves.ends([group for group in groups if not group.heat] or groups, look, asked)

    def panel(group: Group) -> Panel:
        def lines(ax: Axes) -> None:
            curves.draw(ax, group, scale, look, asked)

        def rows(ax: Axes) -> ScalarMappable:
            return heat.draw(ax, group, look, asked)

        if not group.heat:
            return Panel(lines, group.title, curves.facts(group), LAG, RELATIVE, "relative")
        y = words.symbol(group.axis or "") if group.numeric else ""
        same = repr((group.values, group.names))
        facts = "; ".join(filter(None, [RELATIVE, heat.unnamed(group)]))
        return Panel(rows, group.title, facts, LAG, y, same, 2.2 if group.numeric else tall(group))

    return [panel(group) for group in groups]


def in_grid(aspects: Sequence[Sequence[Panel]], groups: int) -> list[list[Panel]]:
    """The panels in rows: of one group one after the other; of several a column each, the aspects
    below each other."""
    if groups == 1:
        return sheet.in_rows([panel for aspect in aspects for panel in aspect])
    columns = 2 if groups in (2, 4) else 3
    return [
        list(aspect[at : at + columns])
        for at in range(0, groups, columns)
        for aspect in aspects
    ]  # fmt: skip


def said(results: Sequence[Result], shown: Sequence[Result]) -> list[str]:
    """What all runs that are shown have in common, and what is not drawn."""
    lost = sum(result.flow is None and not result.layers for result in results)
    left = {axis: [one.axes.get(axis) for one in shown] for axis in results[0].varied}
    found = [words.phrase(axis, values[0]) for axis, values in left.items()
             if lost and len(set(values)) == 1]  # fmt: skip
    found += words.settings(results)
    found += [f"{lost} diverged, not drawn"] if lost else []
    return found
