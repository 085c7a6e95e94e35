"""Sweeps that are ended from outside, each in its own process."""

import os
import signal
import subprocess
import time

import pytest

from command import GRADFLOW, run

CONFIG = """
cell: [rnn, lstm, gru]
hidden_size: 32
sequence_length: 250
seed: [0, 1, 2, 3, 4, 5, 6, 7]
"""
RUNS = 24


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def started(config, *options):
    """The command in its own process group, which its workers belong to."""
    return subprocess.Popen(
        [*GRADFLOW, "analyze", str(config), "--format", "csv", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(holds, seconds=100):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_empty(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def lines_of(journal):
    path = journal / "journal.jsonl"
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.faults), 2])
def test_a_killed_sweep_continues_where_it_was(config, jobs, tmp_path):
    journal = tmp_path / "journal"
    process = started(config, "--jobs", jobs, "--resume", journal)
    wait_until(lambda: len(lines_of(journal)) >= 2)
    process.kill()
    process.communicate()
    wait_until(lambda: is_empty(process.pid))  # its workers went with it
    before = lines_of(journal)
    assert 2 <= len(before) < RUNS

    resumed = run("analyze", config, "--format", "csv", "--resume", journal)
    assert resumed.returncode == 0
    assert resumed.stdout == run("analyze", config, "--format", "csv", "--jobs", 1).stdout
    after = lines_of(journal)
    whole = [line for line in before if line.endswith(b"\n")]
    assert after[: len(whole)] == whole
    assert len(after) == RUNS  # each was run once


@pytest.mark.parametrize("moment", ["first", "working"])
def test_an_interrupted_sweep_ends_quietly_with_its_workers(config, moment, tmp_path):
    journal = tmp_path / "journal"
    longer = ("--set", "sequence_length=5000")  # so that it is not over before the signal comes
    process = started(config, "--jobs", 2, "--resume", journal, *longer)
    wait_until(lambda: journal.exists() if moment == "first" else lines_of(journal))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert err in ("", "interrupted\n")
    wait_until(lambda: is_empty(process.pid))


def test_a_damaged_journal_is_told_of_on_stderr_alone(config, tmp_path):
    options = ["--set", "sequence_length=3", "--set", "seed=0", "--resume", tmp_path / "journal"]
    first = run("analyze", config, "--format", "csv", *options)
    path = tmp_path / "journal/journal.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    second = run("analyze", config, "--format", "csv", *options)
    assert second.stdout == first.stdout
    assert first.stderr == ""
    assert second.stderr == (
        f"{path}:3: warning: this line is damaged; its run is computed again\n"
    )
