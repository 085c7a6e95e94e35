"""Vectors lie side by side, whatever shape they have to the reader."""

from __future__ import annotations

import numpy as np

from gradflow.numerics import arrays


def test_room_is_made_with_the_batch_innermost():
    room = arrays.empty((4, 3, 5, 2), np.float32)
    assert room.shape == (4, 3, 5, 2)
    assert room.dtype == np.float32
    assert room.mT.flags.c_contiguous


def test_what_lies_so_already_is_not_copied():
    rows = np.arange(24.0).reshape(2, 3, 4)
    laid = arrays.laid(rows)
    np.testing.assert_array_equal(laid, rows)
    assert laid.mT.flags.c_contiguous
    assert not np.shares_memory(laid, rows)
    assert np.shares_memory(arrays.laid(laid), laid)


def test_parts_are_views_of_columns():
    z = arrays.empty((2, 5, 12), float)
    z[...] = np.arange(120.0).reshape(2, 5, 12)
    parts = arrays.cut(z, 4)
    assert [part.shape for part in parts] == [(2, 3, 5)] * 4
    np.testing.assert_array_equal(np.concatenate(parts, axis=-2), z.mT)
    parts[1][...] = 0
    assert not z[..., 3:6].any()
    assert parts[2][0].flags.c_contiguous


def test_transposes_are_whole():
    for shape in ((1, 1), (2, 15, 3), (2, 3, 33, 40), (0, 5)):
        matrices = np.arange(float(np.prod(shape))).reshape(shape)
        found = arrays.transposed(matrices)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, matrices.mT)


def test_distinct_values_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for shape in ((), (0,), (1,), (40,), (3, 5)):
        values = rng.integers(-4, 4, shape)
        found, where = arrays.distinct(values)
        expected, inverse = np.unique(values, return_inverse=True)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(where, inverse)
        np.testing.assert_array_equal(found[where], values)
