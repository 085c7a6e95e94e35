"""The gradient's reach over checkpoints, in each format. A row per checkpoint and run."""

from __future__ import annotations

import json
import math
import os.path
from collections.abc import Iterator, Mapping, Sequence

from gradflow.axes import PLACE_AXES
from gradflow.formats import charts, words
from gradflow.formats.csv import record
from gradflow.formats.json import diagnosis, head, plain
from gradflow.formats.lags import choose_lags
from gradflow.formats.layout import (
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
from gradflow.formats.look import Lags, Look
from gradflow.formats.markdown import prose, titled
from gradflow.formats.markdown import table as markdown_table
from gradflow.results import Result
from gradflow.tracking import CHECKPOINT

_HORIZONS = ("horizon", "horizon_typical", "projected_horizon")
_BAR = (8, 40)  # the fewest and most characters of a bar


def shown_lags(results: Sequence[Result], lags: Lags) -> list[int]:
    """The lags of the columns, ascending: of `auto` 0, the powers of ten, and T."""
    T = max(result.sequence_length for result in results)
    if lags != "auto":
        return choose_lags(T, lags)
    return sorted({0, T, *(10**tens for tens in range(len(str(T))) if 10**tens <= T)})


def log10_gradient(result: Result, lags: Sequence[int]) -> list[float]:
    """log10 of the gradient norm at `lags`: -inf at an exact zero, NaN if there is none."""
    if result.flow is None:
        return [math.nan] * len(lags)
    logs = result.flow.state.log10().tolist()
    return [logs[lag] if lag < len(logs) else math.nan for lag in lags]


# CSV and JSON


def to_csv(results: Sequence[Result], look: Look) -> Iterator[str]:
    """A row per checkpoint and run, with the gradient at some lags."""
    lags = shown_lags(results, look.lags)
    facts = ("verdict", "rate", "rate_low", "rate_high", "half_life", *_HORIZONS)
    header: list[object] = [*results[0].varied, *facts, *(f"log10_grad_lag_{lag}" for lag in lags)]
    yield from map(record, (header, *(_csv_row(result, lags) for result in results)))


def _csv_row(result: Result, lags: Sequence[int]) -> list[object]:
    """Empty where something is not known."""
    found = result.diagnosis
    low, high = found.rate_ci or (None, None)
    axes = [result.axes.get(axis, "") for axis in result.varied]
    horizons = [getattr(found, name) for name in _HORIZONS]
    facts = [found.verdict, found.rate, low, high, found.half_life, *horizons]
    return [*axes, *facts, *log10_gradient(result, lags)]


def to_json(results: Sequence[Result], look: Look) -> Iterator[str]:
    """Infinities as null, one row a line."""
    lags = shown_lags(results, look.lags)
    weights = look.config.get("weights")
    config = dict(look.config)
    if isinstance(weights, Mapping):  # the file is another one in each row
        config["weights"] = {key: value for key, value in weights.items() if key != "file"}
    facts = {**head(config), "lags": lags}
    yield json.dumps(facts, allow_nan=False)[:-1] + ', "rows": [\n'
    rows = (json.dumps(_json_row(result, lags), allow_nan=False) for result in results)
    yield ",\n".join(rows) + "\n]}\n"


def _json_row(result: Result, lags: Sequence[int]) -> dict[str, object]:
    return {
        "run": result.run,
        **result.axes,
        **result.options,
        "loss": plain(result.loss),
        "objective": result.objective,
        "diagnosis": diagnosis(result.diagnosis),
        "diverged_at": result.diverged_at,
        "log10_grad_norm": plain(log10_gradient(result, lags)),
        "notes": result.notes,
    }


# Tables


def table(results: Sequence[Result], look: Look) -> Iterator[str]:
    """One table per run of the sweep, the checkpoints as rows."""
    for line in _page(results, look):
        yield render(line, look.colour)


def _page(results: Sequence[Result], look: Look) -> Iterator[Line]:
    """One table per run of the sweep, the checkpoints as rows."""
    yield from heading(words.clean(look.title or ""), look.width)
    folder = common_folder(results)
    within = [f"checkpoints in {words.clean(folder)}"] if folder else []
    yield from fold([*words.settings(results), *within], " · ", look.width, "dim")
    yield []
    drawn = False
    for name, rows in sections(results).items():
        if name:
            yield [Span(name, "bold")]
        groups, has_bars = _groups(rows, look)
        drawn |= has_bars
        for columns in groups:
            yield from grid(columns)
            yield []
        yield from _prose(change(rows), look.width, "")
        yield []
    vanishing, exploding = look.thresholds
    yield from _prose(
        f"horizon: the first lag whose gradient leaves {vanishing:g} to {exploding:g} times that of"
        f" lag 0{', drawn at the right' if drawn else ''}. Under the lags: log10 ‖∂L/∂s‖.",
        look.width,
    )
    for text in words.explanations(results, interval="±"):
        yield from _prose(text, look.width)
    notes = dict.fromkeys(words.clean(note) for result in results for note in result.notes)
    for note in notes:
        yield from _prose(f"Note: {note}", look.width, "")


def sections(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The checkpoints of each run, by what differs between the runs."""
    kept = (CHECKPOINT, *PLACE_AXES)
    sections: dict[str, list[Result]] = {}
    for result in results:
        axes = {axis: result.axes[axis] for axis in result.varied
                if axis not in kept and result.axes[axis] is not None}  # fmt: skip
        name = " ".join(words.phrase(axis, value) for axis, value in axes.items())
        sections.setdefault(name, []).append(result)
    return sections


def _groups(results: Sequence[Result], look: Look) -> tuple[list[list[Column]], bool]:
    """All columns side by side, or the gradients below the rest where the width asks for it; and
    whether there is room for the horizons' bars."""
    key = _checkpoints(results)
    styles = [VERDICT_STYLES.get(result.diagnosis.verdict, "") for result in results]
    facts = [*_parts(results), *_facts(results, styles)]
    logs = _log_columns(results, shown_lags(results, look.lags))
    groups = [[key, *facts, *logs]]
    if room_left(groups[0], look.width) < _BAR[0]:
        groups = [*blocks(facts, [key], look.width), *blocks(logs, [key], look.width)]
    for columns in groups:
        if (room := room_left(columns, look.width)) >= _BAR[0]:
            columns.append(_bars(results, styles, room))
            return groups, True
    return groups, False


def change(results: Sequence[Result]) -> str:
    """What the training has made of the horizon."""
    names = [one.text for one in _checkpoints(results).entries]
    horizons = [words.horizon(result) for result in results]
    if len(results) == 1:
        return f"Horizon: {horizons[0]} at {names[0]}."
    return f"Horizon: {horizons[0]} at {names[0]}, {horizons[-1]} at {names[-1]}."


def common_folder(results: Sequence[Result]) -> str:
    """The folder that all checkpoints are in; empty where they are in several."""
    folders = {os.path.dirname(str(result.axes[CHECKPOINT])) for result in results}
    return folders.pop() if len(folders) == 1 else ""


def _checkpoints(results: Sequence[Result]) -> Column:
    return Column((CHECKPOINT,), [*map(Entry, checkpoint_names(results))], "left")


def checkpoint_names(results: Sequence[Result]) -> list[str]:
    """The checkpoint of each result, within the folder that all are in."""
    start = len(common_folder(results))
    names = [str(result.axes[CHECKPOINT])[start:] for result in results]
    return [words.clean(name.lstrip("/\\") if start else name) for name in names]


def _parts(results: Sequence[Result]) -> list[Column]:
    """Of which part of a bidirectional net each row is."""
    if not any(axis in result.axes for result in results for axis in PLACE_AXES):
        return []
    texts = [" ".join(str(result.axes.get(axis, "")) for axis in PLACE_AXES) for result in results]
    return [Column(("layer",), [Entry(text.strip()) for text in texts], "left")]


def _facts(results: Sequence[Result], styles: Sequence[str]) -> list[Column]:
    found = [result.diagnosis for result in results]
    verdicts = [Entry(one.verdict, style) for one, style in zip(found, styles, strict=True)]
    return [
        Column(("verdict",), verdicts, "left"),
        Column(("rate per step",), [Entry(words.rate_with_error(one)) for one in found]),
        Column(("half-life",), [Entry(words.half_life(one)) for one in found]),
        Column(("horizon",), [Entry(words.horizon(result)) for result in results], "right"),
    ]


def _bars(results: Sequence[Result], styles: Sequence[str], width: int) -> Column:
    """The horizon between 0 and T, full where the gradient never leaves the thresholds."""
    width = min(width, _BAR[1])
    longest = max(result.sequence_length for result in results)
    entries = [
        Entry(charts.bar(_reach(result), 0, longest, width), style)
        for result, style in zip(results, styles, strict=True)
    ]
    return Column((f"0{longest:>{width - 1}}",), entries, "left")


def _reach(result: Result) -> float:
    if result.flow is None or result.diagnosis.verdict == "unknown":
        return math.nan
    lag = result.diagnosis.horizon
    return float(result.sequence_length if lag is None else lag)


def _log_columns(results: Sequence[Result], lags: Sequence[int]) -> list[Column]:
    logs = [log10_gradient(result, lags) for result in results]
    return [
        Column((f"lag {lag}",), [Entry(_log(row[i])) for row in logs]) for i, lag in enumerate(lags)
    ]


def _log(value: float) -> str:
    if math.isnan(value):
        return words.UNKNOWN
    return f"{value:.2f}" if math.isfinite(value) else "-inf"


def _prose(text: str, width: int, style: str = "dim") -> Iterator[Line]:
    yield from fold(text.split(" "), " ", width, style)


# Markdown


def to_markdown(results: Sequence[Result], look: Look) -> Iterator[str]:
    """One table of all checkpoints and runs."""
    yield from titled(look)
    yield f"{prose(' · '.join(words.settings(results)))}\n\n"
    yield from markdown_table(columns(results, look), left=len(results[0].varied) + 1)
    yield "\nUnder the lags: log10 ‖∂L/∂s‖.\n"
    yield from (f"\n{prose(text)}\n" for text in words.explanations(results, interval="±"))


def columns(results: Sequence[Result], look: Look) -> list[tuple[str, Sequence[str]]]:
    """How checkpoints and runs differ, what each came to, and its gradient at some lags."""
    lags = shown_lags(results, look.lags)
    found = [result.diagnosis for result in results]
    logs = [log10_gradient(result, lags) for result in results]
    return [
        *(
            (words.symbol(axis), [words.clean(str(one.axes.get(axis, ""))) for one in results])
            for axis in results[0].varied
        ),
        ("verdict", [one.verdict for one in found]),
        ("rate per step", [words.rate_with_error(one) for one in found]),
        ("half-life", [words.half_life(one) for one in found]),
        ("horizon", [words.horizon(result) for result in results]),
        *((f"lag {lag}", [_log(row[i]) for row in logs]) for i, lag in enumerate(lags)),
    ]
