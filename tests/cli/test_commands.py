"""What each command prints, and with which exit code it ends."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np

import gradflow
from command import main
from gradflow import __version__
from gradflow.cells import CELLS


def test_analyze_shows_a_table_by_default(config, capsys):
    code, out, err = main(capsys, "analyze", config)
    assert (code, err) == (0, "")
    assert "horizon" in out
    assert "lstm" in out
    assert main(capsys, "analyze", config, "--format", "table") == (0, out, "")


def test_analyze_prints_csv_json_and_markdown(config, capsys):
    code, out, err = main(capsys, "analyze", config, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, err, len(rows)) == (0, "", 2 * 9)
    assert [row["lag"] for row in rows[:9]] == [str(lag) for lag in range(9)]
    code, out, err = main(capsys, "analyze", config, "--format", "json")
    parsed = json.loads(out)
    assert (code, err, parsed["gradflow"]) == (0, "", __version__)
    assert [r["cell"] for r in parsed["runs"]] == ["rnn", "lstm"]
    code, out, err = main(capsys, "analyze", config, "--format", "markdown")
    assert (code, err) == (0, "")
    assert "| lag |" in out


def test_quiet_leaves_stdout_empty(config, capsys):
    code, out, err = main(capsys, "analyze", config, "--quiet")
    assert (code, out) == (0, "")
    assert err.startswith("note: --quiet without --output")
    assert main(capsys, "analyze", config, "--quiet", "--output", "a.csv") == (0, "", "")


def test_a_diverged_run_is_told_on_stderr_where_the_format_has_no_words(config, capsys):
    diverging = ("--set", "cell=[rnn]", "--set", "cell[0].activation=linear", "--set",
                 "ws_scale=[1, 1e80]")  # fmt: skip
    code, out, err = main(capsys, "analyze", config, *diverging, "--format", "csv")
    assert code == 0
    assert "warning: run 1, W_s×1e+80: the forward state left float range at step" in err
    assert len(err.splitlines()) == 1
    assert len(out.splitlines()) == 1 + 2 * 9
    _, _, err = main(capsys, "analyze", config, *diverging, "--set", "ws_scale=1e80", "--format",
                     "csv")  # fmt: skip
    assert err.startswith("warning: run 0: the forward state")
    code, out, err = main(capsys, "analyze", config, *diverging)
    assert (code, err) == (0, "")
    assert "diverged" in out


def test_what_was_taken_for_granted_is_told_on_stderr_where_the_format_has_no_words(config, capsys):
    """Weights under weight drop: each note once, though there are three runs."""
    names = {"weight_ih_l0": (8, 2), "weight_hh_l0_raw": (8, 2)}
    np.savez("dropped.npz", **{name: np.ones(shape) for name, shape in names.items()})
    config.write_text("weights: dropped.npz\nsequence_length: 4\nws_scale: [0, 1, 2]\n")
    note = "note: weights under weight drop: the raw ones are taken, as in evaluation\n"
    for options in (["--format", "csv"], ["--format", "json"], ["-q", "-o", "r.csv"]):
        code, _, err = main(capsys, "analyze", config, *options)
        assert (code, err) == (0, note)
    code, out, err = main(capsys, "analyze", config)
    assert (code, err) == (0, "")
    assert note[6:-1] in " ".join(out.split())


def test_cells_tells_equations_options_and_citation_of_every_cell(capsys):
    code, out, _ = main(capsys, "cells")
    assert code == 0
    for name, cell in CELLS.items():
        block = out.split(f"\n{name}\n" if name != next(iter(CELLS)) else f"{name}\n")[1]
        assert all(f"{part}[t]" in block for part, _ in cell.equations.state)
        assert "(19" in block or "(20" in block or "arXiv" in block
        assert all(f"option {option}:" in block for option, _ in cell.equations.options)


def test_schema_is_json(capsys):
    code, out, _ = main(capsys, "schema")
    assert code == 0
    assert json.loads(out)["title"] == "Config"


def test_init_writes_a_config_that_runs_and_never_overwrites(config, capsys):
    code, out, err = main(capsys, "init", "new.yaml")
    assert (code, out) == (0, "")
    assert "next: gradflow analyze new.yaml" in err
    assert json.loads((config.parent / "gradflow.schema.json").read_text())
    small = ("--set", "sequence_length=3", "--set", "hidden_size=2", "--quiet")
    assert main(capsys, "analyze", "new.yaml", *small)[0] == 0
    before = config.read_bytes()
    code, out, err = main(capsys, "init", config)
    assert (code, out) == (2, "")
    assert err == f"{config}: error: there is a file of this name: give another\n"
    assert config.read_bytes() == before
    code, out, err = main(capsys, "init", "-")
    assert (code, out, err) == (0, (config.parent / "new.yaml").read_text(), "")


def test_verify_ends_with_0_where_all_holds(config, capsys):
    code, out, err = main(capsys, "verify", config)
    assert (code, err) == (0, "")
    assert "0 differ" in out


def put_wrong(monkeypatch, cell):
    """A pullback that is off by a millionth."""
    right = cell.pullback

    def wrong(views, w):
        right(views, w)
        views[-1][...] *= 1 + 1e-6  # dh_prev

    monkeypatch.setattr(cell, "pullback", wrong)


def test_verify_ends_with_1_where_a_pullback_is_wrong(config, capsys, monkeypatch):
    (cell,) = gradflow.load(config).runs[1].cells.values()
    put_wrong(monkeypatch, cell)
    code, out, err = main(capsys, "verify", config)
    assert (code, err) == (1, "")
    assert "NO, " in out.split("lstm")[1]
    assert "NO" not in out.split("lstm")[0]


def test_verify_takes_a_line_a_run_and_details_on_demand(config, capsys):
    sweep = ("--set", "cell=[rnn, lstm, gru]", "--set", "ws_scale=[0.5, 1, 2]")
    code, out, _ = main(capsys, "verify", config, *sweep)
    assert code == 0
    assert len(out.splitlines()) == 10
    assert out.splitlines()[0].startswith("rnn W_s×0.5 ")
    _, out, _ = main(capsys, "verify", config, *sweep, "--details")
    assert out.count("∂L/∂s, the state") == 9
    _, out, _ = main(capsys, "verify", config, "--set", "cell=rnn")
    assert out.count("∂L/∂s, the state") == 1


def test_a_run_that_differs_is_shown_in_detail(config, capsys, monkeypatch):
    _, cell = (cell for run in gradflow.load(config).runs for cell in run.cells.values())
    put_wrong(monkeypatch, cell)
    code, out, _ = main(capsys, "verify", config)
    line_of_rnn, line_of_lstm, head, *block = [line for line in out.splitlines() if line]
    assert code == 1
    assert line_of_rnn.startswith("rnn ")
    assert line_of_rnn.endswith("holds: yes")
    assert line_of_lstm.startswith("lstm ")
    assert "holds: NO, " in line_of_lstm
    assert head == "lstm"
    assert "NO, at lag" in "".join(block)


def test_verify_of_nothing_is_an_error_of_the_config(config, capsys):
    wild = ("--set", "cell={type: rnn, activation: linear}", "--set", "ws_scale=1e80")
    code, out, err = main(capsys, "verify", config, *wild)
    assert code == 2
    assert "left float range" in out
    assert err == "error: nothing could be compared, for the reasons above\n"


def test_cells_of_a_file_speaks_of_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(capsys, "cells", "./no.yaml") == (2, "", "./no.yaml: error: no such file\n")
    Path("long.yaml").write_bytes(b"#" * (3 << 20))
    message = "long.yaml: error: expected at most 1,048,576 bytes, found more\n"
    assert main(capsys, "cells", "long.yaml") == (2, "", message)
