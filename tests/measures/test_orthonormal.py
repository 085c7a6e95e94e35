"""Vectors that left float range on their way to an orthonormal basis."""

from __future__ import annotations

import numpy as np

from gradflow.measures.orthonormal import orthonormalised


def test_what_is_not_finite_is_lost_where_an_answer_has_to_be_given():
    A = np.random.default_rng(0).standard_normal((2, 1, 3, 4))
    A[1, 0, 2, 0] = np.inf
    assert orthonormalised(A.copy(), surely=False) is None
    found = orthonormalised(A.copy(), surely=True)
    assert found is not None
    assert np.isnan(found.logs).all()  # nothing is known of any vector
    assert found.Q.shape == A.shape
