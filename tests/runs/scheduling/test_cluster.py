import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from gradflow import __version__
from gradflow.errors import GradflowError, InputError
from gradflow.runs.runner import execute
from gradflow.runs.scheduling import cluster
from gradflow.runs.scheduling.cluster import dask_cluster
from gradflow.runs.scheduling.workforce import workforce
from sweeps import one_by_one, small, text


@pytest.fixture
def dask():
    """A cluster of two workers on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=60
    ) as local:
        yield local


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_runs_alone(dask):
    experiment = small(hidden_size=[40, 41], sequence_length=60, seed=list(range(8)))
    with dask_cluster(dask.scheduler_address) as (executor, workers):
        assert workers == 2
        results = execute(experiment, executor=executor, workers=workers)
        got = [next(results)]
        killed = dask.workers[0].pid
        os.kill(killed, signal.SIGKILL)
        got += results
    assert dask.workers[0].pid != killed  # it was one of those at work
    assert [r.run for r in got] == list(range(len(experiment.runs)))
    assert text(experiment, got) == one_by_one(experiment)


def test_workers_of_another_version_are_named(dask, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    with pytest.raises(InputError) as caught, dask_cluster(dask.scheduler_address):
        pass
    assert len(caught.value.faults) == 2
    assert f"has gradflow {__version__}, here is 9.9.9" in str(caught.value)


def test_a_cluster_without_workers_is_an_input_error():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=60) as empty,
        pytest.raises(InputError, match="no workers: start one with `dask worker tcp://"),
        dask_cluster(empty.scheduler_address, timeout=0.5),
    ):
        pass


def test_an_address_where_nobody_listens_is_an_input_error():
    pytest.importorskip("distributed")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with (
            pytest.raises(InputError, match=f"no Dask scheduler answers at {address}"),
            dask_cluster(address, timeout=1),
        ):
            pass


def test_a_program_that_listens_and_is_no_scheduler_is_given_up():
    pytest.importorskip("distributed")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with (
            pytest.raises(GradflowError, match="does not answer as a Dask scheduler") as caught,
            dask_cluster(address, timeout=1),
        ):
            pass
    assert caught.value.exit_code == 3


CLUSTER = """
import distributed
if __name__ == "__main__":
    options = dict(protocol="tcp", dashboard_address=None, silence_logs=60)
    with distributed.LocalCluster(n_workers=1, processes=False, **options) as local:
        print(local.scheduler_address, flush=True)
        input()
"""


@pytest.fixture
def apart():
    """A scheduler with a worker in its own process, and its address."""
    pytest.importorskip("distributed")
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_scheduler_that_falls_silent_in_the_middle_is_given_up(apart):
    process, address = apart

    def work():
        with dask_cluster(address, silence=1) as (executor, _):
            assert executor.submit(abs, -1).result() == 1
            long = executor.submit(time.sleep, 60)
            process.send_signal(signal.SIGSTOP)
            long.result()

    with pytest.raises(GradflowError, match="has said nothing for 1 s") as caught:
        work()
    assert caught.value.exit_code == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_scheduler_that_is_silent_at_connect_is_given_up(apart):
    process, address = apart
    process.send_signal(signal.SIGSTOP)  # its kernel still takes connections
    with (
        pytest.raises(GradflowError, match="does not answer as a Dask scheduler"),
        dask_cluster(address, timeout=1),
    ):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:8786",
        "tcp://",
        "tcp://host",
        "tcp://host:no",
        "tcp://host:99999",
        "tcp://host:1/path",
        "tcp://[::1:8786",
        "http://host:8786",
    ],
)
def test_a_malformed_address_is_an_input_error(address):
    with (
        pytest.raises(InputError, match="expected an address such as tcp://host:8786"),
        dask_cluster(address),
    ):
        pass


def test_without_distributed_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"pip install distributed"),
        dask_cluster("tcp://localhost:8786"),
    ):
        pass


def test_jobs_and_a_scheduler_exclude_each_other():
    with (
        pytest.raises(InputError, match="--jobs: goes without --scheduler"),
        workforce([], 2, "tcp://localhost:8786"),
    ):
        pass
