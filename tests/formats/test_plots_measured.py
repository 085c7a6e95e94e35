"""Every measure is drawn as it says in its own file, from what was measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from figure_checks import (
    SMALL,
    T,
    assert_readable,
    assert_same_bytes,
    holds,
    results_of,
    words,
)
from matplotlib.contour import ContourSet

import gradflow
from gradflow.formats import plots
from gradflow.measures import MEASURES, OPTIONAL
from gradflow.measures.drawn import Lags, Overlay, Rows, Spectrum, numbered

SCALES = [0.25 * 1.3**k for k in range(12)]
CELLS = ["rnn", "lstm", "gru", "mgu", "indrnn", "janet", "cifg", "peephole", "brc", "nbrc", "lem",
         "mingru"]  # fmt: skip
HAS = {"lyapunov": "gru", "gates": "lstm", "paths": "gru", "slopes": "lstm"}
"""The cell that a measure is drawn of, if not an rnn."""


KINDS = ["jacobian", "gates", "lyapunov", "theory"]
"""A measure of each kind of drawing."""


@pytest.fixture(scope="module", params=OPTIONAL)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def alone(name):
    """One run of a cell that has the measure."""
    return results_of(cell=HAS.get(name, "rnn"), measure=name)


def drawn(name, kind):
    return [one for one in MEASURES[name].drawn if isinstance(one, kind)]


def test_a_measure_says_how_it_is_drawn(name):
    measure = MEASURES[name]
    assert measure.drawn
    columns = {curve.name for curve in measure.curves}
    for one in drawn(name, Lags):
        assert set(one.columns) <= columns
        assert set(one.named) <= set(one.columns)
    for one in drawn(name, Overlay):
        assert one.column in columns
        assert one.critical in {figure.name for figure in measure.figures}


def test_one_run_has_a_panel_each_with_what_was_measured(name, alone):
    results, look = alone
    figure = plots.figure(results, look)
    panels = [one for one in MEASURES[name].drawn if not isinstance(one, Overlay)]
    assert len(figure.axes) == 1 + len(panels)
    assert_readable(figure)
    assert_same_bytes(results, look)
    found = results[0].measures[name]
    for one in drawn(name, Overlay):
        start = float(results[0].flow.state[0].log10())
        assert holds(figure.axes[0], found.curves[one.column] - start)
        assert one.name in words(figure.axes[0])
    for one, ax in zip(panels, figure.axes[1:], strict=True):
        assert one.title in words(ax)
        if isinstance(one, Lags):
            _lags(one, ax, found.curves)
        elif isinstance(one, Rows):
            _rows(one, ax, found.figures)
        else:
            _spectrum(one, ax, found.figures)


def test_how_far_any_one_loss_reaches_is_drawn_over_its_own_start():
    results, look = results_of(measure="reach")
    ax = plots.figure(results, look).axes[1]
    median = results[0].measures["reach"].curves["log10_reach_p50"]
    assert abs(median[0]) > 0.01
    assert holds(ax, median - median[0])


def _lags(one, ax, curves):
    middle = curves[one.middle]
    shift = middle[0] if one.relative else 0.0
    for column in (one.middle, *one.dashed):
        if column in curves:
            assert holds(ax, curves[column] - shift)
    assert set(words(ax)) >= {called for column, called in one.named.items() if column in curves}
    if one.band is not None:
        edges = ax.collections[0].get_paths()[0].vertices[:, 1]
        high = curves[one.band[1]] - shift
        assert edges.max() == pytest.approx(high[np.isfinite(high)].max())
    low, high = ax.get_ylim()
    finite = (middle - shift)[np.isfinite(middle)]
    assert low <= finite.min() <= finite.max() <= high


def _rows(one, ax, figures):
    rows = one.of(figures)
    assert rows
    assert [text.get_text() for text in ax.get_yticklabels()] == [row.name for row in rows]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [row.value for row in rows]
    assert [line.get_ydata()[0] for line in dots] == list(range(len(rows)))
    low, high = ax.get_xlim()
    assert all(low <= row.value <= high for row in rows)


def _spectrum(one, ax, figures):
    values = [value for value, _ in one.of(figures)]
    assert values == numbered(figures, "lyapunov")
    assert any(np.allclose(line.get_ydata(), values) for line in ax.lines
               if len(line.get_ydata()) == len(values))  # fmt: skip


def test_several_cells_have_a_column_each(name):
    results, look = results_of(cell=["rnn", "lstm"], ws_scale=[0.5, 1.5], measure=name)
    figure = plots.figure(results, look)
    assert_readable(figure)
    panels = [one for one in MEASURES[name].drawn if not isinstance(one, Overlay)]
    assert len(figure.axes) == 2 * (1 + len(panels))
    lacking = [r for r in results if not (r.measures[name].curves or r.measures[name].figures)]
    text = " ".join(words(figure))
    assert ("rnn has no" in text) == bool(lacking)


@pytest.mark.parametrize("name", KINDS)
def test_many_runs_along_a_number(name):
    results, look = results_of(ws_scale=SCALES, cell=HAS.get(name, "rnn"), measure=name)
    figure = plots.figure(results, look)
    assert_readable(figure)
    for one, ax in zip(
        [one for one in MEASURES[name].drawn if not isinstance(one, Overlay)],
        figure.axes[1:],
        strict=True,
    ):
        if isinstance(one, Lags):
            assert ax.collections  # a heat map
            assert ax.get_xlim() == (-0.5, T + 0.5)
            continue
        assert ax.get_xlim() == (SCALES[0], SCALES[-1])
        figures = [result.measures[name].figures for result in results]
        if isinstance(one, Rows):
            first = [one.of(own)[0].value for own in figures]
        else:
            first = [own["lyapunov_max"] for own in figures]
        assert any(np.allclose(line.get_ydata(), first) for line in ax.lines
                   if len(line.get_ydata()) == len(first))  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_many_cells_have_a_row_each(name):
    results, look = results_of(cell=CELLS, measure=name)
    figure = plots.figure(results, look)
    assert_readable(figure)
    names = [[text.get_text() for text in ax.get_yticklabels()] for ax in figure.axes]
    assert names[0] == CELLS
    assert all(own in (CELLS, []) for own in names)  # at the first of maps that are side by side


@pytest.mark.parametrize("name", KINDS)
def test_layers_and_seeds_are_drawn(name):
    for results, look in (
        results_of(layers=2, bidirectional=True, cell=HAS.get(name, "rnn"), measure=name),
        results_of(seed=[0, 1], over=True, cell=HAS.get(name, "rnn"), measure=name),
    ):
        assert_readable(plots.figure(results, look))


@pytest.mark.parametrize("scales", [[0.5, 1.5], SCALES[:7]])
def test_what_a_cell_does_not_have_is_said_in_its_panel(scales):
    """Of lines and of maps: no empty axes."""
    results, look = results_of(cell=["rnn", "lstm"], ws_scale=scales, measure=["gates", "paths"])
    figure = plots.figure(results, look)
    empty = [words(ax) for ax in figure.axes if not ax.axison]
    assert len(empty) == 3
    assert "rnn has no gates" in empty[0]
    assert all("rnn has no direct path" in said for said in empty[1:])


def test_thresholds_are_those_of_relative_gradients():
    """Of what else is drawn as a map they mean nothing."""
    results, look = results_of(ws_scale=SCALES, cell="lstm", sequence_length=60,
                               measure=["reach", "jacobian", "paths"])  # fmt: skip
    dashed = [any(isinstance(one, ContourSet) for one in ax.collections)
              for ax in plots.figure(results, look).axes]  # fmt: skip
    assert dashed == [True, True, False, False, False]


def test_panels_of_one_scale_have_it():
    """Those whose numbers are at the first of them alone."""
    results, look = results_of(cell=["rnn", "lstm"], ws_scale=SCALES[:7],
                               measure=["slopes", "factors"])  # fmt: skip
    figure = plots.figure(results, look)
    for one, other in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        if not other.yaxis.get_tick_params()["labelleft"]:
            assert one.get_ylim() == other.get_ylim()


def test_a_gate_has_its_name_over_seeds():
    results, _ = results_of(cell="lstm", seed=[0, 1, 2], over=True, measure="factors")
    [row] = MEASURES["factors"].drawn[0].of(results[0].measures["factors"].figures)
    assert row.name == "f keeps"


def test_all_together():
    results, look = results_of(cell="lstm", measure=OPTIONAL, title="All of them")
    figure = plots.figure(results, look)
    panels = [one for name in OPTIONAL for one in MEASURES[name].drawn]
    assert len(figure.axes) == 1 + sum(not isinstance(one, Overlay) for one in panels)
    assert {type(one) for one in panels} == {Lags, Overlay, Rows, Spectrum}
    assert_readable(figure)


def test_saved_results_are_drawn_the_same(tmp_path):
    results = gradflow.analyze({**SMALL, "cell": ["rnn", "gru"], "measure": OPTIONAL})
    results.save(tmp_path / "results.json")
    results.save(tmp_path / "drawn.svg")
    gradflow.load_results(tmp_path / "results.json").save(tmp_path / "again.svg")
    assert (tmp_path / "drawn.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()


def test_factors_that_were_not_asked_for_have_no_panel():
    results, look = results_of()
    assert "factors" in results[0].measures
    assert len(plots.figure(results, look).axes) == 1
