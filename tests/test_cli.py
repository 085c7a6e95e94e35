from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow
from command import GRADFLOW, LOUD, main, run
from gradflow import __version__
from gradflow.cells import CELLS
from gradflow.formats import for_screen

SMALL = "cell: [rnn, lstm]\nsequence_length: 8\nhidden_size: 4\nbatch_size: 3\ninput_size: 2\n"
COMMANDS = ("analyze", "verify", "cells", "schema", "init")


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path / "c.yaml"


# What each command prints


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


def test_verify_ends_with_1_where_a_pullback_is_wrong(config, capsys, monkeypatch):
    (cell,) = gradflow.load(config).runs[1].cells.values()
    right = cell.pullback

    def wrong(views, w):
        right(views, w)
        views[-1][...] *= 1 + 1e-6  # dh_prev

    monkeypatch.setattr(cell, "pullback", wrong)
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
    right = cell.pullback

    def wrong(views, w):
        right(views, w)
        views[-1][...] *= 1 + 1e-6  # dh_prev

    monkeypatch.setattr(cell, "pullback", wrong)
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


# Help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    code, out, err = main(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: gradflow {command}")
    if command in ("analyze", "verify"):
        assert "CONFIG" in out
        assert "--set" in out


def test_help_teaches(capsys):
    code, out, _ = main(capsys, "--help")
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)
    for code in (0, 1, 2, 3, 130):
        assert f"\n    {code}  " in out
    assert "gradflow analyze gradflow.yaml --format csv > flow.csv" in out
    assert "--install-completion" in out
    assert main(capsys, "analyze", "--help")[1].count("gradflow analyze ") >= 5


def test_the_examples_of_the_help_work(config, capsys, monkeypatch):
    """Every `gradflow analyze` line of the help, on a small config of the name it uses."""
    import shlex

    text = main(capsys, "--help")[1] + main(capsys, "analyze", "--help")[1]
    for name in ("gradflow.yaml", "config.yaml"):
        (config.parent / name).write_text(SMALL.replace("[rnn, lstm]", "lstm"), encoding="utf-8")
    lines = [line.split("  ")[0] for line in map(str.strip, text.splitlines())]
    examples = [line for line in lines if line.startswith("gradflow analyze ")]
    assert len(examples) >= 6
    for example in examples:
        words = shlex.split(example.split(" | ")[0].split(" > ")[0])
        assert main(capsys, *words[1:])[0] == 0, example


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),
        (["analyse"], "No such command 'analyse'. Did you mean 'analyze'?"),
        (["analyze"], "Missing argument 'CONFIG'"),
        (["analyze", "c.yaml", "--formt", "csv"], "No such option: --formt"),
        (["analyze", "c.yaml", "--format", "xml"], "'xml' is not one of"),
        (["analyze", "c.yaml", "d.yaml"], "unexpected extra argument"),
        (["analyze", "c.yaml", "--set"], "requires an argument"),
        (["cells", "--nope"], "No such option: --nope"),
    ],
    ids=str,
)
def test_a_wrong_command_line_ends_with_2(config, capsys, arguments, message):
    code, out, err = main(capsys, *arguments)
    assert code == 2
    assert message in out + err
    assert "Traceback" not in err


# Output files


def test_several_outputs_each_in_the_format_of_its_suffix(config, capsys):
    names = ["a.csv", "a.json", "a.md", "a.TXT"]
    outputs = [word for name in names for word in ("--output", name)]
    code, out, _ = main(capsys, "analyze", config, *outputs, "--format", "csv")
    assert code == 0
    texts = [(config.parent / name).read_text() for name in names]
    assert texts[0] == out
    assert len(json.loads(texts[1])["runs"]) == 2
    assert "| lag |" in texts[2]
    assert "horizon" in texts[3]
    assert b"\r" not in (config.parent / "a.csv").read_bytes()


def test_what_is_wrong_with_outputs_is_told_before_any_work(config, capsys, monkeypatch):
    monkeypatch.setattr("gradflow.runs.runner.execute", lambda *_: pytest.fail("worked"))
    (config.parent / "folder.csv").mkdir()
    arguments = ["--output", "a.xls", "--output", "b", "--output", "c.csv", "--output", "./c.csv"]
    code, out, err = main(capsys, "analyze", config, *arguments)
    suffixes = ".txt, .csv, .json, .md, .svg, .png, .pdf, .html"
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"a.xls: error: --output: expected a name that ends in one of {suffixes}",
        f"b: error: --output: expected a name that ends in one of {suffixes}",
        "c.csv: error: --output: is c.csv, another output: give another name",
    ]
    for name, reason in (
        ("folder.csv", "expected a file to write to, found a folder"),
        ("no/where.csv", "cannot be written: No such file or directory"),
        ("c.yaml/x.csv", "cannot be written: Not a directory"),
    ):
        code, out, err = main(capsys, "analyze", config, "--output", "ok.csv", "--output", name)
        assert (code, out, err) == (2, "", f"{name}: error: {reason}\n")
    assert sorted(os.listdir(config.parent)) == ["c.yaml", "folder.csv"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_outputs_keep_links_and_modes_and_obey_the_umask(config, capsys):
    folder = config.parent
    (folder / "there").mkdir()
    real, link, new = folder / "there" / "real.csv", folder / "link.csv", folder / "new.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    before = os.umask(0o027)
    try:
        assert main(capsys, "analyze", config, "--output", link, "--output", new)[0] == 0
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert real.read_text() == new.read_text() != "old"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (real, new)] == [0o640, 0o640]
    assert sorted(os.listdir(folder)) == ["c.yaml", "link.csv", "new.csv", "there"]


# Standard input, streams, terminal


def test_dash_reads_the_config_from_standard_input(config):
    ended = run("analyze", "-", "--format", "csv", input=SMALL)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == 1 + 2 * 9
    ended = run("analyze", "-", input="cell: rnn\nsed: 1\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "-:2:1: error: sed: unknown key; did you mean seed?\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            pytest.param(
                ["analyze", "c.yaml", "--format", name],
                marks=() if name in ("table", "markdown") else pytest.mark.fuzz,
            )
            for name in for_screen("results")
        ),
        ["verify", "c.yaml"],
        ["--help"],
        ["analyze", "--help"],
        ["analyze", "\x1b[31m", "--set", "\x1b[0m", "--output", "\x1b[1m"],
        ["\x1b[31m"],
    ],
    ids=lambda words: " ".join(words).replace("\x1b", "ESC"),
)
def test_no_escape_byte_reaches_a_pipe(config, arguments):
    config.write_text(SMALL + 'title: "\\e[31mred"\n', encoding="utf-8")
    ended = run(*arguments, env=LOUD)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert ended.returncode in (0, 2)
    assert "Traceback" not in ended.stderr


def on_a_terminal(*arguments, env):
    """What a terminal of 80 columns gets to see."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **env}
    with subprocess.Popen(
        [*GRADFLOW, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(ours)
    return process.returncode, seen.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colour_and_rows_that_fit(config):
    code, seen = on_a_terminal("analyze", "c.yaml", env={})
    assert code == 0
    assert "\x1b[" in seen
    code, plain = on_a_terminal("analyze", "c.yaml", env={"NO_COLOR": "1"})
    assert code == 0
    assert "\x1b[3" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    code, seen = on_a_terminal("analyze", "c.yaml", "--format", "csv", env={})
    assert "\x1b" not in seen
    code, dumb = on_a_terminal("analyze", "c.yaml", env={"TERM": "dumb"})
    assert dumb == plain


def test_completion_as_typer_gives_it():
    named = {
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"
    }  # not asked of the processes above
    ended = run("--show-completion", "bash", env=named)
    assert ended.returncode == 0
    assert "complete_bash" in ended.stdout
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "gradflow an",
                     "COMP_CWORD": "1"})  # fmt: skip
    assert "analyze" in ended.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--set", "cell", "=", "ls"], ["lstm", "lstmp"]),
        (["--set", "dtype", "="], ["float64", "float32"]),
        (["--set", "cell", "=", "rnn", "--set", "dtype", "=", "float3"], ["float32"]),
        (["--set", "cell", "=", "rnn", "--set", "hid"], ["hidden_size=", "hidden_size=64"]),
        (["--set", "ws_init=orth"], ["ws_init=orthogonal"]),
    ],
)
def test_bash_breaks_words_at_the_equals_sign(words, offered):
    words = ["gradflow", "analyze", "c.yaml", *words]
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words),
                     "COMP_CWORD": str(len(words) - 1)})  # fmt: skip
    assert ended.stdout.split() == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_puts_no_blank_behind_a_key(tmp_path):
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = run("--show-completion", "bash", env=named).stdout
    (tmp_path / "gradflow").write_text(f'#!/bin/sh\nexec {" ".join(GRADFLOW)} "$@"\n')
    (tmp_path / "gradflow").chmod(0o755)
    asked = "COMP_WORDS=(gradflow analyze c.yaml --set hid); COMP_CWORD=4; _gradflow_completion " \
            "gradflow; echo ${#COMPREPLY[@]} ${COMPREPLY[*]}"  # fmt: skip
    folder = Path(gradflow.__file__).parent.parent
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(["bash", "--norc", "-c", f"{script}\n{asked}"],
                           check=True, text=True, stdout=subprocess.PIPE, cwd=folder,
                           env={**os.environ, "PATH": path})  # fmt: skip
    assert ended.stdout.split() == ["2", "hidden_size=", "hidden_size=64"]


def test_cells_completes_its_name():
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "gradflow\ncells\nls",
                     "COMP_CWORD": "2"})  # fmt: skip
    assert ended.stdout.split() == ["lstm", "lstmp"]


# Start-up


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"numpy", "rich", "pydantic", "yaml", "gradflow.engine.flow"}),
        (["--version"], {"numpy", "rich", "pydantic", "yaml", "gradflow.engine.flow"}),
        (["cells"], {"rich", "gradflow.engine.flow", "gradflow.config"}),
        (["schema"], {"rich"}),
    ],
    ids=["--help", "--version", "cells", "schema"],
)
def test_nothing_is_imported_before_it_is_used(arguments, heavy):
    script = (
        "import sys\nfrom gradflow.__main__ import main\n"
        f"sys.argv = ['gradflow', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout
    assert not heavy & set(ended.stderr.split())


def test_importing_the_library_loads_nothing():
    script = "import sys, gradflow; print('numpy' in sys.modules, 'typer' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "False False\n"


# Determinism


def test_same_config_same_bytes(config, capsys):
    arguments = ("analyze", config, "--format", "json")
    first, again = main(capsys, *arguments), main(capsys, *arguments)
    assert first == again
    assert run(*arguments).stdout == first[1]


# Colour, characters, short flags


def test_force_color_colours_a_table_in_a_pipe_and_nothing_else(config):
    forced = {"FORCE_COLOR": "1"}
    assert "\x1b[" in run("analyze", "c.yaml", env=forced).stdout
    assert "\x1b" not in run("analyze", "c.yaml", "-f", "markdown", env=forced).stdout
    ended = run("analyze", "c.yaml", "-o", "t.txt", "-q", env=forced)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "\x1b" not in (config.parent / "t.txt").read_text(encoding="utf-8")
    assert "\x1b" not in run("analyze", "c.yaml", env={**forced, "NO_COLOR": "1"}).stdout


def test_an_encoding_that_has_less_is_shown_what_it_has(config):
    shown = run("analyze", "c.yaml").stdout
    plain = run("analyze", "c.yaml", env={"PYTHONIOENCODING": "ascii"}).stdout
    assert plain.isascii()
    assert "?" not in plain
    assert "|dL/ds|" in plain
    assert len(plain.splitlines()) == len(shown.splitlines())
    latin = {"env": {"PYTHONIOENCODING": "latin-1"}, "encoding": "latin-1"}
    western = run("analyze", "c.yaml", **latin).stdout
    assert "?" not in western


@pytest.mark.parametrize("command", ["analyze", "show"])
def test_quiet_without_an_output_says_that_it_shows_nothing(config, capsys, command):
    assert main(capsys, "analyze", "c.yaml", "-o", "r.json", "-q") == (0, "", "")
    code, out, err = main(capsys, command, {"analyze": "c.yaml"}.get(command, "r.json"), "-q")
    assert (code, out) == (0, "")
    assert err == "note: --quiet without --output shows nothing: add --output FILE\n"


def test_usage_has_no_braces(capsys):
    for words in (["analyze"], ["track"], ["compare"], ["cells"], ["init"], ["show"]):
        _, out, _ = main(capsys, *words, "--help")
        usage = out.splitlines()[0]
        assert not set(usage) & set("{}")
        assert "......" not in usage
        assert "[[" not in usage
    _, _, err = main(capsys, "analyze")
    assert "{" not in err


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("ws_", ["ws_init=", "ws_scale="]),
        ("ws_init=o", ["ws_init=orthogonal"]),
        ("cell=ls", ["cell=lstm", "cell=lstmp"]),
        ("cell.forget", ["cell.forget_bias=", "cell.forget_bias=0.0"]),
        ("hid", ["hidden_size=", "hidden_size=64"]),
        ("dty", ["dtype=", "dtype=float32", "dtype=float64"]),
        ("los", ["loss=", *(f"loss={kind}" for kind in ("cross_entropy", "mse", "probe", "sum"))]),
        ("thres", ["thresholds.exploding=1000.0", "thresholds.vanishing=0.001", "thresholds="]),
        ("cell.reset=", ["cell.reset=after", "cell.reset=before"]),
        ("dtype=float3", ["dtype=float32"]),
        ("ws_scale=", []),
        ("nothing", []),
    ],
)
def test_set_completes_keys_and_choices(begun, offered):
    from gradflow.config.overrides import settable

    assert sorted(settable(begun)) == sorted(offered)


def test_the_shell_completes_set():
    ended = run(env={"_GRADFLOW_COMPLETE": "complete_bash", "COMP_CWORD": "4",
                     "COMP_WORDS": "gradflow analyze c.yaml --set hidden"})  # fmt: skip
    assert "hidden_size=" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--equations"], "--equations: needs the name of a cell: gradflow cells lstm --equations"),
        (["--numpy"], "--numpy: needs the name of a cell: gradflow cells lstm --numpy"),
        (["lstmm"], "cells: there is no cell 'lstmm': did you mean lstm"),
        (["qqq"], "cells: there is no cell 'qqq': expected one of "),
    ],
    ids=str,
)
def test_cells_says_what_it_needs(arguments, message, capsys):
    code, out, err = main(capsys, "cells", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("analyze", "lstm"), "lstm: error: no such file; a config may come in a pipe, "
                              "echo 'cell: lstm' | gradflow analyze -"),
        (("verify", "cell: gru"), "cell: gru: error: no such file; a config may come in a pipe, "
                                  "echo 'cell: gru' | gradflow analyze -"),
        (("analyze", "c.yaml", "--seed", "3"),
         "No such option: --seed; seed is a key of the config: --set seed=..."),
        (("check", "c.yaml", "--hidden-size=3"),
         "--hidden-size; hidden_size is a key of the config: --set hidden_size=..."),
        (("inspect", "c.yaml", "--seed", "3"), "No such option: --seed"),
        (("analyze", "c.yaml", "--outputs", "3"), "No such option: --outputs"),
    ],
)  # fmt: skip
def test_what_a_newcomer_may_type(config, capsys, arguments, message):
    code, out, err = main(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert ("--set" in err) == ("--set" in message)


def test_what_one_format_cannot_show_costs_the_others_nothing(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    lost = "cell: {type: rnn, activation: linear}\nws_scale: 1.0e+30\nhidden_size: 4\n"
    Path("lost.yaml").write_text(lost)
    outputs = ("--output", "a.svg", "--output", "b.csv", "--output", "c.png")
    code, out, err = main(capsys, "analyze", "lost.yaml", *outputs, "--format", "csv")
    assert code == 2
    assert out.startswith("run,cell,")
    assert Path("b.csv").read_text() == out
    nothing = "error: there is nothing to draw: every run left float range going forward\n"
    assert err == (
        "warning: run 0: the forward state left float range at step 12; its gradients are empty\n"
        f"a.svg: {nothing}c.png: {nothing}"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.csv", "lost.yaml"]


def test_cells_of_a_file_speaks_of_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(capsys, "cells", "./no.yaml") == (2, "", "./no.yaml: error: no such file\n")
    Path("long.yaml").write_bytes(b"#" * (3 << 20))
    message = "long.yaml: error: expected at most 1,048,576 bytes, found more\n"
    assert main(capsys, "cells", "long.yaml") == (2, "", message)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("analyze", "c.yaml", "--jobs", "abc"), 'expected a whole number, found "abc"'),
        (("analyze", "c.yaml", "-j", "2.5"), "expected a whole number, found 2.5"),
        (("analyze", "c.yaml", "-j", "0"), "expected at least 1, found 0"),
        (("analyze", "c.yaml", "--cores", "["), 'expected a whole number, found "["'),
        (("check", "c.yaml", "--tolerance", "x"), 'expected a number, found "x"'),
        (("critical", "c.yaml", "--between", "1", "b"), 'expected a number, found "b"'),
        (("analyze", "c.yaml", "--theme", "blue"), 'expected auto, light or dark, found "blue"'),
        (("analyze", "c.yaml", "--rows", "run"), 'found "run"; did you mean runs?'),
        (("analyze", "c.yaml", "--over", "cell"), 'expected seed, found "cell"'),
        (("schema", "--of", "foo"), 'expected config or results, found "foo"'),
    ],
)
def test_what_an_option_cannot_be_is_said_in_the_words_of_the_config(config, capsys, given, said):
    code, out, err = main(capsys, *given)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Input should" not in err


@pytest.mark.parametrize(("name", "meant"), [("LSTM", "lstm"), ("mamba", "s6"), ("ltsm", "lstm")])
def test_cells_knows_what_was_meant(capsys, name, meant):
    code, _, err = main(capsys, "cells", name)
    assert code == 2
    assert err.endswith(f"did you mean {meant}?\n")
