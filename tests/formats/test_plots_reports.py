"""Figures of a training's checkpoints, of critical values, of two results next to each other."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from made_results import made, sweep

from gradflow.checks.compare import Side, compare
from gradflow.config.load import from_mapping
from gradflow.criticality import Critical, Point
from gradflow.errors import InputError
from gradflow.formats.look import Look

pytest.importorskip("matplotlib")
from figure_checks import assert_readable, assert_same_bytes, holds, results_of, words

from gradflow.formats import FORMATS, PICTURES, plots
from gradflow.formats.plots.tracking import _shared
from gradflow.measures import ALWAYS, MEASURES
from pictures import IS_THAT

LOOK = Look(title="A title")


def checkpoints(count, folder="run/", **more):
    """A net whose rate rises from checkpoint to checkpoint."""
    found = []
    for i in range(count):
        result = made(rate=0.7 + 0.3 * i / max(count - 1, 1), **more)
        axes = {"checkpoint": f"{folder}epoch-{10 * i:03d}.pt", **result.axes}
        found.append(replace(result, axes=axes, varied=("checkpoint", *more)))
    return found


def twelve():
    return checkpoints(12)


def critical(cells=("rnn", "lstm", "gru"), seeds=(0, 1), missing=()):
    """Nets whose rate is (g / value)^½, value 1.5 and more."""
    experiment = from_mapping({"cell": list(cells), "seed": list(seeds), "hidden_size": 4})
    found = []
    for i, run in enumerate(experiment.runs):
        value = 1.5 + i / 2
        tried = tuple(Point(g, math.log(g / value) / 2, 0.01) for g in np.geomspace(0.1, 10, 9))
        ends = (tried[0], tried[-1])
        if run.cell.name in missing:
            found.append(Critical(i, run, "ws_scale", None, None, ends, 0, tried, "no crossing"))
            continue
        interval = (0.97 * value, 1.03 * value)
        found.append(Critical(i, run, "ws_scale", value, interval, ends, 1, tried, None, value))
    return found


def changed():
    """A sweep, and the same with one curve moved and one run gone."""
    before = sweep()
    after = [made(0, "rnn", rate=0.5, ws_scale=0.5, varied=("cell", "ws_scale")), *sweep()[1:5]]
    return compare(Side(before, LOOK.thresholds), Side(after, LOOK.thresholds))


REPORTS = {"tracking": twelve, "critical": critical, "comparison": changed, "runs": sweep}


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_is_drawn_and_the_same_whenever_it_is(kind):
    report = REPORTS[kind]()
    assert_readable(plots.figure(report, LOOK, kind))
    assert_same_bytes(report, LOOK, kind)
    assert all(kind in FORMATS[suffix].shows for suffix in PICTURES)
    [content] = FORMATS["svg"].show(kind, report, LOOK)
    assert content == plots.content(report, LOOK, "svg", kind)


# Checkpoints


def test_a_dozen_checkpoints_are_a_map_with_rate_and_horizon():
    report = twelve()
    figure = plots.figure(report, LOOK, "tracking")
    heat, rates, horizons = figure.axes
    assert [text.get_text() for text in heat.get_yticklabels()] == [
        f"{10 * i:03d}" for i in range(12)
    ]
    assert heat.get_ylabel() == "checkpoint epoch-*.pt"
    assert any(np.allclose(line.get_ydata(), [r.diagnosis.rate for r in report])
               for line in rates.lines if len(line.get_ydata()) == 12)  # fmt: skip
    reached = [r.diagnosis.horizon or 100 for r in report]
    assert any(np.array_equal(line.get_ydata(), reached) for line in horizons.lines)
    beyond = sum(line.get_marker() == "^" for line in horizons.lines)
    assert beyond == sum(r.diagnosis.horizon is None for r in report) > 0


@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_a_few_checkpoints_are_curves(count):
    report = checkpoints(count)
    figure = plots.figure(report, LOOK, "tracking")
    assert_readable(figure)
    for result in report:
        assert holds(figure.axes[0], result.flow.relative.log10())


@pytest.mark.parametrize("count", [4, 12])
def test_long_names_of_checkpoints_leave_room_for_the_panels(count):
    report = [
        replace(one, axes={**one.axes, "checkpoint":
                f"epoch={i:03d}-val={i}.123456789-{'x' * 90}-{i}-seed=42-lr=0.0003-{'y' * 90}.npz"})
        for i, one in enumerate(checkpoints(count))
    ]  # fmt: skip
    figure = plots.figure(report, LOOK, "tracking")
    assert_readable(figure)
    for ax in figure.axes:
        assert ax.get_position().width > 0.15
        boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_checkpoints_of_a_sweep_have_a_column_each():
    report = [*checkpoints(3, ws_scale=0.5), *checkpoints(3, ws_scale=1.0)]
    figure = plots.figure(report, LOOK, "tracking")
    assert len(figure.axes) == 6
    assert_readable(figure)
    assert {"W_s×0.5", "W_s×1.0"} <= set(words(figure))


def test_checkpoints_that_diverged_are_named():
    first, last = checkpoints(2)
    gone = replace(last, flow=None, diverged_at=3)
    text = " ".join(words(plots.figure([first, gone], LOOK, "tracking")))
    assert "diverged, not drawn: 010" in text
    lost = [first, *(replace(one, flow=None, diverged_at=3) for one in checkpoints(8)[1:])]
    assert "040, and 3 more" in " ".join(words(plots.figure(lost, LOOK, "tracking")))
    with pytest.raises(InputError, match="nothing to draw"):
        plots.figure([gone], LOOK, "tracking")


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["epoch-08.pt", "epoch-09.pt", "epoch-10.pt"], ("epoch-", ".pt")),
        (["a1b", "a11b"], ("a", "b")),
        (["same", "same"], ("same", "")),
        (["x", "yz"], ("", "")),
    ],
)
def test_what_names_share_cuts_no_number(names, shared):
    assert _shared(names) == shared


# Critical values


def test_every_net_crosses_at_its_value():
    report = critical(seeds=(0,))
    [ax] = plots.figure(report, LOOK, "critical").axes
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    theory = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"]
    assert dots == theory == [found.value for found in report]
    ax.figure.draw_without_rendering()
    heights = {line.get_marker(): line.get_transform().transform((dots[0], 0))[1]
               for line in ax.lines if line.get_marker() in ("o", "D")}  # fmt: skip
    assert heights["D"] < heights["o"] - 5  # points: none lies over the other
    for found in report:
        logs = [point.log_rate / math.log(10) for point in found.tried]
        assert any(np.allclose(line.get_ydata(), logs) for line in ax.lines
                   if len(line.get_ydata()) == len(logs))  # fmt: skip
        assert f"{found.value:.3g}" in words(ax)
    assert {"rnn", "lstm", "gru"} <= set(words(ax))


def test_seeds_share_a_colour_and_a_name():
    [ax] = plots.figure(critical(seeds=(0, 1, 2)), LOOK, "critical").axes
    dots = [line.get_color() for line in ax.lines if line.get_marker() == "o"]
    assert len(dots) == 9
    assert len(set(dots)) == 3
    assert "1.5 to 2.5" in words(ax)


def test_rates_beyond_the_scale_are_marked_at_its_edge():
    near, far = critical(cells=("rnn",), seeds=(0, 1))
    tried = tuple(replace(p, log_rate=10 * p.log_rate) for p in far.tried)
    figure = plots.figure([near, replace(far, tried=tried)], LOOK, "critical")
    [ax] = figure.axes
    low, high = ax.get_ylim()
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines
             if line.get_marker() in ("v", "^")}  # fmt: skip
    logs = [(point.value, point.log_rate / math.log(10)) for point in tried]
    assert marks == {(x, low if y < low else high) for x, y in logs if not low <= y <= high}
    assert {y for _, y in marks} == {low, high}
    assert "triangle: the rate is beyond the scale" in " ".join(words(figure))
    assert "triangle" not in " ".join(words(plots.figure([near], LOOK, "critical")))


def test_a_net_without_a_crossing_says_so():
    figure = plots.figure(critical(missing=("lstm",)), LOOK, "critical")
    assert_readable(figure)
    assert "no crossing" in words(figure.axes[0])


def test_notes_that_are_alike_are_one_and_none_goes_without_a_word():
    found = critical(cells=("rnn",), seeds=tuple(range(9)), missing=("rnn",))
    apart = [replace(one, note=f"note {i}") for i, one in enumerate(found)]
    for report, said in ((found, "seed 5, and 3 more: no crossing"), (apart, "and 5 more")):
        figure = plots.figure(report, LOOK, "critical")
        assert said in " ".join(words(figure))


def test_nets_that_have_nothing_to_vary_are_refused():
    nothing = [replace(found, tried=(), ends=None, value=None) for found in critical()]
    with pytest.raises(InputError, match="nothing to draw"):
        plots.figure(nothing, LOOK, "critical")


# Comparisons


def test_a_comparison_has_a_row_a_run_and_the_curves_of_the_most_distant():
    comparison = changed()
    distances, *curves = plots.figure(comparison, LOOK, "comparison").axes
    ends = (", disappeared", ", appeared")
    names = [text.get_text() for text in distances.get_yticklabels()]
    assert [name for name in names if name.endswith(ends)] == ["lstm W_s×1.5, disappeared"]
    names = [name.removesuffix(ends[0]) for name in names]
    assert sorted(names) == sorted(pair.name for pair in comparison.pairs)
    held = {pair.name: pair.held for pair in comparison.pairs}
    assert [held[name] for name in names] == sorted(held.values())
    by_name = {ax.get_title(loc="left"): ax for ax in curves}
    moved = next(p for p in comparison.pairs if not p.held and p.change is None)
    largest = next(one for one in moved.deviations if one.lag is not None)
    shown = next(
        curve.of for name in ALWAYS for curve in MEASURES[name].curves if curve.name == largest.name
    )
    for result in moved.results:
        assert holds(by_name[moved.name], shown(result.flow).log10())
    assert by_name[moved.name].get_ylabel() == largest.name
    assert {"before", "now"} <= set(words(by_name[moved.name]))


def test_runs_that_have_no_counterpart_say_on_which_side_they_are_and_why():
    before, after = ([made(0, cell, seed=seed, varied=("cell",)) for cell in ("rnn", "lstm")]
                     for seed in (0, 3))  # fmt: skip
    comparison = compare(*(Side(side, LOOK.thresholds) for side in (before, after)))
    figure = plots.figure(comparison, LOOK, "comparison")
    assert_readable(figure)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert set(names) == {f"{cell}, {change}" for cell in ("rnn", "lstm")
                          for change in ("appeared", "disappeared")}  # fmt: skip
    assert "seed 0 before, 3 after" in " ".join(words(figure))


@pytest.mark.parametrize("tolerance", [0.0, 1e-300, 1e-9, 0.05, 1e5])
def test_the_scale_of_distances_holds_the_tolerance(tolerance):
    """Also one far below what is otherwise told apart: points near it are where they are."""
    before, look = results_of(ws_scale=[0.5, 1.0])
    near = max(tolerance, 1e-12)
    after = [
        replace(one, diagnosis=replace(one.diagnosis, half_life=one.diagnosis.half_life * 10**near))
        for one in before
    ] if near < 1 else before  # fmt: skip
    comparison = compare(Side(before, look.thresholds), Side(after, look.thresholds), tolerance)
    figure = plots.figure(comparison, LOOK, "comparison")
    assert_readable(figure)
    ax, low, high = figure.axes[0], *figure.axes[0].get_xlim()
    marks = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 1]
    if tolerance:
        assert low + 1.5 <= math.log10(tolerance) <= high - 1.5
        for pair, mark in zip(comparison.pairs, marks, strict=True):
            far = pair.largest.decades if pair.largest else 0.0
            if far and low <= math.log10(far) <= high:
                assert mark == pytest.approx(math.log10(far))


def test_many_distances_have_a_row_of_their_own():
    """And do not stretch the curves beside them."""
    runs = [
        made(i, "rnn", rate=0.9, ws_scale=0.1 * (i + 1), varied=("ws_scale",)) for i in range(50)
    ]
    side = Side(runs, LOOK.thresholds)
    figure = plots.figure(compare(side, side), LOOK, "comparison")
    assert_readable(figure)
    distances, *curves = figure.axes
    height = figure.get_figheight()
    assert curves
    assert all(ax.get_position().height * height < 2.3 for ax in curves)
    assert all(ax.get_position().y1 < distances.get_position().y0 for ax in curves)


def test_results_that_did_not_change_are_compared():
    side = Side(sweep(), LOOK.thresholds)
    comparison = compare(side, side)
    figure = plots.figure(comparison, LOOK, "comparison")
    assert_readable(figure)
    assert "6 runs: 6 within 0.05 decades" in words(figure)


@pytest.mark.skipif(not IS_THAT, reason="other widths of letters, and so numbers less far apart")
def test_names_of_60_letters_leave_room_for_the_panels():
    """Of the nets of a critical scale and a comparison, whose scales keep their numbers apart."""
    long = {name: f"{name}{'x' * (60 - len(name))}" for name in ("rnn", "lstm")}

    def named(axes):
        return {**axes, "cell": long.get(axes["cell"], axes["cell"])}

    nets = [
        replace(one, run=replace(one.run, cell=replace(cell, equations=replace(
            cell.equations, name=long[cell.name]))))
        for one in critical(cells=("rnn", "lstm"), seeds=(0,)) for cell in [one.run.cell]
    ]  # fmt: skip
    runs = [replace(one, axes=named(one.axes)) for one in sweep()]
    moved = [replace(one, diagnosis=replace(one.diagnosis, half_life=1e9)) for one in runs]
    comparison = compare(Side(runs, LOOK.thresholds), Side(moved, LOOK.thresholds))
    for report, kind in ((nets, "critical"), (comparison, "comparison"), (runs, "results")):
        figure = plots.figure(report, LOOK, kind)
        assert_readable(figure)
        assert min(ax.get_position().width * figure.get_figwidth() for ax in figure.axes) > 0.9


def test_a_gradient_of_zero_is_named_as_one():
    """On either side of a comparison, where there is no curve."""
    config = {"loss": {"kind": "mse", "target": 0.0}, "wx_scale": 0}
    (before,), look = results_of(**config)
    after = replace(before, loss=1e9)
    comparison = compare(Side([before], look.thresholds), Side([after], look.thresholds))
    *_, ax = plots.figure(comparison, LOOK, "comparison").axes
    assert {"before: 0 from lag 0", "now: 0 from lag 0"} <= set(words(ax))


def test_a_layer_that_moved_is_drawn():
    """Of a bidirectional net, which has no one state, the layer that the distance is of."""
    config = {"cell": "rnn", "layers": 2, "bidirectional": True}
    (one,), look = results_of(**config)
    (other,), _ = results_of(**config, wx_scale=1.2)
    other = replace(other, axes=one.axes)
    comparison = compare(*(Side([result], look.thresholds) for result in (one, other)))
    [pair] = comparison.pairs
    moved = next(one for one in pair.deviations if one.lag is not None)
    _, ax = plots.figure(comparison, LOOK, "comparison").axes
    assert ax.get_ylabel() == moved.name.removeprefix("log10_")
    assert {"before", "now"} <= set(words(ax))
