"""Where the rate crosses 1, net by net: what `gradflow critical` shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

from gradflow.cells import Cell
from gradflow.criticality import Critical
from gradflow.formats import layout, words
from gradflow.formats.csv import record
from gradflow.formats.json import head, plain
from gradflow.formats.layout import Column, Line, fold, grid, heading, render
from gradflow.formats.look import Look
from gradflow.formats.markdown import escaped, prose
from gradflow.formats.markdown import table as markdown_table

_FIGURES = (
    "critical", "critical_low", "critical_high", "predicted", "rate_at_low", "rate_at_high", "low",
    "high", "crossings", "runs",
)  # fmt: skip


def facts(found: Critical) -> dict[str, object]:
    """Every figure of one net by its name; None: unknown."""
    interval = found.interval or (None, None)
    ends = found.ends
    return {
        "critical": found.value,
        "critical_low": interval[0],
        "critical_high": interval[1],
        "predicted": found.predicted,
        "rate_at_low": None if ends is None else ends[0].rate,
        "rate_at_high": None if ends is None else ends[1].rate,
        "low": None if ends is None else ends[0].value,
        "high": None if ends is None else ends[1].value,
        "crossings": found.crossings,
        "runs": len(found.tried),
    }


def _axes(found: Critical) -> dict[str, object]:
    """What a net is, but for what is varied."""
    cell = found.run.cell
    option = found.vary.removeprefix("cell.")
    if option in cell.options and found.vary != option:
        cell = Cell.of(cell.equations, **{**cell.options, option: cell.equations.defaults[option]})
    axes: dict[str, object] = {**found.run.axes, "cell": cell.label}
    axes.pop(found.vary, None)
    return axes


def _settings(found: Critical) -> dict[str, object]:
    """The same, and the options of its cell."""
    options: dict[str, object] = dict(found.run.cell.options)
    options.pop(found.vary.removeprefix("cell."), None)
    return {**_axes(found), **options}


def varied(content: Sequence[Critical]) -> list[str]:
    """The axes that differ between the nets that have them; the cell where nothing does."""
    rows = [_axes(found) for found in content]
    values = {name: {str(row[name]) for row in rows if row.get(name) is not None}
              for name in rows[0]}  # fmt: skip
    return [name for name, found in values.items() if len(found) > 1] or ["cell"]


# CSV and JSON


def to_csv(content: Sequence[Critical], look: Look) -> Iterator[str]:
    """A row a net: its settings, then what was found."""
    rows = [_settings(found) for found in content]
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield record(["net", *names, "vary", *_FIGURES, "note"])
    for found, row in zip(content, rows, strict=True):
        values = facts(found)
        settings = [row.get(name) for name in names]
        figures = [values[name] for name in _FIGURES]
        yield record([found.number, *settings, found.vary, *figures, found.note])


def to_json(content: Sequence[Critical], look: Look) -> Iterator[str]:
    """One object with the config and every net, the values that were tried among it."""
    yield json.dumps(head(look.config), allow_nan=False)[:-1] + ', "nets": ['
    between = "\n"
    for found in content:
        net = {
            "net": found.number,
            **_settings(found),
            "vary": found.vary,
            **facts(found),
            "note": found.note,
            "tried": [{"value": p.value, "rate": p.rate} for p in found.tried],
        }
        yield between + json.dumps(plain(net), allow_nan=False)
        between = ",\n"
    yield "\n]}\n"


# For people


def table(content: Sequence[Critical], look: Look) -> Iterator[str]:
    """A row a net, the spread over seeds, and what was not found."""
    for line in _page(content, look):
        yield render(line, look.colour)


def _page(content: Sequence[Critical], look: Look) -> Iterator[Line]:
    yield from heading(words.clean(look.title or ""), look.width)
    yield from fold(about(content).split(" "), " ", look.width, "dim")
    yield []
    heads, lines = rows(content)
    columns = [
        Column((head,), [layout.Entry(line[i]) for line in lines], "left" if i == 0 else "decimal")
        for i, head in enumerate(heads)
    ]
    yield from grid(columns)
    yield []
    for text in sentences(content):
        yield from fold(text.split(" "), " ", look.width)


def to_markdown(content: Sequence[Critical], look: Look) -> Iterator[str]:
    """The same as a Markdown table and a list."""
    if look.title:
        yield f"### {escaped(words.clean(look.title))}\n\n"
    yield f"{prose(about(content))}\n\n"
    heads, lines = rows(content)
    columns = list(zip(heads, zip(*lines, strict=True), strict=True))
    yield from markdown_table(columns, left=1)
    yield "\n"
    yield from (f"- {prose(text)}\n" for text in sentences(content))


def about(content: Sequence[Critical]) -> str:
    """What was looked for, in a sentence."""
    first = content[0]
    steps = max(found.run.sequence_length for found in content)
    return f"Where the rate per step is 1, as {first.vary} is varied; T={steps}."


def rows(content: Sequence[Critical]) -> tuple[list[str], list[list[str]]]:
    """The head of each column, and a row a net."""
    axes = varied(content)
    has_theory = any(found.predicted is not None for found in content)
    heads = [*map(words.symbol, axes), f"critical {content[0].vary}", "from", "to"]
    heads += ["theory"] if has_theory else []
    ends = _ends(content)
    heads += [f"rate at {end:g}" for end in ends]
    lines = []
    for found in content:
        settings, values = _axes(found), facts(found)
        row = [words.clean(_said(settings.get(name))) for name in axes]
        row += [_number(values[name]) for name in ("critical", "critical_low", "critical_high")]
        row += [_number(values["predicted"])] if has_theory else []
        if ends:
            row += [_rate(values[name]) for name in ("rate_at_low", "rate_at_high")]
        lines.append(row)
    return heads, lines


def _ends(content: Sequence[Critical]) -> tuple[float, ...]:
    """The ends of the range that was searched; none where no net has what was to be varied."""
    ends = next((found.ends for found in content if found.ends is not None), ())
    return tuple(point.value for point in ends)


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> str:
    if not isinstance(value, int | float):
        return words.UNKNOWN
    return f"{value:.4g}" if math.isfinite(value) else "∞"


def _rate(value: object) -> str:
    """A rate in as many digits as tell it from 1."""
    text = _number(value)
    if text != "1" or value == 1:
        return text
    longer = (f"{value:.{digits}g}" for digits in range(5, 18))
    return next((one for one in longer if float(one) != 1), text)


def sentences(content: Sequence[Critical]) -> Iterator[str]:
    """What is to be known besides the figures."""
    axes = varied(content)
    for nets in alike(content):
        values = [found.value for found in nets if found.value is not None]
        if len(nets) > 1 and values:
            yield (
                f"{named(nets[0], [axis for axis in axes if axis != 'seed'] or ['cell'])}: "
                f"{median(values):.4g} in the median of {len(nets)} seeds, "
                f"{min(values):.4g} to {max(values):.4g}."
            )
    if any(found.interval is not None for found in content):
        yield "from, to: where the ends of the rate's 95 % interval (over inputs) cross 1."
    if any(found.predicted is not None for found in content):
        yield "theory: of a wide random net that is driven alike (mean field)."
    for found in content:
        if found.note is not None:
            yield f"{named(found, axes)}: {found.note}."


def alike(content: Sequence[Critical]) -> list[list[Critical]]:
    """The nets, those that differ in the seed alone together."""
    return [list(group) for _, group in groupby(content, key=_but_for_the_seed)]


def _but_for_the_seed(found: Critical) -> dict[str, object]:
    return {name: value for name, value in _settings(found).items() if name != "seed"}


def named(found: Critical, axes: Sequence[str]) -> str:
    """A net as people say it, by these axes."""
    settings = _axes(found)
    there = [axis for axis in axes if settings.get(axis) is not None]
    return " ".join(words.phrase(axis, settings[axis]) for axis in there)


def called(found: Critical, content: Sequence[Critical]) -> str:
    """How a net differs from the others."""
    return named(found, varied(content))
