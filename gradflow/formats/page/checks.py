"""The pages of a check and of a comparison: what held, what did not, and by how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath

from gradflow.checks.checked import Checked
from gradflow.checks.compare import Comparison
from gradflow.formats import checks, comparison, words
from gradflow.formats.look import Look
from gradflow.formats.page.common import made_with, notes, provenance, sentence, titled
from gradflow.formats.page.content import Answer, Page, Section, Table, Tile
from gradflow.formats.page.drawing import drawings
from gradflow.formats.page.results import body
from gradflow.formats.page.tables import column
from gradflow.formats.parts import with_parts

_ORDER = ("held", "missed", "undecided")


def of_check(checked: Checked, look: Look) -> Page:
    """The page of a check: expectations, the baseline, and the runs that were held to them."""
    title = words.clean(checked.title or "") or f"{words.clean(checked.source)} checked"
    ran = [f"config {words.clean(checked.source)}"]
    ran += [f"baseline {words.clean(checked.baseline)}"] if checked.baseline else []
    ran += words.settings(with_parts(checked.results)) if checked.results else []
    return Page("Check", title, ran, _answer(checked), list(_sections(checked, look)))


def _answer(checked: Checked) -> Answer:
    failing = sum(one.fails for one in checked.judgements)
    counts: Counter[str] = Counter(one.outcome for one in checked.judgements)
    if checked.comparison is not None:
        counts.update("held" if pair.held else "missed" for pair in checked.comparison.pairs)
        failing += sum(not pair.held for pair in checked.comparison.pairs)
    shares = {outcome: counts[outcome] for outcome in _ORDER if counts[outcome]}
    total = sum(counts.values())
    verb = "fails" if failing == 1 else "fail"
    answer = f"{failing:,} of {total:,} {verb}." if failing else f"All {total:,} hold."
    answer = "1 of 1 holds." if not failing and total == 1 else answer
    mark = "missed" if failing else "held"
    return Answer(answer, mark, shares, more=[_counted(checked)])


def _counted(checked: Checked) -> str:
    """How many there are of what."""
    return words.clean(replace(checked, baseline="the baseline").summary)


def _sections(checked: Checked, look: Look) -> Iterator[Section]:
    yield expectations(checked)
    if checked.results:
        yield from body(checked.results, look)
    if checked.comparison is not None:
        yield from _compared(checked.comparison)
    yield from notes(checked.results)
    yield provenance(look)


def expectations(checked: Checked) -> Section:
    """What was asked for, by line; where that is said of several runs at once, run by run too."""
    lines = checked.lines
    rows = [checks.row_of(line) for line in lines]
    marks = [_mark(line.outcome) for line in lines]
    found = [
        column(head, [row[at] for row in rows], marks=marks if at == 0 else ())
        for at, head in enumerate(checks.HEADS)
        if any(row[at] for row in rows)
    ]
    tables = [Table("expected", "What was expected, and what was found", found)]
    judged = checked.judgements
    if len(judged) > sum(line.runs == 1 for line in lines) and len(judged) > 1:
        wanted = [f"{one.wanted.what} {one.wanted.bounds}" for one in judged]
        every = [
            column(
                "outcome", [o.outcome for o in judged], marks=[_mark(o.outcome) for o in judged]
            ),
            column("expected", wanted),
            column("run", [one.name for one in judged]),
            column("found", [one.got for one in judged]),
            column("off", [one.off for one in judged]),
        ]
        tables.append(Table("judged", "The same, run by run", every))
    return Section("expected", "Expected", tables)


def _mark(outcome: str) -> str:
    return outcome.partition(",")[0]


# Comparisons


def of_comparison(found: Comparison, look: Look) -> Page:
    """The page of two saved results."""
    names = [words.clean(name) for name in look.sources]
    short = [PurePath(name).name for name in names]
    title = titled(look, " and ".join(short if len({*short}) == 2 else names) or "Two results")
    pairs = found.pairs
    held = [pair for pair in pairs if pair.held]
    tiles = []
    largest = [pair for pair in pairs if pair.largest is not None]
    if largest:
        pair = max(largest, key=lambda one: one.largest.decades if one.largest else 0.0)
        if pair.largest is not None:
            at = "" if pair.largest.lag is None else f" at lag {pair.largest.lag}"
            note = f"{pair.largest.name}{at}, {words.clean(pair.name)}"
            tiles.append(Tile("farthest apart", comparison.decades(pair.largest.decades), note))
    tiles.append(Tile("tolerance", f"{found.tolerance:g}", "decades"))
    shares = {"held": len(held), "missed": len(pairs) - len(held)}
    said = [sentence(words.clean(text)) for text in comparison.sentences(found)]
    answer = Answer(
        said[-1],
        "held" if found.held else "missed",
        {outcome: count for outcome, count in shares.items() if count},
        tiles,
        said[:-1],
    )
    ran = [f"{word} {name}" for word, name in zip(("before:", "after:"), names, strict=False)]
    return Page("Comparison", title, ran, answer, list(_of_both(found, look)))


def _of_both(found: Comparison, look: Look) -> Iterator[Section]:
    drawn = drawings("comparison", found, look, *_CAPTION)
    if drawn:
        yield Section("figure", "Figure", drawn)
    yield from _compared(found)
    made = [part for name, head in look.sources.items() for part in made_with(head, name)]
    yield Section("provenance", "Provenance", made) if made else provenance(look)


def _compared(found: Comparison) -> Iterator[Section]:
    """A row a run, where it differs most; then everything that was compared."""
    rows = [comparison.row_of(pair) for pair in found.pairs]
    marks = ["held" if pair.held else "missed" for pair in found.pairs]
    columns = [
        column(head, [row[at] for row in rows], marks=marks if at == 0 else ())
        for at, head in enumerate(comparison.HEADS)
        if any(row[at] for row in rows)
    ]
    notes = [f"Decades: |log10 of the ratio|; up to {found.tolerance:g} is held."]
    tables = [Table("compared", "Each run, where the two sides are farthest apart", columns, notes)]
    every = [(pair, one) for pair in found.pairs for one in pair.deviations]
    every.sort(key=lambda pair_and_one: -pair_and_one[1].decades)
    if len(every) > len(found.pairs):
        tables.append(
            Table(
                "deviations",
                "Everything that was compared, the farthest apart first",
                [
                    column("run", [pair.name for pair, _ in every]),
                    column("of", [one.name for _, one in every]),
                    column("decades", [comparison.decades(one.decades) for _, one in every]),
                    column("lag", ["" if o.lag is None else str(o.lag) for _, o in every]),
                    column("before", [one.before for _, one in every]),
                    column("after", [one.after for _, one in every]),
                ],
            )
        )
    yield Section("compared", "Compared", tables)


_CAPTION = (
    "The gradient against lag on either side; the table below has how far apart they are.",
    "The gradient against lag, before and after.",
)
