"""What reads as Markdown: any text as it is, and the tables of every command that prints some,
with the numbers that its CSV or JSON has. (Those of `analyze` are in test_outputs.py.)"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from command import main
from gradflow.cells import CELLS
from gradflow.formats import words
from gradflow.formats.markdown import escaped, fenced, prose, table
from printed import plain_text, tables

GOLDEN = Path(__file__).parent / "golden"
NASTY = st.text(
    st.one_of(st.sampled_from(list("\\`*_<>|~&#[]()!-+=.:1a ")), st.characters(codec="utf-8"))
)


def inlines(text):
    """The kind of block and the text of every piece of prose."""
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [
        (found[at - 1].type, plain_text(token))
        for at, token in enumerate(found)
        if token.type == "inline"
    ]


@given(NASTY.map(words.clean).filter(bool))
@example("1. a")
@example("[x] task")
@example("[a]: b")
@example("![a](b) <b> &lt; a_b _c_ **d** `e` ~~f~~ a|b \\| #")
@example("__0__")
@example("- - -")
@example("=")
def test_any_text_reads_as_it_stands(text):
    assert inlines(f"### {escaped(text)}\n") == [("heading_open", text)]
    assert inlines(f"- {prose(text)}\n") == [("paragraph_open", text)]
    assert inlines(f"{prose(text)}\n") == [("paragraph_open", text)]
    [(head, rows)] = tables("".join(table([("a", ["1"]), (text, [text])], left=1)))
    assert (head, rows) == (["a", text], [["1", text]])


@given(st.text(st.sampled_from("`a\n ")))
def test_any_code_stays_in_its_block(text):
    [token] = MarkdownIt("commonmark").parse("".join(fenced(text, "text")))
    assert (token.type, token.content.rstrip()) == ("fence", text.rstrip())


def test_columns_of_one_name_stay_apart():
    [(head, rows)] = tables("".join(table([("a", ["1"]), ("a", ["2"])])))
    assert (head, rows) == (["a", "a"], [["1", "2"]])


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A config next to three checkpoints, whose recurrent weights grow."""
    with np.load(GOLDEN / "trained.npz") as arrays:
        for epoch in range(3):
            grown = {name: array * (1 + epoch) for name, array in arrays.items()}
            np.savez(tmp_path / f"epoch-{epoch}.npz", **grown)
    (tmp_path / "c.yaml").write_text("batch_size: 2\nsequence_length: 20\nws_scale: [0.5, 1]\n")
    shutil.copy(GOLDEN / "trained.npz", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys, *arguments):
    code, out, err = main(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("net", [[], ["--set", "lags=[0, 3, 7]"]])
def test_track(training, capsys, net):
    command = ["track", "c.yaml", *(f"epoch-{epoch}.npz" for epoch in range(3)), *net]
    rows = csv.DictReader(io.StringIO(printed(capsys, *command, "--format", "csv")))
    [(head, shown)] = tables(printed(capsys, *command, "--format", "markdown"))
    for row, texts in zip(rows, shown, strict=True):
        cells = dict(zip(head, texts, strict=True))
        assert cells["checkpoint"] == row["checkpoint"]
        assert float(cells["W_s×"]) == float(row["ws_scale"])
        assert cells["verdict"] == row["verdict"]
        assert cells["horizon"].split()[0] == (row["horizon"] or ">")
        lags = [name for name in row if name.startswith("log10_grad_lag_")]
        assert len(lags) == sum(name.startswith("lag ") for name in head) > 2
        for name in lags:
            assert cells[f"lag {name.rsplit('_', 1)[1]}"] == f"{float(row[name]):.2f}"


def test_inspect(training, capsys):
    text = printed(capsys, "inspect", "trained.npz", "--format", "markdown")
    found = json.loads(printed(capsys, "inspect", "trained.npz", "--format", "json"))
    tensors, nets = tables(text)
    assert [(row[0], row[1], row[2]) for row in tensors.rows] == [
        (one["name"], " × ".join(map(str, one["shape"])), one["dtype"]) for one in found["tensors"]
    ]
    assert [
        dict(zip(nets.head, row, strict=True)) | {"layer": int(row[nets.head.index("layer")])}
        for row in nets.rows
    ] == [
        {
            "net": net["prefix"],
            "layer": layer["layer"],
            "direction": layer["direction"],
            "cell": net["cell"],
            "I": str(layer["input_size"]),
            "H": str(layer["hidden_size"]),
            "convention": layer["convention"],
        }
        for net in found["nets"]
        for layer in net["layers"]
    ]
    (block,) = [t for t in MarkdownIt("commonmark").parse(text) if t.type == "fence"]
    assert yaml.safe_load(block.content) == yaml.safe_load(found["config"])


@pytest.mark.parametrize("name", ["sweep", "bidirectional", "diverged"])
def test_verify(capsys, name):
    config = GOLDEN / f"{name}.yaml"
    text = printed(capsys, "verify", config, "--format", "markdown")
    found = json.loads(printed(capsys, "verify", config, "--format", "json"))
    [(head, rows)] = tables(text)
    held = 0
    for texts in rows:
        cells = dict(zip(head, texts, strict=True))
        quantity = cells["quantity"].split(",")[0].split()[0].removeprefix("∂L/∂")
        compared = [
            one
            for one in found["runs"][int(cells["run"])]["comparisons"]
            if one["quantity"] == quantity
        ]
        held += len(compared)
        lags = [one["lag"] for one in compared]
        assert cells["lags"] == f"{min(lags)}..{max(lags)} ({len(lags)})"
        worst = max(compared, key=lambda one: one["error"])
        assert math.isclose(float(cells["complex step"]), worst["complex_step"], rel_tol=1e-6)
        assert float(cells["error"]) == float(f"{worst['error']:.1e}")
        assert cells["holds"] == "yes"
    assert held == sum(len(one["comparisons"]) for one in found["runs"])
    assert f"{held} comparisons: {held} hold" in text
    skipped = [one for one in found["runs"] if one["skipped"]]
    assert text.count("not compared:") == len(skipped)


def test_cells(capsys):
    text = printed(capsys, "cells", "--format", "markdown")
    found = json.loads(printed(capsys, "cells", "--format", "json"))["cells"]
    assert [one["name"] for one in found] == list(CELLS)
    assert [name for kind, name in inlines(text) if kind == "heading_open"] == list(CELLS)
    with_options = [one for one in found if one["options"]]
    for (head, rows), cell in zip(tables(text), with_options, strict=True):
        assert head == ["option", "values", "default", "meaning"]
        assert rows == [[str(value) for value in option.values()] for option in cell["options"]]
    assert [t.content.rstrip() for t in MarkdownIt().parse(text) if t.type == "fence"] == [
        cell["step"].rstrip() + (f"\noutput: {cell['output']}" if cell["output"] else "")
        for cell in found
    ]
