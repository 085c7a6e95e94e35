"""Every figure of a run and every column against lag, by its flat name: what kind it is, and what
it is in a result.

A figure that has an interval is read with it. One that is infinite (a horizon that is never
reached, the half-life of a gradient that does not vanish) is an infinity here; None is unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np

from gradflow.axes import Kind
from gradflow.checks.wanted import Wanted
from gradflow.diagnosis.figures import FIGURES
from gradflow.measures import ALWAYS, MEASURES, OPTIONAL
from gradflow.measures.contract import Curve, Values
from gradflow.measures.gradient import part_curve
from gradflow.measures.terms import TOTALS
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import Diagnosis, GradientFlow, LayerResult, Result

Number = float | Decimal
"""A figure; past float range, and there alone, a Decimal."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "verdict": ("vanishing", "exploding", "stable", "unknown", "diverged"),
    "no_rate": ("u-shaped", "bent", "zero", "short", "lost"),
}
"""What the figures that are words can be."""

_DIAGNOSED = {figure.name: figure for figure in FIGURES if figure.kind != "interval"}
_LAGS = ("horizon", "horizon_typical")
TOTAL = "total_"
"""What the names of totals begin with."""

BY_PLACE = "a bidirectional net has curves and totals by layer and direction, as in rate_l0"
_NUMBER = "<i>"


class NotMeasuredError(Exception):
    """This run has no such figure; the message says why."""


@dataclass(frozen=True)
class Found:
    """What a figure is.

    Attributes:
        value: the number or word; None: unknown.
        low, high: the interval that a number is known to be in, both `value` where it is exact.
        text: how people read it.
        unit: what a difference from a bound is in: "", or `decades`.
        lost: whether it is no number since the gradient is none: no bound holds.
    """

    value: Number | str | None
    low: Number | None
    high: Number | None
    text: str
    unit: str = ""
    lost: bool = False


LOST = Found(None, None, None, "unknown: the gradient is no number", lost=True)


# Names


def kinds(asked: Iterable[str] | None = None) -> dict[str, Kind]:
    """The kind of every per-run figure by its flat name, without those that a measure names after
    gates and the like.

    Args:
        asked: the measures that are asked for; None: all there are.
    """
    found: dict[str, Kind] = {name: figure.kind for name, figure in _DIAGNOSED.items()}
    found["loss"] = "number"
    found |= {f"{TOTAL}{name}": "number" for name in TOTALS}
    names = OPTIONAL if asked is None else asked
    return found | {f.name: f.kind for name in names for f in MEASURES[name].figures}


def curves(parts: Iterable[str] = (), asked: Iterable[str] | None = None) -> dict[str, Curve]:
    """The columns against lag by name, and `log10_` of those of any size."""
    own = [curve for name in ALWAYS for curve in MEASURES[name].curves]
    own += [part_curve(part) for part in parts if part not in ("h", "c")]
    own += [c for name in (OPTIONAL if asked is None else asked) for c in MEASURES[name].curves]
    found = {}
    for curve in own:
        found[curve.name] = curve
        if curve.any_size:
            found.setdefault(f"log10_{curve.name}", curve)
    return found


def kind_of(name: str, asked: Iterable[str] | None = None) -> Kind | None:
    """The kind of a figure, those named after gates and the like too; None: there is none."""
    known = kinds(asked)
    if name in known and "<" not in name:
        return known[name]
    return next((known[f] for f in known if "<" in f and _pattern(f).fullmatch(name)), None)


@lru_cache
def _pattern(figure: str) -> re.Pattern[str]:
    """What the names match of a figure that there is one of a gate, or of a number."""
    return re.compile(re.sub("<[^>]*>", ".+", figure.replace(_NUMBER, "[1-9][0-9]*")))


def measure_of(name: str) -> str | None:
    """The measure that gives a figure or column, where it has to be asked for."""
    for measure in OPTIONAL:
        if kind_of(name) != kind_of(name, [m for m in OPTIONAL if m != measure]):
            return measure
        if any(name in (c.name, f"log10_{c.name}") for c in MEASURES[measure].curves):
            return measure
    return None


# Values


def read(result: Result, wanted: Wanted) -> Found:
    """The figure of a run that did not diverge.

    Raises:
        NotMeasuredError: it has none.
    """
    part = _part(result, wanted)
    T = result.sequence_length
    name = wanted.figure
    if wanted.lag is not None:
        return _at_lag(part, wanted, wanted.lag, T)
    if name == "loss":
        if isinstance(part, LayerResult):
            raise NotMeasuredError("the loss is one of the net as a whole")
        return _number(result.loss)
    if name.startswith(TOTAL):
        return _total(part, name)
    if name in _DIAGNOSED:
        return _diagnosed(part.diagnosis, name, T)
    return _measured(part, name)


def _part(result: Result, wanted: Wanted) -> Result | LayerResult:
    if wanted.place is None:
        return result
    layer, direction = wanted.place
    for part in result.layers:
        if (part.layer, part.direction) == wanted.place:
            return part
    if wanted.place == (0, "forward") and not result.layers:
        return result  # a net of one place
    turned = " in reverse" if direction == "reverse" else ""
    raise NotMeasuredError(f"the net has no layer {layer}{turned}")


def _at_lag(part: Result | LayerResult, wanted: Wanted, lag: int, T: int) -> Found:
    name = wanted.figure
    if lag > T:
        raise NotMeasuredError(f"its last lag is {T}")
    if part.flow is not None and lag < part.flow.first:
        raise NotMeasuredError(f"its loss is first read at lag {part.flow.first}")
    parts = part.flow.parts if part.flow is not None else ()
    curve = curves(parts).get(name)
    values = None if curve is None else values_of(curve, part)
    if values is None:
        raise NotMeasuredError(f"it has no {name}{_why_not(part, name)}")
    if lag >= len(values):
        raise NotMeasuredError(f"{name} ends at lag {len(values) - 1}")
    if isinstance(values, Magnitudes):
        if name == f"log10_{curve.name}":  # type: ignore[union-attr]
            return _at(float(values[lag].log10()), part.flow)
        if name == "relative" and part.flow is not None and _is_dead(part.flow):
            return Found(0.0, 0.0, 0.0, "0, as it is at lag 0")
        return _magnitude(values[lag])
    return _at(float(values[lag]), part.flow)


def _at(value: float, flow: GradientFlow | None) -> Found:
    """A number of a curve; one that is none is lost where the gradient is."""
    is_lost = flow is not None and bool(np.isnan(flow.state.mantissa).any())
    return LOST if math.isnan(value) and is_lost else _number(value)


def _is_dead(flow: GradientFlow) -> bool:
    """Whether there is nothing to compare with: no gradient at the first lag."""
    start = flow.state[flow.first] if flow.start is None else flow.start
    return bool(start.mantissa == 0)


def values_of(curve: Curve, part: Result | LayerResult) -> Values:
    """A column of a run or a place; None where it has no such thing."""
    if curve.of is not None:
        return None if part.flow is None else curve.of(part.flow)
    found = (m.curves[curve.name] for m in part.measures.values() if curve.name in m.curves)
    return next(found, None)


def _why_not(part: Result | LayerResult, name: str) -> str:
    """What is to be said of a figure that is not there, after `it has no ...`."""
    for of in (measure_of(name), name.partition("_")[0]):
        found = part.measures.get(of or "")
        if found is not None and found.note is not None:
            return f": {found.note}"
    if part.flow is None:
        return f": {BY_PLACE}"
    return ""


def _total(part: Result | LayerResult, name: str) -> Found:
    totals = part.flow.totals if part.flow is not None else {}
    if (parameter := name.removeprefix(TOTAL)) not in totals:
        raise NotMeasuredError(f"it has no {name}{_why_not(part, name)}")
    return _magnitude(totals[parameter])


def _measured(part: Result | LayerResult, name: str) -> Found:
    for measured in part.measures.values():
        if name in measured.figures:
            value = measured.figures[name]
            return _word(value) if isinstance(value, str) else _number(value)
    raise NotMeasuredError(f"it has no {name}{_why_not(part, name)}")


def _diagnosed(found: Diagnosis, name: str, T: int) -> Found:
    value = _DIAGNOSED[name].of(found)
    if value is None and _is_lost(found, name):
        return LOST
    if name == "rate":
        return _rate(found)
    if name == "half_life" and value is None:
        return _long_half_life(found)
    if name in _LAGS and value is None:
        return Found(math.inf, math.inf, math.inf, f"> {T}")
    if name in WORDS:
        return _word(str(value) if value is not None else None)
    return _number(value if isinstance(value, int | float) else None)


def _is_lost(found: Diagnosis, name: str) -> bool:
    """Whether a figure that is not there is not since the gradient is no number."""
    if name == "horizon":
        return found.verdict == "unknown"
    return found.no_rate == "lost" and name != "no_rate"


def _rate(found: Diagnosis) -> Found:
    if found.rate is None:
        return Found(None, None, None, f"no rate ({found.no_rate})")
    if found.rate_ci is None:
        return Found(found.rate, None, None, f"{found.rate:.6g} without an interval")
    low, high = found.rate_ci
    return Found(found.rate, low, high, f"{found.rate:.6g} ({low:.6g} to {high:.6g})")


def _long_half_life(found: Diagnosis) -> Found:
    """Of a net whose gradient is not known to vanish: infinite from a rate of 1 on."""
    if found.rate is None or found.rate_ci is None:
        return Found(None, None, None, "no half-life: the rate has no interval")
    low = math.log(0.5) / math.log(found.rate_ci[0]) if 0 < found.rate_ci[0] < 1 else math.inf
    if low == math.inf:
        return Found(math.inf, low, math.inf, "infinite")
    return Found(math.inf, low, math.inf, f"{low:.6g} or more, as far as the rate is known")


def _number(value: object) -> Found:
    if not isinstance(value, int | float) or math.isnan(value):
        return Found(None, None, None, "unknown")
    exact = float(value)
    text = f"{exact:.6g}" if math.isfinite(exact) else "infinite" if exact > 0 else "-infinite"
    return Found(exact, exact, exact, text)


def _word(value: str | None) -> Found:
    return Found(value, None, None, "none" if value is None else value)


def _magnitude(value: Magnitudes) -> Found:
    one = value.reshape(1)
    exact: Number = float(value.floats()) if one.fits_floats[0] else Decimal(one.texts()[0])
    if isinstance(exact, float) and math.isnan(exact):
        return LOST
    text = f"{exact:.6g}" if isinstance(exact, float) else f"{exact:.2e}"
    return Found(exact, exact, exact, text, unit="decades")
