"""Gradients in axes that others made: with their figure, their style, and what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.text import Text

from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.formats.look import Look, Theme
from gradflow.formats.plots import curves, heat, sheet, style
from gradflow.formats.plots.layout import Group, each, plan
from gradflow.formats.plots.runs import gradients, nothing
from gradflow.formats.plots.saving import turn
from gradflow.results import Result

_LUMA = (0.299, 0.587, 0.114)


def into(axes: Sequence[Axes], results: Sequence[Result], look: Look) -> None:
    """See `gradflow.formats.plots.into`."""
    groups = _groups(results, len(axes))
    for ax in axes:
        _made_linear(ax)
    for ax, panel in zip(axes, gradients(groups, look), strict=True):
        there = set(_drawn(ax))
        dark = _page(ax, look.theme)
        several = bool(curves.drawn(ax))
        mapped = panel.draw(ax)
        sheet.head(ax, replace(panel, facts="") if several else panel)
        ax.set_ylabel(panel.y)
        if mapped is not None:
            heat.bar(ax, mapped)
        if dark:
            turn(ax, there)


def _groups(results: Sequence[Result], count: int) -> list[Group]:
    """As many groups as there are axes: the panels of a figure, or a run each."""
    for groups in (plan(results), each(results)):
        if len(groups) == count:
            return groups
    if not (groups := plan(results)):
        raise nothing(results)
    take = f"these results take {many(len(groups), 'panel')}"
    if len(results) > len(groups):
        take += f", or {len(results)} with a run each"
    found = many(count, "axes", "axes")
    raise InputError(f"{take}, found {found}: give as many, or draw without ax")


def _made_linear(ax: Axes) -> None:
    """What is drawn are logarithms, past float range too, so that no other scale will do."""
    scales = (ax.get_xscale(), ax.get_yscale())
    if scales == ("linear", "linear"):
        return
    if ax.has_data():
        raise InputError(
            f"ax: its scale is {scales[1] if scales[1] != 'linear' else scales[0]} and holds data "
            "already: the gradient is drawn as its log10 on linear scales; give other axes"
        )
    ax.set_xscale("linear")
    ax.set_yscale("linear")


def _drawn(ax: Axes) -> list[Artist]:
    """What is drawn in axes, without their frame and their names."""
    return [*ax.lines, *ax.collections, *ax.patches, *ax.images, *ax.texts]


def _page(ax: Axes, theme: Theme) -> bool:
    """Give axes the ink and the paper of a theme, or, of `auto`, the ink for their own paper;
    whether that is dark. The colours are those of a light page, until all is turned."""
    assert ax.figure is not None
    page = to_rgba(ax.figure.get_facecolor())
    dark = theme == "dark" or (theme == "auto" and page[3] > 0 and np.dot(_LUMA, page[:3]) < 0.5)
    if theme != "auto":
        ax.figure.set_facecolor(style.turned()[style.PAPER] if dark else style.PAPER)
        ax.set_facecolor(style.PAPER)
    ax.tick_params(which="both", colors=style.INK)
    for spine in ax.spines.values():
        spine.set_edgecolor(style.INK)
    for text in (ax.xaxis.label, ax.yaxis.label, *_titles(ax)):
        text.set_color(style.INK)
    return bool(dark)


def _titles(ax: Axes) -> list[Text]:
    """Its title, at the middle, the left and the right."""
    texts = [child for child in ax.get_children() if isinstance(child, Text)]
    return [text for text in texts if text not in ax.texts]
