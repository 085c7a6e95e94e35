"""The threads that share the work of one run: each has a core, and waits for work awake.

Where nothing was shared for a while, or sharing lost because other work wants the cores, they
sleep, until they are wanted and there are cores that nothing runs on.

Work is cut into pieces by its shape alone, and a thread takes some of them: no digit depends on how
many threads there are.
"""

from __future__ import annotations

import os
import threading
import time
from _thread import start_new_thread  # no moment of it can be split, as those of Thread.start can
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from itertools import islice
from pathlib import Path
from typing import TypeVar

from gradflow.errors import Fault, InputError
from gradflow.machine.helpers import Helper, Work, popped
from gradflow.machine.interrupts import held

VARIABLE = "GRADFLOW_CORES"
"""The environment variable that says how many threads a run may take."""

_Item = TypeVar("_Item")

_PATIENCE = 0.02  # seconds without work after which helpers sleep
_LOOKS = 0.004  # seconds until a core that others had is looked for again
_PENANCE = 4  # times as long as was lost because a helper had no core, nothing is shared
_STRICTEST = 64  # times that, where it happens again and again


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
    digits = value.lstrip("0")
    if not (digits.isascii() and digits.isdigit()):
        message = f"expected a whole number of at least 1, found {value!r}"
        raise InputError(Fault(message, key=VARIABLE))
    return int(digits[:9])  # no machine has as many


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
        try:
            crew.end()
        except BaseException:  # an interrupt: nobody may be left for it
            crew.end()
            raise


def share(work: Work, pieces: int, *, worth: bool = True, long: bool = False) -> None:
    """Have all `pieces` of some work done, by this thread and its helpers; by this one alone where
    it is not `worth` that. What a helper raises is raised here. Where the work is `long`, this
    thread first makes what comes `ahead`."""
    crew = _crew()
    following = crew.following if crew is not None and long else None
    if crew is None or not worth or (pieces < 2 and following is None):
        work(slice(0, pieces))
    else:
        crew.share(work, pieces, following)


def ahead(items: Iterator[_Item], *, worth: bool = True) -> Iterator[_Item]:
    """The same items. While helpers are at long work that is shared for one, the next is made; by
    this thread alone, which is not `worth` it where the making is shared itself."""
    crew = _crew()
    if crew is None or not worth:
        yield from items
        return
    made = deque(islice(items, 1))
    context = copy_context()  # not what comes to hold within the work

    def make() -> None:
        if not made:
            made.extend(context.run(list, islice(items, 1)))

    while made:
        item = made.popleft()
        crew.following = make
        try:
            yield item
        finally:
            crew.following = None
        make()


def count() -> int:
    """How many threads `share` has here."""
    crew = _crew()
    return 1 if crew is None else crew.threads


_LOAD = Path("/proc/loadavg")

_mine = threading.local()  # a helper has no helpers, nor has a process that was forked from another


def _crew() -> _Crew | None:
    crew: _Crew | None = getattr(_mine, "crew", None)
    return crew


class _Crew:
    """The helpers of one thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.following: Callable[[], None] | None = None  # makes what comes `ahead`
        self._helpers: list[Helper] = []
        self._watch: int | None = None
        self._ready, self._over, self._gone = (threading.Lock() for _ in range(3))
        for not_yet in (self._ready, self._over, self._gone):
            not_yet.acquire()
        self._lock = threading.Lock()  # held by whoever gives the helpers orders
        self._shared = 0
        self._alone_until, self._penance = 0.0, 1.0
        self._asleep = True  # the helpers; before they are woken it is asked how many have a core
        self._width = 1  # the threads that share, this one among them

    def share(self, work: Work, pieces: int, following: Callable[[], None] | None) -> None:
        # From within shared work, or while a watch puts the helpers to sleep, there is no help.
        if time.perf_counter() < self._alone_until or not self._lock.acquire(blocking=False):
            work(slice(0, pieces))
            return
        try:
            self._share(work, pieces, following)
        except BaseException:  # nobody may be left at work on what the caller lets go of
            self.end()
            raise
        finally:
            self._lock.release()

    def _share(self, work: Work, pieces: int, following: Callable[[], None] | None) -> None:
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
        helpers = self._helpers[: self._width - 1]
        if following is None:
            self._at_once(helpers[: pieces - 1], work, pieces)
        else:
            self._beside(helpers, work, pieces, following)

    def _at_once(self, helpers: list[Helper], work: Work, pieces: int) -> None:
        """Everybody takes a stretch of pieces."""
        n = 1 + len(helpers)
        edges = [pieces * k // n for k in range(n + 1)]
        begin = time.perf_counter()
        for helper, start, stop in zip(helpers, edges[1:], edges[2:], strict=False):
            helper.begin(copy_context(), work, slice(start, stop))
        own = time.thread_time()
        work(slice(0, edges[1]))
        own = time.thread_time() - own
        for helper in helpers:
            helper.finish()
        self._judge(time.perf_counter() - begin, own * pieces / edges[1])

    def _beside(
        self, helpers: list[Helper], work: Work, pieces: int, following: Callable[[], None]
    ) -> None:
        """Helpers take one piece after the other; this thread makes what comes ahead, and then
        takes of them too."""
        self.following = None
        left, spent = deque(range(pieces)), []

        def take(_: slice) -> None:
            begin = time.thread_time()
            while (at := popped(left)) is not None:
                work(slice(at, at + 1))
            spent.append(time.thread_time() - begin)

        whole = slice(0, pieces)
        begin = time.perf_counter()
        for helper in helpers:
            helper.begin(copy_context(), take, whole)
        own = time.thread_time()
        try:
            following()
            spent.append(time.thread_time() - own)
            take(whole)
        finally:
            left.clear()
        for helper in helpers:
            helper.finish()
        self._judge(time.perf_counter() - begin, sum(spent))

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
        """Have all threads end, those at work when that is done. To interrupt it keeps none."""
        self.threads = 1
        with suppress(RuntimeError):  # it is over
            self._over.release()
        if self._watch is not None:
            with self._gone:
                pass

    def _start(self) -> None:
        with held():  # signals are left to this thread
            try:
                self._watch = start_new_thread(self._look_after, ())
            except RuntimeError:  # there may be no more threads
                self.threads = 1
                return
        self._ready.acquire()

    def _look_after(self) -> None:
        """Start the helpers, let them sleep where nothing was shared in the meantime, and have them
        end when the run is over: all that in a thread that no interrupt comes to."""
        with suppress(RuntimeError, MemoryError):  # there may be no more threads
            while len(self._helpers) < self.threads - 1:
                self._helpers.append(Helper())
        self.threads = min(self.threads, 1 + len(self._helpers))
        self._ready.release()
        seen = -1
        while not self._over.acquire(timeout=_PATIENCE):
            if self._shared == seen and self._lock.acquire(blocking=False):
                self._rest()
                self._lock.release()
            seen = self._shared
        while self._helpers:
            self._helpers.pop().end()
        self._gone.release()


def _container_cores() -> int | None:
    """The whole processors that the control group allows, where one sets a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return max(1, int(quota) // int(period)) if quota.isdigit() else None
