"""Base matrices for the weights. Each is `(rng, rows, cols) -> (rows, cols) float64 array`.

A `Base` says which one, and what is then done to each block: entries set to zero, and the rest
brought to a spectral radius. Those of FUSED are drawn for all gates at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradflow.counts import many
from gradflow.errors import Fault, InputError
from gradflow.numerics.arrays import Array

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


def glorot(rng: np.random.Generator, rows: int, cols: int) -> Array:
    """Independent U(±sqrt(6 / (rows + cols))), of a square matrix U(±sqrt(3 / rows)).

    Glorot and Bengio, AISTATS 2010; for each gate alone, where Keras has `fused_glorot`.
    """
    base: Array = rng.uniform(-1.0, 1.0, (rows, cols)) * np.sqrt(6 / (rows + cols))
    return base


FUSED = {"fused_orthogonal": orthogonal, "fused_glorot": glorot}
"""Of the blocks of all gates one below the other, as Keras draws them: orthonormal columns of the
whole, U(±sqrt(6 / (G + cols)))."""

INITIALIZERS: dict[str, Initializer] = {
    **{f.__name__: f for f in (gaussian, orthogonal, identity, uniform, glorot)},
    **FUSED,
}


@dataclass(frozen=True)
class Base:
    """How base matrices are drawn.

    Attributes:
        kind: a name of INITIALIZERS.
        density: the share of the entries of a block that are not zero, the number of them rounded;
            None: all.
        spectral_radius: the largest absolute eigenvalue that each block is brought to; None: as
            drawn.
    """

    kind: str
    density: float | None = None
    spectral_radius: float | None = None

    def __str__(self) -> str:
        options = {"density": self.density, "spectral_radius": self.spectral_radius}
        given = [f"{name}={value:g}" for name, value in options.items() if value is not None]
        return f"{self.kind}[{' '.join(given)}]" if given else self.kind

    def shaped(self, block: Array, rng: np.random.Generator) -> Array:
        """A drawn block with its density and spectral radius; a vector is its diagonal
        matrix. Raises InputError where nothing brings it to a spectral radius."""
        if self.density is not None:
            block = block.copy()
            rest = rng.permutation(block.size)[round(self.density * block.size) :]
            block.reshape(-1)[rest] = 0.0
        if self.spectral_radius is None:
            return block
        radius = spectral_radius(block)
        if radius == 0:
            found = f"a block {' x '.join(map(str, block.shape))} whose density "
            found += f"leaves {many(int(np.count_nonzero(block)), 'entry', 'entries')}"
            message = f"{found} has no eigenvalue but 0, which nothing "
            message += f"brings to a spectral radius of {self.spectral_radius:g}"
            raise InputError(Fault(f"{message}: expected a larger density", key="ws_init"))
        return block * (self.spectral_radius / radius)


def spectral_radius(block: Array) -> float:
    """The largest absolute eigenvalue of a square matrix, or of a vector as a diagonal one; exactly
    0 where the entries that are not zero close no circle."""
    if block.ndim == 1:
        return float(np.abs(block).max(initial=0.0))
    if block.shape[0] != block.shape[1]:
        shape = " x ".join(map(str, block.shape))
        message = f"a block {shape} is not square and has no spectral radius: leave it out"
        raise InputError(Fault(message, key="ws_init"))
    paths = (block != 0).astype(np.float32)
    for _ in range(len(block).bit_length()):  # paths of 2, 4, ... steps: at last more than H
        paths = (paths @ paths > 0).astype(np.float32)
    if not paths.any():
        return 0.0
    return float(np.abs(np.linalg.eigvals(block)).max())
