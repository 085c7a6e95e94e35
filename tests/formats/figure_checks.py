"""What a figure holds, for tests: its curves, its words, and whether these can be read."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from gradflow.config.load import from_mapping
from gradflow.formats import plots
from gradflow.formats.look import Look
from gradflow.formats.merging import look_over_seeds, over_seeds
from gradflow.runs.runner import execute

SMALL = {"hidden_size": 6, "batch_size": 4, "sequence_length": 30, "input_size": 3}
T = SMALL["sequence_length"]


def results_of(over=False, **config):
    """The results of a small experiment, and how they are shown."""
    experiment = from_mapping({**SMALL, "cell": "rnn", **config})
    results, look = list(execute(experiment)), Look.of(experiment)
    return (over_seeds(results), look_over_seeds(look)) if over else (results, look)


def curves(ax):
    """The y values of every curve of an axes that is against lag."""
    found = [np.asarray(line.get_ydata(), float) for line in ax.lines]
    return [line for line in found if len(line) > 2]


def holds(ax, expected):
    """Whether a curve of these values, where they are finite, is drawn."""
    expected = np.where(np.isfinite(expected), expected, np.nan)
    return any(
        len(line) == len(expected) and np.allclose(line, expected, equal_nan=True)
        for line in curves(ax)
    )


def words(found):
    """Every text of a figure or an axes, a line each."""
    texts = [text.get_text() for text in found.findobj(Text) if text.get_visible()]
    return [line for text in texts for line in text.splitlines() if line.strip()]


def assert_readable(figure):
    """That no title, name or note is cut off, and that names do not lie over each other, nor
    numbers along a scale."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, page = canvas.get_renderer(), figure.bbox
    heads = [figure._suptitle, figure._supxlabel]
    heads += [text for ax in figure.axes for text in (ax.title, ax._left_title, ax.xaxis.label,
                                                     ax.yaxis.label)]  # fmt: skip
    for text in [one for one in heads if one is not None and one.get_text().strip()]:
        _inside(text.get_window_extent(renderer), page, text)
    for ax in figure.axes:
        names = [text for text in ax.findobj(Annotation) if text.get_text().strip()]
        names += [text for text in ax.texts if not isinstance(text, Annotation)]
        for axis in (ax.xaxis, ax.yaxis):
            _side_by_side([tick.label1 for tick in axis.get_major_ticks()], renderer)
        boxes = [(text, text.get_window_extent(renderer)) for text in names]
        for text, box in boxes:
            _inside(box, page, text)
        for (one, a), (other, b) in combinations(boxes, 2):
            width, height = (
                min(getattr(a, f"{x}1"), getattr(b, f"{x}1"))
                - max(getattr(a, f"{x}0"), getattr(b, f"{x}0"))
                for x in "xy"
            )
            assert width <= 1 or height <= 2, (one.get_text(), other.get_text())


def _side_by_side(labels, renderer):
    shown = [text for text in labels if text.get_visible() and text.get_text().strip()]
    boxes = [(text, text.get_window_extent(renderer)) for text in shown]
    for (one, a), (other, b) in pairwise(boxes):
        assert not a.overlaps(b), (one.get_text(), other.get_text())


def _inside(box, page, text):
    inside = box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
    assert inside, (text.get_text(), box.extents, page.extents)


def assert_same_bytes(report, look, kind="results", suffixes=("svg",)):
    """That each kind of file is what it says, and the same whenever it is made."""
    for suffix in suffixes:
        found = plots.content(report, look, suffix, kind)
        assert found.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
        assert found == plots.content(report, look, suffix, kind)
