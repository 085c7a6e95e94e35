"""How work grows with its input: what takes twice the time for twice the input is fine, what takes
four times is not."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable

from gradflow.errors import GradflowError

Work = Callable[[], object]


def calls(work: Work) -> int:
    """The calls of functions, Python's and C's, that some work takes; a GradflowError ends it."""
    count = 0

    def count_calls(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        with contextlib.suppress(GradflowError):
            work()
    finally:
        sys.setprofile(None)
    return count


def seconds(work: Work) -> float:
    """Processor time, for what is slow within one call."""
    start = time.process_time()
    with contextlib.suppress(GradflowError):
        work()
    return time.process_time() - start


def grows_linearly(make: Callable[[int], Work], n: int) -> None:
    """Asserts that twice the input takes about twice the calls, and less than thrice the time."""
    once, twice = make(n), make(2 * n)
    calls(once)  # what is imported, or made once and kept, does not grow
    assert calls(twice) < 2.3 * calls(once) + 1000
    for _ in range(4):  # other processes take the caches away
        ratio = (seconds(twice) + 0.02) / (seconds(once) + 0.02)
        if ratio < 3:
            return
    raise AssertionError(f"twice the input takes {ratio:.1f} times the time")
