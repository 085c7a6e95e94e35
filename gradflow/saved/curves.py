"""The curves of a net or a place, as the engine gave them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradflow.measures.terms import TOTALS
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import NO_LAGS, GradientFlow
from gradflow.saved.values import an_object, damaged, floats, member, number, whole

_PAST_FLOATS = re.compile(r"[0-9]\.[0-9]{16}e[-+][0-9]{1,12}")
_TERMS = {"W_x": "grad_W_x", "W_s": "grad_W_s", "b_s": "grad_b", "other": "grad_other"}
_PERCENTILES = ("log10_p10", "log10_p50", "log10_p90")


def flow(run: Mapping[str, Any], at: str, T: int, parts: Sequence[str]) -> GradientFlow | None:
    """The curves of a net or a place; None where it has none.

    Args:
        run: a run or a place, as the file has it.
        at: where it is in the file.
        parts: the parts of the states of all cells of the file.
    """
    curves = Curves(run, at, T)
    state = curves.known("grad_norm")
    if state is None:
        return None
    if np.isnan(state.mantissa[0]):
        damaged(f"{at}.grad_norm", "a number at lag 0", None)
    of_parts = {part: curves.known(f"grad_{part}") for part in _in_order(run, parts)}
    terms = {term: curves.known(name, T) for term, name in _TERMS.items()}
    totals = an_object(member(run, "totals", at), f"{at}.totals")
    start, typical = member(run, "start", at), member(run, "log10_typical", at)
    first = whole(member(run, "first", at), f"{at}.first", T)
    none = np.where(np.isnan(state.mantissa), math.nan, -math.inf)
    percentiles = [np.maximum(curves.floats(name, -math.inf), none) for name in _PERCENTILES]
    return GradientFlow(
        state=state,
        parts={name: values for name, values in of_parts.items() if values is not None},
        terms={name: values for name, values in terms.items() if values is not None},
        share_W_s=curves.floats("share_W_s", math.nan, T),
        totals={
            name: _scalar(totals[name], f"{at}.totals.{name}")
            for name in TOTALS
            if totals.get(name) is not None
        },
        start=None if start is None else _scalar(start, f"{at}.start"),
        first=first or 0,
        log10_percentiles=np.stack(percentiles, axis=1),
        log10_typical=NO_LAGS
        if typical is None
        else np.maximum(curves.floats("log10_typical", -math.inf), none),
        log10_typical_start=_typical_start(run, at, math.nan if typical is None else -math.inf),
    )


def _in_order(run: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """The parts of a run's own cell, in its order; the keys of h and c come first in any case."""
    there = [part for part in parts if f"grad_{part}" in run]
    names = {f"grad_{part}": part for part in there if part not in ("h", "c")}
    own = iter([names[key] for key in run if key in names])
    return [part if part in ("h", "c") else next(own) for part in there]


@dataclass(frozen=True)
class Curves:
    """What the file has against lag, of one net or place."""

    run: Mapping[str, Any]
    at: str
    T: int

    def magnitudes(
        self, name: str, length: int | None = None, null: float | None = None
    ) -> Magnitudes | None:
        """(T+1,), or the `length` given; None if there is none. `null`: what null means,
        where it may be."""
        values = self._values(name, length, null is not None)
        return None if values is None else magnitudes(values, f"{self.at}.{name}", null)

    def known(self, name: str, length: int | None = None) -> Magnitudes | None:
        """The same of a gradient; null, where others are not: it was no number."""
        values = self._values(name, length, False)
        return None if values is None else magnitudes(values, f"{self.at}.{name}", math.nan)

    def floats(self, name: str, null: float, length: int | None = None) -> Array:
        """The same of plain numbers; `null` is what null means."""
        values = self._values(name, length, False)
        if values is None:
            return np.full(self.T + 1 if length is None else length, null)
        return floats(values, f"{self.at}.{name}", null)

    def _values(self, name: str, length: int | None, unknown: bool) -> list[Any] | None:
        values = member(self.run, name, self.at)
        if not isinstance(values, list) or len(values) != self.T + 1:
            damaged(f"{self.at}.{name}", f"a list of {self.T + 1}", values)
        if length is not None and any(value is not None for value in values[length:]):
            damaged(f"{self.at}.{name}", f"nothing after lag {length - 1}", values[length])
        own = values[:length]
        return None if not unknown and all(value is None for value in own) else own


def _scalar(value: Any, at: str) -> Magnitudes:
    return magnitudes([value], at)[0]


def _typical_start(run: Mapping[str, Any], at: str, null: float) -> float:
    value = member(run, "log10_typical_start", at)
    return null if value is None else number(value, f"{at}.log10_typical_start")


def magnitudes(values: list[Any], at: str, null: float | None = None) -> Magnitudes:
    """Numbers, and texts of those past float range; `null` is what null means, if it may be
    there."""
    if null is None and None in values:
        damaged(at, "numbers", None)
    texts = [(i, value) for i, value in enumerate(values) if type(value) is str]
    for _, text in texts:
        if not _PAST_FLOATS.fullmatch(text):
            damaged(at, "a number of 17 digits and an exponent", text)
    inside = [0.0 if type(value) is str else value for value in values] if texts else values
    numbers = floats(inside, at, math.nan if null is None else null)
    if (numbers < 0).any():
        damaged(at, "no negative number", float(numbers.min()))
    found = Magnitudes.of(numbers)
    if texts:
        far = np.array([i for i, _ in texts])
        beyond = Magnitudes.read([text for _, text in texts])
        found.mantissa[far], found.exponent[far] = beyond.mantissa, beyond.exponent
    return found
