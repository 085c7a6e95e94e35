"""A Dask cluster that is already there: where `--scheduler` has runs worked out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gradflow import __version__
from gradflow.errors import Fault, GradflowError, InputError

_OPTION = "--scheduler"


@contextmanager
def dask_cluster(address: str, timeout: float = 10.0) -> Iterator[tuple[Executor, int]]:
    """The cluster's executor, and how many runs it works on at a time.

    Tasks of a worker that dies are given to another by the cluster itself.

    Args:
        address: of the scheduler, `tcp://host:port`.
        timeout: seconds to wait for an answer, and for a first worker.

    Raises:
        InputError: `distributed` is missing, the address is malformed, nobody answers, there
            is no worker, or one has another version of gradflow or NumPy.
        GradflowError: the cluster lost the scheduler, or too many workers over one run.
    """
    _check_address(address)
    try:
        distributed: Any = import_module("distributed")  # an extra, untyped
    except ImportError:
        message = "needs the package distributed: pip install distributed"
        raise _fault(message) from None
    with _quiet():
        client = _connected(distributed, address, timeout)
        try:
            _check_workers(client, address, timeout)
            executor = client.get_executor(pure=False)
            try:
                yield executor, sum(client.nthreads().values())
            except distributed.scheduler.KilledWorker as error:
                raise GradflowError(f"error: the cluster gave up on a run: {error}") from error
            except CancelledError:
                raise GradflowError(f"error: the scheduler at {address} went away") from None
            finally:
                executor.shutdown(wait=False)
        finally:
            client.close()


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

    async def shake_hands() -> None:
        connecting = distributed.comm.connect(address, timeout=timeout)
        comm = await asyncio.wait_for(connecting, timeout)
        await comm.close()

    try:
        asyncio.run(shake_hands())
        return distributed.Client(address, timeout=timeout, set_as_default=False)
    except Exception as error:  # whatever a stranger's answer leads to
        message = f"no Dask scheduler answers at {address}: start one with `dask scheduler`"
        raise _fault(message) from error


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
        # A function of Python itself: it runs where there is no gradflow at all.
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
