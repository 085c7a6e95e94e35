"""NumPy's `.npz`."""

from __future__ import annotations

from pathlib import Path

from gradflow.files.npfiles import read_npz
from gradflow.weights.tensors import Array, Stored, Tensors


def read(path: Path) -> Tensors:
    """The arrays of a `.npz` file. Raises InputError."""
    return Tensors(str(path), {name: _stored(a) for name, a in read_npz(path).items()})


def _stored(array: Array) -> Stored:
    return Stored(array.shape, str(array.dtype), lambda: array)
