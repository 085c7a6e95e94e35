import os
import signal
import time

import pytest

from gradflow.errors import Fault, GradflowError, InputError
from gradflow.machine import blas
from gradflow.runs.runner import execute
from gradflow.runs.scheduling.processes import worker_processes
from gradflow.runs.scheduling.workforce import seconds, workforce
from sweeps import one_by_one, small, text


def refuse():
    raise InputError(Fault("found nothing", "config.yaml", 3, 1, "cell"), Fault("nor here"))


def end_by(number):
    os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def pool():
    with worker_processes(2) as executor:
        yield executor


def test_two_processes_give_the_bytes_of_runs_alone(pool):
    experiment = small()
    results = execute(experiment, executor=pool, workers=2)
    assert text(experiment, results) == one_by_one(experiment)


def test_workers_have_one_thread_of_linear_algebra(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with worker_processes(1) as executor:
        assert executor.submit(blas._loaded).result()["num_threads"] == 1


def test_an_error_in_a_worker_arrives_as_it_was_raised(pool):
    with pytest.raises(InputError) as caught:
        pool.submit(refuse).result()
    assert len(caught.value.faults) == 2
    assert caught.value.faults[0].line == 3


def test_workers_leave_interrupts_to_their_parent(pool):
    pool.submit(end_by, signal.SIGINT).result()
    assert pool.submit(abs, -1).result() == 1


def test_a_killed_worker_is_one_clear_error():
    with (
        pytest.raises(GradflowError, match="a worker process was killed"),
        worker_processes(1) as executor,
    ):
        executor.submit(end_by, signal.SIGKILL).result()


def interrupted_at_work(pids):
    """Leave workers in the middle of long tasks."""
    with worker_processes(2) as executor:
        pids.append(executor.submit(os.getpid).result())
        executor.submit(time.sleep, 60)
        executor.submit(time.sleep, 60)
        raise KeyboardInterrupt


def test_leaving_with_an_exception_ends_the_work():
    begin, pids = time.monotonic(), []
    with pytest.raises(KeyboardInterrupt):
        interrupted_at_work(pids)
    while is_alive(*pids):
        assert time.monotonic() - begin < 100  # gives up: a busy machine may take its time
        time.sleep(0.05)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("cores", "jobs", "size", "count"),
    [
        (4, None, 6, 1),  # done before a worker has started
        (4, None, 20_000, 4),
        (1, None, 20_000, 1),
        (4, 1, 20_000, 1),
        (4, 3, 6, 3),
        (64, None, 20_000, 36),  # no more workers than runs
    ],
)
def test_workers_are_as_many_as_pay(monkeypatch, cores, jobs, size, count):
    monkeypatch.setattr("gradflow.runs.scheduling.workforce.cores", lambda: cores)
    with workforce(small(sequence_length=size).runs, jobs) as (executor, workers):
        assert workers == count
        assert (executor is None) == (count == 1)


def test_the_estimate_grows_with_the_work():
    runs = small().runs
    assert seconds(runs[:1]) < seconds(runs) < seconds(small(hidden_size=[30, 50]).runs)
