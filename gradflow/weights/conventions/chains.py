"""Which recurrent layers of a file are one net: chains of layers that read each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def chains(below: Mapping[K, K | None], fits: Callable[[Sequence[K], K], bool]) -> list[list[K]]:
    """The layers of each net, the lowest first; a chain ends where it cannot be computed on.

    Args:
        below: of each layer, in the order of the file, the one whose sequence it reads.
        fits: whether a layer that reads the sequence of a chain's last one can be computed with it.
    """
    readers = Counter(below.values())
    found: list[list[K]] = []
    ends: dict[K, list[K]] = {}  # by its last layer
    for layer, lower in below.items():
        chain = None if lower is None else ends.pop(lower, None)
        # A layer that shares its source with another begins another net.
        if chain is None or readers[lower] > 1 or not fits(chain, layer):
            found.append(chain := [])
        chain.append(layer)
        ends[layer] = chain
    return found
