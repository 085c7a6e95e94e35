"""Figures: what is drawn, the same bytes for the same results, files that are what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from gradflow.errors import InputError
from gradflow.formats.look import Look

matplotlib = pytest.importorskip("matplotlib")
from figure_checks import (  # noqa: E402
    assert_readable,
    assert_same_bytes,
    curves,
    holds,
    results_of,
    words,
)
from made_results import made  # noqa: E402

from gradflow.formats import PICTURES, plots  # noqa: E402
from gradflow.formats.plots import style  # noqa: E402
from gradflow.formats.plots.layout import plan  # noqa: E402

SCALES = [0.1 * k for k in range(1, 15)]
CELLS = ["rnn", "lstm", "gru", "mgu", "indrnn", "janet", "cifg", "peephole", "brc", "nbrc", "lem",
         "mingru", "minlstm"]  # fmt: skip
CUT = {"type": "equations", "name": "cut", "state": {"h": "H"}, "parameters": {"W": ["H", "I"]},
       "step": "h[t] = 0 * h[t-1] + W @ x[t]"}  # fmt: skip
LINEAR = {"type": "rnn", "activation": "linear"}
RELU = {"type": "rnn", "activation": "relu"}
USERS = {
    "text.usetex": True, "axes.grid": True, "savefig.bbox": "tight", "savefig.transparent": True,
    "xtick.direction": "in", "xtick.top": True, "lines.linewidth": 9, "lines.marker": "o",
    "lines.linestyle": ":", "font.weight": "bold", "font.style": "italic", "path.sketch": (1, 9, 2),
    "axes.labelweight": "bold", "axes.axisbelow": True, "axes.autolimit_mode": "round_numbers",
    "figure.subplot.left": 0.4, "svg.image_inline": False, "pdf.compression": 0,
}  # fmt: skip
"""Settings of matplotlib that its users may have made, which change nothing."""


@pytest.fixture(scope="module")
def one():
    return results_of(title="One $run$ & <more>")


@pytest.mark.parametrize("suffix", PICTURES)
def test_same_results_same_bytes(one, suffix):
    found = plots.content(*one, suffix)
    assert_same_bytes(*one, suffixes=[suffix])
    with matplotlib.rc_context(USERS):
        assert found == plots.content(*one, suffix)


def test_the_curve_and_its_band_are_what_was_measured(one):
    [result], _ = one
    [ax] = plots.figure(*one).axes
    assert holds(ax, result.flow.relative.log10())
    [band] = ax.collections[:1]
    edges = band.get_paths()[0].vertices
    expected = result.flow.log10_percentiles - result.flow.state[0].log10()
    assert edges[:, 1].min() == pytest.approx(expected[:, 0].min())
    assert edges[:, 1].max() == pytest.approx(expected[:, 2].max())
    assert f"horizon {result.diagnosis.horizon}" in words(ax)
    assert any(line.get_xdata()[0] == result.diagnosis.horizon for line in ax.lines)


def test_what_lies_beyond_the_thresholds_is_shaded(one):
    results, look = one
    [ax] = plots.figure(results, replace(look, thresholds=(1e-2, 1e2))).axes
    corners = {round(patch.get_y() + patch.get_height(), 3) for patch in ax.patches}
    assert -2.0 in corners
    assert "below 0.01 or above 100 times the start" in " ".join(words(ax.figure))


@pytest.mark.parametrize("title", [r"cost \alpha C:\temp", r"\$5 and $6", "a$b$c", r"\\"])
def test_what_looks_like_a_formula_is_text(title):
    svg = plots.content([made()], Look(title=title), "svg").decode()
    shown = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter()
             if text.tag.endswith("text")]  # fmt: skip
    assert title in shown


def test_an_svg_is_one_and_turns_dark(one):
    text = plots.content(*one, "svg").decode()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert root.get("aria-label").startswith("One $run$ & <more>. rnn")
    assert "prefers-color-scheme: dark" in text
    assert "One $run$ &amp; &lt;more&gt;" in text
    linked = set(re.findall(r"(?:href|src)=\"(?!#)([^\"]*)", text))
    assert not linked  # no network


def test_a_theme_is_for_one_page(one):
    results, look = one
    for theme, paper in (("light", style.PAPER), ("dark", style.turned()[style.PAPER])):
        svg = plots.content(results, replace(look, theme=theme), "svg").decode()
        assert "prefers-color-scheme" not in svg
        assert f"fill: {paper}" in svg
        figure = plots.figure(results, replace(look, theme=theme))
        assert matplotlib.colors.to_hex(figure.get_facecolor()) == paper
    png = {theme: plots.content(results, replace(look, theme=theme), "png")
           for theme in ("auto", "light", "dark")}  # fmt: skip
    assert png["auto"] == png["light"] != png["dark"]
    dark = plots.content(results, replace(look, theme="dark"), "svg").decode()
    assert not set(re.findall("#[0-9a-f]{6}", dark)) & {style.INK, style.FAINT, style.SHADE}


def test_colours_can_be_told_from_the_page():
    """Of lines at least 2.4 to 1 (WCAG's contrast), of ink, notes and names 4.5 to 1."""
    turned, contrast = style.turned(), style.contrast
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    ordered = [c for n in range(1, style.MOST_ORDERED + 1) for c in style.colours(n, ordered=True)]
    for colour in (*style.COLOURS, *ordered):
        assert contrast(colour, style.PAPER) > 2.4, colour
        assert contrast(turned[colour], turned[style.PAPER]) > 2.4, colour
    for colour in (style.INK, style.FAINT, *map(style.of_text, (*style.COLOURS, *ordered))):
        assert contrast(colour, style.PAPER) > 4.5
        assert contrast(turned[colour], turned[style.PAPER]) > 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_of_curves_can_be_read(theme):
    """Also of the lightest colours, along a scale and of cells."""
    runs = [made(0, varied=("ws_scale",), ws_scale=float(n)) for n in range(8)]
    cells = [made(0, cell, varied=("cell",)) for cell in CELLS[:8]]
    for results in (runs, cells):
        [ax] = plots.figure(results, Look(theme=theme)).axes
        names = [text for text in ax.texts if text.get_text()]
        assert len(names) == 8
        page = matplotlib.colors.to_hex(ax.figure.get_facecolor())
        for text in names:
            assert style.contrast(text.get_color(), page) >= 4.5, text


def test_one_sample_has_no_band_and_no_note_of_one():
    figure = plots.figure(*results_of(batch_size=1))
    assert not figure.axes[0].collections
    assert "percentile" not in " ".join(words(figure))
    assert "percentile" in " ".join(words(plots.figure(*results_of())))


@pytest.mark.parametrize(
    ("config", "lines", "heat", "names"),
    [
        ({}, [1], False, []),
        ({"cell": ["rnn", "lstm", "gru"]}, [3], False, ["rnn", "lstm", "gru"]),
        ({"cell": ["rnn", "gru"], "ws_scale": [0.5, 1.0]}, [2, 2], False, ["W_s×0.5", "gru"]),
        ({"cell": ["rnn", "mingru"], "ws_scale": [0.5, 1.0]}, [2, 1], False, ["W_s×0.5", "mingru"]),
        ({"cell": CELLS[:9], "ws_scale": [0.5, 1.0]}, [16], True, [f"{CELLS[0]} W_s×0.5", "brc"]),
        ({"ws_scale": SCALES[:3], "seed": [0, 1, 2, 3]}, [12], True, ["W_s×0.1 seed 0", "seed 3"]),
        ({"ws_scale": SCALES[:4], "wx_scale": [1.0, 2.0], "seed": [0, 1]}, [4] * 4, True,
         ["W_x×1.0 seed 0"]),
        ({"cell": CELLS[:3], "ws_scale": SCALES[:3], "wx_scale": SCALES[:3], "seed": [0, 1, 2]},
         [9] * 9, True, ["gru W_x×0.1", "W_s×0.1 seed 0"]),
        ({"cell": CELLS[:3], "ws_init": ["gaussian", "orthogonal"], "wx_scale": [1.0, 2.0]},
         [4] * 3, True, ["W_s gaussian W_x×1.0", "W_s orthogonal W_x×1.0", "W_x×2.0"]),
        ({"ws_scale": SCALES}, [14], True, ["W_s×", "0.5"]),
        ({"ws_scale": SCALES[:10]}, [10], False, ["W_s×0.1", "W_s×1.0"]),
        ({"cell": ["rnn", "gru"], "ws_scale": SCALES[:7]}, [7, 7], True, ["gru"]),
        ({"cell": CELLS}, [13], True, CELLS),
        ({"cell": {"type": "lstm", "forget_bias": [0.0, 1.0, 3.0]}}, [3], False,
         ["forget_bias 0.0", "forget_bias 3.0"]),
        ({"layers": 2}, [3], False, ["all layers", "layer 0", "layer 1"]),
        ({"layers": 2, "bidirectional": True}, [2, 2], False, ["forward", "reverse", "layer 0"]),
        ({"cell": ["rnn", "lstm"], "seed": [0, 1, 2], "over": True}, [2], False, ["lstm"]),
        ({"seed": [0, 1, 2], "over": True}, [1], False, []),
        ({"cell": RELU, "ws_scale": [1.0, 1e90]}, [1], False, ["1 diverged, not drawn", "W_s×1.0"]),
        ({"cell": CUT}, [1], False, []),
        ({"sequence_length": 1}, [1], False, []),
        ({"loss": {"kind": "mse", "at": "all"}}, [1], False, []),
        ({"title": "A title of so many words that it takes more than the width of a column"}, [1],
         False, []),
    ],
)  # fmt: skip
def test_runs_share_panels_whose_words_can_be_read(config, lines, heat, names):
    results, look = results_of(**config)
    groups = plan(results)
    assert [len(group.results) for group in groups] == lines
    assert all(group.heat == heat for group in groups)
    figure = plots.figure(results, look)
    assert_readable(figure)
    there = " · ".join(words(figure))
    for name in names:
        assert name in there


def test_every_curve_is_drawn_under_its_name():
    results, look = results_of(cell=["rnn", "gru"], ws_scale=[0.5, 1.0])
    for ax, pair in zip(plots.figure(results, look).axes, (results[:2], results[2:]), strict=True):
        for result in pair:
            assert holds(ax, result.flow.relative.log10())
        assert ax.get_ylim() == plots.figure(results, look).axes[0].get_ylim()


def test_over_seeds_the_band_holds_every_seed():
    seeds = {"seed": [0, 1, 2, 3]}
    runs, _ = results_of(**seeds)
    merged, look = results_of(over=True, **seeds)
    curves = np.array([run.flow.relative.log10() for run in runs])
    [ax] = plots.figure(merged, look).axes
    [band] = ax.collections[:1]
    edges = band.get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(curves.min())
    assert edges.max() == pytest.approx(curves.max())
    assert np.allclose(merged[0].over.log10_band[:, 0], curves.min(axis=0))
    assert np.allclose(merged[0].over.log10_band[:, 1], curves.max(axis=0))
    assert holds(ax, curves.mean(axis=0))
    assert "lowest to highest" in " ".join(words(ax.figure))


@pytest.mark.parametrize("backend", ["nonsense", "widget"])
def test_a_backend_that_matplotlib_does_not_know_is_none_of_ours(backend, one, tmp_path):
    """Read when matplotlib is imported, so in a process of its own."""
    config = tmp_path / "one.yaml"
    config.write_text("cell: rnn\nsequence_length: 5\n")
    command = [sys.executable, "-m", "gradflow", "analyze", config, "-q", "-o", tmp_path / "a.svg"]
    done = subprocess.run(command, env={**os.environ, "MPLBACKEND": backend}, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


def test_a_gradient_that_starts_at_zero_has_no_curve():
    config = {"loss": {"kind": "mse", "target": 0.0}, "wx_scale": 0}
    [ax] = plots.figure(*results_of(**config)).axes
    assert not any(np.isfinite(line).any() for line in curves(ax))
    assert "no gradient reaches the last state" in words(ax)
    ax, *_ = plots.figure(*results_of(**config, seed=list(range(12)))).axes
    assert ax.collections  # a heat map of nothing, and no warning


@pytest.mark.parametrize("over", [False, True])
def test_a_gradient_that_becomes_zero_is_named_at_the_bottom(over):
    results, look = results_of(ws_scale=[0.0, 1.0], seed=[0, 1] if over else 0, over=over)
    [ax] = plots.figure(results, look).axes
    places = {text.get_text(): text for text in ax.texts}
    low, high = ax.get_ylim()
    zero, other = places["W_s×0.0: 0 from lag 1"], places["W_s×1.0"]
    assert zero.xycoords == "axes fraction"
    assert zero.xy[1] < (other.xy[1] - low) / (high - low)
    assert zero.xy[1] < 0.1


def test_a_band_ends_where_it_is_zero():
    """And goes down to the bottom where only its lower edge is."""
    one = made(zero_from=30)
    spread = one.flow.state.log10()[:, None] + np.array([-0.25, 0.0, 0.5])
    spread[20:, 0] = spread[25:, 1] = -np.inf
    one = replace(one, flow=replace(one.flow, log10_percentiles=spread))
    [ax] = plots.figure([one], Look()).axes
    x, y = ax.collections[0].get_paths()[0].vertices.T
    assert x.max() == 29
    assert set(y[(x >= 20) & (y < -3)]) == {ax.get_ylim()[0]}
    assert y[x < 20].min() == pytest.approx(spread[19, 0] - spread[0, 1])
    [dotted] = [line for line in ax.lines if line.get_linestyle() == ":" or (line.is_dashed()
                and len(line.get_xdata()) > 2)]  # fmt: skip
    median = dotted.get_ydata()
    assert np.isfinite(median[:25]).all()
    assert np.isnan(median[25:]).all()


def test_a_single_run_says_from_where_it_is_zero():
    [ax] = plots.figure(*results_of(cell=CUT)).axes
    assert any("0 from lag 1" in line for line in words(ax))


@pytest.mark.parametrize("suffix", PICTURES)
def test_letters_that_the_font_lacks_are_no_trouble(suffix):
    found = plots.content(*results_of(title="漢字 😀 ع"), suffix)
    assert suffix != "svg" or "漢字 😀 ع" in found.decode()


def test_what_diverged_everywhere_is_refused():
    with pytest.raises(InputError, match="nothing to draw"):
        plots.figure(*results_of(cell=RELU, ws_scale=1e90))


def test_a_shorter_run_has_a_dot_where_it_ends():
    results, look = results_of(sequence_length=[10, 20])
    [ax] = plots.figure(results, look).axes
    short = results[0].flow.relative.log10()
    [(x, y)] = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert (x, y) == (10, pytest.approx(short[-1]))


def test_without_matplotlib_the_message_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        plots.figure([], Look())
