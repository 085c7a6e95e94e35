"""Numbers, runs and verdicts in few characters, for people: what table and markdown share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from gradflow.exporters.view import View
from gradflow.results import Diagnosis, GradientFlow, Result

UNKNOWN = "–"
FEW_RUNS = 9
"""Up to so many runs, lag tables are shown without being asked for."""

_SYMBOLS = {
    "sequence_length": "T",
    "hidden_size": "H",
    "input_size": "I",
    "batch_size": "N",
    "ws_init": "W_s",
    "ws_scale": "W_s×",
    "wx_init": "W_x",
    "wx_scale": "W_x×",
    "bias_scale": "bias×",
}
_PHRASES = {
    "cell": "{}",
    "sequence_length": "T={}",
    "hidden_size": "H={}",
    "input_size": "I={}",
    "batch_size": "N={}",
    "ws_init": "W_s {}",
    "ws_scale": "W_s×{}",
    "wx_init": "W_x {}",
    "wx_scale": "W_x×{}",
    "bias_scale": "bias×{}",
    "seed": "seed {}",
    "layers": "{} layers",
    "bidirectional": "bidirectional",
    "direction": "{}",
}
_PLAIN = {"layers": 1, "bidirectional": False}
"""What goes without saying."""


def short(number: str | float) -> str:
    """A number in three digits, or two and an exponent: `1.00`, `0.0312`, `3.2e-05`, `1.9e-603`.

    Takes the decimal text of a number of any size; no text, NaN or infinity is unknown.
    """
    value = Decimal("NaN" if number == "" else number)
    if not value.is_finite():
        return UNKNOWN
    if value == 0:
        return "0"
    rounded = Decimal(f"{value:.2e}")
    tens = rounded.adjusted()
    if -3 <= tens <= 2:
        return f"{rounded:.{2 - tens}f}"
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}e{int(exponent):+03d}"


def clean(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal would act on."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def phrase(axis: str, value: object) -> str:
    """A setting as it reads beside others: `W_s×1.5`, `T=100`, `seed 2`."""
    return clean(_PHRASES.get(axis, axis + " {}").format(value))


def symbol(axis: str) -> str:
    """What heads a column of an axis' values: the field's letters where it has some."""
    return _SYMBOLS.get(axis, axis)


def phrases(result: Result) -> list[str]:
    """What tells this run from the others, one phrase per thing that varies."""
    return [phrase(axis, result.axes[axis]) for axis in result.varied] or [f"run {result.run}"]


def name(result: Result) -> str:
    """The same on one line."""
    return " ".join(phrases(result))


def settings(results: Sequence[Result]) -> list[str]:
    """What all runs have in common, one phrase per setting."""
    first = results[0]
    same = {axis: value for axis, value in first.axes.items() if axis not in first.varied}
    said = (phrase(axis, value) for axis, value in same.items() if _PLAIN.get(axis) != value)
    return [text for text in said if text]


def identity(results: Sequence[Result]) -> dict[str, list[str]]:
    """The columns that tell the runs apart: by the head of each, its value for every run."""
    varied = results[0].varied
    if not varied:
        return {"run": [str(result.run) for result in results]}
    return {symbol(axis): [clean(str(result.axes[axis])) for result in results] for axis in varied}


def rate(diagnosis: Diagnosis) -> str:
    """The factor per step."""
    return UNKNOWN if diagnosis.rate is None else _factor(diagnosis.rate)


def rate_with_error(diagnosis: Diagnosis) -> str:
    """The rate and how far its 95 % confidence interval reaches to the wider side."""
    if diagnosis.rate is None or diagnosis.rate_ci is None:
        return rate(diagnosis)
    error = max(abs(end - diagnosis.rate) for end in diagnosis.rate_ci)
    text = rate(diagnosis)
    decimals = len(text.partition(".")[2])
    return f"{text} ±{short(error)}" if "e" in text else f"{text} ±{error:.{decimals}f}"


def interval(diagnosis: Diagnosis) -> str:
    """The 95 % confidence interval of the rate."""
    if diagnosis.rate_ci is None:
        return UNKNOWN
    return " to ".join(map(_factor, diagnosis.rate_ci))


def _factor(value: float) -> str:
    """Four decimals, six where that would hide how the factor differs from one."""
    if not 1e-3 <= value < 1e3:
        return short(value)
    return f"{value:.6f}" if 0 < abs(value - 1) < 5e-4 else f"{value:.4f}"


def half_life(diagnosis: Diagnosis) -> str:
    """Steps in which the gradient halves."""
    steps = diagnosis.half_life
    if steps is None:
        return UNKNOWN
    return f"{steps:,.0f}" if 1000 <= steps < 1e6 else short(steps)


def horizon(result: Result) -> str:
    """The lag at which the gradient leaves the thresholds, `> T` where it stays within them."""
    if result.flow is None:
        return UNKNOWN
    lag = result.diagnosis.horizon
    return f"> {result.sequence_length}" if lag is None else str(lag)


def reach(result: Result, view: View) -> str:
    """In a sentence, how far back this run's gradient reaches, or why there is none."""
    vanishing, exploding = view.thresholds
    if result.flow is None:
        return f"forward state left float range at step {result.diverged_at}"
    if _is_dead(result.flow):
        return "no gradient reaches the last state"
    lag = result.diagnosis.horizon
    if lag is None:
        T = result.sequence_length
        return f"stays between {vanishing:g} and {exploding:g} times its start up to lag {T}"
    if result.flow.relative[lag].log10() < 0:
        return f"falls below {vanishing:g} of its start at lag {lag}"
    return f"grows beyond {exploding:g} times its start at lag {lag}"


def _is_dead(flow: GradientFlow) -> bool:
    return bool(np.any(flow.state.mantissa[0] == 0))


def verdicts(results: Sequence[Result]) -> str:
    """How many runs came to which verdict: `12 runs: 7 vanishing, 5 stable`."""
    found = [result.diagnosis.verdict for result in results]
    counts = {verdict: found.count(verdict) for verdict in dict.fromkeys(found)}
    what = "curves" if "layer" in results[0].varied else "runs"
    return f"{len(results)} {what}: " + ", ".join(f"{n} {v}" for v, n in counts.items())


def shows_lags(results: Sequence[Result], view: View) -> bool:
    """Whether lag tables are to be shown."""
    return len(results) <= FEW_RUNS if view.tables is None else view.tables


def log10_thresholds(view: View) -> tuple[float, float]:
    """The thresholds' logarithms."""
    vanishing, exploding = view.thresholds
    return math.log10(vanishing), math.log10(exploding)
