"""Percentiles of many numbers in bounded memory: exact of a million, beyond that from a histogram
of 65,536 bins of equal width."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradflow.numerics.arrays import Array

MOST = 2**20
"""As many numbers are kept as they are."""
BINS = 2**16


class Distribution:
    """Numbers between `low` and `high` (others count as these), in any order."""

    def __init__(self, count: int, low: float, high: float) -> None:
        """For `count` numbers in all."""
        self.low, self.high, self.is_exact = low, high, count <= MOST
        self._values = np.empty(count if self.is_exact else 0)
        self._bins = np.zeros(0 if self.is_exact else BINS, dtype=np.int64)
        self._filled = 0

    def add(self, values: Array) -> None:
        """Add numbers, an array of any shape."""
        flat = np.clip(values.ravel(), self.low, self.high)
        if self.is_exact:
            self._values[self._filled : self._filled + flat.size] = flat
        else:
            values = flat.astype(np.float64, copy=False)
            self._bins += np.histogram(values, BINS, (self.low, self.high))[0]
        self._filled += flat.size

    def percentiles(
        self, wanted: Sequence[float], falling: Callable[[Array], Array] | None = None
    ) -> list[float]:
        """The percentiles; between two numbers, and within a bin, on the line between its ends.

        Args:
            wanted: from 0 to 100.
            falling: a function of the numbers, which falls as they rise, whose percentiles are
                wanted in place of theirs.
        """
        if falling is not None and not self.is_exact:
            own = np.array(self.percentiles([100 - p for p in wanted]))
            return [float(v) for v in falling(own)]
        if self.is_exact:
            values = self._values[: self._filled]
            return _between(values if falling is None else falling(values), wanted)
        below = np.concatenate([[0], np.cumsum(self._bins)])
        edges = np.linspace(self.low, self.high, BINS + 1)
        rank = np.asarray(wanted) / 100 * self._filled
        # The last bin whose numbers begin below the rank: empty bins are passed over.
        at = np.clip(np.searchsorted(below, rank, side="left") - 1, 0, BINS - 1)
        within = (rank - below[at]) / np.maximum(self._bins[at], 1)
        return [float(v) for v in edges[at] + np.clip(within, 0, 1) * (edges[1] - edges[0])]


def _between(values: Array, wanted: Sequence[float]) -> list[float]:
    """Percentiles of numbers of which some may be infinite, as is what lies next to these."""
    with np.errstate(invalid="ignore"):
        found = np.percentile(values, wanted)
    above = np.percentile(values, wanted, method="higher")
    return [float(v) for v in np.where(np.isinf(above), above, found)]
