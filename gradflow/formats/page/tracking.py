"""The page of a training: how far the gradient reaches, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.checks.checked import Checked
from gradflow.formats import tracking, words
from gradflow.formats.look import Look
from gradflow.formats.page.answers import shares
from gradflow.formats.page.checks import expectations
from gradflow.formats.page.common import cells_of, notes, provenance, titled
from gradflow.formats.page.content import Answer, Column, Page, Section, Table, Tile
from gradflow.formats.page.drawing import drawings
from gradflow.formats.page.sparklines import sparklines
from gradflow.formats.page.tables import column
from gradflow.results import Result
from gradflow.tracking import CHECKPOINT


def page(results: Sequence[Result], look: Look) -> Page:
    """The page."""
    title = titled(look, f"{cells_of(r.axes['cell'] for r in results)}: reach over training")
    folder = words.clean(tracking.common_folder(results))
    ran = [*words.settings(results), *([f"checkpoints in {folder}"] if folder else [])]
    answer = _answer(results, look)
    return Page("Gradient flow over training", title, ran, answer, list(_sections(results, look)))


def _answer(results: Sequence[Result], look: Look) -> Answer:
    """What training has made of the horizon, and whether every checkpoint keeps to it."""
    sections = tracking.sections(results)
    changes = {name: tracking.change(rows) for name, rows in sections.items()}
    said = [f"{name}: {text}" if name else text for name, text in changes.items()]
    tiles = []
    if len(sections) == 1:
        first, last = results[0], results[-1]
        tiles.append(Tile("horizon at first", words.horizon(first)))
        if last is not first:
            tiles.append(Tile("horizon at last", words.horizon(last)))
            tiles.append(Tile("rate at last", words.rate_with_error(last.diagnosis)))
    if look.judgements:
        held = Checked("", look.judgements)
        tiles.append(Tile("expected", "held" if held.held else "missed", held.summary))
    one = said[0] if len(said) == 1 else words.verdicts(results) + "."
    return Answer(one, shares=shares(results), tiles=tiles, more=said if len(said) > 1 else ())


def _sections(results: Sequence[Result], look: Look) -> Iterator[Section]:
    drawn = drawings("tracking", results, look, *_CAPTION)
    if drawn:
        yield Section("figure", "Figure", drawn)
    if look.judgements:
        yield expectations(Checked("", look.judgements))
    verdicts = [result.diagnosis.verdict for result in results]
    found = [
        column(head, texts, marks=verdicts if head == "verdict" else ())
        for head, texts in tracking.columns(results, look)
    ]
    found[0] = column(CHECKPOINT, tracking.checkpoint_names(results))
    at = next(at for at, one in enumerate(found) if one.head == "verdict") + 1
    found.insert(at, Column("curve", (), is_number=False, curves=sparklines(results, look)))
    vanishing, exploding = look.thresholds
    prose = [
        f"horizon: the first lag whose gradient leaves {vanishing:g} to {exploding:g} times that "
        "of lag 0.",
        "lag: log10 ‖∂L/∂s‖ at that lag. curve: the relative gradient against lag.",
        *words.explanations(results, interval="±"),
    ]
    table = Table("checkpoints", "A row a checkpoint and run", found, prose)
    yield Section("checkpoints", "Checkpoints", [table])
    yield from notes(results)
    yield provenance(look)


_CAPTION = (
    "How far back the gradient reaches at each checkpoint; the table below has the numbers.",
    "How far back the gradient reaches, checkpoint by checkpoint.",
)
