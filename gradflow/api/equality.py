"""Whether two things that were measured are the same, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from gradflow.numerics.magnitudes import Magnitudes


def same(a: object, b: object) -> bool:
    """Whether plain data are equal to the last bit; NaN is the same as NaN."""
    if a is b:
        return True
    if isinstance(a, Magnitudes) and isinstance(b, Magnitudes):
        return same(np.asarray(a.mantissa), np.asarray(b.mantissa)) and same(
            np.asarray(a.exponent), np.asarray(b.exponent)
        )
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b) or (a != a and b != b)
