from __future__ import annotations

import math
import re
from itertools import takewhile

import pytest
from made_results import SAMPLES, lengths, made, sweep, wide
from rich.cells import cell_len

import gradflow
from gradflow.formats import FORMATS, Look
from gradflow.formats.lags import choose_lags
from gradflow.results import Diagnosis

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def lines(results, **look):
    text = "".join(FORMATS["table"].show("results", results, Look(**look)))
    return text.split("\n")[:-1]


@pytest.mark.parametrize("tables", [None, True, False])
@pytest.mark.parametrize("width", [80, 120, 200])
def test_lines_fit_the_width_and_end_without_blanks(results, width, tables):
    for line in lines(results, width=width, tables=tables, title="long words " * 30):
        assert cell_len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("tables", [None, True])
def test_colour_adds_nothing_but_colour(results, tables):
    coloured = lines(results, colour=True, tables=tables, title="T")
    plain = lines(results, tables=tables, title="T")
    assert [ESCAPE.sub("", line) for line in coloured] == plain
    assert any("\x1b[" in line for line in coloured)


def test_a_title_is_shown_as_it_stands():
    assert lines([made()], title="[red]a[/red] :smile:")[0] == "[red]a[/red] :smile:"


def test_one_run_shows_every_chosen_lag_and_the_answer_in_words():
    page = lines([made()], lags=(0, 10, 80))
    rows = [line.split() for line in page if re.match(r" *\d+ ", line)]
    assert [row[:3] for row in rows] == [
        ["0", "0.0200", "1.00"],
        ["10", "0.00697", "0.349"],
        ["80", "4.4e-06", "2.2e-04↓"],
    ]
    assert "verdict    vanishing: falls below 0.001 of its start at lag 66" in page


@pytest.mark.parametrize(
    ("rate", "T", "shown"), [(0.5, 2000, "8.7e-603↓"), (1.5, 2500, "1.7e+440↑")]
)
def test_numbers_past_float_range_are_shown_with_their_exponent(rate, T, shown):
    assert any(shown in line for line in lines([made(rate=rate, T=T)], lags=(T,)))


def test_the_parts_of_an_lstm_show_where_there_is_room():
    wide_page = "\n".join(lines([made(cell="lstm")], width=110))
    assert "‖∂L/∂h‖" in wide_page
    assert "‖∂L/∂c‖" in wide_page
    assert "‖∂L/∂c‖" not in "\n".join(lines([made(cell="lstm")], width=80))
    assert "‖∂L/∂h‖" not in "\n".join(lines([made(cell="rnn")], width=200))


def test_bars_shrink_with_the_gradient():
    bars = [line.count("█") for line in lines([made(rate=0.5)]) if re.match(r" *\d+ ", line)]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] > 20
    assert bars[-1] == 0


def test_marks_and_colours_stand_exactly_beyond_the_thresholds():
    page = "\n".join(lines(sweep(), thresholds=(0.5, 2.0), colour=True))
    coloured = re.findall(r"\x1b\[(\d+)m[\d.e+-]+ *([↓↑])\x1b", page)
    assert set(coloured) == {("94", "↓"), ("31", "↑")}
    rows = re.findall(r"^ *\d+ (.*)$", ESCAPE.sub("", page), re.MULTILINE)[:19]
    cells = [cell for row in rows for cell in re.findall(r"([\d.]+(?:e[+-]\d+)?) *([↓↑]?)", row)]
    assert len(cells) == 19 * 5
    for number, mark in cells:
        assert mark == ("↓" if float(number) < 0.5 else "↑" if float(number) > 2 else "")


def test_no_marks_are_explained_where_none_occur():
    assert not [line for line in lines([made(rate=0.999)]) if re.search("[↓↑]", line)]


def test_columns_are_headed_by_what_varies_only():
    page = lines(sweep())
    assert page[0].startswith("T=100 · H=64")
    assert page[3].split() == ["rnn", "rnn", "rnn", "lstm", "lstm"]
    assert page[4].split() == ["lag", "W_s×0.5", "W_s×1.0", "W_s×1.5", "W_s×0.5", "W_s×1.0"]


def test_options_of_a_cell_head_a_column_a_line_each():
    page = lines(wide(), tables=True)
    [at] = [at for at, line in enumerate(page) if line.startswith("lag") and "seed 1 " in line]
    heads = ["gru", "reset=before", "update_bias=1.0", "T=100", "W_s orthogonal", "W_s×0.125"]
    assert all(head in line for head, line in zip(heads, page[at - 6 : at], strict=True))


def test_a_diverged_run_has_a_row_in_the_summary_and_one_line():
    page = lines(sweep())
    assert len([line for line in page if re.match(r"lstm +1\.5 .*diverged$", line)]) == 1
    assert page.count("lstm W_s×1.5: forward state left float range at step 37") == 1
    alone = "\n".join(lines([made(rate=None)]))
    assert alone.count("forward state left float range at step 37") == 1
    both = lines([made(run, rate=None, seed=run, varied=("seed",)) for run in range(2)])
    assert both.count("2 runs: 2 diverged.") == 1


def test_cells_past_the_end_of_a_shorter_run_are_blank():
    rows = {line.split()[0]: line.split()[1:] for line in lines(lengths())[4:24] if line}
    assert len(rows["1"]) == 3
    assert len(rows["30"]) == 2
    assert len(rows["100"]) == 1


def test_every_run_of_a_wide_sweep_is_in_the_summary_and_lag_tables_come_on_demand():
    asked, unasked = "\n".join(lines(wide(), tables=True)), "\n".join(lines(wide()))
    for run in range(12):
        assert re.search(rf"^ *{run}  .*(vanishing|stable|exploding)", unasked, re.MULTILINE)
        assert re.search(rf"seed {run}\b", asked)
        assert not re.search(rf"seed {run}\b", unasked)
    assert "--tables" in unasked
    assert "--tables" not in asked
    assert asked.index("verdict") < asked.index("seed 11")


def test_lag_tables_can_be_left_out():
    page = lines(sweep(), tables=False)
    assert not [line for line in page if line.startswith("lag")]
    assert "--tables" in page[-1]
    assert "verdict" in "\n".join(lines([made()], tables=False))


def test_the_summary_stays_whole_in_a_narrow_terminal():
    shown = "\n".join(lines(wide(), width=60))
    for result in wide():
        assert result.axes["cell"] in shown
        assert f"{result.diagnosis.rate:.4f}" in shown
    assert "…" not in shown.replace(", …, 100, log", "")  # of the lags that curves are drawn at


@pytest.mark.parametrize(
    ("result", "reach"),
    [
        (made(rate=0.9), "vanishing: falls below 0.001 of its start at lag 66"),
        (made(rate=1.2), "exploding: grows beyond 1000 times its start at lag 38"),
        (made(rate=0.99), "stable: stays between 0.001 and 1000 times its start up to lag 100"),
        (made(rate=1), "stable: stays between 0.001 and 1000 times its start up to lag 100"),
        (
            made(zero_from=12, diagnosis=Diagnosis("vanishing", horizon=12)),
            "vanishing: falls below 0.001 of its start at lag 12",
        ),
        (made(zero_from=0), "vanishing: no gradient reaches the last state"),
    ],
)
def test_the_answer_in_words(result, reach):
    assert f"verdict    {reach}" in lines([result])


def drawn(page):
    """The sparklines of a summary."""
    return [line.split()[-1] for line in page if "±" in line and "95" not in line]


def test_sparklines_share_one_scale():
    runs = [made(0, T=50, rate=1), made(1, T=100, rate=0.01), made(2, T=100, rate=100)]
    page = lines(
        [made(r.run, **dict(r.axes, T=r.sequence_length, rate=r.diagnosis.rate)) for r in runs],
        width=160,
    )
    flat, gone, grown = drawn(page)
    lags = choose_lags(100, "auto")
    assert len(gone) == len(grown) == len(lags)
    assert flat == "▅" * sum(lag <= 50 for lag in lags)
    assert gone == "▅▂" + "·" * (len(gone) - 2)
    assert grown == "▅▇" + "↑" * (len(gone) - 2)
    assert "log scale: ▁ 0.001 to █ 1000, · below, ↑ above." in "\n".join(page)


def test_a_long_sequence_is_drawn_at_log_spaced_lags():
    runs = [made(0, T=5000, rate=0.9, seed=0), made(1, T=5000, rate=0.99, seed=1)]
    short, long = drawn(lines(runs, width=160))
    assert len(set(short)) > 5
    assert len(short.rstrip("·")) < len(long.rstrip("·"))


def test_the_scale_is_the_range_that_is_there():
    page = lines([made(0, rate=0.99), made(1, rate=0.999)], width=160)
    assert [curve[0] for curve in drawn(page)] == ["█", "█"]
    assert "log scale: ▁ 0.1 to █ 1." in "\n".join(page)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_what_is_too_wide_gives_way_before_the_table_is_cut_in_two(width):
    page = lines(sweep(), width=width)
    heads = [line for line in page if "verdict" in line and "rate" not in line]
    assert len(heads) == 1
    assert heads[0].startswith("cell")
    assert heads[0].count("total") == 2
    assert ("Curves:" in "\n".join(page)) == (width >= 100)
    assert max(map(cell_len, page)) <= width


def test_what_does_not_fit_one_table_stands_in_a_second_with_the_curves():
    runs = [made(r, cell="gru[reset=before]", ws_scale=r / 8, varied=("cell", "ws_scale"))
            for r in range(12)]  # fmt: skip
    page = lines(runs, width=80)
    rows = [line for line in page if line.startswith("gru[reset=before]")]
    assert len(rows) == 24
    assert all(row.endswith("vanishing") for row in rows[:12])
    assert all(row[-1] in "·▁▂" for row in rows[12:])
    assert len([line for line in page if line.count("total") == 2]) == 1
    assert max(map(cell_len, page)) <= 80


@pytest.mark.parametrize("width", [40, 60, 72, 80, 84, 90, 100, 120, 160])
@pytest.mark.parametrize("some", [sweep, wide, lengths])
def test_totals_stand_in_the_summary_at_any_width(some, width):
    page = lines(some(), width=width)
    for total in ("∂L/∂W_s", "∂L/∂W_x"):
        assert len([line for line in page if total in line and "gradient" not in line]) == 1
    if width >= 60:
        assert max(map(cell_len, page)) <= width


def test_totals_stand_in_the_summary():
    page = lines([made(0), made(1)], width=160)
    (row, *_) = [line for line in page if line.startswith("0 ")]
    total = float(made().flow.totals["W_s"].floats())
    assert f"{total:.2f}" in row


def test_words_are_taught_where_they_occur_and_only_there():
    text = " ".join(lines([made(0), made(1, rate=0.999)], width=160))
    assert "rate: the factor per step back in time, of the typical sample." in text
    assert "half-life: the steps in which the gradient halves." in text
    assert "the gradient is below 0.001 of the start (vanishing); stable: at none up to T." in text
    assert "exploding" not in text
    grown = " ".join(lines([made(0, rate=1.2), made(1, rate=1.3)], width=160))
    assert "above 1000 times the start (exploding)." in grown
    assert "half-life:" not in grown
    flat = " ".join(lines([made(0, rate=1), made(1, rate=1)], width=160))
    assert "stable: between 0.001 and 1000 times the start up to T." in flat
    assert "half-life: the steps" in " ".join(lines([made()]))
    dead = Diagnosis("vanishing", no_rate="zero")
    assert "rate: the" not in " ".join(lines([made(0, diagnosis=dead), made(1, diagnosis=dead)]))


def test_notes_and_equal_runs_are_told_apart():
    page = lines([made(0, notes=("the file's [b]T[/b]",)), made(1)])
    assert "Note: run 0: the file's [b]T[/b]" in page


def test_a_loss_out_of_float_range_is_left_out():
    page = lines([made(rate=None, loss=math.inf)])
    assert not [line for line in page if line.startswith("loss")]


def test_every_sample_prints_something():
    assert all(lines(sample()) for sample in SAMPLES.values())


def test_what_the_gradient_is_of_stands_in_the_head():
    (alone, *_) = lines([made(objective="mse at the last step")], width=200)
    assert alone.endswith(" · mse at the last step")


def test_what_the_interval_is_of_is_said_beside_it():
    page = lines([made()], width=120)
    assert (
        "rate       0.9000 per step (95 % interval 0.8955 to 0.9045, of this net over inputs)"
        in page
    )
    text = "± 95 %: interval of this net's rate over inputs, not over other weights."
    assert text in lines(sweep(), width=120)


def test_a_horizon_that_says_more_than_the_verdict_has_a_line():
    found = Diagnosis("stable", 0.6, (0.5, 0.7), 1.4, None, None, 13)
    assert "horizon    > 5 (≈ 13)" in lines([made(T=5, diagnosis=found)])
    assert not [line for line in lines([made()]) if line.startswith("horizon")]


def test_no_rate_says_why():
    page = lines([made(diagnosis=Diagnosis("stable", no_rate="u-shaped"))], width=120)
    (line,) = [line for line in page if line.startswith("rate")]
    assert "U-shaped: the gradient falls and rises again" in line


def test_a_stack_says_what_its_curves_are_relative_to():
    layered = gradflow.analyze({"cell": "rnn", "layers": 2, "sequence_length": 8, "hidden_size": 4})
    page = " ".join(lines(layered, width=100))
    assert "at each lag over that of the whole net at lag 0. A lower layer has 0 there" in page
    probed = gradflow.analyze({"cell": "rnn", "layers": 2, "sequence_length": 8, "loss": "probe"})
    page = " ".join(lines(probed, width=100))
    assert "over that of the whole net at lag 0. " in page
    assert "A lower layer has 0" not in page
    assert "probe at the last step" in page


@pytest.mark.parametrize("bidirectional", [False, True])
def test_where_the_summary_is_split_each_row_still_says_of_which_part_it_is(bidirectional):
    """Of a run's parts the run's number alone would not."""
    net = {"cell": [{"type": "lstm", "forget_bias": 1.0}, "rnn"], "layers": [1, 2]}
    small = {"sequence_length": 12, "hidden_size": 4, "batch_size": 2}
    page = lines(gradflow.analyze({**net, **small, "bidirectional": bidirectional}), width=70)
    heads = [at for at, line in enumerate(page) if line.startswith("run ")]
    assert len(heads) > 1
    for at in heads:
        rows = [line.split() for line in takewhile(bool, page[at + 2 :])]
        named = [tuple(row[: 3 if bidirectional else 2]) for row in rows]
        assert len(rows) == len(set(named)) == (12 if bidirectional else 8)
    assert "A lower layer has 0 there" in " ".join(page)
