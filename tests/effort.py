"""How much work something takes, whatever else the machine is doing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def processor_seconds(at_most: float) -> Iterator[None]:
    """The block takes no more of the processor: of this process alone, so that a busy machine
    changes nothing, and with room enough for a slow one."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < at_most
