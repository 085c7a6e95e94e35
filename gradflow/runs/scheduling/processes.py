"""Worker processes on this machine: where `--jobs` has runs worked out."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from gradflow.errors import GradflowError
from gradflow.interrupts import held
from gradflow.runs.scheduling.pages import keep_freed_memory

P = ParamSpec("P")
T = TypeVar("T")


def cores() -> int:
    """The processors that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _container_cores() or 2**30))


@contextmanager
def worker_processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """An executor of `jobs` processes, which are started when the first work is handed in.

    They inherit the environment, and with it the number of BLAS threads (see blas.py). Leaving
    in the ordinary way waits for them; leaving with an exception, an interrupt above all, ends
    them in the middle of their work. They never outlive this process.

    Raises:
        GradflowError: a worker was killed.
    """
    pool = _Pool(jobs, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool
    except BrokenProcessPool:
        pool.end_now()
        message = "error: a worker process was killed, maybe for want of memory: try fewer --jobs"
        raise GradflowError(message) from None
    except BaseException:
        pool.end_now()
        raise
    pool.shutdown()


class _Pool(ProcessPoolExecutor):
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with held():  # a worker never sees Ctrl-C, not even while it starts; the parent ends it
            return super().submit(fn, *args, **kwargs)

    def end_now(self) -> None:
        for process in list((self._processes or {}).values()):
            process.terminate()
        self.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """Runs first in a worker: leave Ctrl-C to the parent, and go when it is gone."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _container_cores() -> int | None:
    """The whole processors that the control group allows, where one sets a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return max(1, int(quota) // int(period)) if quota.isdigit() else None
