"""Whatever is wrong, the command ends with the documented code and message: no traceback, no
harm to the file that was there before, nothing left behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time

import pytest

from command import GRADFLOW, POSIX, main
from effort import processor_seconds
from gradflow.output.whole import WholeFile

# Configs

TRAPS = {
    "empty": (b"", "bad.yaml: error: the file is empty"),
    "blank": (b"\n\n# nothing\n", "bad.yaml:1:1: error: expected `key: value` lines, found none"),
    "binary": (bytes(range(256)), "bad.yaml:1:1: error: expected UTF-8 text, found UTF-16 or"),
    "latin-1": ("cell: rnn\ntitle: é\n".encode("latin-1"),
                "bad.yaml:2:8: error: expected UTF-8 text, found the byte 0xe9"),
    "utf-16": ("cell: rnn\n".encode("utf-16"), "bad.yaml:1:1: error: expected UTF-8 text, found"),
    "nul": (b"cell: rnn\nseed: \x00\n", "bad.yaml:2:7: error: expected text, found the character"),
    "tab": (b"cell:\n\t- rnn\n", "bad.yaml:2:1: error: found character that cannot start any"),
    "unclosed": (b"cell: [rnn\n", "bad.yaml:1:11: error: did not find expected ',' or ']'"),
    "colon": (b"cell: rnn\ntitle: a: b\n", "bad.yaml:2:9: error: mapping values are not allowed"),
    "twice": (b"cell: rnn\ncell: gru\n", "bad.yaml:2:1: error: cell: the key is given twice"),
    "two documents": (b"cell: rnn\n---\ncell: gru\n", "bad.yaml:2:1: error: expected one document"),
    "alias bomb": (b"cell: &a [rnn, rnn]\nseed: &b [*a, *a]\n",
                   "bad.yaml:1:7: error: cell: anchors and aliases are not read"),
    "own list": (b"cell: &a [*a]\n", "bad.yaml:1:7: error: cell: anchors and aliases are not read"),
    "merge": (b"cell: rnn\n<<: {seed: 1}\n", "bad.yaml:2:1: error: merge keys are not read"),
    "tag": (b"cell: rnn\nseed: !!timestamp x\n", "bad.yaml:2:7: error: seed: tags are not read"),
    "python": (b"cell: !!python/object/apply:os.system [ls]\n",
               "bad.yaml:1:7: error: cell: tags are not read"),
    "date": (b"cell: rnn\nseed: 2024-13-45\n",
             'bad.yaml:2:7: error: seed: expected a whole number, found "2024-13-45"'),
    "sexagesimal": (b"cell: rnn\nseed: 12:30\n",
                    'bad.yaml:2:7: error: seed: expected a whole number, found "12:30"'),
    "underscores": (b"cell: rnn\nseed: 1_000\n",
                    'bad.yaml:2:7: error: seed: expected a whole number, found "1_000"'),
    "long integer": (b"cell: rnn\nseed: " + b"9" * 5000,
                     "bad.yaml:2:7: error: seed: expected a number of at most 300 digits"),
    "beyond float": (b"cell: rnn\nws_scale: 1e999\n",
                     "bad.yaml:2:11: error: ws_scale: 1e999 is beyond float range"),
    "deep": (b"cell: " + b"[" * 500, "bad.yaml:1:70: error: nested too deeply"),
    "wide": (b"a: " + b"[" * 20_000, "bad.yaml:1:67: error: nested too deeply"),
    "numbers as keys": (b"cell: rnn\n1: 2\n", "bad.yaml:2:1: error: 1: expected a name as the key"),
    "list": (b"- cell: rnn\n", "bad.yaml:1:1: error: expected a mapping of keys"),
    "text": (b"rnn", "bad.yaml:1:1: error: expected a mapping of keys"),
    "huge": (b"# " + b"x" * (1 << 20), "bad.yaml: error: expected at most 1,048,576"),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("command", ["analyze", "verify"])
def test_a_damaged_config_is_told_by_place(folder, capsys, trap, command):
    content, message = TRAPS[trap]
    (folder / "bad.yaml").write_bytes(content)
    with processor_seconds(10):
        code, out, err = main(capsys, command, "bad.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(message), err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "missing: error: no such file"),
        ("c.yml", "c.yml: error: no such file; did you mean 'c.yaml'?"),
        (".", ".: error: expected a file, found a folder"),
        ("no/c.yaml", "no/c.yaml: error: no such file: there is no folder 'no'"),
        ("c.yaml/c.yaml", "c.yaml/c.yaml: error: the file cannot be opened: Not a directory"),
        ("/dev/zero", "/dev/zero: error: expected a file, found a device, pipe or socket"),
        ("x" * 300, f"{'x' * 300}: error: the file cannot be opened: File name too long"),
    ],
    ids=lambda text: text[:20],
)
@POSIX
def test_a_config_that_cannot_be_read(folder, capsys, name, message):
    code, out, err = main(capsys, "analyze", name)
    assert (code, out, err) == (2, "", message + "\n")


def test_a_config_that_may_not_be_read(folder, capsys, monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("gradflow.files.opening.os.open", refused)
    code, out, err = main(capsys, "analyze", "c.yaml")
    message = "c.yaml: error: the file cannot be opened: Permission denied\n"
    assert (code, out, err) == (2, "", message)


# Output files


def untouched(folder, name="out.csv"):
    """Whether the output file is as it was, and nothing is left next to it."""
    return (folder / name).read_text() == "precious" and not list(folder.glob(".*"))


@pytest.fixture
def precious(folder):
    (folder / "out.csv").write_text("precious")
    return folder


def test_a_damaged_config_leaves_the_output_file(precious, capsys):
    code, *_ = main(capsys, "analyze", "c.yaml", "--set", "sed=1", "--output", "out.csv")
    assert code == 2
    assert untouched(precious)


def test_a_read_only_folder_is_told_before_any_work(precious, capsys, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("gradflow.output.whole.tempfile.mkstemp", refused)
    monkeypatch.setattr("gradflow.runs.runner.execute", lambda *_: pytest.fail("worked"))
    code, out, err = main(capsys, "analyze", "c.yaml", "--output", "out.csv")
    assert (code, out) == (2, "")
    assert err == "out.csv: error: cannot be written: Permission denied\n"
    assert untouched(precious)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_really_read_only_folder_and_file(precious, capsys):
    (precious / "out.csv").chmod(0o400)
    assert main(capsys, "analyze", "c.yaml", "--output", "out.csv")[0] == 2
    precious.chmod(0o500)
    try:
        assert main(capsys, "analyze", "c.yaml", "--output", "new.csv")[0] == 2
    finally:
        precious.chmod(0o700)
    assert untouched(precious)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_output_file(precious, capsys, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = f"gradflow.output.whole.os.{call}"
    monkeypatch.setattr(target, full)
    code, out, err = main(capsys, "analyze", "c.yaml", "--quiet", "--output", "out.csv")
    assert (code, out) == (3, "")
    assert err == (
        "out.csv: error: could not be written: No space left on device; it is as it was\n"
    )
    assert untouched(precious)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            MemoryError(),
            3,
            "error: out of memory: lower hidden_size, sequence_length or batch_size",
        ),
        (
            ZeroDivisionError("oops"),
            3,
            "error: a fault in gradflow itself: ZeroDivisionError: oops",
        ),
        (OSError(errno.EIO, "Input/output error", "x.npy"), 3, "x.npy: error: Input/output error"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=repr,
)
def test_a_failure_in_the_work(precious, capsys, monkeypatch, error, code, message):
    def fail(*_):
        raise error

    monkeypatch.delenv("GRADFLOW_DEBUG", raising=False)
    monkeypatch.setattr("gradflow.runs.runner.execute", fail)
    ended, out, err = main(capsys, "analyze", "c.yaml", "--output", "out.csv")
    assert (ended, out) == (code, "")
    assert err.startswith(message)
    assert "Traceback" not in err
    assert untouched(precious)


def test_a_failure_while_results_are_read_leaves_the_output_file(tmp_path):
    (tmp_path / "out.csv").write_text("precious")

    def pieces():
        yield "half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), WholeFile(tmp_path / "out.csv") as file:
        file.write(pieces())
    assert untouched(tmp_path)


# Interrupts


@POSIX
def test_an_interrupt_ends_a_long_run_with_130_and_leaves_nothing(precious):
    settings = (f"seed={list(range(500))}", "hidden_size=64", "sequence_length=2000")
    long = [word for setting in settings for word in ("--set", setting)]
    long += ["--output", "out.csv", "--output", "new.json", "--resume", "kept"]
    process = subprocess.Popen(
        [*GRADFLOW, "analyze", "c.yaml", *long],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begin = time.monotonic()
    while not (precious / "kept/lock").exists() and time.monotonic() - begin < 60:
        time.sleep(0.05)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert untouched(precious)
    assert sorted(os.listdir(precious)) == ["c.yaml", "kept", "out.csv"]


@POSIX
@pytest.mark.parametrize("delay", [0.1, 0.2, 0.4])
def test_an_interrupt_at_any_moment_shows_no_traceback(precious, delay):
    """Python itself reports, in its own way, what comes before our first line has run; or loses
    it, in a callback of an import."""
    process = subprocess.Popen(
        [*GRADFLOW, "analyze", "c.yaml", "--set", "sequence_length=1e5", "--output", "out.csv"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if "interrupted" not in err and process.returncode != 130:
        assert "cli.py" not in err
        assert "__main__.py" not in err
    if process.returncode:
        assert untouched(precious)
    else:
        assert "KeyboardInterrupt" in err
