"""A file of results: its text, its head, and how its results are shown."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from gradflow.axes import varied
from gradflow.errors import Fault, InputError
from gradflow.files.opening import open_regular
from gradflow.formats.json import FORMAT
from gradflow.formats.look import Lags, Look
from gradflow.machine.memory import bytes_available
from gradflow.measures import OPTIONAL
from gradflow.results import Result
from gradflow.saved.runs import result
from gradflow.saved.values import DamagedError, an_object, damaged, member, number, one_of, texts

WRITTEN_BY = "gradflow analyze --output NAME.json"
_SUFFIXES = (".json",)
_HEAD = ("gradflow", "format", "provenance", "config")
_BEGINNING = 200  # bytes that tell results from other files
_HEAD_BYTES = 1 << 16  # that tell them from other reports, where the config is no longer
_OTHER_REPORT = re.compile(
    rb'"(?:runs|rows|nets|cells|expectations)": \[\r?\n|^{"gradflow": "[^"]*", "file": '
)
"""What results have after their `parts`, if at all."""

_OTHERS = {
    "rows": "track",
    "tensors": "inspect",
    "nets": "critical",
    "cells": "cells",
    "expectations": "check",
    "tolerance": "compare",
    "factors": "explain",
    "comparisons": "verify",
}
"""By a key of its own, of the whole or of a run, the command that writes another report."""

_MEMORY = 10  # bytes that one byte of such a file takes while it is read


@dataclass(frozen=True, eq=False)
class Saved:
    """A file of results.

    Attributes:
        results: as `gradflow.analyze` gave them.
        head: with what they were made: versions, provenance, config.
        title, lags, thresholds, parts, options, measures: how they are shown, as `Look` has it.
    """

    results: tuple[Result, ...]
    head: Mapping[str, Any]
    title: str | None
    lags: Lags
    thresholds: tuple[float, float]
    parts: tuple[str, ...]
    options: tuple[str, ...]
    measures: tuple[str, ...]

    def look(self, **how: Any) -> Look:
        """How they are shown: as `analyze` showed them; `how`: width, colour, tables."""
        return Look(
            title=self.title,
            config=self.head["config"],
            made=self.head,
            lags=self.lags,
            parts=self.parts,
            options=self.options,
            varied=self.results[0].varied if self.results else (),
            measures=self.measures,
            thresholds=self.thresholds,
            **how,
        )


def load_results(path: str | PathLike[str]) -> list[Result]:
    """The results that `gradflow analyze --output NAME.json` wrote, as `gradflow.analyze` gave
    them: curves with their exact exponents, places, options, diagnoses.

    Raises:
        InputError: there is no such file, it is something else, of a newer gradflow, or damaged.
    """
    return list(read_results(path).results)


def read_results(path: str | PathLike[str]) -> Saved:
    """The same, with what the results were made from and how they are shown."""
    source = str(path)
    data = _parsed(Path(path), source)
    version = data["format"]
    if version > FORMAT:
        message = f"written by gradflow {data['gradflow']} in format {version}"
        raise InputError(Fault(f"{message}, newer than this one reads, {FORMAT}: upgrade", source))
    if "over" in data:
        message = "holds runs that were made one over their seeds: expected those of each seed"
        raise InputError(Fault(f"{message}, which {WRITTEN_BY} writes without --over", source))
    try:
        return _saved(data)
    except DamagedError as damage:
        raise InputError(Fault(f"damaged: {damage}", source)) from None


def holds_results(path: Path) -> bool:
    """Whether a file looks like one of results, sound or damaged."""
    with open_regular(path, str(path)) as file:
        head = _plain(bytes(file.read_at(0, min(file.size, _HEAD_BYTES))))
    before, _, _ = head.partition(b'"parts": ')
    return _begins(head[:_BEGINNING], b"{", b'"gradflow"') and not _OTHER_REPORT.search(before)


def refuse_foreign(path: Path, key: str | None = None) -> None:
    """Raises InputError, which names the key, where there is a file that is no results and would be
    lost if they were written there; one that is empty, or of damaged results, is no loss."""
    if path.is_file() and path.stat().st_size and not holds_results(path):
        message = f"is not what {WRITTEN_BY} wrote, and is not written over: give another name"
        raise InputError(Fault(message, str(path), key=key))


def _begins(head: bytes, first: bytes, within: bytes = b"") -> bool:
    """Whether the head of a file, with or without a byte order mark, begins so and holds that."""
    head = _plain(head)
    return head.startswith(first) and within in head


def _plain(head: bytes) -> bytes:
    """The head of a file in UTF-8, without a byte order mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell redirects
        head = head.decode("utf-16", "ignore").encode("utf-8", "replace")
    return head.removeprefix(codecs.BOM_UTF8).lstrip()


def _why(error: ValueError | RecursionError) -> str:
    """What is wrong with a text of JSON."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError | json.JSONDecodeError) or "limit" not in str(error):
        return str(error)
    return "a whole number has thousands of digits"


def _whole(path: Path, source: str) -> bytes:
    with open_regular(path, source, _SUFFIXES) as file:
        if file.size * _MEMORY > bytes_available():
            message = f"its {file.size:,} bytes would take more memory than there is"
            raise InputError(Fault(message, source))
        return bytes(file.read_at(0, file.size))


def _standard_input(source: str) -> bytes:
    """What a pipe brings, as far as there is memory for it."""
    if sys.stdin is None:
        raise InputError(Fault("cannot be read: standard input is closed", source))
    most = bytes_available() // _MEMORY
    text = sys.stdin.buffer.read(most + 1)
    if len(text) > most:
        raise InputError(Fault("is more than there is memory for", source))
    return text


def _parsed(path: Path, source: str) -> dict[str, Any]:
    """The JSON object, known to be of results."""
    raw = _standard_input(source) if source == "-" else _whole(path, source)
    if not _begins(raw[:_BEGINNING], b"{"):
        raise _foreign(source)
    try:
        data = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        if not _begins(raw[:_BEGINNING], b"{", b'"gradflow"'):
            raise _foreign(source) from None
        raise InputError(Fault(f"damaged or cut short: {_why(error)}", source)) from None
    if not isinstance(data, dict) or not isinstance(data.get("gradflow"), str):
        raise _foreign(source)
    command = _other_command(data)
    if command is not None:
        raise _foreign(source, f"holds what gradflow {command} wrote")
    if type(data.get("format")) is not int or data["format"] < 1:
        raise _foreign(source)
    return data


def _other_command(data: Mapping[str, Any]) -> str | None:
    """The command that wrote another report than results; None: they may be results."""
    keys, runs = set(data), data.get("runs")
    if "parts" not in data and isinstance(runs, list) and runs and isinstance(runs[0], dict):
        keys |= runs[0].keys()
    return next((command for key, command in _OTHERS.items() if key in keys), None)


def _foreign(source: str, found: str = "holds no results") -> InputError:
    return InputError(Fault(f"{found}: expected what {WRITTEN_BY} wrote", source))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice in one object")
    return found


def _saved(data: Mapping[str, Any]) -> Saved:
    head = {key: member(data, key, "") for key in _HEAD}
    config = an_object(head["config"], "config")
    parts = texts(member(data, "parts", ""), "parts")
    options = texts(member(data, "options", ""), "options")
    thresholds = an_object(config.get("thresholds"), "config.thresholds")
    low, high = (
        number(thresholds.get(name), f"config.thresholds.{name}")
        for name in ("vanishing", "exploding")
    )
    if not 0 < low < 1 < high:
        damaged("config.thresholds", "bounds on either side of 1", thresholds)
    title = config.get("title")
    if not (title is None or isinstance(title, str)):
        damaged("config.title", "text", title)
    runs = member(data, "runs", "")
    if not isinstance(runs, list):
        damaged("runs", "a list", runs)
    results = [result(run, f"runs[{i}]", parts, options, (low, high)) for i, run in enumerate(runs)]
    differ = varied(result.axes for result in results)
    return Saved(
        results=tuple(replace(result, varied=differ) for result in results),
        head=head,
        title=title,
        lags=_lags(config.get("lags")),
        thresholds=(low, high),
        parts=parts,
        options=options,
        measures=_measures(member(data, "measures", "")),
    )


def _measures(value: Any) -> tuple[str, ...]:
    names = texts(value, "measures")
    for name in names:
        one_of(name, "measures", tuple(OPTIONAL))
    return names


def _lags(value: Any) -> Lags:
    if value == "auto" or value == "all":
        return value  # type: ignore[no-any-return]
    if not isinstance(value, list) or not all(type(lag) is int and lag >= 0 for lag in value):
        damaged("config.lags", "auto, all or a list of lags", value)
    return tuple(sorted(set(value)))
