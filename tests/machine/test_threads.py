"""Threads that share work: all of it is done, whatever comes, and none outlives its run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from _thread import _count
from pathlib import Path

import numpy as np
import pytest

import gradflow
from gradflow.errors import InputError
from gradflow.machine import blas, helpers, threads
from gradflow.machine.threads import ahead, share, sharing, threads_of_a_run
from tests.machine.conftest import TASKS, wait_until

pytestmark = pytest.mark.usefixtures("nobody_is_left")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_piece_is_done_once(gate, shared, count):
    with sharing(count):
        assert threads.count() == count
        for pieces in (0, 1, 2, 3, 7, 40, 2, 2, 2, 2):
            done = np.zeros(pieces, int)

            def some(part, done=done):
                done[part] += 1

            share(some, pieces)
            assert (done == 1).all()
    assert threads.count() == 1


def test_others_help(gate, shared):
    """Both have to be at it for either to go on."""
    both = threading.Barrier(2)
    seen = set()

    def meet(part):
        both.wait(timeout=20)
        seen.add(threading.get_ident())

    with sharing(2):
        for _ in range(3):
            share(meet, 2)
    assert len(seen) == 2


def test_what_is_not_begun_is_taken_back(gate, shared, monkeypatch):
    """A helper that has no core holds nobody up."""
    held = threading.Event()
    usual = helpers.Helper._run
    monkeypatch.setattr(helpers.Helper, "_run", lambda self: (held.wait(20), usual(self)))
    by = []
    with sharing(3):
        for _ in range(4):
            share(lambda part: by.append(threading.get_ident()), 3)
        held.set()
    assert by == [threading.get_ident()] * 12


@pytest.mark.parametrize("fails", ["helper", "caller", "both"])
def test_an_error_is_raised_and_leaves_nobody(gate, shared, fails):
    both, me = threading.Barrier(2), threading.get_ident()

    def fail(part):
        both.wait(timeout=20)
        mine = threading.get_ident() == me
        if fails == "both" or mine == (fails == "caller"):
            raise ZeroDivisionError(fails)

    with sharing(2):
        with pytest.raises(ZeroDivisionError, match=fails):
            share(fail, 2)
        assert threads._mine.crew._helpers == []
        done = []
        share(done.append, 2)
        assert done == [slice(0, 2)]


def test_an_interrupt_leaves_nobody(gate, shared):
    both, me = threading.Barrier(2), threading.get_ident()

    def interrupted(part):
        both.wait(timeout=20)
        if threading.get_ident() == me:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), sharing(2):
        share(interrupted, 2)


def test_an_interrupt_at_any_moment_leaves_nobody(gate, shared):
    """What a handler of signals raises comes at the begin of a function, or at the return of one
    that is not written in Python: at each of these, one after the other."""
    files = {module.__file__ for module in (threads, helpers, threading, contextlib)}
    before, left = _count(), 0

    def interrupt(frame, event, _):
        nonlocal left
        if event in ("call", "c_return") and frame.f_code.co_filename in files:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

    def interrupted(moment):
        """Whether the run was cut short."""
        nonlocal left
        left = moment
        sys.setprofile(interrupt)
        try:
            with sharing(3):
                share(lambda part: None, 3)
                for _ in ahead(iter(range(2))):
                    share(lambda part: None, 3, long=True)
        except KeyboardInterrupt:
            return True
        finally:
            sys.setprofile(None)
        return False

    moment = 1
    while interrupted(moment):
        assert threads.count() == 1
        wait_until(lambda: _count() <= before)
        moment += 1
    assert moment > 50


def test_helpers_treat_floating_point_errors_as_the_caller_does(gate, shared):
    both = threading.Barrier(2)

    def divide(part):
        both.wait(timeout=20)
        np.ones(2) / np.zeros(2)

    with sharing(2), np.errstate(all="ignore"):
        share(divide, 2)
    with sharing(2), np.errstate(all="raise"), pytest.raises(FloatingPointError):
        share(divide, 2)


def test_shared_work_may_share(gate, shared):
    done = np.zeros((4, 6), int)

    def row(part):
        for at in range(4)[part]:
            share(lambda columns, at=at: done[at].__setitem__(columns, done[at, columns] + 1), 6)

    with sharing(3), sharing(2):  # the second changes nothing
        share(row, 4)
    assert (done == 1).all()


def test_helpers_sleep_where_nothing_is_shared_and_wake_again(gate, shared, monkeypatch):
    monkeypatch.setattr(threads, "_PATIENCE", 0.001)
    with sharing(3):
        for _ in range(3):
            share(lambda part: None, 3)
            helpers = threads._mine.crew._helpers
            wait_until(lambda: all(helper._resting for helper in helpers))  # noqa: B023
            done = []
            share(done.append, 3)
            assert sum(part.stop - part.start for part in done) == 3


def test_no_work_is_shared_for_a_while_after_it_cost_more_than_it_gave(gate, monkeypatch):
    monkeypatch.setattr(threads, "_PENANCE", 1000)
    monkeypatch.setattr(threads, "idle_cores", lambda: 64)
    me, both = threading.get_ident(), threading.Barrier(2)

    def slow_for_others(part):
        both.wait(timeout=20)
        if threading.get_ident() != me:
            time.sleep(0.05)

    with sharing(2):
        share(slow_for_others, 2)
        by = []
        share(lambda part: by.append(threading.get_ident()), 2)
    assert by == [me]


def test_the_longer_the_more_often_it_costs_more(monkeypatch):
    monkeypatch.setattr(threads, "_PENANCE", 1.0)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: 0.0)
    crew = threads._Crew(2)
    pauses = []
    for taken, alone in [(2, 1)] * 8 + [(1, 2)] * 3 + [(2, 1)]:
        crew._judge(taken, alone)
        pauses.append(crew._alone_until)
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 64, 64]
    assert pauses[-1] == 8


def test_nothing_is_shared_where_no_core_is_free(monkeypatch):
    """Nor is any thread started; once there is one, it is seen."""
    monkeypatch.setattr(threads, "_PENANCE", 0)
    monkeypatch.setattr(threads, "_LOOKS", 0)
    free = [0, 0, 1, 9]
    monkeypatch.setattr(threads, "idle_cores", lambda: free.pop(0))
    before, seen = _count(), []
    with sharing(3):
        for _ in range(2):
            share(lambda part: seen.append(threading.get_ident()), 3)
        assert _count() == before
        assert seen == [threading.get_ident()] * 2
        both = threading.Barrier(2)
        share(lambda part: both.wait(timeout=20), 3)  # by two, though three are allowed
        threads._mine.crew._rest()
        three = threading.Barrier(3)
        share(lambda part: three.wait(timeout=20), 3)
    assert free == []


def test_cores_that_nothing_runs_on(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "_LOAD", tmp_path / "loadavg")
    assert threads.idle_cores() > 8  # a system that does not say
    for text, idle in (("0.8 0.5 0.4 3/512 77", 5), ("9 9 9 12/512 77", 0), ("", 2**30)):
        (tmp_path / "loadavg").write_text(text)
        assert threads.idle_cores() == idle


@pytest.mark.parametrize(
    ("wanted", "variable", "workers", "found"),
    [  # what the library gives
        (None, None, 1, 1),
        (None, None, 2, 1),  # a sweep in processes
        (3, None, 1, 3),
        (3, None, 4, 2),  # as many as there are cores for
        (64, None, 1, 8),
        (None, "2", 1, 2),
        (1, "2", 1, 1),
        (None, "2", 8, 1),
        (None, "1000000", 1, 8),
        (None, "9" * 5000, 1, 8),
        (None, "0" * 20 + "3", 1, 3),
    ],
)
def test_how_many_a_run_may_take(monkeypatch, wanted, variable, workers, found):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(threads.VARIABLE, variable)
    assert threads_of_a_run(wanted, workers) == found


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "٣", "²", " 2"])
def test_a_number_that_is_none_is_an_error(monkeypatch, value):
    monkeypatch.setenv(threads.VARIABLE, value)
    with pytest.raises(InputError, match=r"GRADFLOW_CORES: expected a whole number of at least 1"):
        threads.asked()


def test_the_library_checks_by_as_many_as_it_runs(monkeypatch):
    given = []

    @contextlib.contextmanager
    def noted(count):
        given.append(count)
        yield

    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr("gradflow.verification.sharing", noted)
    monkeypatch.setenv(threads.VARIABLE, "2")
    gradflow.verify({"cell": "rnn", "sequence_length": 3, "hidden_size": 2})
    monkeypatch.setenv(threads.VARIABLE, "two")
    with pytest.raises(InputError, match="GRADFLOW_CORES"):
        gradflow.verify({"cell": "rnn", "sequence_length": 3, "hidden_size": 2})
    assert given == [2]


KERNELS = sorted({blas.kernel() or "", "Haswell", "SkylakeX", "Zen"})

DIGESTS = """
import hashlib, sys
from gradflow.machine import threads
from gradflow.machine.blas import kernel
from gradflow.config.load import from_mapping
from gradflow.runs.runner import execute

threads._PENANCE = 0  # a busy machine shares as well
threads.idle_cores = lambda: 64
print(kernel() or "")
if (kernel() or "") != sys.argv[1]:
    raise SystemExit
wide = {"hidden_size": 520, "sequence_length": 4}
ahead = {"hidden_size": 130, "sequence_length": 70, "layers": 2}
for cell, sizes in (("rnn", wide), ("lstm", wide), ("gru", wide), ("lstm", ahead)):
    for dtype in ("float32", "float64"):
        for count in (1, 2, 3):
            config = {"cell": cell, "dtype": dtype, "seed": [0, 1], "batch_size": 33, **sizes}
            digest = hashlib.sha256()
            for result in execute(from_mapping(config), threads=count):
                flow = result.flow
                curves = [flow.state, *flow.parts.values(), *flow.terms.values()]
                for curve in (*curves, *flow.totals.values()):
                    digest.update(curve.mantissa.tobytes() + curve.exponent.tobytes())
                digest.update(flow.share_W_s.tobytes() + flow.log_samples.tobytes())
                digest.update(repr(result.diagnosis).encode())
            print(cell, dtype, digest.hexdigest())
"""


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_byte_depends_on_how_many_there_are(kernel):
    """With every kernel that this processor has."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": kernel}
    ended = subprocess.run(
        [sys.executable, "-c", DIGESTS, kernel],
        env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    chosen, *lines = ended.stdout.splitlines()
    if chosen != kernel:
        pytest.skip(f"this processor has no {kernel}")
    assert len(lines) == 24
    assert len(set(lines)) == 8


BUSY_OR_NOT = """
from gradflow.machine import threads
threads.idle_cores = lambda: 64
from gradflow.__main__ import main
main()
"""


@pytest.mark.skipif(threads.cores() < 2 or not TASKS.exists(), reason="needs two cores and /proc")
def test_a_signal_ends_a_run_that_is_shared():
    environment = {name: v for name, v in os.environ.items() if not name.endswith("NUM_THREADS")}
    config = b"{cell: lstm, hidden_size: 1024, sequence_length: 4000, tape_memory: 100000000}"
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY_OR_NOT, "analyze", "-", "--quiet", "--cores", "2"],
        env=environment, cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(config)
    process.stdin.close()
    process.stdin = None
    try:
        end = time.monotonic() + 60
        while len(list(Path(f"/proc/{process.pid}/task").iterdir())) < 3:  # a helper and its watch
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell has in background
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said.splitlines()[1:]) == (130, [b"interrupted"])
