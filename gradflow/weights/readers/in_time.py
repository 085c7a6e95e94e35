"""Work that a damaged file can keep from ever ending, done in a child process that can be ended.

HDF5's own library loops for ever on some corrupted texts, where no signal reaches Python.
"""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from collections.abc import Callable
from typing import TypeVar

from gradflow.errors import GradflowError

T = TypeVar("T")
Alive = Callable[[], None]
"""Called by the work whenever it gets on."""

SECONDS = 3.0
"""Processor time that the work may take without getting on; waiting does not count, so that no
load of the machine and no length of a sound file brings it to an end."""


def in_time(work: Callable[[Alive], T], late: GradflowError) -> T:
    """What `work` returns or raises as GradflowError; `late` is raised where it does not get on.

    Without fork (Windows) the work is done here, without a limit.
    """
    if not hasattr(os, "fork"):
        return work(lambda: None)
    end, start = os.pipe()
    with warnings.catch_warnings():  # Python and JAX warn of threads; the child reads and leaves
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        _work_and_leave(work, start)
    os.close(start)
    try:
        answer = _all_of(end)
    finally:
        os.close(end)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer:
        raise late
    done, result = pickle.loads(answer)  # written by our own child
    if not done:
        raise result
    found: T = result
    return found


def _work_and_leave(work: Callable[[Alive], object], pipe: int) -> None:
    """The child's whole life; the timer of its processor time ends it."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
        _wind_up()
        try:
            answer = pickle.dumps((True, work(_wind_up)))
        except GradflowError as error:
            answer = pickle.dumps((False, error))
        _wind_up()
        with os.fdopen(pipe, "wb") as file:
            file.write(answer)
    finally:
        os._exit(0)


def _wind_up() -> None:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)


def _all_of(pipe: int) -> bytes:
    """What is written to the pipe until it is closed."""
    found = bytearray()
    while piece := os.read(pipe, 1 << 20):
        found += piece
    return bytes(found)
