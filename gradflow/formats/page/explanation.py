"""The page of explanations: what each run does, why, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.explanation import Explanation
from gradflow.formats import explanation, words
from gradflow.formats.look import Look
from gradflow.formats.page.answers import answer
from gradflow.formats.page.common import cells_of, provenance, titled
from gradflow.formats.page.content import Facts, Page, Part, Section, Table
from gradflow.formats.page.results import figure
from gradflow.formats.page.tables import columns


def page(content: Sequence[Explanation], look: Look) -> Page:
    """The page."""
    runs = [one.result for one in content]
    title = titled(look, f"{cells_of(run.axes['cell'] for run in runs)}: why")
    ran = words.settings(runs) if runs else []
    return Page("Why", title, ran, answer(runs, look), list(_sections(content, look)))


def _sections(content: Sequence[Explanation], look: Look) -> Iterator[Section]:
    for one in content:
        name = words.name(one.result) if one.result.varied else "Why"
        facts = [(label, words.clean(text)) for label, text in explanation.facts(one, look)]
        parts: list[Part] = [Facts(facts, is_list=True)]
        for sum_ in one.expansions:
            heads, (*rows, total) = explanation.cells(sum_)
            id = f"sum-{one.result.run}-{sum_.parameter}"
            found = columns(zip(heads, zip(*rows, strict=True), strict=True))
            prose = [f"The sum of the terms: {total[-1]}" + ("." if sum_.signed else _OF_MATRICES)]
            parts.append(Table(id, explanation.caption(sum_), found, prose))
        yield Section(f"run-{one.result.run}", name, parts)
    yield from figure([one.result for one in content], look)
    yield provenance(look)


_OF_MATRICES = ", the norm of ∂L/∂W: they are matrices, whose norms do not add up."
