"""A Dask cluster that is already there: where `--scheduler` has runs worked out."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import numpy as np

from gradflow import __version__
from gradflow.errors import Fault, GradflowError, InputError

P = ParamSpec("P")
T = TypeVar("T")

_OPTION = "--scheduler"

SILENCE = 30.0
"""Seconds without an answer, or without a single worker, after which a scheduler is given up."""


@contextmanager
def dask_cluster(
    address: str, timeout: float = 10.0, silence: float = SILENCE
) -> Iterator[tuple[Executor, int]]:
    """The cluster's executor, and how many runs it works on at a time.

    Tasks of a worker that dies are given to another by the cluster itself.

    Args:
        address: of the scheduler, `tcp://host:port`.
        timeout: seconds to wait for an answer at the start, and for a first worker.
        silence: seconds to wait for an answer, or for new workers where all are gone, later on.

    Raises:
        InputError: `distributed` is missing, the address is malformed, nobody answers, there
            is no worker, or one has another version of gradflow or NumPy.
        GradflowError: who is there does not answer in time, as a scheduler or at all; the cluster
            lost the scheduler, all workers, or too many over one run.
    """
    _check_address(address)
    try:
        distributed: Any = import_module("distributed")  # an extra, untyped
    except ImportError:
        message = "needs the package distributed: pip install distributed"
        raise _fault(message) from None
    silent = GradflowError(f"error: {_OPTION}: the scheduler at {address} does not answer")
    with _quiet():
        client = _connected(distributed, address, timeout)
        try:
            _within(3 * timeout, silent, lambda: _check_workers(client, address, timeout))
            workers = _within(timeout, silent, lambda: sum(client.nthreads().values()))
            executor = _Heard(client, address, silence)
            try:
                yield executor, workers
            except distributed.scheduler.KilledWorker as error:
                raise GradflowError(f"error: the cluster gave up on a run: {error}") from error
            except CancelledError:
                raise GradflowError(f"error: the scheduler at {address} went away") from None
            finally:
                executor.end()
        finally:
            with suppress(GradflowError):
                _within(5.0, silent, lambda: client.close(timeout=2))


class _Heard(Executor):
    """A client's executor, which fails every call that waits once the cluster is silent."""

    def __init__(self, client: Any, address: str, silence: float) -> None:
        self._client, self._address, self._silence = client, address, silence
        self._executor = client.get_executor(pure=False)
        self._waiting: set[Future[Any]] = set()
        self._over = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def end(self) -> None:
        """Ask no more, and leave the work that is under way."""
        self._over.set()
        threading.Thread(target=self._executor.shutdown, args=(False,), daemon=True).start()

    def _listen(self) -> None:
        """Ask the scheduler for its workers, again and again."""
        silent = f"error: {_OPTION}: the scheduler at {self._address} has said nothing for"
        lonely = f"error: {_OPTION}: the cluster at {self._address} has had no workers for"
        alone = 0.0
        interval = self._silence / 10
        while not self._over.wait(interval):
            error = GradflowError(f"{silent} {self._silence:g} s")
            try:
                workers = _within(self._silence, error, self._client.nthreads)
            except Exception:  # a connection that is lost has another word for the calls
                return self._fail(error)
            alone = 0.0 if workers else alone + interval
            if alone >= self._silence:
                return self._fail(GradflowError(f"{lonely} {self._silence:g} s"))
        return None

    def _fail(self, error: GradflowError) -> None:
        while not self._over.wait(0.1):  # calls that come later too
            for future in list(self._waiting):
                with suppress(InvalidStateError):
                    future.set_exception(error)


def _within(seconds: float, late: GradflowError, work: Callable[[], T]) -> T:
    """What `work` returns or raises; raises `late` where that takes too long. It is then left
    behind in its own thread, since nothing in the library can be relied on to end."""
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return found.result(seconds)
    except FutureTimeoutError:
        if found.done():  # with its own timeout
            raise
        raise late from None


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        sound = parts.scheme == "tcp" and parts.hostname and parts.port
        sound = sound and not (parts.path or parts.query or parts.username)
    except ValueError:
        sound = None
    if not sound:
        raise _fault(f"expected an address such as tcp://host:8786, found {address!r}")


def _connected(distributed: Any, address: str, timeout: float) -> Any:
    """A Client. Hands are shaken once before, since it would wait without end for a program that
    is no scheduler."""
    silent = GradflowError(
        f"error: {_OPTION}: what listens at {address} does not answer as a Dask scheduler"
    )

    async def shake_hands() -> None:
        connecting = distributed.comm.connect(address, timeout=timeout)
        comm = await asyncio.wait_for(connecting, timeout)
        await comm.close()

    def connect() -> Any:
        asyncio.run(shake_hands())
        return distributed.Client(address, timeout=timeout, set_as_default=False)

    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout).close()
    except OSError as error:
        message = f"no Dask scheduler answers at {address}: start one with `dask scheduler`"
        raise _fault(message) from error
    try:
        return _within(3 * timeout, silent, connect)
    except Exception as error:  # whatever a stranger's answer leads to
        raise silent from error


def _check_workers(client: Any, address: str, timeout: float) -> None:
    """The last digits of a result depend on the versions, so all must have ours."""
    try:
        client.wait_for_workers(1, timeout=timeout)
    except (TimeoutError, asyncio.TimeoutError):  # one and the same from Python 3.11 on
        message = f"the cluster has no workers: start one with `dask worker {address}`"
        raise _fault(message) from None
    ours = {"gradflow": __version__, "numpy": np.__version__}
    faults = []
    for package, version in ours.items():
        # A function of Python itself: it runs if there is no gradflow at all.
        asked = f"__import__({package!r}).__version__"
        found = client.run(eval, asked, on_error="return")
        for worker, theirs in sorted(found.items()):
            if theirs != version:
                has = f"has {package} {theirs}" if isinstance(theirs, str) else f"has no {package}"
                message = f"worker {worker} {has}, here is {version}: install the same there"
                faults.append(Fault(message, key=_OPTION))
    if faults:
        raise InputError(*faults)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep all logs off stderr (those of the library, tornado and asyncio, each with levels of
    its own): what matters of them reaches the user as an error."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _fault(message: str) -> InputError:
    return InputError(Fault(message, key=_OPTION))
