"""The marks of a scale, and the words of a figure where there is little room."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from figure_checks import (
    assert_readable,
    holds,
    results_of,
)
from matplotlib.figure import Figure

from gradflow.formats import plots
from gradflow.formats.plots.heat import Crossing
from gradflow.formats.plots.scales import (
    and_more,
    apart,
    decades,
    few,
    shortened,
    wide,
    wrapped,
)

LINEAR = {"type": "rnn", "activation": "linear"}


@pytest.fixture(scope="module")
def one():
    return results_of(title="One $run$ & <more>")


@pytest.mark.parametrize(
    ("at", "low", "high", "said"),
    [
        (0.888, 0.66, 1.52, "at 0.89"),
        (0.888, 0.85, 0.9, "at 0.888"),
        (12345.6, 12e3, 13e3, "at 12300"),
        (2.2, 1.0, 9.0, "at 2.2"),
        (0.4, 0.0, 1.0, "at 0.4"),
        (0.3, -1.0, 1.0, "at 0.3"),
        (3e-7, 2e-7, 4e-7, "at 3e-7"),
        (3e7, 1e6, 1e9, "between 1e6 and 1e9"),
    ],
)
def test_a_crossing_has_no_more_digits_than_the_grid_allows(at, low, high, said):
    assert Crossing(at, low, high).said == said


@pytest.mark.parametrize(("scale", "end"), [(1e-14, -420.0), (1e14, 420.0)])
def test_magnitudes_past_float_range_are_drawn_from_their_logs(scale, end):
    config = {"cell": LINEAR, "ws_init": "orthogonal", "ws_scale": scale, "input": "zeros",
              "loss": "probe"}  # fmt: skip
    results, look = results_of(**config)
    [ax] = plots.figure(results, look).axes
    assert holds(ax, np.linspace(0, end, 31))
    low, high = ax.get_ylim()
    assert low <= min(end, 0)
    assert high >= max(end, 0)
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert f"1e{'-' if end < 0 else ''}400" in ticks


def test_labels_keep_their_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        heights = list(rng.uniform(-0.2, 1.2, rng.integers(1, 9)))
        placed = apart(heights, 0.05)
        order = np.argsort(heights, kind="stable")
        gaps = np.diff([placed[i] for i in order])
        assert np.all(gaps >= 0.05 - 1e-9)


def test_text_is_broken_where_it_would_not_fit():
    pieces = ["short", "a piece of several words", "end"]
    lines = wrapped(pieces, " · ", 0.8, 7)
    assert all(wide(line, 7) <= 0.8 for line in lines)
    assert " ".join(lines).replace(" · ", " ").split() == " ".join(pieces).split()
    assert wrapped(pieces, " · ", 9.0, 7) == [" · ".join(pieces)]


@pytest.mark.parametrize(
    ("low", "high"), [(-0.2, 0.4), (-0.001, 0.002), (-700.3, -699.9), (300, 301.9), (-2, 0), (0, 9)]
)
def test_every_mark_of_a_scale_of_logarithms_has_its_number(low, high):
    figure = Figure()
    ax = figure.add_subplot()
    ax.set_ylim(low, high)
    decades(ax)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    marks = [float(mark) for mark in ax.get_yticks()]
    there = [(mark, text) for mark, text in zip(marks, labels, strict=True) if low <= mark <= high]
    assert len(there) > 1
    for mark, text in there:
        assert float(Decimal(text).log10()) == pytest.approx(mark, abs=1e-4 * max(1, abs(mark)))


def test_a_long_text_loses_its_middle():
    assert shortened("short", 1.0) == "short"
    for text in ("step-001-" + "x" * 200 + "-42.npz", "ab" * 10_000):
        found = shortened(text, 1.0, 7)
        start, end = found.split("…")
        assert text.startswith(start) and text.endswith(end)  # noqa: PT018
        assert 0.8 < wide(found, 7) <= 1.0


def test_lines_that_are_too_many_end_in_an_ellipsis():
    assert few(["one", "two"], 2, 1.0, 7) == ["one", "two"]
    assert few(["one", "two", "three"], 2, 1.0, 7) == ["one", "two …"]
    inches = wide("two … ", 7)
    assert few(["one", "two three", "four"], 2, inches, 7) == ["one", "two …"]


def test_what_is_left_out_is_counted():
    assert and_more(["one", "two"], 2) == ["one", "two"]
    assert and_more(["one", "two", "three", "four"], 2) == ["one", "two", "and 2 more"]


def test_a_long_title_has_a_few_lines():
    for title in ("word " * 2000, "w" * 10_000):
        figure = plots.figure(*results_of(title=title))
        assert_readable(figure)
        assert figure.get_figheight() < 4
