"""The norms of the whole gradients by the weights, for people."""

from __future__ import annotations

from collections.abc import Sequence

from gradflow.formats import words
from gradflow.results import Result

SHOWN = ("W_s", "W_x")
"""Those that are shown next to runs; files and `--rows runs` have all."""


def totals(results: Sequence[Result]) -> dict[str, list[str]]:
    """‖∂L/∂W‖ of each run by the name of W, as far as any run has such weights; '' where one has
    none."""
    found = {name: [_short(result, name) for result in results] for name in SHOWN}
    return {name: texts for name, texts in found.items() if any(texts)}


def _short(result: Result, name: str) -> str:
    norm = None if result.flow is None else result.flow.totals.get(name)
    return "" if norm is None else words.short(norm.reshape(1).texts()[0])
