"""Gradients in axes that others made."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import made

import gradflow
from gradflow.formats.look import Look

pytest.importorskip("matplotlib")
from figure_checks import holds, words
from matplotlib import style as style_of_users
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from gradflow.formats import plots
from gradflow.formats.plots import style

LIGHT, DARK = style.PAPER, style.turned()[style.PAPER]
ONE, OTHER = made(rate=0.9), made(0, "lstm", rate=0.5, T=140)


def drawn(*results, theme="auto", ax=None):
    ax = Figure().subplots() if ax is None else ax
    plots.into(ax, results, Look(theme=theme))
    return ax


@pytest.mark.parametrize("scales", [("linear", "log"), ("log", "linear"), ("symlog", "logit")])
def test_scales_become_linear_as_logarithms_are_drawn(scales):
    ax = Figure().subplots()
    ax.set_xscale(scales[0])
    ax.set_yscale(scales[1])
    drawn(ONE, ax=ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
    assert holds(ax, ONE.flow.relative.log10())
    assert ax.get_ylim() == drawn(ONE).get_ylim()


def test_data_on_a_log_scale_is_not_moved():
    ax = Figure().subplots()
    ax.semilogy([1, 10, 100])
    with pytest.raises(gradflow.InputError, match="its scale is log and holds data already"):
        drawn(ONE, ax=ax)
    assert ax.get_yscale() == "log"
    assert len(ax.lines) == 1


def contrast(ink, paper):
    """Of their largest parts."""
    return abs(max(to_rgb(ink)) - max(to_rgb(paper)))


@pytest.mark.parametrize("name", ["default", "dark_background"])
@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_ink_is_for_the_page_of_the_axes(name, theme):
    with style_of_users.context(name):
        ax = Figure().subplots()
        own = ax.axvline(3, color=LIGHT)
        drawn(ONE, theme=theme, ax=ax)
    page = ax.figure.get_facecolor()
    if theme != "auto":
        paper = DARK if theme == "dark" else LIGHT
        assert [to_hex(c) for c in (page, ax.get_facecolor())] == [paper] * 2
    texts = [*ax.texts, ax.yaxis.label, *ax.get_yticklabels()]
    assert len([text for text in texts if text.get_text()]) > 5
    for text in texts:
        assert contrast(text.get_color(), page) > 0.6, text
    assert contrast(ax.spines["left"].get_edgecolor(), page) > 0.6
    assert own.get_color() == LIGHT  # what was there stays as it is


def test_results_follow_each_other_into_one_axes():
    ax = drawn(OTHER, ax=drawn(ONE))
    for result in (ONE, OTHER):
        log = result.flow.relative.log10()
        assert holds(ax, log)
        low, high = ax.get_ylim()
        assert low < log.min() < log.max() < high
    assert ax.get_xlim() == (0, 140)
    handles, labels = ax.get_legend_handles_labels()
    assert labels == ["rnn", "lstm"]
    assert len({line.get_color() for line in handles}) == 2
    assert not [word for word in words(ax) if word.startswith(("horizon", "vanishing"))]
    edges = [patch.get_y() for patch in ax.patches]
    assert min(edges) == ax.get_ylim()[0]  # what lies beyond is shaded to the end


def test_names_stay_at_the_ends_of_their_curves():
    first = [
        made(0, cell, rate=rate, varied=("cell",)) for cell, rate in (("rnn", 0.9), ("lstm", 0.8))
    ]
    then = [made(0, "gru", rate=rate, T=140, ws_scale=scale, varied=("ws_scale",))
            for scale, rate in ((0.5, 0.5), (2.0, 0.95))]  # fmt: skip
    ax = drawn(*then, ax=drawn(*first))
    runs = {"rnn": first[0], "lstm": first[1], "gru W_s×0.5": then[0], "gru W_s×2.0": then[1]}
    assert ax.get_legend_handles_labels()[1] == list(runs)
    names = {text.get_text(): text for text in ax.texts if text.get_text() in runs}
    assert list(names) == list(runs)
    for name, run in runs.items():
        assert names[name].xycoords == ("axes fraction", "data")
        assert names[name].xy == (1, pytest.approx(run.flow.relative.log10()[-1], abs=1)), name
    dots = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert sorted(x for x, _ in dots) == [100, 100]  # where the shorter runs end


def test_a_legend_of_one_run_does_not_warn():
    legend = drawn(ONE).legend()
    assert [text.get_text() for text in legend.get_texts()] == ["rnn"]


@pytest.mark.parametrize("projection", ["3d", "polar"])
def test_axes_of_another_kind_are_refused(projection):
    ax = Figure().add_subplot(projection=projection)
    with pytest.raises(gradflow.InputError, match=f"two straight scales, found {projection} axes"):
        drawn(ONE, ax=ax)


def test_a_run_each():
    axes = Figure().subplots(1, 2)
    runs = [made(0, cell, varied=("cell",)) for cell in ("rnn", "lstm")]
    plots.into(axes, runs, Look())
    assert [ax.get_title(loc="left") for ax in axes] == ["rnn", "lstm"]
    for ax, run in zip(axes, runs, strict=True):
        assert holds(ax, run.flow.relative.log10())
    message = "these results take 1 panel, or 2 with a run each, found 3 axes"
    with pytest.raises(gradflow.InputError, match=message):
        plots.into(np.array(Figure().subplots(1, 3)), runs, Look())
