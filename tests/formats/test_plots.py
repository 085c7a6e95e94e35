"""Figures: what is drawn, the same bytes for the same results, files that are what they say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from gradflow.config.load import from_mapping
from gradflow.errors import InputError
from gradflow.formats.view import View
from gradflow.runs.runner import execute

matplotlib = pytest.importorskip("matplotlib")
from gradflow.formats import plots  # noqa: E402
from gradflow.formats.plots.layout import MOST_PANELS, plan  # noqa: E402
from gradflow.formats.plots.scales import apart  # noqa: E402

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 30, "input_size": 3}
HEADS = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


def results_of(**config):
    experiment = from_mapping({**SMALL, "cell": "rnn", **config})
    return list(execute(experiment)), View(title=experiment.title, config=experiment.config)


@pytest.fixture(scope="module")
def one():
    return results_of(title="One $run$ & <more>")


@pytest.mark.parametrize("kind", plots.FORMATS)
def test_same_results_same_bytes(one, kind):
    found = plots.content(*one, kind)
    assert found.startswith(HEADS[kind])
    assert found == plots.content(*one, kind)
    matplotlib.rcParams["lines.linewidth"] = 9  # the user's own settings change nothing
    assert found == plots.content(*one, kind)
    matplotlib.rcdefaults()


def test_the_curve_and_its_band_are_what_was_measured(one):
    [result], _ = one
    [ax] = plots.figure(*one).axes
    curve = ax.lines[2].get_ydata() if len(ax.lines) > 2 else None
    relative = result.flow.relative.log10()
    assert any(
        len(line.get_ydata()) == 31 and np.allclose(line.get_ydata(), relative) for line in ax.lines
    ), curve
    [band] = ax.collections[:1]
    edges = band.get_paths()[0].vertices
    expected = result.flow.log10_percentiles - result.flow.state[0].log10()
    assert edges[:, 1].min() == pytest.approx(expected[:, 0].min())
    assert edges[:, 1].max() == pytest.approx(expected[:, 2].max())


def test_an_svg_is_one_and_turns_dark(one):
    text = plots.content(*one, "svg").decode()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in text
    assert "One $run$ &amp; &lt;more&gt;" in text
    linked = set(re.findall(r"(?:href|src)=\"(?!#)([^\"]*)", text))
    assert not linked  # no network


@pytest.mark.parametrize(
    ("config", "panels", "lines", "heat"),
    [
        ({}, 1, [1], False),
        ({"cell": ["rnn", "lstm", "gru"]}, 1, [3], False),
        ({"cell": ["rnn", "gru"], "ws_scale": [0.5, 1.0, 2.0]}, 2, [3, 3], False),
        ({"ws_scale": [0.1 * k for k in range(1, 15)]}, 1, [14], True),
        ({"cell": ["rnn", "gru"], "ws_scale": [0.2 * k for k in range(1, 8)]}, 2, [7, 7], True),
        ({"layers": 2}, 1, [3], False),
    ],
)
def test_which_runs_share_a_panel(config, panels, lines, heat):
    results, view = results_of(**config)
    found, more = plan(results)
    assert len(found) == panels
    assert [len(panel.results) for panel in found] == lines
    assert all(panel.heat == heat for panel in found)
    assert more == 0
    plots.figure(results, view)


def test_many_panels_are_counted_and_not_drawn():
    results, view = results_of(seed=list(range(4)), cell=["rnn", "gru", "lstm", "mgu", "indrnn"],
                               wx_scale=[1.0, 2.0], ws_scale=[0.5, 1.0])  # fmt: skip
    found, more = plan(results)
    assert len(found) == MOST_PANELS
    assert more > 0
    plots.figure(results, view)


def test_magnitudes_past_float_range_are_drawn_from_their_logs():
    config = {"cell": {"type": "rnn", "activation": "linear"}, "ws_init": "orthogonal",
              "ws_scale": 1e-40}  # fmt: skip
    results, view = results_of(**config)
    [ax] = plots.figure(results, view).axes
    low, _ = ax.get_ylim()
    assert low < -1100


def test_exact_zeros_and_diverged_runs():
    zero = {"type": "equations", "name": "cut", "state": {"h": "H"},
            "parameters": {"W": ["H", "I"]}, "step": "h[t] = 0 * h[t-1] + W @ x[t]"}  # fmt: skip
    plots.figure(*results_of(cell=zero))
    relu = {"type": "rnn", "activation": "relu"}
    lost = results_of(cell=relu, ws_scale=1e90)
    with pytest.raises(InputError, match="nothing to draw"):
        plots.figure(*lost)
    some = results_of(cell=relu, ws_scale=[1.0, 1e90])
    assert "1 diverged" in plots.content(*some, "svg").decode()


def test_labels_keep_their_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        heights = list(rng.uniform(-0.2, 1.2, rng.integers(1, 9)))
        placed = apart(heights, 0.05)
        order = np.argsort(heights, kind="stable")
        gaps = np.diff([placed[i] for i in order])
        assert np.all(gaps >= 0.05 - 1e-9)


def test_without_matplotlib_the_message_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        plots.figure([], View())
