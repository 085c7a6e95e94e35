"""A run's identity: a hash of everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from gradflow import __version__
from gradflow.numerics.arrays import Array
from gradflow.runs.experiment import Run


class Fingerprints:
    """Hashes runs; an array that many runs share is read once."""

    def __init__(self) -> None:
        self._digests: dict[int, tuple[Array, str]] = {}  # by identity; the array is kept alive

    def of(self, run: Run, thresholds: tuple[float, float]) -> str:
        """The hash, in hex, of a run and of what else its Result depends on: the thresholds of
        its verdict, and the versions of gradflow and NumPy."""
        content = [__version__, np.__version__, self._plain(thresholds), self._plain(run)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _plain(self, value: object) -> object:
        """Any value as lists, texts and numbers, the same for equal values only."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.ndarray):
            return ["array", value.dtype.str, list(value.shape), self._digest(value)]
        if isinstance(value, np.generic):
            return ["number", value.dtype.str, value.item()]
        if is_dataclass(value):
            members = {f.name: getattr(value, f.name) for f in fields(value)}
            return [type(value).__qualname__, self._plain(members)]
        if isinstance(value, Mapping):
            return ["mapping", sorted([str(k), self._plain(v)] for k, v in value.items())]
        if isinstance(value, list | tuple):
            return ["list", [self._plain(v) for v in value]]
        raise TypeError(f"no fingerprint of a {type(value).__qualname__}")

    def _digest(self, array: Array) -> str:
        known = self._digests.get(id(array))
        if known is None:
            digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
            known = self._digests[id(array)] = (array, digest)
        return known[1]
