"""Times of several tasks side by side: in turn, so that a busy moment of the machine hits all."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Task = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of one task, round by round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """How many times longer one task takes than another."""

    of_medians: float
    of_least: float
    low: float  # quartiles of the ratios round by round
    high: float

    @staticmethod
    def of(times: Times, base: Times) -> Ratio:
        pairs = zip(times.seconds, base.seconds, strict=True)
        rounds = sorted(a / b for a, b in pairs)
        last = len(rounds) - 1
        return Ratio(
            times.median / base.median,
            times.least / base.least,
            rounds[last // 4],
            rounds[last - last // 4],
        )


def side_by_side(
    tasks: Mapping[str, Task],
    *,
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Time every task once a round, by this clock, after one round that does not count. Each round
    begins with another task, so that none always finds what the same one left in the caches.

    Ends after `rounds`, or earlier, but not before two, once `seconds` have passed.
    """
    for task in tasks.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in tasks}
    deadline = time.perf_counter() + seconds
    for done in range(rounds):
        if done >= 2 and time.perf_counter() > deadline:
            break
        gc.collect()
        first = done % len(tasks)
        for name, task in [*tasks.items()][first:] + [*tasks.items()][:first]:
            start = clock()
            task()
            found[name].append(clock() - start)
    return {name: Times(tuple(values)) for name, values in found.items()}
