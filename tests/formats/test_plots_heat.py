"""Heat maps: a row for every run, where it lies along what is swept, and the critical scale."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from gradflow.formats.look import Look

matplotlib = pytest.importorskip("matplotlib")
from figure_checks import assert_readable, results_of, words  # noqa: E402
from made_results import made  # noqa: E402

from gradflow.formats import plots  # noqa: E402
from gradflow.formats.plots import heat  # noqa: E402
from gradflow.formats.plots.layout import MOST_PANELS, plan  # noqa: E402

SCALES = [0.1 * k for k in range(1, 15)]
LINEAR = {"type": "rnn", "activation": "linear"}


def _maps(**config):
    """The words of a heat map of a net whose rate is 1 at W_s×1."""
    config = {"cell": LINEAR, "ws_init": "orthogonal", "input": "zeros", "loss": "probe", **config}
    figure = plots.figure(*results_of(**config))
    assert_readable(figure)
    return figure.axes[0]


@pytest.mark.parametrize("most", [1, 3, MOST_PANELS])
@pytest.mark.parametrize("cells", [["rnn", "gru"], ["rnn", "gru", "mgu", "indrnn"]])
def test_of_many_runs_each_is_drawn(cells, most):
    """Panels that would be too many take in each other's rows, or lines, and none goes missing."""
    axes = ("cell", "wx_scale", "ws_scale")
    results = [made(0, cell, rate=0.9, varied=axes, wx_scale=x, ws_scale=s)
               for cell in cells for x in (1.0, 2.0) for s in (0.5, 1.0)]  # fmt: skip
    groups = plan(results, most)
    assert len(groups) <= most
    assert all(group.heat == (len(results) >= 12) for group in groups)
    assert sorted(id(r) for group in groups for r in group.results) == sorted(map(id, results))
    for group in groups:
        for result, name in zip(group.results, group.names, strict=True):
            said = f"{group.title} {name}".split()
            assert {result.axes["cell"], f"W_x×{result.axes['wx_scale']}"} <= set(said)


def test_rows_finer_than_pixels_are_told():
    shared, axes = made(T=2), ("cell", "seed")
    runs = [replace(shared, axes={**shared.axes, "cell": f"c{n % 101}", "seed": n // 101},
                    varied=axes) for n in range(1010)]  # fmt: skip
    assert heat.notes(plan(runs[:999], 1)) == []
    assert heat.notes(plan(runs, 1)) == ["1,010 rows in a panel, more than it has pixels"]


def test_rows_too_many_for_names_are_named_by_what_they_share():
    """And the critical scale is drawn between the blocks of scales, of all their seeds."""
    scales = [0.25 * 1.4**k for k in range(11)]
    results = [made(0, rate=scale, varied=("ws_scale", "seed"), ws_scale=scale, seed=seed)
               for scale in scales for seed in range(4)]  # fmt: skip
    look = Look()
    [group] = plan(results, 1)
    mapped = plots.figure(results, look).axes[0]
    assert "rows within" not in " ".join(words(mapped))  # a panel a seed, a row a scale
    ax = matplotlib.figure.Figure(figsize=(4, 6)).subplots()
    heat.draw(ax, group, look)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert [float(text.removeprefix("W_s×")) for text in labels] == pytest.approx(scales, rel=1e-4)
    assert list(ax.get_yticks()) == [1.5 + 4 * k for k in range(11)]
    assert heat.unnamed(group) == "rows within: seed 0 to 3"
    [line] = [text for text in words(ax) if text.startswith("rate 1 at ")]
    assert float(line.split()[-1]) == pytest.approx(1, abs=0.02)
    row = np.interp(0.0, np.log(scales), ax.get_yticks())
    assert any(np.allclose(line.get_ydata(), row, atol=0.2) for line in ax.lines)


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        ({"from": 0.013, "to": 130, "count": 12, "scale": "log"}, "at 1.0"),
        ({"from": 0.35, "to": 6, "count": 12}, "at 1.00"),  # also where the scale is a plain one
        ({"from": 3e-100, "to": 3e80, "count": 19, "scale": "log"}, "between 3e-10 and 3"),
    ],
)
def test_the_rate_is_1_where_its_logarithm_is_0_over_that_of_the_scale(scales, said):
    ax = _maps(ws_scale=scales)
    assert f"rate 1 {said}" in words(ax)
    assert any(np.allclose(line.get_ydata(), 1.0) for line in ax.lines)
    low, high = ax.get_ylim()
    shown = [text for text in ax.get_yticklabels()
             if low <= text.get_position()[1] <= high and text.get_text()]  # fmt: skip
    assert len(shown) >= 3


def test_a_heat_map_has_the_critical_scale():
    results, look = results_of(ws_scale=[0.25 * 1.4**k for k in range(12)], cell=LINEAR,
                               measure="theory", ws_init="orthogonal")  # fmt: skip
    figure = plots.figure(results, look)
    assert_readable(figure)
    marked = {
        text.split()[0]: float(text.split()[-1])
        for text in words(figure.axes[0]) if re.fullmatch(r"(rate 1|theory) at [\d.]+", text)
    }  # fmt: skip
    assert marked["rate"] == pytest.approx(1.0, abs=0.02)  # orthogonal: g is the rate
    assert marked["theory"] == pytest.approx(1.0, abs=0.05)
    assert [text.get_text() for text in figure.axes[0].child_axes[0].get_yticklabels()] == [
        "1e-9", "1e-3", "1", "1e3", "1e9"
    ]  # fmt: skip


def test_the_critical_scale_lies_between_runs_that_have_a_rate():
    """Near it a curve may have no straight part: the line is where those next to the gap put it."""
    results, look = results_of(ws_scale=[0.25 * 1.4**k for k in range(12)], cell=LINEAR,
                               ws_init="orthogonal")  # fmt: skip
    gap = [
        replace(one, diagnosis=replace(one.diagnosis, rate=None, rate_ci=None))
        if 0.8 < one.axes["ws_scale"] < 1.2 else one
        for one in results
    ]  # fmt: skip
    assert 0 < len([one for one in gap if one.diagnosis.rate is None]) < len(gap)
    [found] = [text for text in words(plots.figure(gap, look).axes[0]) if "rate 1" in text]
    assert found.startswith("rate 1 near ")
    assert float(found.split()[-1]) == pytest.approx(1, abs=0.02)


def test_a_map_of_seeds_says_what_its_rows_are():
    results, look = results_of(ws_scale=SCALES, seed=[0, 1], over=True)
    assert "geometric means over the seeds" in " ".join(words(plots.figure(results, look)))
    [found] = [results_of(ws_scale=SCALES)]
    assert "seeds" not in " ".join(words(plots.figure(*found)))
