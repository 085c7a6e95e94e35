"""How Ctrl-C, SIGTERM and SIGHUP end the command: all alike, once, and within a bounded time.

The first of them raises KeyboardInterrupt in the main thread, and the ones that follow are no
longer heard, so that nothing that is cleaned up is cut short. Should the end not come within
`SECONDS` (an interrupt can be lost in a callback of some library, or hit a lock), it is forced.
"""

from __future__ import annotations

import _thread
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

INTERRUPTED = 130
"""What the command exits with."""

SECONDS = 10.0
"""How long cleaning up may take."""

temporary_files: set[str] = set()
"""Files that must not outlive the process."""


class _State:
    """What has come, and how many `held` blocks it has to wait for."""

    came = False
    raised = False
    over = False
    holds = 0


def end_on_signals() -> None:
    """From here on a signal ends the command; one that the caller has ignored stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def came() -> bool:
    """Whether a signal has asked for the end."""
    return _State.came


def heed_no_more() -> None:
    """The command has ended, in whatever way: a signal that comes now changes nothing."""
    _State.over = True
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def remove_temporary_files() -> None:
    """Remove those that are left."""
    for name in list(temporary_files):
        with suppress(OSError):
            os.unlink(name)


@contextmanager
def held() -> Iterator[None]:
    """Nothing in here sees a signal; who waits for it sees it right afterwards. It is blocked too,
    and stays so in a process or thread that is started in here."""
    _State.holds += 1
    mask = getattr(signal, "pthread_sigmask", None)
    before = mask(signal.SIG_BLOCK, ()) if mask else ()
    try:
        if mask:
            mask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        _State.holds -= 1
        if mask:
            mask(signal.SIG_SETMASK, before)
        _raise_what_came()


def _end(number: int, frame: FrameType | None) -> None:
    """The handler, which Python calls in the main thread."""
    if _State.came or _State.over:
        return
    _State.came = True
    with suppress(RuntimeError):  # threading.Thread would take locks that may be held right now
        _thread.start_new_thread(_force, ())
    _raise_what_came()


def _raise_what_came() -> None:
    if _State.came and not (_State.raised or _State.holds):
        _State.raised = True
        raise KeyboardInterrupt


def _force() -> None:
    time.sleep(SECONDS)
    remove_temporary_files()
    os._exit(INTERRUPTED)
