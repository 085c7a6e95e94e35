"""Every measure, its columns, figures and options as Markdown, from what they declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradflow.measures import ALWAYS, MEASURES, OPTIONAL
from gradflow.measures.contract import Measure, Option

_SCOPES = {
    "net": "the whole state; in a bidirectional net each place alone",
    "place": "each place alone",
    "both": "the whole state, and each place alone",
}


def sections() -> str:
    """A section a measure: those that are asked for, then those of every net."""
    return "\n".join(line for name in (*OPTIONAL, *ALWAYS) for line in _section(MEASURES[name]))


def _section(measure: Measure) -> Iterator[str]:
    asked = "Measured of every net" if measure.always else f"Asked for by `measure: {measure.name}`"
    yield f"### {measure.name}\n"
    meaning = measure.meaning[0].upper() + measure.meaning[1:]
    yield f"{meaning}. {asked}; of {_SCOPES[measure.scope]}.\n"
    yield from _table("per lag", ((c.name, c.meaning) for c in measure.curves))
    yield from _table("per run", ((f.name, f.meaning) for f in measure.figures))
    options = measure.options.items()
    yield from _table("option", ((name, f"{o.meaning} ({_values(o)})") for name, o in options))


def _values(option: Option) -> str:
    if option.choices:
        return f"{' or '.join(option.choices)}; {option.default}"
    bounds = [f"at least {option.least:g}"] if option.least is not None else []
    kind = "a whole number" if isinstance(option.default, int) else "a number"
    return f"{', '.join([kind, *bounds])}; {option.default}"


def _table(head: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [f"| `{name}` | {meaning.replace('|', chr(92) + '|')} |" for name, meaning in rows]
    if lines:
        yield f"| {head} | meaning |"
        yield "|---|---|"
        yield from lines
        yield ""
