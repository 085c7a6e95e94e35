"""Two results, run by run: how far apart, and what makes them fail."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest

import gradflow
from formats.made_results import made, sweep
from gradflow.checks.checked import Checked, difference
from gradflow.checks.compare import TOLERANCE, Side, compare
from gradflow.cli import check as cli
from gradflow.formats.comparison import sentences
from gradflow.measures import UNASKED
from gradflow.measures.measured import Measured
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.pytest_plugin import GradientFlow
from gradflow.results import Diagnosis, LayerResult
from gradflow.testing import assert_gradient_flow

THRESHOLDS = (1e-3, 1e3)
DIRECTIONS = ("forward", "reverse")


def compared(before, after, tolerance=0.05, thresholds=THRESHOLDS):
    return compare(Side(before, THRESHOLDS), Side(after, thresholds), tolerance)


def shifted(result, name, lag, decades):
    """The result with one curve moved at one lag."""
    flow = result.flow

    def moved(curve):
        logs = curve.log10()
        logs[lag] += decades
        return Magnitudes.of(10.0**logs)

    if name == "grad_norm":
        return replace(result, flow=replace(flow, state=moved(flow.state)))
    if name == "grad_W_s":
        terms = {**flow.terms, "W_s": moved(flow.terms["W_s"])}
        return replace(result, flow=replace(flow, terms=terms))
    share = flow.share_W_s.copy()
    share[lag] *= 10**decades
    return replace(result, flow=replace(flow, share_W_s=share))


def test_the_same_results_are_alike():
    comparison = compared(sweep(), sweep(), tolerance=0.0)
    assert comparison.held
    assert len(comparison.pairs) == 6
    assert all(pair.largest.decades == 0 for pair in comparison.pairs)


@pytest.mark.parametrize("name", ["grad_norm", "grad_W_s", "share_W_s"])
@pytest.mark.parametrize("decades", [0.049, 0.051, -0.2])
def test_the_largest_deviation_of_any_curve_and_its_lag_are_found(name, decades):
    [pair] = compared([made(T=30)], [shifted(made(T=30), name, 7, decades)]).pairs
    found = next(one for one in pair.deviations if one.name == name)
    assert (found.lag, found.decades) == (7, pytest.approx(abs(decades), rel=1e-9))
    assert pair.largest.decades == found.decades
    assert pair.held == (abs(decades) <= 0.05)


def test_the_tolerance_is_the_last_that_passes():
    after = shifted(made(T=30), "grad_norm", 7, 0.25)
    [pair] = compared([made(T=30)], [after]).pairs
    assert compared([made(T=30)], [after], pair.largest.decades).held
    assert not compared([made(T=30)], [after], np.nextafter(pair.largest.decades, 0)).held


def test_zero_beside_zero_is_no_distance_and_beside_anything_else_an_infinite_one():
    dead = made(T=30, zero_from=12)
    assert compared([dead], [dead], 0.0).held
    [pair] = compared([dead], [made(T=30)]).pairs
    assert (pair.largest.decades, pair.held) == (math.inf, False)


def test_runs_are_paired_by_their_settings_whatever_their_order():
    before, after = sweep(), list(reversed(sweep()))
    comparison = compared(before, after)
    assert comparison.held
    for pair in comparison.pairs:
        ours, theirs = pair.runs
        assert before[ours].axes == sweep()[theirs].axes


def test_runs_on_one_side_only_fail_and_are_named():
    before, after = sweep()[:-1], sweep()[1:]
    comparison = compared(before, after)
    assert not comparison.held
    changes = {pair.name: pair.change for pair in comparison.pairs if pair.change}
    assert changes == {"lstm W_s×1.5": "appeared", "rnn W_s×0.5": "disappeared"}
    assert [pair.held for pair in comparison.pairs].count(False) == 2


def test_options_tell_runs_apart_where_labels_do_not():
    one, other = (replace(made(), options={"reset": reset}) for reset in ("after", "before"))
    assert [pair.change for pair in compared([one], [other]).pairs] == ["appeared", "disappeared"]


def test_runs_that_nothing_tells_apart_are_paired_in_order():
    comparison = compared([made(0), made(1, rate=0.5)], [made(0), made(1, rate=0.5)])
    assert comparison.held
    assert [pair.runs for pair in comparison.pairs] == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("rate", "chaotic"), [(1.2589, False), (1.26, True)])  # 10^(1/10) = 1.2589
def test_beyond_1e10_from_end_to_end_the_rates_are_compared_instead(rate, chaotic):
    before = made(rate=rate, T=100)
    after = shifted(before, "grad_norm", 50, 3.0)
    [pair] = compared([before], [after]).pairs
    assert (pair.chaotic is not None) == chaotic
    assert pair.held == chaotic
    if chaotic:
        assert "intervals overlap, curves do not count" in pair.chaotic


def test_in_chaos_intervals_that_do_not_overlap_fail():
    before, after = made(rate=1.3, T=100), made(rate=1.32, T=100)
    [pair] = compared([before], [after]).pairs
    assert not pair.held
    assert "do not overlap" in pair.chaotic
    close = replace(after, diagnosis=replace(after.diagnosis, rate_ci=(1.3065, 1.33)))
    assert compared([before], [close]).held  # 1.3065 is the upper end of the other
    alone = replace(after, diagnosis=replace(after.diagnosis, rate_ci=None))
    assert not compared([before], [alone]).held
    assert not compared([before], [replace(after, diagnosis=Diagnosis("exploding"))]).held


def test_in_chaos_curves_within_the_tolerance_are_enough():
    """An exactly straight curve, whose interval has no width, on two processors."""

    def straight(rate, more=0.0):
        one = shifted(made(rate=rate, T=100), "grad_norm", 50, more)
        return replace(one, diagnosis=replace(one.diagnosis, rate_ci=(rate, rate)))

    before, after = straight(1.5), straight(np.nextafter(1.5, 2))
    found = compared([before], [after])
    [pair] = found.pairs
    assert (pair.held, pair.chaotic, found.alike) == (True, None, ())
    assert 0 < pair.largest.decades < 1e-13
    assert list(sentences(found)) == ["1 run: 1 within 0.05 decades."]
    found = compared([before], [straight(1.6)], tolerance=1000)
    assert list(sentences(found)) == ["1 run: 1 within 1000 decades."]
    # further apart than that the intervals decide, which have room for the steps of float32
    for rate, held in ((1.5 * (1 + 1e-8), True), (1.5 * (1 + 1e-6), False)):
        found = compared([before], [straight(rate, more=0.3)])
        assert (found.held, len(found.close), len(found.alike)) == (held, 0, int(held))
        said = "1 run: 0 within 0.05 decades" + ", 1 by the rates' intervals" * held
        assert list(sentences(found))[-1] == f"{said}."


def test_chaos_of_one_side_is_enough():
    calm, wild = made(rate=1.25, T=100), made(rate=1.27, T=100)
    for before, after in ((calm, wild), (wild, calm)):
        assert compared([before], [after]).pairs[0].chaotic


def test_a_run_that_diverges_on_one_side_fails():
    good, bad = made(), made(rate=None)
    assert compared([bad], [bad]).held
    for before, after in ((good, bad), (bad, good)):
        [pair] = compared([before], [after]).pairs
        assert (pair.held, pair.largest.name) == (False, "verdict")
        assert "diverged at step 37" in difference(pair)


def test_a_horizon_moves_no_further_than_the_curve():
    """The curves cross the threshold one lag apart, because they are 0.03 decades apart."""
    before = made(rate=10**-0.1, T=40, start=1.0)  # 1e-3 at lag 30, which is not below it
    after = made(rate=10**-0.1, T=40, start=1.0)
    early, late = (
        replace(one, diagnosis=replace(one.diagnosis, horizon=lag, horizon_typical=lag))
        for one, lag in ((before, 31), (after, 32))
    )
    [pair] = compared([early], [late]).pairs
    horizon = next(one for one in pair.deviations if one.name == "horizon")
    assert (horizon.before, horizon.after) == ("31", "32")
    assert horizon.decades == 0  # at 31 and at 32 both curves are beyond the threshold
    never = replace(late, diagnosis=replace(late.diagnosis, horizon=None, verdict="stable"))
    [pair] = compared([never], [early]).pairs
    assert next(one for one in pair.deviations if one.name == "verdict").decades == 0
    inside = replace(early, diagnosis=replace(early.diagnosis, horizon=25))
    [pair] = compared([inside], [early]).pairs
    horizon = next(one for one in pair.deviations if one.name == "horizon")
    assert horizon.decades == pytest.approx(0.5)  # at lag 25 the other is at -2.5


def test_other_thresholds_are_a_distance_of_their_own():
    before, after = made(rate=0.9, T=40, start=1.0), made(rate=0.9, T=40, start=1.0)
    after = replace(after, diagnosis=replace(after.diagnosis, horizon=7, horizon_typical=7))
    [pair] = compared([before], [after], thresholds=(0.5, 2.0)).pairs
    assert not pair.held
    horizon = next(one for one in pair.deviations if one.name == "horizon")
    assert horizon.decades == pytest.approx(3 + 7 * math.log10(0.9))


def test_a_rate_on_one_side_only_fails():
    before = made(T=30)
    after = replace(before, diagnosis=replace(before.diagnosis, rate=None, rate_ci=None))
    [pair] = compared([before], [after]).pairs
    assert pair.largest.name.startswith("rate")
    assert (pair.largest.decades, pair.largest.after) == (math.inf, "none")


def test_places_are_compared_each():
    parts = [LayerResult(n, "forward", made(T=30).diagnosis, made(T=30).flow) for n in range(2)]
    before = replace(made(T=30), layers=tuple(parts))
    moved = shifted(made(T=30), "grad_norm", 3, 0.4)
    after = replace(before, layers=(parts[0], replace(parts[1], flow=moved.flow)))
    [pair] = compared([before], [after]).pairs
    assert pair.largest.name.endswith("_l1")
    assert pair.largest.decades == pytest.approx(0.4)
    [pair] = compared([before], [replace(before, layers=tuple(parts[:1]))]).pairs
    assert (pair.held, pair.largest.name) == (False, "layers")


def test_of_both_directions_the_horizon_and_verdict_of_the_whole_are_compared_too():
    """The one of its places that leaves the thresholds first is what they are of."""
    ours, theirs = made(rate=0.5, T=30), made(rate=0.3, T=30)

    def both(*of_places):
        parts = [LayerResult(0, d, made(T=30).diagnosis, made(T=30).flow) for d in DIRECTIONS]
        parts = [
            replace(part, diagnosis=one.diagnosis, flow=one.flow)
            for part, one in zip(parts, of_places, strict=True)
        ]
        return replace(ours, flow=None, layers=tuple(parts), diagnosis=of_places[0].diagnosis)

    [pair] = compared([both(ours, ours)], [both(ours, ours)]).pairs
    found = {one.name: one for one in pair.deviations}
    assert [found[name].decades for name in ("horizon", "horizon_typical", "verdict")] == [0, 0, 0]
    [pair] = compared([both(ours, ours)], [both(theirs, ours)]).pairs
    found = {one.name: one for one in pair.deviations}
    assert found["horizon"].decades == found["horizon_l0"].decades > 0.05
    assert (found["horizon"].before, found["horizon"].after) == (
        str(ours.diagnosis.horizon),
        str(theirs.diagnosis.horizon),
    )
    assert found["verdict"].decades == 0


@pytest.mark.parametrize(
    ("name", "one", "other", "decades"),
    [
        ("lyapunov_max", 0.01, -0.01, 0.02 / math.log(10)),
        ("lyapunov_1", 1.0, 1.5, 0.5 / math.log(10)),
        ("m_share", 0.5, 0.25, math.log10(2)),
        ("m_share", 0.0, 1e-4, 1e-4 / math.log(10)),
        ("m_share", 0.0, 0.5, math.inf),
        ("m_share", -2.0, 2.0, math.inf),
        ("m_share", -2.0, -4.0, math.log10(2)),
        ("m_word", "few", "few", 0.0),
        ("m_word", "few", "many", math.inf),
        ("m_word", None, "many", math.inf),
        ("m_none", None, None, 0.0),
        ("m_time", math.inf, math.inf, 0.0),
        ("m_time", 3.0, math.inf, math.inf),
        ("m_word", "calm", "calm", 0.0),
        ("m_word", "calm", "wild", math.inf),
        ("m_word", "calm", None, math.inf),
        ("m_word", None, "calm", math.inf),
        ("m_word", "calm", 2.0, math.inf),
        ("m_word", 2.0, "calm", math.inf),
    ],
)
def test_figures_of_measures_are_compared_too(name, one, other, decades):
    before, after = (
        replace(made(T=20), measures={"lyapunov": Measured(figures={name: value})})
        for value in (one, other)
    )
    [pair] = compared([before], [after]).pairs
    found = next(d for d in pair.deviations if d.name == name)
    assert found.decades == pytest.approx(decades)
    assert pair.held == (decades <= 0.05)


@pytest.mark.parametrize("first", [True, False])
def test_a_curve_that_only_one_side_has_is_as_far_apart_as_can_be(first):
    plain = made(T=20)
    curves = {"log10_sigma_max": np.zeros(21)}
    asked = replace(plain, measures={"jacobian": Measured(curves=curves)})
    [pair] = compared([asked], [asked]).pairs
    assert "log10_sigma_max" in {one.name for one in pair.deviations}
    sides = ([asked], [plain]) if first else ([plain], [asked])
    [pair] = compared(*sides).pairs
    found = next(one for one in pair.deviations if one.name == "log10_sigma_max")
    assert (found.decades, found.lag) == (math.inf, 0)
    assert not pair.held


def test_a_curve_of_a_measure_is_compared_past_float_range_too():
    def result(power):
        far = Magnitudes.read([f"{10 - lag}.0000000000000000e-{power}" for lag in range(1, 9)])
        return replace(made(T=7), measures={"theory": Measured(curves={"log10_predicted": far})})

    [pair] = compared([result(700)], [result(702)]).pairs
    found = next(one for one in pair.deviations if one.name == "log10_predicted")
    assert found.decades == pytest.approx(2)


def test_the_loss_and_totals_are_compared():
    before = made(T=20)
    [pair] = compared([before], [replace(before, loss=before.loss * 2)]).pairs
    assert (pair.largest.name, pair.held) == ("loss", False)
    totals = {**before.flow.totals, "W_s": Magnitudes.of(99.0)}
    [pair] = compared([before], [replace(before, flow=replace(before.flow, totals=totals))]).pairs
    assert (pair.largest.name, pair.held) == ("total_W_s", False)


def test_the_reach_of_several_losses_is_compared_by_the_ratio_of_horizons():
    def reaching(horizon, verdict="vanishing", of_reach=True):
        found = Diagnosis(verdict, 0.9, (0.8, 1.0), horizon=horizon, of_reach=of_reach)
        return replace(made(T=30), diagnosis=found)

    for before, after, decades in (
        (reaching(10), reaching(10), 0.0),
        (reaching(10), reaching(20), math.log10(2)),
        (reaching(20), reaching(10), math.log10(2)),
        (reaching(None, "stable"), reaching(31), 0.0),  # 31 is the first lag that is not there
        (reaching(None, "stable"), reaching(10), math.log10(3.1)),
        (reaching(10), reaching(10, of_reach=False), math.inf),
    ):
        [pair] = compared([before], [after]).pairs
        found = {one.name: one for one in pair.deviations}
        assert found["horizon"].decades == pytest.approx(decades)
        same = before.diagnosis.verdict == after.diagnosis.verdict
        assert found["verdict"].decades == pytest.approx(0.0 if same else decades)
        assert pair.held == (decades <= 0.05)
    assert found["horizon"].before == "10"
    [pair] = compared([reaching(None, "stable")], [reaching(10)]).pairs
    assert next(one for one in pair.deviations if one.name == "horizon").before == "> 30"


def test_a_net_that_is_dead_from_the_start_is_like_another_and_unlike_a_live_one():
    dead = replace(made(T=30, zero_from=0), diagnosis=Diagnosis("vanishing", horizon=0))
    other = replace(dead, diagnosis=Diagnosis("stable", horizon=3))
    [pair] = compared([dead], [other]).pairs
    found = {one.name: one.decades for one in pair.deviations}
    assert (found["horizon"], found["verdict"]) == (0.0, 0.0)  # both have no curve to read
    [pair] = compared([dead], [made(T=30)]).pairs
    assert next(one for one in pair.deviations if one.name == "horizon").decades == math.inf


def test_what_tells_runs_without_a_counterpart_apart_is_told():
    before = [made(r, cell, seed=0) for r, cell in enumerate(("rnn", "lstm"))]
    after = [made(r, cell, seed=4, T=50) for r, cell in enumerate(("rnn", "lstm"))]
    found = compared(before, after)
    assert found.unlike == {"sequence_length": (100, 50), "seed": (0, 4)}
    [said, _] = sentences(found)
    assert said == (
        "Runs are paired by their settings, and these differ: "
        "sequence_length 100 before, 50 after, seed 0 before, 4 after."
    )
    report = Checked("c.yaml", comparison=found, baseline="old.json")
    assert report.summary == f"4 runs compared with old.json: 0 as before. {said}"
    for other in (before, [*before, made(2, "gru")], before[:1]):
        assert compared(before, other).unlike == {}
    assert compared(before[:1], [made(0, "gru")]).unlike == {"cell": ("rnn", "gru")}


def test_a_run_by_itself_is_like_the_same_run_of_a_sweep():
    """The former has its factors measured, which nobody asked for."""
    alone = gradflow.analyze({"cell": "rnn", "sequence_length": 20})
    together = gradflow.analyze({"cell": ["rnn", "gru"], "sequence_length": 20})
    for before, after in ((alone, together), (together, alone)):
        pair = next(pair for pair in compared(before, after).pairs if pair.name.startswith("rnn"))
        assert pair.held
        assert pair.largest.decades == 0
    assert UNASKED in alone[0].measures
    assert UNASKED not in together[0].measures


@pytest.mark.parametrize(
    "function",
    [gradflow.check, assert_gradient_flow, GradientFlow.__call__, cli.check, cli.compare],
)
def test_every_way_in_has_the_same_tolerance(function):
    """Commands and plugin load `compare` late, and write its number themselves."""
    assert inspect.signature(function).parameters["tolerance"].default == TOLERANCE
