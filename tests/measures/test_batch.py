from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gradflow.measures.batch import percentiles, typical


@pytest.mark.parametrize("N", [1, 2, 3, 11, 32])
def test_percentiles_are_those_of_numpy(N):
    samples = np.random.default_rng(N).standard_normal((6, N))
    expected = np.percentile(samples, [10, 50, 90], axis=1).T
    assert_allclose(percentiles(samples), expected, rtol=1e-12)


def test_percentiles_of_zeros_are_zeros():
    samples = np.array([[-np.inf, -np.inf, 0.0, 1.0, 2.0], [-np.inf] * 5, [0.0] * 4 + [3.0]])
    assert_allclose(
        percentiles(samples), [[-np.inf, 0.0, 1.6], [-np.inf] * 3, [0.0, 0.0, 1.8]], rtol=1e-12
    )


def test_the_typical_curve_leaves_zeros_out_until_they_are_the_most():
    dead = -np.inf
    samples = np.array([[1.0, 2.0, 6.0, 3.0], [1.0, 2.0, dead, dead], [1.0, dead, dead, dead]])
    assert_allclose(typical(samples), [3.0, 1.5, dead])
