"""A thread that helps another: it waits awake for what it is given, outside of Python and its lock.

To wake one that sleeps costs a twentieth of a millisecond (measured: 20 to 60 µs), as much as half
a product of a wide net. On systems that have no such wait it sleeps after all.
"""

from __future__ import annotations

import ctypes
import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Protocol, TypeVar

import numpy as np

Work = Callable[[slice], object]
"""Does some of its pieces; called by several threads at a time, each with other pieces."""

_Item = TypeVar("_Item")
_Order = tuple[Context, Work, slice]

_MOMENT = 2**12  # square roots, which take 4 µs: as long as a helper takes to be at work


class Helper:
    """A thread that does what it is given, one order at a time. It waits at one gate, and opens
    another when it has done what it took; what it has not taken yet can be taken back."""

    def __init__(self) -> None:
        self._go, self._done, self._bell = gate(), gate(), _Lock()
        self._orders: deque[_Order | None] = deque()  # one at most; None: to sleep
        self._error: BaseException | None = None
        # It begins asleep: one that spins from the start may do so where its caller was, for as
        # long as the system lets a thread run.
        self._resting, self._over = True, False
        self._gone = threading.Lock()
        self._gone.acquire()
        start_new_thread(self._run, ())

    def begin(self, context: Context, work: Work, pieces: slice) -> None:
        """Have some pieces done; `context` has the caller's way to treat floating point errors."""
        if self._resting:
            self._resting = False
            try:
                self._orders.popleft()
            except IndexError:  # it sleeps, or is about to
                self._bell.open()
        self._orders.append((context, work, pieces))
        self._go.let_in()

    def finish(self) -> None:
        """See that they are done: here, if nobody has begun; raises what went wrong."""
        order = popped(self._orders)
        if order is not None:
            _, work, pieces = order
            work(pieces)
            return
        self._done.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def rest(self) -> None:
        """Have it sleep until it is wanted."""
        if not self._resting:
            self._resting = True
            self._orders.append(None)
            self._go.open()

    def end(self) -> None:
        """Have it end, whatever it does; a gate that is open already stays so."""
        self._over = True
        self._go.open()
        self._bell.open()
        self._gone.acquire()

    def _run(self) -> None:
        self._bell.wait()
        while not self._over:
            self._go.wait()
            try:
                order = self._orders.popleft()
            except IndexError:  # it was taken back
                continue
            if order is None:
                self._bell.wait()
                continue
            context, work, pieces = order
            try:
                context.run(work, pieces)
            except BaseException as error:
                self._error = error
            del context, work, pieces, order  # arrays above all
            self._done.open()
        self._gone.release()


class _Gate(Protocol):
    """Closed at first. Who comes through closes it behind them; to open it twice is to open it; to
    let someone in is to open it and make way."""

    def wait(self) -> None: ...

    def open(self) -> None: ...

    def let_in(self) -> None: ...


class _Spin:
    """A gate that is waited for awake, without Python's lock."""

    def __init__(self) -> None:
        self._memory = (ctypes.c_int * 64)()  # with the cache line to itself
        self._at = ctypes.c_void_p(ctypes.addressof(self._memory) + 128)
        _SPIN_INIT(self._at, 0)
        self.wait()

    def wait(self) -> None:
        _SPIN_LOCK(self._at)

    def open(self) -> None:
        _SPIN_UNLOCK(self._at)

    def let_in(self) -> None:
        """Open it, and let go of Python's lock for as long as it takes to come by that and be at
        work. Who finds the lock taken is put to sleep: a product of 512 x 512 x 32 in float32, with
        one thread 145 µs, takes two about 100 without this moment, the helper being 26 µs late, and
        about 80 with it. Nothing may come between the two calls (measured)."""
        _SPIN_UNLOCK(self._at)
        _sqrt(_ONES, _ONES)


class _Lock:
    """A gate that is waited for asleep."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self) -> None:
        self._lock.acquire()

    def open(self) -> None:
        with suppress(RuntimeError):  # it is open
            self._lock.release()

    let_in = open  # who sleeps is not there soon enough for anyone to make way


_sqrt, _ONES = np.sqrt, np.ones(_MOMENT)

gate: Callable[[], _Gate] = _Lock
with suppress(AttributeError, OSError, TypeError):  # macOS and Windows have no such functions
    # To wait lets go of Python's lock, to open does not: that would be felt.
    _SPIN_INIT = ctypes.PyDLL(None).pthread_spin_init
    _SPIN_LOCK = ctypes.CDLL(None).pthread_spin_lock
    _SPIN_UNLOCK = ctypes.PyDLL(None).pthread_spin_unlock
    gate = _Spin


def popped(queue: deque[_Item]) -> _Item | None:
    """The first of a queue; None where it is empty."""
    try:
        return queue.popleft()
    except IndexError:
        return None
