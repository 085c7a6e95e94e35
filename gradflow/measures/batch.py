"""What the batch says at each lag: the typical sample, and how far the samples spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import LN10
from gradflow.results import GradientFlow

PERCENTILES = (10, 50, 90)


def over_batch(flow: GradientFlow, start: Array | None = None) -> GradientFlow:
    """The flow with the curves that follow from its samples.

    Args:
        flow: with `log_samples`, which are kept.
        start: (N,) what each sample is compared with, the natural logarithm of the norm of the
            whole net's gradient at lag `first`; None: that of this flow.
    """
    first = flow.log_samples[flow.first] if start is None else start
    return replace(
        flow,
        log10_percentiles=percentiles(flow.log_samples) / LN10,
        log10_typical=typical(flow.log_samples) / LN10,
        log10_typical_start=float(typical(first[None])[0]) / LN10,
    )


def typical(samples: Array) -> Array:
    """(T+1,): at each lag the mean over the batch of the logs (T+1, N), exact zeros left out;
    -inf where more than half of them are zero, NaN where any is no number."""
    there = samples > -np.inf
    if there.all():
        return np.asarray(samples.mean(axis=1))
    count = there.sum(axis=1)
    mean = np.where(there, samples, 0.0).sum(axis=1) / np.maximum(count, 1)
    found = np.where(2 * count < samples.shape[1], -np.inf, mean)
    return np.where(np.isnan(samples).any(axis=1), np.nan, found)


def percentiles(samples: Array) -> Array:
    """(T+1, 3): the 10th, 50th and 90th percentile of the logs (T+1, N), as of
    `percentiles_of_known`; NaN where any is no number."""
    unknown = np.isnan(samples).any(axis=1, keepdims=True)
    return np.where(unknown, np.nan, percentiles_of_known(samples))


def percentiles_of_known(logs: Array) -> Array:
    """(T+1, 3): the 10th, 50th and 90th percentile at each lag of those of `logs` (T+1, n) that are
    not NaN, interpolated between them; -inf where that takes one that is exactly zero.

    NumPy's `percentile` takes five times as long (T = 2000, N = 32), and gives NaN next to -inf.
    """
    ordered = np.sort(logs, axis=1)  # NaN last
    count = np.count_nonzero(~np.isnan(logs), axis=1, keepdims=True)
    at = np.array(PERCENTILES) / 100 * (count - 1)
    below = np.floor(at).astype(np.int64)
    row = np.arange(len(ordered))[:, None]
    low, high = ordered[row, below], ordered[row, np.minimum(below + 1, count - 1)]
    between = np.subtract(high, low, where=low > -np.inf, out=np.zeros_like(low))
    return np.asarray(low + between * (at - below))
