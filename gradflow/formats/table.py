"""Tables for a terminal: the gradient against lag, runs side by side, and what it means."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np

from gradflow.axes import PLACE_AXES
from gradflow.counts import many
from gradflow.formats import charts, words
from gradflow.formats.glossary import explained, of_rates
from gradflow.formats.lags import choose_lags
from gradflow.formats.layout import (
    GAP,
    VERDICT_STYLES,
    Column,
    Entry,
    Line,
    Span,
    blocks,
    fold,
    grid,
    heading,
    render,
    room_left,
)
from gradflow.formats.look import Look
from gradflow.formats.parts import with_parts
from gradflow.formats.sparklines import Curves
from gradflow.formats.totals import totals
from gradflow.numerics.arrays import Array
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import GradientFlow, Result

_DIM = "dim"
_MARKS = {"vanishing": "↓", "exploding": "↑"}
_WIDE = 110  # from here on, the parts of the state have room
_INDENT = len("half-life  ")
_BAR = (8, 40)  # the fewest and most characters of a bar or sparkline


def export(results: Iterable[Result], look: Look) -> Iterator[str]:
    """One run: lag by lag. Several: runs side by side, then a summary; many: the summary first."""
    for line in _page(with_parts(list(results)), look):
        yield render(line, look.colour)


def _page(results: Sequence[Result], look: Look) -> Iterator[Line]:
    yield from heading(words.clean(look.title or ""), look.width)
    if not results:
        yield [Span("No runs.")]
        return
    yield from fold(words.settings(results), " · ", look.width, _DIM)
    yield []
    shows_lags = words.shows_lags(results, look)
    if len(results) == 1:
        if shows_lags and results[0].flow is not None:
            yield from _one_run(results[0], results[0].flow, look)
        yield from _facts(results[0], look)
        if taught := " ".join(of_rates([results[0].diagnosis])):
            yield []
            yield from _prose(taught, look)
        if (text := words.on_reach(results)) is not None:
            yield []
            yield from _prose(text, look)
    elif shows_lags and len(results) <= words.FEW_RUNS:
        yield from _run_next_to_run(results, look)
        yield from _summary(results, look)
    else:
        yield from _summary(results, look)
        if shows_lags:
            yield []
            yield from _run_next_to_run(results, look)
    yield from _notes(results, look)
    if not shows_lags:
        if words.has_parts(results):
            yield from _prose(f"Relative: ‖∂L/∂s‖ over {words.relative_to(results)}.", look)
        yield from _prose("For the gradient lag by lag, add --tables.", look)


def _prose(text: str, look: Look, style: str = _DIM) -> Iterable[Line]:
    return fold(text.split(" "), " ", look.width, style)


# One run


def _one_run(result: Result, flow: GradientFlow, look: Look) -> Iterator[Line]:
    lags = choose_lags(result.sequence_length, look.lags)
    relative = flow.relative[np.array(lags, dtype=np.int64)]
    shown = {("", "‖∂L/∂s‖"): flow.state}
    if look.width >= _WIDE and len(flow.parts) > 1:
        shown |= {("", f"‖∂L/∂{part}‖"): norms for part, norms in flow.parts.items()}
    there = [name for name in ("W_s", "W_x") if name in flow.terms]
    shown_terms = {(f"∂L/∂{name}", "term"): flow.terms[name] for name in there}
    if "W_s" in there:
        shown_terms["W_s", "share"] = Magnitudes.of(flow.share_W_s)
    columns = [
        _lag_column(lags),
        *(_magnitudes(heads, norms, lags) for heads, norms in shown.items()),
        Column(("", "relative"), _relative_entries(relative, look)),
        *(_magnitudes(heads, norms, lags) for heads, norms in shown_terms.items()),
    ]
    columns.append(_bars(relative, look, room_left(columns, look.width)))
    yield from grid(columns)
    yield []
    yield from _prose(
        f"relative: ‖∂L/∂s‖ over {words.relative_to([result])}, drawn at the right on a log scale.",
        look,
    )
    if "W_s" in there:
        yield from _prose("W_s share: ‖terms of lags 0 to here, summed‖ over ‖∂L/∂W_s‖.", look)
    yield from _marks(relative.log10(), look)
    yield []
    measured = words.measured_curves(result, lags)
    more = [Column((name,), [*map(Entry, texts)]) for name, texts in measured.items()]
    for block in blocks(more, [_lag_column(lags)], look.width) if more else ():
        yield from grid(block)
        yield []


def _lag_column(lags: Sequence[int]) -> Column:
    return Column(("lag",), [Entry(str(lag)) for lag in lags], "right")


def _magnitudes(heads: Sequence[str], values: Magnitudes, lags: Sequence[int]) -> Column:
    """The values at `lags`, blank past their end."""
    there = np.array([lag for lag in lags if lag < len(values)], dtype=np.int64)
    entries = [Entry(words.short(text)) for text in values[there].texts()]
    return Column(heads, entries + [Entry("")] * (len(lags) - len(entries)))


def _relative_entries(relative: Magnitudes, look: Look) -> list[Entry]:
    """Relative gradients: marked and coloured beyond the thresholds."""
    sides = [_side(log, look) for log in relative.log10().tolist()]
    return [
        Entry(words.short(text), VERDICT_STYLES.get(side, ""), _MARKS.get(side, ""))
        for text, side in zip(relative.texts(), sides, strict=True)
    ]


def _side(log: float, look: Look) -> str:
    """On which side of the thresholds a relative gradient lies."""
    low, high = look.log10_thresholds
    return "vanishing" if log < low else "exploding" if log > high else ""


def _bars(relative: Magnitudes, look: Look, width: int) -> Column:
    """The relative gradient as bars; its head is the scale."""
    width = min(max(width, _BAR[0]), _BAR[1])
    logs = relative.log10()
    low, high = charts.bounds(logs)
    entries = [
        Entry(charts.bar(log, low, high, width), VERDICT_STYLES.get(_side(log, look), ""))
        for log in logs.tolist()
    ]
    return Column((charts.ends(f"1e{low:+03d}", f"1e{high:+03d}", width),), entries, "left")


def _marks(logs: Array, look: Look) -> Iterable[Line]:
    """What the marks next to relative gradients mean, as far as they occur."""
    low, high = look.log10_thresholds
    vanishing, exploding = look.thresholds
    below = [f"↓ below {vanishing:g}"] if np.any(logs < low) else []
    above = [f"↑ above {exploding:g}"] if np.any(logs > high) else []
    return fold(below + above, "  ", look.width, _DIM)


def _facts(result: Result, look: Look) -> Iterator[Line]:
    """What one run means, a line each."""
    diagnosis = result.diagnosis
    facts = {"verdict": f"{diagnosis.verdict}: {words.reach(result, look)}".split(" ")}
    if result.over is not None:
        facts = {"verdict": words.reach(result, look).split(" ")}
        for name, figure in {
            "rate": "rate",
            "half-life": "half_life",
            "horizon": "horizon",
        }.items():
            facts[name] = [words.spread(result, figure)]
    elif diagnosis.rate is not None:
        facts["rate"] = [f"{words.rate(diagnosis)} per step"]
        if diagnosis.rate_ci is not None:
            facts["rate"].append(f"(95 % interval {words.interval(diagnosis)},")
            facts["rate"].append("of this net over inputs)")
    elif (why := words.without_rate(diagnosis)) is not None:
        facts["rate"] = why.split(" ")
    if (factors := words.why(result)) is not None:
        facts["why"] = factors.split(" ")
    if result.over is None and diagnosis.half_life is not None:
        facts["half-life"] = [many(words.half_life(diagnosis), "step")]
    if result.over is None and "(" in (horizon := words.horizon(result)):
        facts["horizon"] = [horizon]
    if result.flow is not None:
        totals = result.flow.totals.items()
        facts["total"] = [f"‖∂L/∂{name}‖ {words.short(_text(norm))}" for name, norm in totals]
    if math.isfinite(result.loss):
        facts["loss"] = [words.short(result.loss)]
    measured = dict(words.measured(result))
    for name, pieces in (*facts.items(), *measured.items()):
        style = VERDICT_STYLES.get(diagnosis.verdict, "") if name == "verdict" else ""
        starts = chain([name], repeat(""))
        has_note = name in measured and result.measures[name].note is not None
        gap = "  " if name == "total" or (name in measured and not has_note) else " "
        lines = fold(pieces, gap, look.width - _INDENT, style)
        for start, line in zip(starts, lines, strict=False):
            yield [Span(start.ljust(_INDENT), _DIM), *line]


def _text(magnitude: Magnitudes) -> str:
    return magnitude.reshape(1).texts()[0]


# Several runs


def _run_next_to_run(results: Sequence[Result], look: Look) -> Iterator[Line]:
    """Lags as rows, runs as columns, in as many blocks as the width asks for."""
    flows = [(result, result.flow.relative) for result in results if result.flow is not None]
    if not flows:
        return
    lags = choose_lags(max(result.sequence_length for result, _ in flows), look.lags)
    columns, logs = [], []
    for result, relative in flows:
        there = [lag for lag in lags if lag < len(relative)]
        shown = relative[np.array(there, dtype=np.int64)]
        logs.append(shown.log10())
        entries = _relative_entries(shown, look) + [Entry("")] * (len(lags) - len(there))
        columns.append(Column(_heads(result), entries))
    for block in blocks(columns, [_lag_column(lags)], look.width):
        yield from grid(block)
        yield []
    start = words.relative_to(results)
    yield from _prose(f"The relative gradient: ‖∂L/∂s‖ at each lag over {start}.", look)
    yield from _marks(np.concatenate(logs), look)
    yield []


def _heads(result: Result) -> list[str]:
    """A run's column head: a line for each thing that varies and for each option of a cell."""
    phrases = words.phrases(result)
    pieces = (re.split(r"[\[\], ]+", text) if "[" in text else [text] for text in phrases)
    return [piece for group in pieces for piece in group if piece]


def _summary(results: Sequence[Result], look: Look) -> Iterator[Line]:
    """A row per run: what differs, its rate, half-life, horizon, verdict and curve."""
    styles = [VERDICT_STYLES.get(result.diagnosis.verdict, "") for result in results]
    verdicts = [Entry(words.outcome(r), style) for r, style in zip(results, styles, strict=True)]
    names = {head: _names(head, texts) for head, texts in words.identity(results).items()}
    facts = [*_diagnoses(results), Column(("verdict",), verdicts, "left")]
    curves = Curves.of(results, styles, look)
    groups = _groups(names, facts, results, curves, look.width)
    for group in groups:
        yield from grid(group)
        yield []
    for result in results:
        if result.flow is None:
            yield from _prose(f"{words.name(result)}: {words.reach(result, look)}", look, "")
    yield from _prose(words.verdicts(results) + ".", look, "")
    yield from _prose(" ".join(explained(results, look)), look)
    for text in words.explanations(results, interval="± 95 %"):
        yield from _prose(text, look)
    yield from _prose(curves.scale(), look) if curves.shown else ()


def _groups(
    names: dict[str, Column],
    facts: list[Column],
    results: Sequence[Result],
    curves: Curves,
    width: int,
) -> list[list[Column]]:
    """The columns of the summary as one table: with curves if there is room, else without; what is
    too wide for one, in several."""
    heads = [_totals(results, head) for head in ("‖∂L/∂{}‖", "∂L/∂{}")]
    for least in (_BAR[0], -GAP):
        for sums in heads:
            whole = [*names.values(), *facts, *sums]
            if (room := room_left(whole, width)) >= least:
                return [[*whole, curves.column(room)] if least > 0 else whole]
    if room_left([*names.values(), *facts], width) >= -GAP:
        key, first, rest = [*names.values()], [[*names.values(), *facts]], heads[0]
    else:
        of_runs = dict(names)
        place = [of_runs.pop(axis) for axis in PLACE_AXES if axis in names]
        of_runs.pop("run", None)
        key = [Column(("run",), [Entry(str(result.run)) for result in results], "right"), *place]
        first = [*blocks([*of_runs.values()], key, width)] if of_runs else []
        rest = [*facts, *heads[0]]
    groups = [*first, *(blocks(rest, key, width) if rest else ())]
    if (room := room_left(groups[-1], width)) >= _BAR[0]:
        groups[-1].append(curves.column(room))
    return groups


def _totals(results: Sequence[Result], head: str) -> list[Column]:
    """The norms of dL/dW."""
    found = totals(results).items()
    return [Column((head.format(name), "total"), [*map(Entry, texts)]) for name, texts in found]


def _diagnoses(results: Sequence[Result]) -> list[Column]:
    """Rate, half-life and horizon; over seeds what they range over."""
    if results[0].over is not None:
        heads = {"rate": "rate per step", "half_life": "half-life in steps"}
        columns = [
            Column((head, "over seeds"), [Entry(words.spread(r, name)) for r in results])
            for name, head in heads.items()
        ]
        lags = [Entry(words.spread(r, "horizon")) for r in results]
        return [*columns, Column(("horizon", "lag"), lags, "right")]
    found = [result.diagnosis for result in results]
    return [
        Column(("rate per step", "± 95 %"), [Entry(words.rate_with_error(d)) for d in found]),
        Column(("half-life", "in steps"), [Entry(words.half_life(d)) for d in found]),
        Column(("horizon", "lag"), [Entry(words.horizon(r)) for r in results], "right"),
    ]


def _names(head: str, texts: Sequence[str]) -> Column:
    """One thing in which the runs differ."""
    numbers = all(re.fullmatch(r"[-+.\de]+", text) for text in texts)
    return Column((head,), [Entry(text) for text in texts], "decimal" if numbers else "left")


def _notes(results: Sequence[Result], look: Look) -> Iterator[Line]:
    for result in results:
        name = f"{words.name(result)}: " if len(results) > 1 else ""
        for note in result.notes:
            yield from _prose(f"Note: {name}{words.clean(note)}", look, "")
