"""Base matrices have the distribution their names promise, in every shape."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.initializers import INITIALIZERS, gaussian, identity, orthogonal, uniform

SHAPES = [(1, 1), (6, 6), (9, 4), (4, 9), (1, 5), (5, 1)]
every_shape = pytest.mark.parametrize(("rows", "cols"), SHAPES)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", INITIALIZERS)
@every_shape
def test_each_gives_the_shape_asked_for_and_the_same_numbers_for_the_same_seed(name, rows, cols):
    one, other = (INITIALIZERS[name](np.random.default_rng(seed), rows, cols) for seed in (1, 1))
    assert one.shape == (rows, cols)
    assert one.dtype == np.float64
    assert one.flags.c_contiguous
    np.testing.assert_array_equal(one, other)


@every_shape
def test_orthogonal_has_orthonormal_rows_or_columns(rng, rows, cols):
    q = orthogonal(rng, rows, cols)
    gram = q.T @ q if rows >= cols else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(rows, cols)), atol=1e-14)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 2), (3, 3), (8, 8)])
def test_orthogonal_is_haar_distributed(rng, rows, cols):
    """Under the Haar measure on O(n) the trace has mean 0 and variance 1, det is ±1 evenly."""
    draws = 4000
    q = np.array([orthogonal(rng, rows, cols) for _ in range(draws)])
    traces = np.trace(q, axis1=1, axis2=2)
    assert abs(traces.mean()) < 4 / np.sqrt(draws)
    assert abs((traces**2).mean() - 1) < 8 / np.sqrt(draws)
    assert abs(np.linalg.det(q).mean()) < 4 / np.sqrt(draws)
    assert (np.abs(q.mean(axis=0)) < 4.5 / np.sqrt(draws * rows)).all()  # no entry leans to a sign
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / rows, atol=6 / np.sqrt(draws))


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (600, 100), (100, 600)])
def test_gaussian_has_variance_one_over_columns(rng, rows, cols):
    base = gaussian(rng, rows, cols) * np.sqrt(cols)
    entries = rows * cols
    assert abs(base.mean()) < 4 / np.sqrt(entries)
    assert abs(base.var() - 1) < 4 * np.sqrt(2 / entries)
    assert abs((base**4).mean() - 3) < 4 * np.sqrt(96 / entries)  # the kurtosis of a Gaussian


def test_a_square_gaussian_has_spectral_radius_near_one(rng):
    radius = np.abs(np.linalg.eigvals(gaussian(rng, 200, 200))).max()
    assert 0.9 < radius < 1.1


@pytest.mark.parametrize(("rows", "cols"), [(300, 300), (600, 100), (100, 600)])
def test_uniform_fills_its_bounds_evenly(rng, rows, cols):
    base = uniform(rng, rows, cols) * np.sqrt(cols)
    entries = rows * cols
    assert 0.999 < np.abs(base).max() <= 1
    assert abs(base.mean()) < 4 / np.sqrt(3 * entries)
    assert abs(base.var() - 1 / 3) < 4 * np.sqrt(4 / 45 / entries)


@every_shape
def test_identity_is_cut_or_padded(rng, rows, cols):
    np.testing.assert_array_equal(identity(rng, rows, cols), np.eye(rows, cols))
