"""Standard input, output and error that are closed, broken or full; and what is printed to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow
from command import FULL, POSIX, main, run

# Standard input and error


@POSIX
def test_a_config_from_a_closed_standard_input(folder):
    ended = run("analyze", "-", preexec_fn=lambda: os.close(0))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "-: error: cannot be read: standard input is closed\n"


@POSIX
def test_no_file_takes_the_number_of_a_closed_stream(folder):
    def close():
        for number in range(3):
            os.close(number)

    options = ["--jobs", "2", "--set", "seed=[0, 1]", "--output", "o.csv", "--resume", "kept"]
    ended = run("analyze", "c.yaml", *options, preexec_fn=close)
    assert ended.returncode == 0
    whole = run("analyze", "c.yaml", "--set", "seed=[0, 1]", "--format", "csv").stdout
    assert (folder / "o.csv").read_text() == whole


@POSIX
@pytest.mark.parametrize("how", ["closed", "no reader", "full"])
def test_nothing_depends_on_standard_error(folder, how):
    if how == "full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    reader, stream = os.pipe()
    os.close(reader)
    if how == "full":
        stream = os.open("/dev/full", os.O_WRONLY)
    close = (lambda: os.close(2)) if how == "closed" else None
    diverges = ["--set", "cell={type: rnn, activation: linear}", "--set", "ws_scale=1e100"]
    diverges += ["--set", "sequence_length=50", "--quiet", "--output", "o.csv"]
    for arguments, code in (
        (["analyze", "c.yaml", *diverges], 0),
        (["analyze", "c.yaml", "--no-such-option"], 2),
        (["init", "new.yaml"], 0),
    ):
        ended = run(*arguments, stderr=stream, preexec_fn=close)
        assert (ended.returncode, ended.stdout) == (code, ""), arguments
    os.close(stream)
    assert sorted(os.listdir()) == ["c.yaml", "gradflow.schema.json", "new.yaml", "o.csv"]


HOSTILE_NAME = "\x1b[31m\x07\x9b\u202e.odd"
SHOWN = r"\x1b[31m\x07\x9b\u202e.odd"


def assert_plain(code, out, err):
    assert (code, out) == (2, "")
    assert all(c.isprintable() or c == "\n" for c in err), err
    assert r"\x1b[31m" in err


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [["analyze", HOSTILE_NAME], ["inspect", HOSTILE_NAME], ["track", "c.yaml", HOSTILE_NAME],
     ["analyze", "c.yaml", "--output", HOSTILE_NAME], ["init", f"{HOSTILE_NAME}/x"],
     ["analyze", "c.yaml", "--set", f"{HOSTILE_NAME}=1"],
     ["analyze", "c.yaml", "--scheduler", HOSTILE_NAME]],
)  # fmt: skip
def test_no_message_holds_what_a_terminal_would_act_on(folder, arguments, capsys):
    assert_plain(*main(capsys, *arguments))


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [[HOSTILE_NAME], ["analyze", "c.yaml", HOSTILE_NAME],
     ["analyze", "c.yaml", f"--{HOSTILE_NAME}"], ["analyze", "c.yaml", "--format", HOSTILE_NAME]],
)  # fmt: skip
def test_nor_does_one_about_the_command_line(folder, arguments):
    """Typer writes it, to a standard error that `main` has made safe."""
    ended = run(*arguments)
    assert_plain(ended.returncode, ended.stdout, ended.stderr)


@POSIX
def test_what_is_said_of_a_file_that_is_made_is_plain_too(folder):
    ended = run("init", f"{HOSTILE_NAME}.yaml")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"wrote {SHOWN}.yaml and" in ended.stderr
    journal = f"{HOSTILE_NAME}.kept"
    Path(journal).mkdir()
    (Path(journal) / "journal.jsonl").write_text("damage\n")
    ended = run("analyze", "c.yaml", "--quiet", "--resume", journal)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.startswith(f"{SHOWN}.kept/journal.jsonl:1: warning: ")


# Standard output


@FULL
@pytest.mark.parametrize(
    "arguments",
    [["analyze", "c.yaml"], ["analyze", "c.yaml", "--format", "csv"], ["cells"], ["init", "-"],
     ["--help"], ["--version"]],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_as_standard_output(folder, arguments):
    with Path("/dev/full").open("w") as full:
        ended = run(*arguments, stdout=full)
    assert ended.returncode == 3
    assert ended.stderr == "error: standard output: No space left on device\n"


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [["analyze", "c.yaml", "--format", "csv"], ["cells"], ["--help"], ["--version"]],
    ids=" ".join,
)
def test_a_closed_pipe_ends_quietly(folder, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(*arguments, stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


@POSIX
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("check c.yaml", 1),
        ("check c.yaml --format github", 1),
        ("check c.yaml --format github --set expect=[]", 2),
        ('check c.yaml --set expect=[{"loss":{"min":0}}]', 0),
        ("compare a.json b.json --format csv", 1),
        ("compare a.json a.json", 0),
        ("track t.yaml w.npz --expect loss>=99", 1),
    ],
)
def test_a_closed_pipe_changes_no_verdict(folder, arguments, code):
    with Path("c.yaml").open("a") as config:
        config.write("expect: [{loss: {min: 99}}]\n")
    Path("t.yaml").write_text("cell: {type: rnn, activation: tanh}\nsequence_length: 5\n")
    np.savez("w.npz", weight_ih_l0=np.ones((3, 2)), weight_hh_l0=np.eye(3) / 2)
    for seed, name in enumerate(("a.json", "b.json")):
        net = {"cell": "rnn", "hidden_size": 3, "sequence_length": 5, "output_size": 1 + seed}
        gradflow.analyze(net).save(name)
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(*arguments.split(), stdout=writer)
    os.close(writer)
    assert ended.returncode == code


@POSIX
def test_head_takes_the_first_line(folder):
    command = (
        f"'{sys.executable}' -m gradflow analyze c.yaml --format csv --set sequence_length=9999"
    )
    ended = subprocess.run(
        f"{command} | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("run,cell,")
    assert len(ended.stdout.splitlines()) == 1


@POSIX
def test_closed_streams_do_no_harm(folder):
    python = f"'{sys.executable}' -m gradflow"
    for command, code in ((f"{python} cells >&-", 0), (f"{python} analyze no.yaml 2>&-", 2)):
        ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")
