"""What a check came to, in plain data: for every format alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from gradflow.checks.compare import Comparison, Pair
from gradflow.checks.judge import Judgement
from gradflow.counts import many
from gradflow.results import Result

_OUTCOMES = ("held", "missed", "undecided", "undecided, allowed")


@dataclass(frozen=True)
class Checked:
    """What a check came to.

    Attributes:
        source: the config, as the user named it.
        judgements: every expectation of every run that it is about.
        comparison: with the baseline; None: there was none.
        baseline: the file of the baseline, as the user named it.
        title: the user's own title of the config.
        results: the runs themselves.
        line: of the config, where what is asked for nowhere in it is shown: that of the cell.
    """

    source: str
    judgements: tuple[Judgement, ...] = ()
    comparison: Comparison | None = None
    baseline: str | None = None
    title: str | None = None
    results: tuple[Result, ...] = ()
    line: int = 1

    @property
    def held(self) -> bool:
        """Whether everything is as it was to be."""
        expected = not any(one.fails for one in self.judgements)
        return expected and (self.comparison is None or self.comparison.held)

    def __bool__(self) -> bool:
        return self.held

    def __repr__(self) -> str:
        """`<Check: 3 figures: 2 held, 1 missed>`."""
        return f"<Check: {self.summary.rstrip('.')}>"

    def __str__(self) -> str:
        """A line for each expectation that all its runs hold, and for each run that does not."""
        return "\n".join(" ".join(filter(None, line.texts)) for line in self.lines)

    @property
    def lines(self) -> list[Line]:
        """What is to be said: expectations in their order, then the runs of the baseline."""
        return [*_expected(self.judgements), *_compared(self.comparison, self.baseline)]

    @property
    def summary(self) -> str:
        """How many expectations and runs are as they were to be, in a sentence, and why runs of
        the baseline have no counterpart."""
        said = []
        if self.judgements:
            outcomes = [_outcome(one) for one in self.judgements]
            there = [outcome for outcome in _OUTCOMES if outcome in outcomes]
            counted = ", ".join(f"{outcomes.count(one)} {one}" for one in there)
            said.append(f"{many(len(outcomes), 'figure')}: {counted}")
        if self.comparison is not None:
            pairs = self.comparison.pairs
            held = sum(pair.held for pair in pairs)
            said.append(
                f"{many(len(pairs), 'run')} compared with {self.baseline}: {held} as before"
            )
        why = self.comparison.unpaired if self.comparison is not None else ""
        return ("; ".join(said) or "Nothing is expected") + "." + f" {why}" * bool(why)


@dataclass(frozen=True)
class Line:
    """One line of a report.

    Attributes:
        outcome: held, missed, undecided (or with it `, allowed`).
        fails: whether it fails the check.
        asked_at: `net.yaml:7`, where it was asked for.
        line: the line in it; None if it is in none.
        what: the figure and its bounds: `horizon at least 100`.
        of: which runs.
        got: what was found.
        off: by how much a bound was missed.
        runs: how many runs it is about.
    """

    outcome: str
    fails: bool
    asked_at: str
    line: int | None
    what: str
    of: str
    got: str
    off: str
    runs: int = 1

    @property
    def texts(self) -> list[str]:
        """The same as texts, in the order in which they are read."""
        off = f"({self.off})" if self.off else ""
        return [self.outcome, self.asked_at, f"{self.what}:", self.of, self.got, off]


def _outcome(one: Judgement) -> str:
    allowed = one.outcome == "undecided" and not one.fails
    return "undecided, allowed" if allowed else one.outcome


def _expected(judgements: Sequence[Judgement]) -> Iterator[Line]:
    """One line for all runs that hold an expectation, and one for each that does not."""
    for _, group in groupby(judgements, key=lambda one: id(one.wanted)):
        of_one = list(group)
        held = [one for one in of_one if one.outcome == "held"]
        if held:
            yield _judged(held)
        yield from (_judged([one]) for one in of_one if one.outcome != "held")


def _judged(judgements: Sequence[Judgement]) -> Line:
    """One line of runs with the same outcome."""
    first, wanted = judgements[0], judgements[0].wanted
    alone = len(judgements) == 1
    source = wanted.source or ""
    return Line(
        outcome=_outcome(first),
        fails=first.fails,
        asked_at=source if wanted.line is None else f"{source}:{wanted.line}",
        line=wanted.line,
        what=f"{wanted.what} {wanted.bounds}",
        of=first.name if alone else many(len(judgements), "run"),
        got=first.got if alone else _between(judgements),
        off=first.off,
        runs=len(judgements),
    )


def _between(judgements: Sequence[Judgement]) -> str:
    """The first and last of what was found, by size; words as a list."""
    values = [one.value for one in judgements]
    if any(value is None or isinstance(value, str) for value in values):
        return ", ".join(dict.fromkeys(one.got for one in judgements))
    ordered = sorted(judgements, key=lambda one: one.value)  # type: ignore[arg-type, return-value]
    low, high = ordered[0].got, ordered[-1].got
    return low if low == high else f"{low} to {high}"


def _compared(comparison: Comparison | None, baseline: str | None) -> Iterator[Line]:
    """One line a run that is not as it was, one for all that are, and one for those that are by
    their rates alone."""
    if comparison is None:
        return
    tolerance = f"within {comparison.within}"
    source = baseline or ""
    for held, what, got in (
        (comparison.close, tolerance, "at most"),
        (comparison.alike, "rates' intervals overlap", "gradient grows beyond 1e10; rates at most"),
    ):
        if held:
            of = held[0].name if len(held) == 1 else many(len(held), "run")
            worst = max((pair.largest.decades for pair in held if pair.largest), default=0.0)
            got = f"{got} {worst:.2g} apart"
            yield Line("held", False, source, None, what, of, got, "", len(held))
    for pair in comparison.pairs:
        if not pair.held:
            yield Line("missed", True, source, None, tolerance, pair.name, difference(pair), "")


def difference(pair: Pair) -> str:
    """What is to be said of a run and its baseline."""
    if pair.change is not None:
        return (
            f"{pair.change}: no such run in the {'baseline' if pair.runs[0] is None else 'results'}"
        )
    largest = pair.largest
    if largest is None:
        return "nothing to compare"
    decades = (
        "on one side only"
        if largest.decades == float("inf")
        else many(f"{largest.decades:.3g}", "decade")
    )
    text = f"{largest.name} {decades}"
    text += f" at lag {largest.lag}" if largest.lag is not None else ""
    if largest.before != largest.after:
        text += f" ({largest.before} before, {largest.after} now)"
    return f"{pair.chaotic}; {text}" if pair.chaotic else text
