"""Work that a damaged file can keep from ever ending, done in a child process that can be ended.

HDF5's own library loops for ever on some corrupted texts, where no signal reaches Python.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

from gradflow.errors import GradflowError

T = TypeVar("T")

SECONDS = 3.0
"""How long the work may take; what is read in it is a file's directory and its texts."""


def in_time(work: Callable[[], T], late: GradflowError) -> T:
    """What `work` returns or raises as GradflowError; `late` is raised where it takes too long.

    Without fork (Windows) the work is done here, without a limit.
    """
    if not hasattr(os, "fork"):
        return work()
    end, start = os.pipe()
    with warnings.catch_warnings():  # Python and JAX warn of threads; the child reads and leaves
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        _work_and_leave(work, start)
    os.close(start)
    try:
        answer = _all_of(end, time.monotonic() + SECONDS)
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


def _work_and_leave(work: Callable[[], object], pipe: int) -> None:
    """The child's whole life."""
    try:
        try:
            answer = pickle.dumps((True, work()))
        except GradflowError as error:
            answer = pickle.dumps((False, error))
        with os.fdopen(pipe, "wb") as file:
            file.write(answer)
    finally:
        os._exit(0)


def _all_of(pipe: int, deadline: float) -> bytes:
    """What is written to the pipe until it is closed; nothing where that takes too long."""
    found = bytearray()
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(pipe, 1 << 20)
        if not piece:
            return bytes(found)
        found += piece
    return b""
