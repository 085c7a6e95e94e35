"""Why each run's gradient does what it does: what `gradflow explain` shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain, repeat

from gradflow.explanation import Advice, Explanation
from gradflow.explanation.expansion import Expansion
from gradflow.explanation.factors import Factors
from gradflow.formats import words
from gradflow.formats.json import diagnosis, head, plain
from gradflow.formats.layout import Column, Entry, Line, Span, fold, grid, heading, render
from gradflow.formats.look import Look
from gradflow.formats.markdown import escaped, prose, titled
from gradflow.formats.markdown import table as markdown_table
from gradflow.results import Result

_INDENT = len("vanishing  ")


def table(content: Sequence[Explanation], look: Look) -> Iterator[str]:
    """Each run in a few lines: what happens, why, and what would change it."""
    for line in _page(content, look):
        yield render(line, look.colour)


def _page(content: Sequence[Explanation], look: Look) -> Iterator[Line]:
    yield from heading(words.clean(look.title or ""), look.width)
    yield from fold(words.settings([c.result for c in content]), " · ", look.width, "dim")
    for explanation in content:
        yield []
        name = words.name(explanation.result) if explanation.result.varied else ""
        if name:
            yield [Span(name, "bold")]
        for label, text in facts(explanation, look):
            yield from _labelled(label, text, look)
        for sum_ in explanation.expansions:
            yield []
            yield from _sum(sum_, look)


def _labelled(label: str, text: str, look: Look) -> Iterator[Line]:
    starts = chain([label], repeat(""))
    lines = fold(text.split(" "), " ", look.width - _INDENT)
    for start, line in zip(starts, lines, strict=False):
        yield [Span(start.ljust(_INDENT), "dim"), *line]


def to_markdown(content: Sequence[Explanation], look: Look) -> Iterator[str]:
    """The same as headings, lists and tables."""
    yield from titled(look)
    yield f"{prose(' · '.join(words.settings([c.result for c in content])))}\n"
    for explanation in content:
        if explanation.result.varied:
            yield f"\n#### {escaped(words.name(explanation.result))}\n"
        yield "\n"
        for label, text in facts(explanation, look):
            start = f"**{label}**: " if label else ""
            yield f"- {start}{prose(text)}\n"
        for sum_ in explanation.expansions:
            heads, rows = cells(sum_)
            yield f"\n{prose(caption(sum_))}\n\n"
            yield from markdown_table(list(zip(heads, zip(*rows, strict=True), strict=True)))


def to_json(content: Sequence[Explanation], look: Look) -> Iterator[str]:
    """One object with the config and every run."""
    yield json.dumps(head(look.config), allow_nan=False)[:-1] + ', "runs": ['
    between = "\n"
    for explanation in content:
        yield between + json.dumps(plain(_run(explanation)), allow_nan=False)
        between = ",\n"
    yield "\n]}\n"


def _run(explanation: Explanation) -> dict[str, object]:
    result = explanation.result
    advice = explanation.advice
    return {
        "run": result.run,
        **result.axes,
        **result.options,
        "diagnosis": diagnosis(result.diagnosis),
        "diverged_at": result.diverged_at,
        "factors": {name or "net": asdict(found) for name, found in explanation.factors.items()},
        "advice": None if advice is None else [_tried(one) for one in advice],
        "expansions": [asdict(sum_) for sum_ in explanation.expansions],
    }


def _tried(advice: Advice) -> dict[str, object]:
    return {
        "settings": dict(advice.settings),
        "why": advice.why,
        "diagnosis": diagnosis(advice.result.diagnosis),
    }


# Facts


def facts(explanation: Explanation, look: Look) -> Iterator[tuple[str, str]]:
    """What happens, the factors, the one that decides, what would change it: (label, text)."""
    result = explanation.result
    yield result.diagnosis.verdict, words.reach(result, look)
    for place, factors in explanation.factors.items():
        name = f"{place}: " if place else ""
        yield "factors", name + _product(factors, _rate(result, place))
        yield from (("", f"{f.name}: {f.detail}") for f in factors.factors if f.detail)
        yield "because", name + factors.decides
    if not explanation.factors and result.diverged_at is None:
        yield "factors", "none: " + _why_none(result)
    if explanation.advice:
        yield from (("tried", _outcome(advice)) for advice in explanation.advice)
    elif explanation.advice is not None and result.diagnosis.verdict != "stable":
        yield "tried", "no setting that was tried changes it"


def _rate(result: Result, place: str) -> float | None:
    if not place:
        return result.diagnosis.rate
    for part in result.layers:
        if place == part.place:
            return part.diagnosis.rate
    return None


def _product(factors: Factors, rate: float | None) -> str:
    """`gain of W_s 1.012 × rms slope 0.6479 = 0.6555 per step, measured 0.6471`."""
    text = " × ".join(f"{f.name} {f.value:.4g}" for f in factors.factors)
    if factors.predicted is None:
        return f"{text} = {rate:.4g} per step" if rate is not None else text
    measured = "no rate is measured" if rate is None else f"measured {rate:.4g}"
    return f"{text} = {factors.predicted:.4g} per step, {measured}"


def _why_none(result: Result) -> str:
    """Why there are no factors: the cell has none, or a direct path and no rate to compare."""
    paths = result.measures.get("paths")
    notes = [m.note for m in result.measures.values() if m.note is not None]
    if notes and (paths is None or paths.note is not None):
        return words.clean(notes[0])
    without = words.without_rate(result.diagnosis)
    return "its rate is not known" if without is None else without.removeprefix("none, ")


def _outcome(advice: Advice) -> str:
    """`ws_scale 1.862, the critical scale: stable, rate 0.9998, horizon > 100`."""
    settings = ", ".join(f"{name} {value:g}" for name, value in advice.settings.items())
    found = advice.result.diagnosis
    facts: list[str] = [found.verdict]
    facts += [f"rate {words.rate(found)}"] if found.rate is not None else []
    facts += [f"horizon {words.horizon(advice.result)}"]
    return f"{settings}, {advice.why}: {', '.join(facts)}"


# Sums


def caption(sum_: Expansion) -> str:
    """The sum as a formula."""
    chain = " · ".join(sum_.heads)
    what = "each a number" if sum_.signed else "norms, root mean square over the batch"
    return f"∂L/∂{sum_.parameter} = Σ_k {chain}; {what}"


def cells(sum_: Expansion) -> tuple[list[str], list[list[str]]]:
    """The head of each column, and its rows; the sum last."""
    last = "product" if sum_.signed else "norm of the term"
    rows = [
        [str(row.k), *(_number(value) for value in row.factors), _number(row.term)]
        for row in sum_.rows
    ]
    rows.append(["sum", *[""] * len(sum_.heads), _number(sum_.total)])
    return ["k", *sum_.heads, last], rows


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else words.UNKNOWN


def _sum(sum_: Expansion, look: Look) -> Iterator[Line]:
    yield from fold(caption(sum_).split(" "), " ", look.width, "dim")
    heads, rows = cells(sum_)
    columns = [
        Column((head,), [Entry(row[at]) for row in rows], "right" if at == 0 else "decimal")
        for at, head in enumerate(heads)
    ]
    yield from grid(columns)
    if not sum_.signed:
        text = (
            "The sum of the terms is a sum of matrices: its norm is that of ∂L/∂W, no sum of norms."
        )
        yield from fold(text.split(" "), " ", look.width, "dim")
