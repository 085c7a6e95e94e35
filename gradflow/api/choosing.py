"""Which runs are meant by a list of numbers, or of truths, as a column of a data frame is."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.numerics.arrays import Array


def chosen(numbers_or_truths: Any, count: int) -> list[int]:
    """The places, from 0, of those that are meant of `count` runs.

    Raises:
        TypeError: it is neither numbers nor truths.
        IndexError: there is no such run, there are more truths or fewer than runs, or the index of
            a column is not of theirs.
    """
    index = _truths(numbers_or_truths)
    if index is None:
        return _numbers(np.asarray(numbers_or_truths), count)
    if len(index) != count:
        raise IndexError(f"expected a truth for each of {many(count, 'run')}, found {len(index)}")
    return np.flatnonzero(_in_order(index, numbers_or_truths)).tolist()


def _numbers(index: Array, count: int) -> list[int]:
    if index.ndim == 1 and not index.size:
        return []
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise TypeError("runs are chosen by whole numbers, or by a truth for each")
    numbers: list[int] = index.tolist()
    for number in numbers:
        if not -count <= number < count:
            raise IndexError(f"there is no run at {number}: {many(count, 'run')}, from 0")
    return numbers


def _truths(given: Any) -> Array | None:
    """Truths as an array, false where one is missing, as data frames have it; None: it is none."""
    index = np.asarray(given)
    if index.ndim != 1 or index.dtype.kind == "b":
        return index if index.ndim == 1 else None
    if index.dtype.kind != "O":
        return None
    is_truth = np.array([isinstance(one, bool | np.bool_) for one in index], bool)
    missing = np.array([one is None or type(one).__name__ == "NAType" for one in index], bool)
    of_truths = is_truth.any() or str(getattr(given, "dtype", "")).lower().startswith("bool")
    if not of_truths or not (is_truth | missing).all():
        return None
    return np.where(missing, False, index).astype(bool)


def _in_order(truths: Array, given: Any) -> Array:
    """Those of a column of pandas in the order of the runs, which its index numbers."""
    if not hasattr(given, "iloc"):
        return truths
    labels = np.asarray(given.index)
    if labels.dtype.kind not in "iu" or not np.array_equal(np.sort(labels), np.arange(len(truths))):
        message = "the index of this column is not the numbers of the runs: give .to_numpy()"
        raise IndexError(f"{message}, if it is in their order")
    ordered = np.empty(len(truths), bool)
    ordered[labels] = truths
    return ordered
