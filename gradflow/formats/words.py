"""Numbers, runs and verdicts in few characters, for people: what table and markdown share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np

from gradflow import axes
from gradflow.axes import KNOWN
from gradflow.counts import many
from gradflow.formats.look import Look
from gradflow.formats.parts import WHOLE
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import Diagnosis, GradientFlow, NoRate, Result, Spread, decisive

UNKNOWN = "–"
FEW_RUNS = 9
"""Up to so many runs, lag tables are shown without being asked for."""


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


_BARE = ("direction",)
"""What is no axis of an experiment and needs no name next to its value."""


def phrase(axis: str, value: object) -> str:
    """A setting as it reads next to others: `W_s×1.5`, `T=100`, `seed 2`."""
    return clean(str(value) if axis in _BARE else axes.phrase(axis, value))


def symbol(axis: str) -> str:
    """What heads a column of an axis' values: the field's letters where it has some."""
    return KNOWN[axis].symbol if axis in KNOWN else axis


def phrases(result: Result) -> list[str]:
    """What differs between this run and the others, one phrase per thing that varies."""
    there = {axis: result.axes[axis] for axis in result.varied if result.axes[axis] is not None}
    return [phrase(axis, value) for axis, value in there.items()] or [f"run {result.run}"]


def name(result: Result) -> str:
    """The same on one line."""
    return " ".join(phrases(result))


def settings(results: Sequence[Result]) -> list[str]:
    """What all runs have in common, one phrase per setting; last, what the gradient is of."""
    first = results[0]
    same = {axis: _there(results, axis) for axis in first.axes if axis not in first.varied}
    said = [
        phrase(axis, value)
        for axis, value in same.items()
        if value is not None and (axis not in KNOWN or KNOWN[axis].plain != value)
    ]
    seeds = {result.over.seeds for result in results if result.over is not None}
    counted = [many(seeds.pop(), "seed")] if len(seeds) == 1 else []
    objective = " or ".join(dict.fromkeys(result.objective for result in results))
    return [text for text in (*said, *counted, objective) if text]


def _there(results: Sequence[Result], axis: str) -> object:
    """The value of an axis that does not vary; None where no run has it."""
    return next((r.axes[axis] for r in results if r.axes[axis] is not None), None)


def setting(result: Result, axis: str) -> str:
    """The value of an axis as its own column has it; blank where the run has none."""
    value = result.axes[axis]
    return "" if value is None else clean(axes.shown(value))


def identity(results: Sequence[Result]) -> dict[str, list[str]]:
    """What differs between the runs: by the head of a column, its value for every run."""
    varied = results[0].varied
    if not varied:
        return {"run": [str(result.run) for result in results]}
    return {symbol(axis): [setting(result, axis) for result in results] for axis in varied}


_WHY: dict[NoRate, tuple[str, str]] = {
    "u-shaped": ("U-shaped", "the gradient falls and rises again, so that it has no one rate"),
    "bent": ("bent", "the curve is nowhere straight, so that it has no one rate"),
    "zero": ("zero", "the gradient of most samples becomes exactly zero"),
    "short": ("short", "fewer than two lags have a gradient"),
    "lost": ("no number", "the gradient is no number at some lags"),
}
"""Why there is no rate: in a word, and what that means."""


def rate(diagnosis: Diagnosis) -> str:
    """The factor per step, or in a word why there is none."""
    if diagnosis.rate is None:
        return UNKNOWN if diagnosis.no_rate is None else f"{UNKNOWN} ({_WHY[diagnosis.no_rate][0]})"
    return _factor(diagnosis.rate)


def rate_with_error(diagnosis: Diagnosis) -> str:
    """The rate and how far its 95 % interval reaches to the wider side."""
    if diagnosis.rate is None or diagnosis.rate_ci is None:
        return rate(diagnosis)
    error = max(abs(end - diagnosis.rate) for end in diagnosis.rate_ci)
    text = rate(diagnosis)
    decimals = len(text.partition(".")[2])
    return f"{text} ±{short(error)}" if "e" in text else f"{text} ±{error:.{decimals}f}"


def interval(diagnosis: Diagnosis) -> str:
    """The 95 % interval of the rate."""
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
    return UNKNOWN if diagnosis.half_life is None else _steps(diagnosis.half_life)


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if 1000 <= steps < 1e6 else short(steps)


def horizon(result: Result) -> str:
    """The lag at which the gradient leaves the thresholds, `> T` where it stays within them; in
    brackets that of the typical sample, where it is another, and that of the fitted line beyond T:
    `> 100 (typical 60)`, `> 5 (≈ 13)`."""
    if result.diverged_at is not None or result.diagnosis.verdict == "unknown":
        return UNKNOWN
    found, T = result.diagnosis, result.sequence_length
    more = []
    if shows_typical(result):
        more.append(f"typical {_lag(found.horizon_typical, T)}")
    if found.projected_horizon is not None:
        more.append(f"≈ {found.projected_horizon}")
    return _lag(found.horizon, T) + (f" ({', '.join(more)})" if more else "")


def _lag(horizon: int | None, T: int) -> str:
    return f"> {T}" if horizon is None else str(horizon)


def shows_typical(result: Result) -> bool:
    """Whether the horizon of the typical sample differs by more than a fifth."""
    found, T = result.diagnosis, result.sequence_length
    lag, typical = (T if h is None else h for h in (found.horizon, found.horizon_typical))
    return abs(typical - lag) > lag / 5


def spread(result: Result, figure: str) -> str:
    """A figure over seeds: its median, in brackets the lowest and highest, and of how many seeds
    that is where others have none: `17 (14 to > 100)`, `0.98 (1 of 3)`."""
    over = result.over
    found = None if over is None else over.figures.get(figure)
    if not isinstance(found, Spread) or result.flow is None:
        return UNKNOWN

    def said(value: float | Magnitudes | None) -> str:
        if figure == "horizon":
            return f"> {result.sequence_length}" if value is None else f"{value:g}"
        if not isinstance(value, int | float):
            return UNKNOWN
        return _factor(value) if figure == "rate" else _steps(value)

    middle, low, high = map(said, found[:3])
    more = [] if low == high == middle else [f"{low} to {high}"]
    if over is not None and over.has_gaps(figure):
        more.append(f"{found.seeds} of {over.seeds}")
    return f"{middle} ({', '.join(more)})" if more else middle


def outcome(result: Result) -> str:
    """The verdict, over seeds how often each came."""
    if result.over is None:
        return result.diagnosis.verdict
    return ", ".join(f"{count} {verdict}" for verdict, count in result.over.verdicts.items())


def explanations(results: Sequence[Result], *, interval: str) -> Iterator[str]:
    """Sentences on what is among rates and horizons, as far as it does. `interval` is how the
    interval is headed."""
    there = [result for result in results if result.flow is not None]
    found = [result.diagnosis for result in there]
    if (text := on_reach(results)) is not None:
        yield text
    if any(result.over is not None for result in results):
        yield (
            "Over the seeds: medians, the lowest and highest in brackets; curves are geometric "
            "means."
        )
        if any(r.over.has_gaps(name) for r in there if r.over for name in ("rate", "half_life")):
            yield "n of m: so many of the seeds have such a number, the others have none."
        return
    if any(d.rate_ci is not None for d in found):
        yield f"{interval}: interval of this net's rate over inputs, not over other weights."
    if any(d.rate is not None and d.rate_ci is None for d in found):
        yield "A rate without an interval: too few lags for one."
    for why in dict.fromkeys(d.no_rate for d in found if d.no_rate is not None):
        yield f"{_WHY[why][0]}: {_WHY[why][1]}."
    if any(shows_typical(result) for result in there):
        yield "typical: the horizon of the geometric mean over the batch."
    if any(d.projected_horizon is not None for d in found):
        yield "≈: where the fitted line leaves the thresholds."


def number(value: object) -> str:
    """A figure of a measure: a word as it is, a number in three digits."""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, int | float) or math.isnan(value):
        return UNKNOWN
    return short(value) if math.isfinite(value) else f"{value:g}"


def measured(result: Result) -> Iterator[tuple[str, list[str]]]:
    """What was measured besides the gradient: the name of each measure, and its figures or why
    there are none."""
    for name, found in result.measures.items():
        if name == "factors" and why(result) is not None:
            continue  # its own line
        figures = [
            f"{figure.removeprefix(f'{name}_')} {number(value)}"
            for figure, value in found.figures.items()
            if not re.search(r"_([4-9]|\d\d+)$", figure)  # JSON has them all
        ]
        yield name, figures + ([] if found.note is None else clean(found.note).split(" "))


def why(result: Result) -> str | None:
    """The factors of a step in a line; None where they are not measured, or there are none."""
    found = result.measures.get("factors")
    rate = result.diagnosis.rate
    if found is None or not found.figures:
        return None
    gain, slope = (found.figures.get(f"factors_{name}") for name in ("gain", "slope"))
    if isinstance(gain, float) and isinstance(slope, float):
        return f"gain of W_s {short(gain)} × rms slope {short(slope)} = {short(gain * slope)}"
    gate, keep = (found.figures.get(f"factors_{name}") for name in ("gate", "keep"))
    if not isinstance(keep, float):
        return None
    kept = f"{gate} keeps {short(keep)} a step, in the geometric mean"
    if rate is None or keep == 0:
        return kept
    return f"{kept}; all else makes {short(rate / keep)} of it"


def measured_curves(result: Result, lags: Sequence[int]) -> dict[str, list[str]]:
    """Their curves at `lags`, by column name; blank past the end of one."""
    curves = (item for found in result.measures.values() for item in found.curves.items())
    return {name: _at(values, lags) for name, values in curves}


def _at(values: Magnitudes | Array, lags: Sequence[int]) -> list[str]:
    there = np.array([lag for lag in lags if lag < len(values)], dtype=np.int64)
    if isinstance(values, Magnitudes):
        texts = [short(text) for text in values[there].texts()]
    else:
        texts = [number(value) for value in values[there].tolist()]
    return texts + [""] * (len(lags) - len(there))


def on_reach(results: Sequence[Result]) -> str | None:
    """What a diagnosis is of where the loss is read at several steps; None where it is not."""
    if not any(result.diagnosis.of_reach for result in results):
        return None
    return (
        "Verdict, rate and horizon: of the loss at one step on its way back from there, the mean "
        "of the logs over such steps and the batch. The gradient of the whole loss says where "
        "gradient arrives, not how far it reaches."
    )


def without_rate(diagnosis: Diagnosis) -> str | None:
    """Why there is no rate, or None."""
    why = diagnosis.no_rate
    return None if why is None else f"none, {_WHY[why][0]}: {_WHY[why][1]}"


def has_parts(results: Sequence[Result]) -> bool:
    """Whether layers or directions of a net are among the results."""
    return any("layer" in result.axes for result in results)


def relative_to(results: Sequence[Result]) -> str:
    """What the relative gradient is relative to; of a stack also why a lower layer starts at 0."""
    first = {result.flow.first for result in results if result.flow is not None}
    start = first.pop() if len(first) == 1 else None
    lag, following = "the last step of the loss", "the next lag"
    if start is not None:
        lag, following = f"lag {start}", f"lag {start + 1}"
    if not has_parts(results):
        return f"its value at {lag}"
    whole = "all layers of its direction" if _is_directed(results[0]) else "the whole net"
    text = f"that of {whole} at {lag}"
    lower = [r.flow for r in results if r.flow is not None and str(r.axes["layer"]).isdigit()]
    if any(flow.relative.mantissa[flow.first] == 0 for flow in lower):
        text += (
            ". A lower layer has 0 there: within the last step its way to the loss leads through"
            f" the layer above and is counted there; {following} is the first that reaches it"
        )
    return text


def _start(result: Result) -> str:
    """What the relative gradient starts from."""
    if result.axes.get("layer", WHOLE) == WHOLE:
        return "its start"
    return "its direction's start" if _is_directed(result) else "the whole net's start"


def _is_directed(result: Result) -> bool:
    """Whether it is of a bidirectional net."""
    return "direction" in result.varied


def reach(result: Result, look: Look) -> str:
    """In a sentence, how far back this run's gradient reaches, or why there is none; of a net that
    has no one state that of the part whose gradient first leaves the thresholds."""
    if result.over is not None:
        return f"{result.over.figures['verdict']}, over {many(result.over.seeds, 'seed')}"
    net, result = result, decisive(result)
    (vanishing, exploding), start = look.thresholds, _start(result)
    if result.flow is None:
        return f"forward state left float range at step {result.diverged_at}"
    if result.diagnosis.verdict == "unknown":
        return "the gradient is no number before it leaves the thresholds"
    if nothing := unreached(result.flow):
        return nothing
    lag, T, said = result.diagnosis.horizon, result.sequence_length, ""
    if result.diagnosis.of_reach:
        said, start = "that of the loss at one step ", "its start"
    if lag is None:
        return f"{said}stays between {vanishing:g} and {exploding:g} times {start} up to lag {T}"
    where = "" if result is net else ", layer {layer} {direction}".format(**result.axes)
    at = f"lag {lag}{where}"
    if result.diagnosis.verdict == "vanishing":
        return f"{said}falls below {vanishing:g} of {start} at {at}"
    return f"{said}grows beyond {exploding:g} times {start} at {at}"


def unreached(flow: GradientFlow) -> str:
    """In a sentence, that no gradient arrives at all, since the loss does not depend on the last
    state that it reads (that of a lower layer may be reached later); "" where one does."""
    if np.isnan(flow.relative.mantissa[flow.first]):
        return "no gradient reaches the last state"
    return "" if flow.state.mantissa.any() else "no gradient reaches this layer"


def verdicts(results: Sequence[Result]) -> str:
    """How many runs came to which verdict: `12 runs: 7 vanishing, 5 stable`."""
    counts: dict[str, int] = {}
    for result in results:
        over = result.over
        own = {result.diagnosis.verdict: 1} if over is None else over.verdicts
        for verdict, count in own.items():
            counts[verdict] = counts.get(verdict, 0) + count
    what = "curves" if "layer" in results[0].varied else "runs"
    said = ", ".join(f"{n} {v}" for v, n in counts.items())
    return f"{sum(counts.values())} {what}: {said}"


def shows_lags(results: Sequence[Result], look: Look) -> bool:
    """Whether lag tables are to be shown."""
    return len(results) <= FEW_RUNS if look.tables is None else look.tables
