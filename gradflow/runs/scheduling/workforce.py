"""Who runs a sweep: this process, worker processes, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gradflow.errors import Fault, InputError
from gradflow.machine.threads import cores
from gradflow.runs.experiment import Run
from gradflow.runs.memory import workers_that_fit

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Worker processes are there 0.4 s after they are asked for (measured: two on two cores, most of
# it the import of NumPy), so that work of less than this is done sooner here. It is set well
# above the break-even point: the estimate below is a rough one. To fork them would be quicker, but
# an interrupt was seen to find a forked pool in a lock that it never left.
_WORTH_WORKERS = 1.0  # seconds

# Seconds that one step of one run takes, forward, backward and all norms, and how many more for
# each element of its pre-activations: measured on a core of 2.6 GHz, in bundles, at H = 32 (18e-6 a
# step of 512 elements, 65e-6 of 2048), 256 (50e-9 an element) and 1024 (175e-9), where the matrix
# products weigh most. Rounded down: this process is the safe choice.
_PER_STEP = 5e-6
_PER_ELEMENT = 20e-9
_PER_ELEMENT_AND_H = 0.13e-9


@contextmanager
def workforce(
    runs: Sequence[Run],
    jobs: int | None = None,
    scheduler: str | None = None,
    per_run: int | None = None,
) -> Iterator[tuple[Executor | None, int]]:
    """The executor to run a sweep with, None for this process, and how many work in it.

    Args:
        runs: those of the sweep.
        jobs: the most worker processes to use; None is one a core, where the sweep is long
            enough to gain by them. There are never more than memory has room for.
        scheduler: the address of a Dask cluster to use instead.
        per_run: the threads that one run may take, where that was asked for; on a cluster each
            has one.

    Raises:
        InputError: see `dask_cluster`; or options that exclude each other are given.
    """
    if scheduler is not None:
        for key, given in (("--jobs", jobs), ("--cores", per_run)):
            if given is not None:
                raise InputError(Fault("goes without --scheduler: give one of them", key=key))
        from gradflow.runs.scheduling.cluster import dask_cluster

        with dask_cluster(scheduler) as found:
            yield found
        return
    count = min(len(runs), jobs or cores())
    count = workers_that_fit(runs, count)
    if count < 2 or (jobs is None and seconds(runs) < _WORTH_WORKERS):
        yield None, 1
        return
    from gradflow.runs.scheduling.processes import worker_processes

    with worker_processes(count) as executor:
        yield executor, count


def seconds(runs: Sequence[Run]) -> float:
    """About how long the runs take in one process."""
    total = 0.0
    for run in runs:
        elements = run.batch_size * run.cells[0, 0].G
        step = _PER_STEP + elements * (_PER_ELEMENT + run.hidden_size * _PER_ELEMENT_AND_H)
        total += run.sequence_length * len(run.places) * step
    return total
