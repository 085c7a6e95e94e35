"""How Ctrl-C, SIGTERM and SIGHUP end the command: all alike, once, and within a bounded time.

The first of them raises KeyboardInterrupt in the main thread, and the ones that follow are no
longer heard, so that nothing that is cleaned up is cut short. Where it falls into a callback, which
Python lets nothing out of, it is raised again. Should the end not come within `SECONDS` (it can hit
a lock), it is forced.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress

# What is imported before signals are heard is little, and soon done.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

    came: signal.Signals | None = None
    raised = False
    over = False
    main_thread = 0
    holds = 0


def end_on_signals() -> None:
    """From here on a signal ends the command; one that the caller has ignored stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    _State.main_thread = _thread.get_ident()
    sys.unraisablehook = _lost


def came() -> bool:
    """Whether a signal has asked for the end."""
    return _State.came is not None


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
            mask(signal.SIG_SETMASK, before)  # in a library this is where an interrupt is raised
        _raise_what_came()


def _end(number: int, frame: FrameType | None) -> None:
    """The handler, which Python calls in the main thread."""
    if _State.over:
        return
    if not _State.came:
        _State.came = signal.Signals(number)
        _in_a_thread(_force)
    _raise_what_came()


def _raise_what_came() -> None:
    if _State.came and not (_State.raised or _State.holds):
        _State.raised = True
        raise KeyboardInterrupt


def _lost(error: sys.UnraisableHookArgs) -> None:
    """Called by Python for what a callback raises. Imports have one for each module."""
    if _State.came and isinstance(error.exc_value, KeyboardInterrupt):
        _State.raised = False
        _in_a_thread(_once_more)
    else:
        sys.__unraisablehook__(error)


def _once_more() -> None:
    time.sleep(0.001)  # out of the callback
    assert _State.came is not None
    if hasattr(signal, "pthread_kill"):  # ends what the main thread waits for, too
        signal.pthread_kill(_State.main_thread, _State.came)
    else:
        _thread.interrupt_main(_State.came)


def _in_a_thread(work: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # threading.Thread would take locks that may be held right now
        _thread.start_new_thread(work, ())


def _force() -> None:
    time.sleep(SECONDS)
    remove_temporary_files()
    os._exit(INTERRUPTED)
