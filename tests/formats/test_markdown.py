from __future__ import annotations

import re

import pytest
from made_results import made, sweep, wide

import gradflow
from gradflow.formats import FORMATS, Look
from printed import tables


def exported(results, **look):
    return "".join(FORMATS["markdown"].show("results", results, Look(**look)))


@pytest.mark.parametrize("asked", [None, True, False])
def test_every_row_of_a_table_has_as_many_cells_as_its_head(results, asked):
    text = exported(results, tables=asked)
    assert bool(tables(text)) == bool(results)  # whose parser takes no row of another length
    rules = re.findall(r"^\| :?--.*$", text, re.MULTILINE)
    assert all(re.fullmatch(r"\| ((:--|--:) \| )+", rule + " ") for rule in rules)


def test_a_table_has_a_row_per_run_and_one_per_lag():
    summary, lags = tables(exported(sweep(), lags=(0, 50, 100)))
    assert len(summary.rows) == 6
    assert [row[:3] for row in lags.rows] == [
        ["0", "1.00", "1.00"],
        ["50", "4.6e-18", "1.6e-04"],
        ["100", "2.1e-35", "2.7e-08"],
    ]


def test_text_reads_as_it_stands():
    text = exported([made(cell="rnn[f=a|b]")], title="a|b *c* _d_ e_f <g>")
    assert text.startswith(r"### a\|b \*c\* \_d\_ e_f \<g>" + "\n")
    assert r"rnn[f=a\|b]" in text


def test_a_wide_sweep_says_how_to_see_the_lags():
    assert "`--tables`" in exported(wide())
    assert len(tables(exported(wide()))) == 1
    assert len(tables(exported(wide(), tables=True))) == 2


def test_each_run_says_how_far_its_gradient_reaches():
    text = exported(sweep())
    assert "- rnn W_s×0.5: falls below 0.001 of its start at lag 9\n" in text
    assert "- lstm W_s×1.5: forward state left float range at step 37\n" in text


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_lower_layer_that_the_loss_reaches_later_is_not_dead(bidirectional):
    net = {"layers": 2, "bidirectional": bidirectional, "sequence_length": 40, "hidden_size": 4}
    results = gradflow.analyze({"cell": "rnn", "ws_scale": 0.3, **net})
    lower = next(part for part in results[0].layers if part.layer == 0)
    start = "its direction's start" if bidirectional else "the whole net's start"
    where = f"of {start} at lag {lower.diagnosis.horizon}"
    assert f"layer 0{' forward' if bidirectional else ''}: falls below 0.001 {where}" in exported(
        results
    )


def test_a_layer_that_no_gradient_reaches_says_so():
    dead = {"cell": {"type": "rnn", "activation": "relu"}, "input": "zeros", "layers": 2}
    text = exported(gradflow.analyze({**dead, "sequence_length": 5, "hidden_size": 3}))
    assert "- layer 0: no gradient reaches this layer\n" in text
    assert "- layer 1: falls below 0.001 of the whole net's start at lag 1\n" in text
