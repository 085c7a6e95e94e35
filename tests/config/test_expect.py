"""`expect:` is read, and everything wrong with it is told at once, each fault by its place."""

from __future__ import annotations

import math

import pytest

import gradflow
from command import main
from gradflow.checks.judge import judge
from gradflow.config import expectation
from gradflow.config.expect import from_options, load_expected
from gradflow.config.load import load
from measures.throwaway import added, removed

BASE = "cell: [rnn, {type: lstm, forget_bias: 1.0}]\nws_scale: [0.5, 1.0]\nsequence_length: 20\n"


def expected(tmp_path, lines, base=BASE, overrides=()):
    path = tmp_path / "net.yaml"
    path.write_text(base + "expect:\n" + "".join(f"  - {line}\n" for line in lines))
    return load_expected(path, overrides)[1]


def faults(tmp_path, lines, **more):
    with pytest.raises(gradflow.InputError) as caught:
        expected(tmp_path, lines, **more)
    return [str(one).partition("net.yaml:")[2] for one in caught.value.faults]


def test_an_expectation_becomes_one_wanted_a_figure(tmp_path):
    one, other, third = expected(
        tmp_path,
        [
            "{where: {cell: lstm, ws_scale: [0.5, 1]}, horizon: {min: 100}, rate_l0: {max: 1}}",
            "{relative: {lag: 5, min: 1e-2, max: .inf}, allow_undecided: true}",
        ],
    )
    assert (one.figure, one.place, one.least, one.most, one.line) == (
        "horizon", None, 100.0, None, 5)  # fmt: skip
    assert one.where == {"cell": ("lstm",), "ws_scale": (0.5, 1)}
    assert (other.figure, other.place, other.most, other.item) == ("rate", (0, "forward"), 1.0, 0)
    assert (third.lag, third.least, third.most, third.line) == (5, 1e-2, math.inf, 6)
    assert (third.allow_undecided, one.allow_undecided, third.item) == (True, False, 1)
    assert one.source == str(tmp_path / "net.yaml")


@pytest.mark.parametrize(
    ("line", "one_of"),
    [
        ("{verdict: stable}", ("stable",)),
        ("{verdict: [stable, exploding]}", ("stable", "exploding")),
        ("{verdict: {is: stable}}", ("stable",)),
        ("{layers_: 1}", None),
        ("{loss: 0.5}", (0.5,)),
        ("{loss: {is: 1}}", (1.0,)),
    ],
)
def test_what_stands_alone_is_what_it_is_to_be(tmp_path, line, one_of):
    if one_of is None:
        assert faults(tmp_path, [line])
    else:
        assert expected(tmp_path, [line])[0].one_of == one_of


def test_the_first_and_the_last_lag_can_be_meant(tmp_path):
    lines = ["{relative: {lag: 0, min: 1}}", "{relative: {lag: 20, min: 0}}"]
    assert [one.lag for one in expected(tmp_path, lines)] == [0, 20]


def test_one_mapping_may_stand_alone(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(BASE + "expect: {horizon: {min: 3}}\n")
    assert len(load_expected(path)[1]) == 1


FAULTS = [
    ("{horizn: {min: 3}}", "4:6: error: expect[0].horizn: unknown figure; did you mean horizon?"),
    ("{where: {cel: lstm}, horizon: {min: 3}}", "where.cel: unknown setting; did you mean cell?"),
    ("{where: {cell: lsmt}, rate: {min: 1}}", "matches no run: cell is rnn, lstm; did you mean"),
    ("{where: {ws_scale: 3}, rate: {min: 1}}", "matches no run: ws_scale is 0.5, 1 here"),
    ("{where: {cell: [rnn, lsmt]}, rate: {min: 1}}", "expect[0].where.cell[1]: matches no run"),
    ("{where: {cell: [gru, rnn]}, rate: {min: 1}}", "expect[0].where.cell[0]: matches no run"),
    ("{where: {ws_scale: [0.5, 2]}, rate: {min: 1}}", "where.ws_scale[1]: matches no run: ws_sc"),
    ("{where: {seed: [0, 7]}, rate: {min: 1}}", "where.seed[1]: matches no run: seed is 0 here"),
    ("{where: {forget_bias: [1, 3]}, rate: {min: 1}}", "where.forget_bias[1]: matches no run"),
    ("{where: {cell: rnn, forget_bias: 1.0}, rate: {min: 1}}", "none has all of this at once"),
    ("{where: {reset: after}, rate: {min: 1}}", "no cell of this config has the option reset"),
    ("{where: {horizon: 3}, rate: {min: 1}}", "horizon is a figure: it is written next to `where`"),
    ("{where: {cell: {type: lstm}}, rate: {min: 1}}", "expected a value, or a list of them"),
    ("{where: {ws_scale: .nan}, rate: {min: 1}}", "expected a value, or a list of them"),
    ("{where: {ws_scale: []}, rate: {min: 1}}", "expected a value, or a list of them"),
    ("{where: lstm, rate: {min: 1}}", "expected a mapping such as {cell: lstm"),
    ("{rate: {min: 1.02, max: 0.98}}", "1.02 is above max, 0.98: are they swapped?"),
    ("{rate: {min: .nan}}", "expect[0].rate.min: expected a number, found .nan"),
    ("{rate: {min: fast}}", 'expected a number, found "fast"'),
    ("{loss: {min: -inf}}", 'expected a number, found "-inf": write -.inf'),
    ("{loss: {max: Infinity}}", 'expected a number, found "Infinity": write .inf'),
    ("{rate: {min: true}}", "expected a number, found true"),
    ("{rate: {min: 1, is: 1}}", "is given next to min or max"),
    ("{rate: {mn: 1}}", "expect[0].rate.mn: unknown bound; did you mean min?"),
    ("{rate: {}}", "expected a number, or a mapping such as {min: 0.98, max: 1.02}"),
    ("{rate: }", "expected a number, found nothing"),
    ("{rate: {min: 1, lag: 3}}", "this figure is one of the whole run: leave lag out"),
    ("{relative: {min: 1}}", "is a column against lag: add the lag"),
    (
        "{relative: {lag: 21, min: 1}}",
        "lag: expected at most 20, the last lag of relative, found",
    ),
    (
        "{grad_W_x: {lag: 20, min: 1}}",
        "lag: expected at most 19, the last lag of grad_W_x, found",
    ),
    (
        "{share_W_s: {lag: 20, min: 1}}",
        "expected at most 19, the last lag of share_W_s, found 20",
    ),
    ("{log10_grad_c: {lag: 2, min: 1}}", "rnn has no such part: its state is h"),
    (
        "{where: {cell: lstm}, grad_other: {lag: 2, min: 1}}",
        "no such parameters: it has W_x, W_s, b_s",
    ),
    ("{total_other: {min: 1}}", "rnn has no such parameters: it has W_x, W_s, b_s"),
    ("{loss_l0: {min: 1}}", "the loss is one of the net as a whole"),
    ("{total_W_S: {min: 1}}", "unknown figure; did you mean total_W_s?"),
    (
        "{lyapunov_mx: {min: 1}}",
        "unknown figure; did you mean lyapunov_max? (add `measure: [lyapunov]`)",
    ),
    ("{lyapunov_1: {min: 1}}", "lyapunov_1 is not measured: add `measure: [lyapunov]`"),
    ("{relative: {lag: 1.5, min: 1}}", "expected a whole number from 0, found 1.5"),
    ("{relative: {lag: -1, min: 1}}", "expected a whole number from 0, found -1"),
    ("{verdict: stabel}", 'found "stabel"; did you mean stable?'),
    ("{verdict: {min: 3}}", "verdict is a word"),
    ("{verdict: []}", "expected vanishing or exploding"),
    ("{verdict: }", "stable or unknown or diverged, found nothing"),
    ("{no_rate: {is: }}", "expected u-shaped or bent or zero or short or lost, found nothing"),
    ("{ws_scale: {min: 1}}", "ws_scale is a setting: it belongs under `where`"),
    ("{reset: after}", "reset is a setting: it belongs under `where`"),
    ("{rate_l1: {min: 1}}", "the net has no such place: it has one layer"),
    ("{rate_l0_reverse: {min: 1}}", "the net has no such place"),
    ("{where: {cell: rnn}}", "names no figure"),
    ("{allow_undecided: 1, rate: {min: 1}}", "expected true or false, found 1"),
    ("3", "expected a mapping such as {where: {cell: lstm}, horizon: {min: 100}}, found 3"),
]


@pytest.mark.parametrize(("line", "message"), FAULTS)
def test_a_fault_is_told_with_its_place(tmp_path, line, message):
    (told,) = faults(tmp_path, [line])
    if "cell: lsmt" in line:
        message = "matches no run: cell is rnn, lstm[forget_bias=1] here"
    if message.startswith("4:"):
        message = "5" + message[1:]
    assert message in told
    assert told.startswith("5:")


def test_all_faults_are_told_at_once_those_of_the_config_too(tmp_path):
    lines = [line for line, _ in FAULTS]
    told = faults(tmp_path, lines)
    assert len(told) == len(FAULTS)
    assert [int(one.split(":")[0]) for one in told] == list(range(5, 5 + len(FAULTS)))
    told = faults(tmp_path, ["{horizn: 3}"], base=BASE + "hiden_size: 3\n")
    assert len(told) == 2
    assert "did you mean hidden_size" in told[0]


@pytest.mark.parametrize("fault", ["hiden_size: 3", "bias_scale: x", "seed: 2\nseed: 3"])
def test_what_is_sound_of_a_config_is_compared_with_its_expectations(tmp_path, fault):
    base = f"cell: [rnn, {{type: lstm}}]\nws_scale: [0.5, 1]\nsequence_length: 9\n{fault}\n"
    lines = [
        "{where: {cell: lsmt}, horizon: 3}",
        "{where: {ws_scale: [1, 2]}, horizon: 3}",
        "{relative: {lag: 10, min: 1}}",
        "{lyapunov_max: {min: 0}}",
    ]
    right = ["{where: {cell: lstm, ws_scale: 0.5, seed: 7}, relative: {lag: 9, min: 0}}"]
    at_fault, *told = faults(tmp_path, right, base=base)
    assert told == []
    assert fault.split(":")[0] in at_fault
    told = faults(tmp_path, right + lines, base=base + "measure: gates\n")
    for message in ("matches no run: cell is rnn, lstm here; did you mean lstm?",
                    "where.ws_scale[1]: matches no run: ws_scale is 0.5, 1 here",
                    "expected at most 9, the last lag of relative, found 10",
                    "lyapunov_max is not measured: add `measure: [lyapunov]`"):  # fmt: skip
        assert sum(message in one for one in told) == 1, message
    assert len(told) == 1 + len(lines)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("mesure: lyapunov", "{lyapunov_max: {min: 0}}"),
        ("sequence_lenght: 200", "{relative: {lag: 150, min: 0}}"),
        ("ws_scal: 3", "{where: {ws_scale: 3}, horizon: 3}"),
        ("ws_scale: [1, x]", "{where: {ws_scale: 3}, horizon: 3}"),
        ("sequence_length: long", "{relative: {lag: 150, min: 0}}"),
        ("weights: gone.npz", "{where: {cell: lstm}, horizon: 3}"),
    ],
)
def test_what_is_not_known_of_a_config_is_not_held_against_it(tmp_path, fault, line):
    (told,) = faults(tmp_path, [line], base=f"cell: rnn\n{fault}\n")
    assert told.startswith("2:")


def test_a_net_of_two_directions_has_curves_and_totals_by_place(tmp_path):
    base = "cell: rnn\nsequence_length: 9\nbidirectional: true\n"
    told = faults(tmp_path, ["{total_W_s: 3}", "{relative: {lag: 3, min: 1}}"], base=base)
    assert len(told) == 2
    assert all("has curves and totals by layer and direction, as in rate_l0" in one for one in told)
    sound = "{total_W_s_l0: {min: 0}, relative_l0_reverse: {lag: 3, min: 0}, horizon: {min: 0}}"
    assert len(expected(tmp_path, [sound], base)) == 3


def test_places_of_a_stacked_net_are_named(tmp_path):
    base = "cell: gru\nlayers: 2\nbidirectional: true\n"
    lines = ["{rate_l1_reverse: {min: 0}}"]
    assert expected(tmp_path, lines, base)[0].place == (1, "reverse")
    (told,) = faults(tmp_path, ["{rate_l2: {min: 0}}"], base=base)
    assert "_l0, _l0_reverse, _l1, _l1_reverse" in told


def test_overrides_are_expected_too_and_name_themselves(tmp_path):
    wanted = expected(tmp_path, ["{horizon: {min: 3}}"], overrides=["expect[0].horizon.min=5"])
    told = (wanted[0].least, wanted[0].line, wanted[0].source)
    assert told == (5.0, None, "--set expect[0].horizon.min=5")
    path = tmp_path / "net.yaml"
    with pytest.raises(gradflow.InputError, match="--set expect=3: error: expect: expected a map"):
        load_expected(path, ["expect=3"])
    assert load_expected(path, ["expect={horizon: {min: 9}}"])[1][0].line is None


def test_a_figure_of_a_measure_has_to_be_asked_for(tmp_path, monkeypatch):
    before = added(tmp_path, monkeypatch)
    try:
        (told,) = faults(tmp_path, ["{sizes_rms: {min: 0}}"])
        assert "sizes_rms is not measured: add `measure: [sizes]`" in told
        (told,) = faults(tmp_path, ["{sizes_h_word: {is: small}}"])
        assert "add `measure: [sizes]`" in told
        (told,) = faults(tmp_path, ["{log10_line: {lag: 2, min: 0}}"])
        assert "add `measure: [sizes]`" in told
        base = BASE + "measure: [sizes]\n"
        lines = ["{sizes_rms: {min: 0}}", "{log10_line: {lag: 2, min: 0}}", "{sizes_h_word: small}"]
        assert len(expected(tmp_path, lines, base)) == 3
        (told,) = faults(tmp_path, ["{sizes_h_word: 3}"], base=base)
        assert "expected a word, found 3" in told
    finally:
        removed(before)


@pytest.mark.parametrize("lines", [["{horizn: 3}"], ["{where: {cel: 1}}"], []])
def test_analyze_does_not_look_at_it(tmp_path, lines, capsys):
    path = tmp_path / "net.yaml"
    path.write_text(BASE)
    without = load(path)
    shown = main(capsys, "analyze", path, "--format", "json")
    path.write_text(BASE + "expect:" + "".join(f"\n  - {line}" for line in lines) + "\n")
    assert load(path).config == without.config
    assert main(capsys, "analyze", path, "--format", "json") == shown


@pytest.mark.parametrize("lines", [["&a {horizon: 3}", "*a"], ["*a"]])
def test_what_is_wrong_with_the_yaml_is_told_alone(tmp_path, lines):
    told = faults(tmp_path, lines)
    assert len(told) == len(lines)
    assert all("anchors and aliases are not read" in one for one in told)


def test_options_of_the_command_line():
    experiment = gradflow.load({"cell": "rnn"})
    one, other = from_options(["horizon>=100", "verdict=stable"], experiment)
    assert (one.figure, one.least, one.source) == ("horizon", 100.0, "--expect horizon>=100")
    assert other.one_of == ("stable",)
    texts = [
        "horizn>=3",
        "rate>3",
        "horizon=>10",
        "rate=<1",
        "loss>=x",
        "relative>=1",
        "rate>=[",
        "rate>=.nan",
    ]
    with pytest.raises(gradflow.InputError) as caught:
        from_options(texts, experiment)
    told = [str(fault) for fault in caught.value.faults]
    assert len(told) == len(texts)
    for text, message in zip(
        texts,
        ["did you mean horizon?", "expected NAME>=NUMBER", "did you mean >=?", "did you mean <=?",
         'found "x"', "a column against lag",
         "--expect rate>=[", "found .nan"],
        strict=True,
    ):  # fmt: skip
        assert any(f"--expect {text}" in one and message in one for one in told), text


def test_figures_of_the_measures_that_come_along(tmp_path):
    base = "cell: [lstm, rnn]\nsequence_length: 20\nmeasure: [gates, paths]\n"
    lines = [
        "{where: {cell: lstm}, gates_f_p50: {min: 0.4, max: 0.6}}",
        "{where: {cell: lstm}, log10_direct_path: {lag: 9, max: 0}}",
    ]
    wanted = expected(tmp_path, lines, base)
    results = gradflow.analyze(load(tmp_path / "net.yaml"))
    assert [one.outcome for one in judge(wanted, results)] == ["held", "held"]
    (told,) = faults(tmp_path, ["{gates_f_p5: {min: 0.4}}"], base=base)
    assert "did you mean gates_<gate>_p50?" in told
    (told,) = faults(tmp_path, ["{where: {cell: lstm}, gates_F_p50: {min: 0}}"], base=base)
    assert "lstm has no gate F; did you mean f?" in told
    (told,) = faults(tmp_path, ["{gates_f_p50: {min: 0}}"], base=base)
    assert told.endswith("rnn has no gate f")
    wanted = expected(tmp_path, ["{direct_share: {lag: 3, min: 0}}"], base)
    with pytest.raises(gradflow.InputError) as caught:
        judge(wanted, results)
    (fault,) = caught.value.faults
    assert "run 1 (rnn): it has no direct_share: rnn has no " in str(fault)


def test_of_thousands_of_faults_some_are_told_and_no_time_is_lost(tmp_path, monkeypatch):
    asked = []
    really = expectation.nearest
    monkeypatch.setattr(expectation, "nearest", lambda *a: asked.append(a) or really(*a))
    told = faults(tmp_path, ["{horizn: {min: 3}}"] * 5000)
    assert len(told) <= 101
    assert len(asked) <= 101
    told = faults(tmp_path, ["{" + ", ".join(f"horizn{n}: 3" for n in range(5000)) + "}"])
    assert len(told) <= 101
    assert len(asked) <= 202
