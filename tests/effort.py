"""How much work something takes, whatever else the machine is doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def least_processor_seconds(task: Callable[[], object], rounds: int = 4) -> float:
    """What a task takes of the processor at the best of some times: what disturbs only adds."""
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        task()
        found.append(time.process_time() - begin)
    return min(found)


@contextmanager
def processor_seconds(at_most: float) -> Iterator[None]:
    """The block takes no more of the processor: of this process alone, so that a busy machine
    changes nothing, and with room enough for a slow one."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < at_most
