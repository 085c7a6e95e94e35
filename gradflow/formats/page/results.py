"""The page of an experiment: what its runs came to, drawn, run by run, lag by lag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.formats import markdown, runs, words
from gradflow.formats.glossary import explained, of_rates
from gradflow.formats.look import Look
from gradflow.formats.page.answers import answer
from gradflow.formats.page.common import cells_of, notes, provenance, titled
from gradflow.formats.page.content import Column, Facts, Page, Part, Prose, Section, Table
from gradflow.formats.page.drawing import drawings
from gradflow.formats.page.measured import measured
from gradflow.formats.page.sparklines import sparklines
from gradflow.formats.page.tables import beyond, column, columns
from gradflow.formats.parts import with_parts
from gradflow.formats.totals import totals
from gradflow.numerics.magnitudes import Magnitudes
from gradflow.results import Result

_WHAT = "Gradient flow"
_FEW = 100  # runs whose figure is seen at one glance; of more, the table is of more use


def page(results: Sequence[Result], look: Look, of_runs: bool = False) -> Page:
    """The page; `of_runs`: with a row a run and every figure, and no lags."""
    shown = with_parts(results)
    title = titled(look, f"{cells_of(r.axes['cell'] for r in results)}: the gradient against lag")
    ran = words.settings(shown) if shown else []
    return Page(_WHAT, title, ran, answer(shown, look), list(_sections(results, look, of_runs)))


def _sections(results: Sequence[Result], look: Look, of_runs: bool) -> Iterator[Section]:
    if results:
        yield from body(results, look, of_runs)
        yield from notes(results)
    yield provenance(look)


def body(results: Sequence[Result], look: Look, of_runs: bool = False) -> Iterator[Section]:
    """The figure, the runs, what was measured and the lags; there is at least one run."""
    shown = with_parts(results)
    drawn = list(figure(results, look))
    yield from drawn if len(shown) <= _FEW else ()
    if len(shown) > 1:
        yield Section("runs", "Runs", [_runs(shown, look), Prose(list(_said(shown, look)))])
    else:
        yield Section(
            "run", "The run", [Facts([*_facts(shown[0]).items()]), Prose(list(_said(shown, look)))]
        )
    yield from drawn if len(shown) > _FEW else ()
    if of_runs:
        every = [column(head, texts) for head, texts in runs.shown(results, look)]
        yield Section(
            "figures", "Every figure", [Table("figures", "Every figure of every run", every)]
        )
        return
    yield from measured(shown)
    if lags := list(_lags(shown, look)):
        yield Section("lags", "Lag by lag", lags)


def figure(results: Sequence[Result], look: Look, number: int = 1) -> Iterator[Section]:
    """The figure of these results, in its own section."""
    shown = with_parts(results)
    said = answer(shown, look).sentence
    caption = "The relative gradient ‖∂L/∂s‖ against lag, on a log scale; lag 0 is the last state."
    drawn = drawings(
        "results", results, look, f"The relative gradient against lag. {said}", caption, number
    )
    if drawn:
        yield Section("figure", "Figure", drawn)


# Runs


def _runs(results: Sequence[Result], look: Look) -> Table:
    """How the runs differ, what each came to, its totals and its curve."""
    verdicts = [result.diagnosis.verdict for result in results]
    pairs, _ = markdown.summary_columns(results)
    found = [
        column(head, texts, marks=verdicts if head == "verdict" else ()) for head, texts in pairs
    ]
    if found[0].head != "run":
        found.insert(0, column("run", [str(result.run) for result in results]))
    at = next(at for at, one in enumerate(found) if one.head == "verdict") + 1
    found.insert(at, Column("curve", (), is_number=False, curves=sparklines(results, look)))
    for name, texts in totals(results).items():
        found.append(column(f"‖∂L/∂{name}‖", texts, f"total_{name}"))
    what = "curve" if "layer" in results[0].varied else "run"
    return Table("runs", f"A row a {what}", found)


def _short(value: Magnitudes) -> str:
    return words.short(value.reshape(1).texts()[0])


def _said(results: Sequence[Result], look: Look) -> Iterator[str]:
    """What the words of the table mean."""
    if len(results) > 1:
        yield from explained(results, look)
        yield (
            "curve: the relative gradient at log-spaced lags, on one log scale for all; it ends "
            "where it leaves the thresholds, the thin line is its start."
        )
    else:
        yield from of_rates([results[0].diagnosis])
    yield from words.explanations(results, interval="95 % interval")


def _facts(result: Result) -> dict[str, str]:
    """The figures of a single run that the short answer leaves out."""
    facts = {}
    for axis, value in result.axes.items():
        if value is not None and not (axis == "bidirectional" and value is False):
            facts[axis] = words.setting(result, axis)
    facts |= {name: words.clean(str(v)) for name, v in result.options.items()}
    if result.flow is not None:
        every = result.flow.totals.items()
        facts |= {f"‖∂L/∂{name}‖, total": _short(norm) for name, norm in every}
    return facts


# Lags


def _lags(results: Sequence[Result], look: Look) -> Iterator[Part]:
    """The gradient against lag, of as many runs as fit side by side."""
    there = [result for result in results if result.flow is not None]
    if len(there) > words.FEW_RUNS:
        yield Prose([_ELSEWHERE])
    elif len(results) == 1 and there:
        flow = results[0].flow
        assert flow is not None
        pairs = markdown.lag_columns(results[0], flow, look)
        found = [
            column(head, texts, marks=beyond(texts, look) if head.startswith("relative") else ())
            for head, texts in pairs
        ]
        prose = [f"Relative: ‖∂L/∂s‖ over {words.relative_to(results)}.", _marks(look)]
        if "W_s" in flow.terms:
            prose.append("W_s share: ‖terms of lags 0 to here, summed‖ over ‖∂L/∂W_s‖.")
        yield Table("lags", "The gradient at each lag", found, prose)
        if measured := markdown.measured_columns(results[0], look):
            yield Table("measured-lags", "What was measured at each lag", columns(measured))
    elif there:
        pairs = markdown.lag_columns_of_runs(results, look)
        found = [
            column(head, texts, marks=beyond(texts, look) if at else ())
            for at, (head, texts) in enumerate(pairs)
        ]
        start = words.relative_to(results)
        prose = [f"‖∂L/∂s‖ over {start}.", _marks(look)]
        yield Table("lags", "The relative gradient at each lag", found, prose)


_ELSEWHERE = (
    "Too many runs to be side by side: a .csv or .json file, --output flow.csv, holds the "
    "gradient of each at every lag."
)


def _marks(look: Look) -> str:
    vanishing, exploding = look.thresholds
    return f"↓ below {vanishing:g}, ↑ above {exploding:g}."
