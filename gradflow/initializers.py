"""Base matrices for the weights. Each is `(rng, rows, cols) -> (rows, cols) float64 array`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradflow.columns import Array

Initializer = Callable[[np.random.Generator, int, int], Array]


def gaussian(rng: np.random.Generator, rows: int, cols: int) -> Array:
    """Independent N(0, 1/cols): for a square matrix the spectral radius tends to 1.

    Girko's circular law; the edge is Geman, Annals of Probability 14 (1986).
    """
    base: Array = rng.standard_normal((rows, cols)) / np.sqrt(cols)
    return base


def orthogonal(rng: np.random.Generator, rows: int, cols: int) -> Array:
    """Haar-distributed: orthonormal columns where rows >= cols, orthonormal rows elsewhere.

    QR of a Gaussian matrix with the signs of R's diagonal taken out (Mezzadri, Notices of the
    AMS 54, 2007); for recurrent nets Saxe, McClelland and Ganguli, arXiv:1312.6120.
    """
    tall = rng.standard_normal((max(rows, cols), min(rows, cols)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= cols else np.ascontiguousarray(q.T)


def identity(rng: np.random.Generator, rows: int, cols: int) -> Array:
    """The identity, cut or zero-padded to the shape (Le, Jaitly and Hinton, arXiv:1504.00941)."""
    return np.eye(rows, cols)


def uniform(rng: np.random.Generator, rows: int, cols: int) -> Array:
    """Independent U(-1/sqrt(cols), 1/sqrt(cols)); PyTorch's default for recurrent weights."""
    base: Array = rng.uniform(-1.0, 1.0, (rows, cols)) / np.sqrt(cols)
    return base


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f for f in (gaussian, orthogonal, identity, uniform)
}
