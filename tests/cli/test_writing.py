"""Where outputs go: files, pipes, terminals, and what of them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from command import GRADFLOW, LOUD, main, run
from gradflow.formats import for_files, for_screen

SMALL = "cell: [rnn, lstm]\nsequence_length: 8\nhidden_size: 4\nbatch_size: 3\ninput_size: 2\n"


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
    suffixes = ", ".join(for_files("results"))
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


def test_same_config_same_bytes(config, capsys):
    arguments = ("analyze", config, "--format", "json")
    first, again = main(capsys, *arguments), main(capsys, *arguments)
    assert first == again
    assert run(*arguments).stdout == first[1]


def test_force_color_colours_a_table_in_a_pipe_and_nothing_else(config):
    forced = {"FORCE_COLOR": "1"}
    assert "\x1b[" in run("analyze", "c.yaml", env=forced).stdout
    assert "\x1b" not in run("analyze", "c.yaml", "-f", "markdown", env=forced).stdout
    ended = run("analyze", "c.yaml", "-o", "t.txt", "-q", env=forced)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "\x1b" not in (config.parent / "t.txt").read_text(encoding="utf-8")
    assert "\x1b" not in run("analyze", "c.yaml", env={**forced, "NO_COLOR": "1"}).stdout


def test_in_the_locale_c_tables_are_ascii_and_what_programs_read_is_as_ever(config):
    config.write_text(SMALL + 'title: "café ±"\n', encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    command = [*GRADFLOW, "analyze", "c.yaml", "--format"]
    shown = {
        (form, locale): subprocess.run([*command, form], env={**environment, "LC_ALL": locale},
                                       stdout=subprocess.PIPE, check=True).stdout
        for form in ("table", "csv", "json") for locale in ("C", "C.UTF-8")
    }  # fmt: skip
    assert shown["table", "C"].isascii()
    assert b"cafe+-\n" in shown["table", "C"]
    assert "café ±".encode() in shown["table", "C.UTF-8"]
    for form in ("csv", "json"):
        assert shown[form, "C"] == shown[form, "C.UTF-8"]


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
