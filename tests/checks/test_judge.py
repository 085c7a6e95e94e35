"""Figures are read as they are, and judged by their intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import gradflow
from formats.made_results import made
from gradflow.checks.figures import NotMeasuredError, curves, kind_of, kinds, measure_of, read
from gradflow.checks.judge import first_misses, judge, judge_run
from gradflow.checks.wanted import Wanted, allows, without_place, written
from gradflow.measures.measured import Measured
from gradflow.results import Diagnosis


def of(diagnosis, **more):
    return replace(made(rate=0.9, T=20), diagnosis=diagnosis, **more)


def vanishing(rate=0.9, low=0.88, high=0.92, **more):
    interval = None if low is None else (low, high)
    return Diagnosis("vanishing", rate, interval, **more)


@pytest.mark.parametrize(
    ("bounds", "outcome", "off"),
    [
        ({"least": 0.88}, "held", ""),
        ({"most": 0.92}, "held", ""),
        ({"least": 0.88, "most": 0.92}, "held", ""),
        ({"least": 0.87, "most": 0.93}, "held", ""),
        ({"least": 0.8800001}, "undecided", "0.02 within it"),
        ({"most": 0.9199999}, "undecided", "0.02 within it"),
        ({"least": 0.92}, "undecided", "0.02 too small"),
        ({"most": 0.88}, "undecided", "0.02 too large"),
        ({"most": 0.9}, "undecided", "at the bound"),
        ({"most": 0.89}, "undecided", "0.01 too large"),
        ({"least": 0.91}, "undecided", "0.01 too small"),
        ({"least": 0.88, "most": 0.9}, "undecided", "at the bound"),  # the upper one
        ({"most": 0.8799}, "missed", "0.0201 too large"),
        ({"least": 0.9201}, "missed", "0.0201 too small"),
        ({"least": 0.95, "most": 1.05}, "missed", "0.05 too small"),
        ({"one_of": (0.9,)}, "undecided", "at the bound"),
        ({"one_of": (1.0,)}, "missed", "0.1 too small"),
    ],
)
def test_a_rate_is_judged_by_its_interval(bounds, outcome, off):
    found = judge_run(Wanted("rate", **bounds), of(vanishing()))
    assert found.outcome == outcome
    assert found.got == "0.9 (0.88 to 0.92)"
    if "rate" and bounds.get("least") != 0.8800001 and bounds.get("most") != 0.9199999:
        assert found.off == off
    else:
        assert found.off.endswith("within it")


@pytest.mark.parametrize("figure", ["rate", "horizon", "half_life"])
def test_no_bound_holds_of_a_gradient_that_is_no_number(figure):
    lost = of(Diagnosis("unknown", None, None, no_rate="lost"))
    for bound in ({"least": 0}, {"most": math.inf}):
        found = judge_run(Wanted(figure, **bound), lost)
        assert (found.outcome, found.got) == ("missed", "unknown: the gradient is no number")


def test_what_lies_at_the_lower_bound_is_not_too_small():
    found = judge_run(Wanted("rate", least=0.9, most=0.91), of(vanishing(0.9, 0.9, 0.92)))
    assert (found.outcome, found.off) == ("undecided", "0.01 within it")


def test_an_exact_rate_holds_its_own_bound_and_both_at_once():
    exact = of(vanishing(0.5, 0.5, 0.5))
    for bounds in ({"least": 0.5}, {"most": 0.5}, {"least": 0.5, "most": 0.5}, {"one_of": (0.5,)}):
        assert judge_run(Wanted("rate", **bounds), exact).outcome == "held"


@pytest.mark.parametrize(
    ("diagnosis", "got"),
    [
        (vanishing(0.9, None), "0.9 without an interval"),
        (Diagnosis("vanishing", no_rate="bent"), "no rate (bent)"),
    ],
)
def test_a_rate_without_an_interval_is_undecided_and_fails_unless_allowed(diagnosis, got):
    wanted = Wanted("rate", most=2.0)
    found = judge_run(wanted, of(diagnosis))
    assert (found.outcome, found.got, found.fails) == ("undecided", got, True)
    assert not judge_run(replace(wanted, allow_undecided=True), of(diagnosis)).fails


def test_what_is_missed_fails_though_undecided_is_allowed():
    found = judge_run(Wanted("rate", most=0.5, allow_undecided=True), of(vanishing()))
    assert (found.outcome, found.fails) == ("missed", True)


@pytest.mark.parametrize("name", ["horizon", "horizon_typical"])
def test_a_horizon_never_reached_is_infinite(name):
    never = of(Diagnosis("stable", 1.0, (1.0, 1.0)))
    found = judge_run(Wanted(name, least=1e9), never)
    assert (found.outcome, found.got, found.value) == ("held", "> 20", math.inf)
    found = judge_run(Wanted(name, most=50), never)
    assert (found.outcome, found.off) == ("missed", "infinitely too large")
    at_17 = of(replace(never.diagnosis, **{name: 17}))
    assert judge_run(Wanted(name, least=17), at_17).outcome == "held"
    assert judge_run(Wanted(name, least=20), at_17).off == "3 too small"
    assert judge_run(Wanted(name, most=10), at_17).off == "7 too large"


@pytest.mark.parametrize(
    ("interval", "outcome", "value"),
    [
        ((1.01, 1.03), "held", math.inf),
        ((1.0, 1.0), "held", math.inf),
        ((0.99, 1.03), "held", math.inf),  # at least 69 steps
        ((0.9, 1.1), "undecided", math.inf),  # at least 6.6 steps
        (None, "undecided", None),
    ],
)
def test_a_half_life_is_infinite_where_the_gradient_does_not_vanish(interval, outcome, value):
    found = judge_run(
        Wanted("half_life", least=20), of(Diagnosis("stable", 1.02, interval and interval))
    )
    assert (found.outcome, found.value) == (outcome, value)


def test_a_half_life_that_is_known_is_taken_as_it_is():
    result = of(vanishing(half_life=6.5788))
    assert judge_run(Wanted("half_life", least=6.5, most=6.6), result).outcome == "held"
    assert judge_run(Wanted("half_life", least=20), result).off == "13.4 too small"


def test_words_are_one_of_those_allowed():
    result = of(vanishing())
    assert judge_run(Wanted("verdict", one_of=("stable", "vanishing")), result).outcome == "held"
    found = judge_run(Wanted("verdict", one_of=("stable",)), result)
    assert (found.outcome, found.got, found.off) == ("missed", "vanishing", "")
    assert judge_run(Wanted("no_rate", one_of=("bent",)), result).got == "none"


@pytest.mark.parametrize("figure", ["horizon", "rate", "loss", "half_life", "total_W_s", "verdict"])
def test_a_diverged_run_holds_nothing_but_that_it_did(figure):
    diverged = made(rate=None)
    bounds = {"one_of": ("stable",)} if figure == "verdict" else {"least": -math.inf}
    found = judge_run(Wanted(figure, **bounds), diverged)
    assert (found.outcome, found.got) == ("missed", "diverged at step 37")
    wanted = Wanted("verdict", one_of=("stable", "diverged"))
    assert judge_run(wanted, diverged).outcome == "held"


def test_columns_are_read_at_their_lag_and_missed_in_decades():
    result = made(rate=0.1, T=20, start=1.0)
    found = judge_run(Wanted("relative", lag=3, least=1e-2), result)
    assert (found.outcome, found.off) == ("missed", "1 decade too small")
    assert judge_run(Wanted("log10_relative", lag=3, least=-3.001), result).outcome == "held"
    assert judge_run(Wanted("log10_grad_norm", lag=3, most=-3.1), result).outcome == "missed"
    assert judge_run(Wanted("share_W_s", lag=4, least=0.25, most=0.25), result).outcome == "held"
    assert judge_run(Wanted("log10_p50", lag=0, most=0.1), result).outcome == "held"


def test_a_magnitude_past_float_range_is_compared_as_it_is():
    result = made(rate=0.5, T=2000, start=1.0)
    assert isinstance(read(result, Wanted("relative", lag=2000)).value, Decimal)
    assert judge_run(Wanted("relative", lag=2000, most=0.0), result).outcome == "missed"
    assert judge_run(Wanted("relative", lag=2000, least=1e-300), result).outcome == "missed"
    assert judge_run(Wanted("relative", lag=2000, least=0.0, most=1e-300), result).outcome == "held"
    large = made(rate=2.0, T=2000, start=1.0)
    assert judge_run(Wanted("relative", lag=2000, most=1e300), large).outcome == "missed"


def test_a_gradient_that_is_zero_from_the_start_is_zero_relative_to_it():
    dead = made(T=30, zero_from=0)
    found = judge_run(Wanted("relative", lag=5, least=1e-6), dead)
    assert (found.outcome, found.got) == ("missed", "0, as it is at lag 0")


def test_totals_and_the_loss():
    result = made(T=20)
    assert judge_run(Wanted("total_W_s", least=5.65, most=5.66), result).outcome == "held"
    assert judge_run(Wanted("total_W_s", most=0.5657), result).off == "1 decade too large"
    assert judge_run(Wanted("loss", most=0.5), result).off == "0.0134 too large"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("relative", lag=21), "its last lag is 20"),
        (Wanted("grad_W_s", lag=20), "grad_W_s ends at lag 19"),
        (Wanted("grad_c", lag=3), "it has no grad_c"),
        (Wanted("total_other"), "it has no total_other"),
        (Wanted("rate", place=(1, "forward")), "the net has no layer 1"),
        (Wanted("rate", place=(0, "reverse")), "the net has no layer 0 in reverse"),
        (Wanted("gates_f_p50"), "it has no gates_f_p50"),
    ],
)
def test_what_was_not_measured_is_said(wanted, message):
    with pytest.raises(NotMeasuredError, match=message):
        read(made(T=20), wanted)
    with pytest.raises(gradflow.InputError, match=message):
        judge([wanted], [made(T=20)])


def test_the_figures_of_a_measure_are_read_and_its_note_is_told():
    measured = {"m": Measured(figures={"m_count": 3, "m_word": "few", "m_none": None}, note="so")}
    result = replace(made(T=20), measures=measured)
    assert read(result, Wanted("m_count")).value == 3.0
    assert read(result, Wanted("m_word")).value == "few"
    assert judge_run(Wanted("m_none", least=0), result).outcome == "undecided"
    with pytest.raises(NotMeasuredError, match="it has no m_other: so"):
        read(result, Wanted("m_other"))


@pytest.mark.parametrize("both", [False, True])
def test_every_place_has_figures_of_its_own(both):
    config = {"cell": "gru", "layers": 2, "bidirectional": both, "sequence_length": 8}
    [result] = gradflow.analyze({**config, "hidden_size": 3, "input_size": 2, "batch_size": 2})
    for part in result.layers:
        place = (part.layer, part.direction)
        assert read(result, Wanted("rate", place=place)).value == part.diagnosis.rate
        got = read(result, Wanted("grad_norm", place=place, lag=3)).value
        assert got == part.flow.state.floats()[3]
        total = read(result, Wanted("total_W_s", place=place)).value
        assert total == float(part.flow.totals["W_s"].floats())
    with pytest.raises(NotMeasuredError, match="the net as a whole"):
        read(result, Wanted("loss", place=(0, "forward")))
    if both:
        with pytest.raises(NotMeasuredError, match="by layer and direction"):
            read(result, Wanted("total_W_s"))
        with pytest.raises(NotMeasuredError, match="by layer and direction"):
            read(result, Wanted("relative", lag=1))


def test_a_net_of_one_place_is_its_first_layer_too():
    result = made(T=20)
    assert read(result, Wanted("rate", place=(0, "forward"))) == read(result, Wanted("rate"))


def test_runs_are_those_that_where_names():
    results = [made(0, "rnn"), made(1, "lstm[forget_bias=1.0]"), made(2, "lstm", ws_scale=2.0)]
    wanted = Wanted("verdict", one_of=("stable",))
    for where, runs in (
        ({}, [0, 1, 2]),
        ({"cell": ("lstm",)}, [1, 2]),
        ({"cell": ("lstm[forget_bias=1.0]", "rnn")}, [0, 1]),
        ({"ws_scale": (2,)}, [2]),
        ({"cell": ("lstm",), "ws_scale": (1.0,)}, [1]),
    ):
        found = judge([replace(wanted, where=where)], results)
        assert [one.run for one in found] == runs
    with pytest.raises(gradflow.InputError, match="matches no run: none has seed 3"):
        judge([replace(wanted, where={"seed": (3,)})], results)


def test_true_is_not_one_and_an_option_that_is_not_there_is_not_met():
    assert not allows((1,), "bidirectional", {"bidirectional": True})
    assert not allows((True,), "layers", {"layers": 1})
    assert allows((True,), "bidirectional", {"bidirectional": True})
    assert not allows((1.0,), "forget_bias", {"cell": "rnn"})


def test_the_first_run_that_misses_is_named_with_how_many_do():
    results = [replace(made(n, T=20), diagnosis=Diagnosis("stable", horizon=h))
               for n, h in enumerate((30, 9, 8))]  # fmt: skip
    wanted = [Wanted("horizon", least=10), Wanted("horizon", least=1)]
    [(first, count)] = first_misses(judge(wanted, results))
    assert (first.run, count) == (1, 2)


def test_names_say_their_place():
    assert without_place("rate_l0") == ("rate", (0, "forward"))
    assert without_place("rate_l12_reverse") == ("rate", (12, "reverse"))
    assert without_place("rate_low") == ("rate_low", None)
    assert Wanted("rate", place=(1, "reverse")).name == "rate_l1_reverse"
    assert Wanted("relative", lag=5, least=1).what == "relative at lag 5"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("horizon>=100", ("horizon", "min", "100")),
        (" rate <= 1.02 ", ("rate", "max", "1.02")),
        ("verdict=stable", ("verdict", "is", "stable")),
        ("verdict==stable", ("verdict", "is", "stable")),
        ("horizon ≥ 3", ("horizon", "min", "3")),
        ("horizon>100", None),
        ("horizon", None),
        (">=3", None),
    ],
)
def test_an_expectation_of_the_command_line(text, told):
    assert written(text) == told


def test_every_figure_and_column_has_a_kind():
    for name in ("rate", "horizon", "verdict", "loss", "total_W_o", "projected_horizon"):
        assert kind_of(name) is not None
    assert kind_of("rate_ci") is None
    assert kind_of("hidden_size") is None
    assert {"grad_norm", "log10_grad_norm", "relative", "log10_grad_W_s", "log10_p90"} <= set(
        curves()
    )
    assert "log10_share_W_s" not in curves()
    assert measure_of("rate") is None
    assert set(kinds([])) <= set(kinds())


def test_unknown_numbers_are_undecided():
    result = replace(made(T=20), loss=math.nan)
    assert judge_run(Wanted("loss", most=1e9), result).outcome == "undecided"
    nowhere = replace(result.flow, share_W_s=np.full(20, np.nan))
    found = judge_run(Wanted("share_W_s", lag=3, least=0), replace(result, flow=nowhere))
    assert (found.outcome, found.got) == ("undecided", "unknown")
