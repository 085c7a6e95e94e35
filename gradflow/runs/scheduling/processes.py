"""Worker processes on this machine: where `--jobs` has runs worked out.

Each has a thread of this process: it hands over one call at a time by a pipe, and
waits for the answer. Nothing is shared between workers, so that one which is ended, in the middle
of an answer or wherever it is, is the end of its own pipe and of nothing else. (In Python's
ProcessPoolExecutor all share two queues, and a worker that is killed ends the pool.)
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gradflow.errors import GradflowError
from gradflow.machine.interrupts import held

P = ParamSpec("P")
T = TypeVar("T")

# The first thing that a worker does: take over where this process looks for modules. Python would
# have it look in the current directory, where `pickle.py` may be anything.
_START = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from gradflow.machine.blas import use_one_thread; use_one_thread(); "
    "from gradflow.runs.scheduling.worker import serve; serve()"
)


@contextmanager
def worker_processes(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes, which are started as work is handed in.

    They inherit the environment, and have one BLAS thread each (see blas.py). Leaving in the
    ordinary way waits for them; leaving with an exception, an interrupt above all, ends
    them in the middle of their work. They never outlive this process.

    Raises:
        GradflowError: from a call whose worker was killed.
    """
    pool = _Pool(jobs)
    try:
        yield pool
        pool.shutdown()
    finally:
        pool.end_now()


class _Pool(ThreadPoolExecutor):
    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self._mine = threading.local()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._ended = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if kwargs:
            raise TypeError("a call takes arguments by position")
        with held():  # no signal is heard in the threads and workers that are started in here
            return super().submit(self._by_worker, fn, args)

    def end_now(self) -> None:
        """End every worker in the middle of its work; the threads find their pipes closed."""
        with self._lock:
            self._ended = True
        for worker in self._workers:
            worker.kill()
        self.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(timeout=5)
            for pipe in (worker.stdin, worker.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]

    def _by_worker(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
        call = pickle.dumps((fn, args))
        worker = self._worker()
        try:
            worker.stdin.write(call)  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
            went_well, answer = pickle.load(worker.stdout)  # type: ignore[arg-type]
        except (EOFError, OSError, pickle.UnpicklingError):
            message = "a worker process was killed, maybe for want of memory: try fewer --jobs"
            raise GradflowError(f"error: {message}") from None
        if not went_well:
            raise answer
        result: T = answer
        return result

    def _worker(self) -> subprocess.Popen[bytes]:
        """The worker of this thread."""
        if not hasattr(self._mine, "worker"):
            with self._lock:
                if self._ended:
                    raise EOFError
                self._mine.worker = _started()
                self._workers.append(self._mine.worker)
        worker: subprocess.Popen[bytes] = self._mine.worker
        return worker


def _started() -> subprocess.Popen[bytes]:
    own = str(Path(__file__).parents[3])
    paths = [path for path in sys.path if path]
    return subprocess.Popen(
        [sys.executable, "-c", _START, *paths, *([] if own in paths else [own])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
