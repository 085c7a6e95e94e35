from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradflow.cells import Cell
from gradflow.config.load import from_mapping
from gradflow.engine.lengths import block_length
from gradflow.errors import InputError
from gradflow.runs import memory

GIB = 2**30


@pytest.fixture
def one_gib(monkeypatch):
    monkeypatch.setattr(memory, "bytes_available", lambda: GIB)


def fault(config):
    with pytest.raises(InputError) as caught:
        from_mapping(config)
    [only] = caught.value.faults
    return only


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("hidden_size", 20_000),
        ("sequence_length", 10_000_000),
        ("batch_size", 100_000),
        ("input_size", 100_000),
        ("output_size", 2_000_000),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_key_to_lower_is_the_one_that_saves_most(one_gib, key, size, dtype):
    found = fault({"cell": "gru", key: size, "dtype": dtype})
    assert found.key == key
    assert found.message.startswith("this would take ")
    assert "1,073,741,824 bytes (1 GiB) are available" in found.message
    assert found.message.endswith(f"lower {key}")


@pytest.mark.parametrize("size", [10**6, 10**9])
def test_a_size_among_the_options_of_a_cell_can_be_the_one(one_gib, size):
    found = fault({"cell": ["lstm", {"type": "lstmp", "proj_size": size}]})
    assert found.key == "cell.proj_size"
    assert found.message.endswith("lower proj_size")
    assert fault({"cell": {"type": "lstmp"}, "hidden_size": 20_000}).key == "hidden_size"


def test_what_fits_is_taken(one_gib):
    assert from_mapping({"cell": ["rnn", "lstm", "gru"], "hidden_size": [64, 256]}).runs


def test_only_the_run_that_is_too_large_counts(one_gib):
    assert fault({"cell": "rnn", "hidden_size": [8, 30_000, 16]}).key.startswith("hidden_size")


def test_need_grows_with_every_size():
    [run] = from_mapping({"cell": "lstm"}).runs
    base = sum(memory.bytes_needed(run).values())
    for key in ("hidden_size", "sequence_length", "batch_size", "input_size", "output_size"):
        [larger] = from_mapping({"cell": "lstm", key: 500}).runs
        assert sum(memory.bytes_needed(larger).values()) > base


def test_this_machine_has_some():
    assert 2**20 < memory.bytes_available() <= 2**62


def test_a_sweep_of_many_runs_is_judged_by_its_kinds(one_gib, monkeypatch):
    counted = []
    measured = memory.bytes_needed
    monkeypatch.setattr(memory, "bytes_needed", lambda run: counted.append(1) or measured(run))
    from_mapping({"cell": "rnn", "seed": list(range(300)), "hidden_size": [2, 4]})
    assert len(counted) <= 4


def test_much_memory_is_said_before_it_is_taken_and_little_is_not(monkeypatch):
    monkeypatch.setattr(memory, "bytes_available", lambda: 16 * 2**30)
    small = from_mapping({"cell": "lstm"}).runs
    assert memory.statement(small, workers=1) is None
    wide = from_mapping({"cell": "lstm", "hidden_size": 4096, "batch_size": 8}).runs
    said = memory.statement(wide, workers=1)
    assert said.startswith("memory: this takes about 2.")
    assert said.endswith(" GiB of 16 GiB available")
    assert memory.statement(wide, workers=2).startswith("memory: 2 processes take about 5.")


def test_what_helping_threads_take_is_counted(monkeypatch):
    monkeypatch.setattr(memory, "_rounded", lambda count: f"{count}")
    wide = from_mapping({"cell": "lstm", "hidden_size": 4096, "batch_size": 8}).runs
    alone, helped = (int(memory.statement(wide, 1, threads).split()[4]) for threads in (1, 9))
    assert helped - alone == 8 * memory._THREAD_BYTES


def test_no_more_threads_than_addresses_are_left_for(monkeypatch):
    wide = from_mapping({"cell": "lstm", "hidden_size": 1024}).runs
    needed = sum(memory.bytes_needed(wide[0]).values())
    for room, count in ((0, 1), (1, 1), (2, 2), (3.5, 3), (100, 8)):
        left = needed + room * memory._THREAD_ROOM
        monkeypatch.setattr(memory, "has_room", lambda count, left=left: count <= left)
        assert memory.threads_that_fit(wide, 8) == count
        assert memory.threads_that_fit(wide, 1) == 1
    monkeypatch.setattr(memory, "has_room", lambda count: False)
    with pytest.raises(MemoryError):
        memory.threads_that_fit(wide, 1)


def test_no_more_runs_at_a_time_than_fit(monkeypatch):
    wide = from_mapping({"cell": "lstm", "hidden_size": 4096, "batch_size": 8}).runs
    for available, count in ((2**30, 1), (6 * 2**30, 2), (2**40, 4)):
        monkeypatch.setattr(memory, "bytes_available", lambda a=available: a)
        assert memory.workers_that_fit(wide, 4) == count


WIDE = {
    "type": "equations", "name": "wide", "state": {"h": "H", "u": "n"}, "options": {"n": 8},
    "parameters": {"W": ["H", "I"]},
    "step": "h[t] = tanh(W @ x[t]) + sum(u[t-1])\nu[t] = u[t-1] / 2",
}  # fmt: skip


def test_a_wide_state_is_told_with_the_size_to_lower(one_gib):
    small = {"sequence_length": 4, "batch_size": 2, "hidden_size": 4}
    found = fault({"cell": {**WIDE, "state": {"h": "H", "u": 10**8}, "options": {}}, **small})
    assert found.key == "cell"
    assert found.message.endswith(
        "available: lower the size of u in the equations, 100,000,000 numbers"
    )
    assert fault({"cell": {**WIDE, "n": 10**8}, **small}).key == "cell.n"
    square = {**WIDE, "state": {"h": "H", "u": ["H", "H"]}, "options": {}}
    assert fault({"cell": square, "hidden_size": 9_000}).key == "hidden_size"
    weight = {**WIDE, "parameters": {"W": ["H", "I"], "V": ["H", 10**8]}, "options": {}}
    weight |= {"state": {"h": "H"}, "step": "h[t] = tanh(W @ x[t]) + sum(V * 2) * h[t-1]"}
    assert fault({"cell": weight, **small}).message.endswith(
        "lower the size of V in the equations, 400,000,000 numbers"
    )


def test_a_block_of_a_wide_state_is_short():
    [run] = from_mapping({"cell": WIDE}).runs
    lengths = [
        block_length(Cell.of(run.cell.equations, n=n).sized(4, 16), 2) for n in (8, 10**6, 10**8)
    ]
    assert lengths == [256, 8, 1]


BUSY_OR_NOT = """
from gradflow.machine import threads
threads.idle_cores = lambda: 64
threads._PENANCE = 0
from gradflow.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of addresses are as elsewhere or none")
@pytest.mark.parametrize("kibibytes", [240_000, 330_000, 380_000])
def test_a_run_that_fits_on_one_core_fits_on_two(kibibytes):
    """OpenBLAS ends a process of its own, with 1, where a thread finds no room for a product."""
    import resource

    environment = {name: v for name, v in os.environ.items() if not name.endswith("NUM_THREADS")}
    config = "{cell: lstm, hidden_size: 600, sequence_length: 12}"
    limits = (1024 * kibibytes, 1024 * kibibytes)
    ended = subprocess.run(
        [sys.executable, "-c", BUSY_OR_NOT, "analyze", "-", "--format=csv", "--cores", "2"],
        env=environment, cwd=Path(__file__).parents[2], input=config, capture_output=True,
        text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits),
    )  # fmt: skip
    if kibibytes < 300_000:
        assert ended.returncode == 3
        assert ended.stderr.startswith("error: out of memory")
    else:
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.count("\n") == 14
