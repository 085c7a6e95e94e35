"""The threads that share the work of one wide run: each has a core, and waits for work awake.

A step of a wide net takes a tenth of a millisecond to a few. To wake a thread that sleeps costs a
twentieth (measured: 20 to 60 µs), so helpers spin while a run goes on, outside of Python and its
lock, and their caller lets go of that lock while they come back for it; on systems that have no
such wait they sleep after all. Where nothing was shared for a while, or sharing lost because other
work wants the cores, they sleep too, until they are wanted and there are cores that nothing runs
on.

Work is cut into pieces by its shape alone, and a thread takes a stretch of them: no digit depends
on how many threads there are.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from pathlib import Path
from typing import Protocol

import numpy as np

from gradflow.errors import Fault, InputError
from gradflow.machine.interrupts import held

VARIABLE = "GRADFLOW_CORES"
"""The environment variable that says how many threads a run may take."""

Work = Callable[[slice], object]
"""Does some of its pieces; called by several threads at a time, each with other pieces."""

_Order = tuple[Context, Work, slice]

_PATIENCE = 0.02  # seconds without work after which helpers sleep
_LOOKS = 0.004  # seconds until a core that others had is looked for again
_PENANCE = 4  # times as long as was lost because a helper had no core, nothing is shared
_STRICTEST = 64  # times that, where it happens again and again
_MOMENT = 2**13  # square roots, which take 8 µs: a helper that has computed finds its caches cold


def cores() -> int:
    """The processors that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _container_cores() or 2**30))


def idle_cores() -> int:
    """How many cores of this machine nothing runs on at this moment, as far as its system says."""
    try:
        running = int(_LOAD.read_text().split()[3].split("/")[0])
    except (OSError, ValueError, IndexError):
        return 2**30
    return max(0, (os.cpu_count() or 1) - running)


def asked() -> int | None:
    """What GRADFLOW_CORES says; None where it is not set. InputError: it is no such number."""
    value = os.environ.get(VARIABLE, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 7 and int(value) > 0):
        message = f"expected a whole number of at least 1, found {value!r}"
        raise InputError(Fault(message, key=VARIABLE))
    return int(value)


def threads_of_a_run(wanted: int | None = None, workers: int = 1, otherwise: int = 1) -> int:
    """How many threads a run may take where so many are worked on at a time: `wanted`, or what
    GRADFLOW_CORES says, or `otherwise`. The command gives every core; the library, which may be one
    of many in a pool, one. Never more than there are cores for."""
    if wanted is None:
        wanted = asked() or otherwise
    return max(1, min(wanted, cores() // workers))


@contextmanager
def sharing(threads: int) -> Iterator[None]:
    """Let `share` use so many threads, this one among them. They are gone when it is left."""
    if threads < 2 or getattr(_mine, "crew", None) is not None:
        yield
        return
    crew = _mine.crew = _Crew(threads)
    try:
        yield
    finally:
        _mine.crew = None
        crew.end()


def share(work: Work, pieces: int, *, worth: bool = True) -> None:
    """Have all `pieces` of some work done, by this thread and its helpers; by this one alone where
    it is not `worth` that. What a helper raises is raised here."""
    crew: _Crew | None = getattr(_mine, "crew", None)
    if crew is None or pieces < 2 or not worth:
        work(slice(0, pieces))
    else:
        crew.share(work, pieces)


def count() -> int:
    """How many threads `share` has here."""
    crew: _Crew | None = getattr(_mine, "crew", None)
    return 1 if crew is None else crew.threads


_LOAD = Path("/proc/loadavg")

_mine = threading.local()  # a helper has no helpers, nor has a process that was forked from another


class _Crew:
    """The helpers of one thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._helpers: list[_Helper] = []
        self._watch: threading.Thread | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()  # held by whoever gives the helpers orders
        self._shared = 0
        self._alone_until, self._penance = 0.0, 1.0
        self._asleep = True  # the helpers; before they are woken it is asked how many have a core
        self._width = 1  # the threads that share, this one among them

    def share(self, work: Work, pieces: int) -> None:
        # From within shared work, or while a watch puts the helpers to sleep, there is no help.
        if time.perf_counter() < self._alone_until or not self._lock.acquire(blocking=False):
            work(slice(0, pieces))
            return
        try:
            self._share(work, pieces)
        except BaseException:  # nobody may be left at work on what the caller lets go of
            self._stop()
            raise
        finally:
            self._lock.release()

    def _share(self, work: Work, pieces: int) -> None:
        if self._asleep:
            self._width = min(self.threads, 1 + idle_cores())
            if self._width < 2:
                self._alone_until = time.perf_counter() + _LOOKS
                work(slice(0, pieces))
                return
            if self._watch is None:
                self._start()
            self._asleep = False
        self._shared += 1
        n = min(self._width, len(self._helpers) + 1, pieces)
        edges = [pieces * k // n for k in range(n + 1)]
        busy = self._helpers[: n - 1]
        begin = time.perf_counter()
        for helper, start, stop in zip(busy, edges[1:], edges[2:], strict=False):
            helper.begin(copy_context(), work, slice(start, stop))
        own = time.thread_time()
        work(slice(0, edges[1]))
        own = time.thread_time() - own
        for helper in busy:
            helper.finish()
        self._judge(time.perf_counter() - begin, own * pieces / edges[1])

    def _judge(self, taken: float, alone: float) -> None:
        """Share nothing for a while where that took longer than it would have taken alone: longer
        and longer where it goes on, since other work wants the cores then."""
        if taken <= alone:
            self._penance = max(1.0, self._penance / 2)
            return
        pause = self._penance * _PENANCE * (taken - alone)
        self._alone_until = time.perf_counter() + pause
        self._penance = min(_STRICTEST, 2 * self._penance)
        if pause > _PATIENCE:
            self._rest()

    def _rest(self) -> None:
        self._asleep = True
        for helper in self._helpers:
            helper.rest()

    def end(self) -> None:
        """Have all threads end, those at work when that is done."""
        held = self._lock.acquire(timeout=1.0)  # an interrupt may have left it held
        self._stop()
        if held:
            self._lock.release()
        if self._watch is not None and self._watch.ident is not None:
            self._watch.join()

    def _stop(self) -> None:
        self._over.set()
        self.threads = 1
        while self._helpers:
            self._helpers[-1].end()
            self._helpers.pop()

    def _start(self) -> None:
        self._watch = threading.Thread(target=self._send_to_sleep, daemon=True)
        with held():  # no signal falls between a thread's start and our knowing of it
            try:
                self._watch.start()
                while len(self._helpers) < self.threads - 1:
                    self._helpers.append(_Helper())
            except RuntimeError:  # there may be no more threads
                self.threads = 1 + len(self._helpers)

    def _send_to_sleep(self) -> None:
        """Again and again: let the helpers sleep if nothing was shared in the meantime."""
        seen = -1
        while not self._over.wait(_PATIENCE):
            if self._shared == seen and self._lock.acquire(blocking=False):
                try:
                    self._rest()
                finally:
                    self._lock.release()
            seen = self._shared


class _Helper:
    """A thread that does what it is given, one order at a time. It waits at one gate, and opens
    another when it has done what it took; what it has not taken yet can be taken back."""

    def __init__(self) -> None:
        self._go, self._done, self._bell = _gate(), _gate(), _Lock()
        self._orders: deque[_Order | None] = deque()  # one at most; None: to sleep
        self._error: BaseException | None = None
        # It begins asleep: one that spins from the start may do so where its caller was, for as
        # long as the system lets a thread run.
        self._resting, self._over = True, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

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
        order = self._taken_back()
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
        self._thread.join()

    def _taken_back(self) -> _Order | None:
        try:
            return self._orders.popleft()
        except IndexError:
            return None

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

_gate: Callable[[], _Gate] = _Lock
with suppress(AttributeError, OSError, TypeError):  # macOS and Windows have no such functions
    # To wait lets go of Python's lock, to open does not: that would be felt.
    _SPIN_INIT = ctypes.PyDLL(None).pthread_spin_init
    _SPIN_LOCK = ctypes.CDLL(None).pthread_spin_lock
    _SPIN_UNLOCK = ctypes.PyDLL(None).pthread_spin_unlock
    _gate = _Spin


def _container_cores() -> int | None:
    """The whole processors that the control group allows, where one sets a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return max(1, int(quota) // int(period)) if quota.isdigit() else None
