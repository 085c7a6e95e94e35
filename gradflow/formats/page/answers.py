"""The short answer to: how far back does the gradient reach?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from gradflow.counts import many
from gradflow.formats import words
from gradflow.formats.look import Look
from gradflow.formats.page.common import sentence
from gradflow.formats.page.content import Answer, Tile
from gradflow.results import Result

_THE = ("falls ", "grows ", "stays ", "that of ")


def answer(results: Sequence[Result], look: Look) -> Answer:
    """Of one run what it came to, of several how many came to what, and which are unlike the
    others."""
    if not results:
        return Answer("No runs.")
    if len(results) == 1:
        return _of_one(results[0], look)
    counts = shares(results)
    return Answer(
        words.verdicts(results) + ".",
        next(iter(counts)) if len(counts) == 1 else "",
        shares=counts,
        tiles=list(_outstanding(results)),
    )


def shares(results: Sequence[Result]) -> dict[str, int]:
    """How many runs came to each verdict."""
    counts: Counter[str] = Counter()
    for result in results:
        over = result.over
        counts.update({result.diagnosis.verdict: 1} if over is None else over.verdicts)
    return {verdict: counts[verdict] for verdict in _ORDER if counts[verdict]}


_ORDER = ("vanishing", "stable", "exploding", "unknown", "diverged")


def reach(result: Result, look: Look) -> str:
    """How far one run's gradient reaches, as a sentence."""
    text = words.reach(result, look)
    if text.startswith("that of "):
        return sentence(f"the gradient of {text.removeprefix('that of ')}")
    return sentence(f"the gradient {text}" if text.startswith(_THE) else text)


def _of_one(result: Result, look: Look) -> Answer:
    found = result.diagnosis
    if result.over is not None:
        tiles = [
            Tile(name, words.spread(result, figure), f"median of {many(result.over.seeds, 'seed')}")
            for name, figure in _FIGURES.items()
        ]
        return Answer(reach(result, look), shares=shares([result]), tiles=tiles)
    tiles = []
    if found.rate is not None:
        ends = f"95 %: {words.interval(found)}" if found.rate_ci is not None else ""
        tiles.append(Tile("rate per step", words.rate(found), ends))
    elif (why := words.without_rate(found)) is not None:
        tiles.append(Tile("rate per step", words.UNKNOWN, why.removeprefix("none, ")))
    if found.half_life is not None:
        tiles.append(Tile("half-life", words.half_life(found), "steps"))
    if result.flow is not None:
        tiles.append(Tile("horizon", words.horizon(result), "lag"))
    if math.isfinite(result.loss):
        tiles.append(Tile("loss", words.short(result.loss), words.clean(result.objective)))
    more = [] if (why := words.why(result)) is None else [sentence(f"Why: {why}")]
    return Answer(reach(result, look), mark=found.verdict, tiles=tiles, more=more)


_FIGURES = {"rate per step": "rate", "half-life in steps": "half_life", "horizon (lag)": "horizon"}


def _outstanding(results: Sequence[Result]) -> Iterator[Tile]:
    """The runs that reach farthest and least, and the one whose rate is nearest to 1."""
    there = [result for result in results if result.flow is not None]
    there = [result for result in there if result.diagnosis.verdict != "unknown"]
    within = [result for result in there if result.diagnosis.horizon is None]
    left = [result for result in there if result.diagnosis.horizon is not None]
    if within and all(result.over is None for result in results):
        named = words.name(within[0]) if len(within) == 1 else f"{len(within)} runs"
        longest = max(result.sequence_length for result in within)
        yield Tile("stays within thresholds", f"> {longest}", f"up to the last lag: {named}")
    if left:
        farthest = max(left, key=_horizon)
        yield Tile("longest horizon", str(_horizon(farthest)), words.name(farthest))
        if len(left) > 1:
            nearest = min(left, key=_horizon)
            yield Tile("shortest horizon", str(_horizon(nearest)), words.name(nearest))
    rates = [result for result in there if result.diagnosis.rate]
    if len(rates) > 1:
        critical = min(rates, key=lambda result: abs(math.log(result.diagnosis.rate or 1)))
        yield Tile("rate nearest to 1", words.rate(critical.diagnosis), words.name(critical))


def _horizon(result: Result) -> int:
    return result.diagnosis.horizon or 0
