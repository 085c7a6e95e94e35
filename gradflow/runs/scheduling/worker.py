"""The life of a worker process: calls come in at standard input, answers go out at standard output,
each a pickle from or for its own parent."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

from gradflow.errors import GradflowError
from gradflow.machine.interrupts import SIGNALS
from gradflow.runs.scheduling.pages import keep_freed_memory


def serve() -> None:
    """Answer call after call, until the parent closes the pipe or is gone."""
    for number in SIGNALS:  # the parent hears them, and ends its workers
        signal.signal(number, signal.SIG_IGN)
    calls, answers = _own(0, "rb"), _own(1, "wb")
    keep_freed_memory()
    inbox: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_read, args=(calls, inbox), daemon=True).start()
    try:
        while True:
            answers.write(_answer(*inbox.get()))
            answers.flush()
    except OSError:
        os._exit(1)  # the parent is gone


def _own(number: int, mode: str) -> BinaryIO:
    """The pipe at `number`, out of the way of whatever else reads or prints in this process."""
    pipe = os.dup(number)
    os.dup2(os.open(os.devnull, os.O_RDWR), number)
    return os.fdopen(pipe, mode)  # type: ignore[return-value]


def _read(calls: BinaryIO, inbox: SimpleQueue[Any]) -> None:
    """Hand over each call. Runs in a thread, so that the process goes with its parent even in the
    middle of work."""
    try:
        while True:
            inbox.put(pickle.load(calls))
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _answer(function: Any, arguments: tuple[Any, ...]) -> bytes:
    """Whether it went well, and what it returned or raised."""
    try:
        return pickle.dumps((True, function(*arguments)))
    except BaseException as error:
        try:
            return pickle.dumps((False, error))
        except Exception:
            return pickle.dumps((False, GradflowError(f"error: {type(error).__name__}: {error}")))
