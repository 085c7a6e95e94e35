"""What results and other reports can be shown in: `FORMATS`, and what each of them can show.

A format is a module here, and an entry in the list that says its name, the suffixes of its files,
and which function shows which report. Functions take what is shown and a `Look`, and yield text, or
bytes; nothing here prints, opens or knows a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gradflow.errors import Fault
from gradflow.formats.look import Look

__all__ = ["FORMATS", "Format", "Look", "Report", "by_name", "for_files", "for_screen"]

Report = Literal[
    "results",
    "runs",
    "tracking",
    "inspection",
    "verification",
    "critical",
    "explanation",
    "cells",
    "check",
    "comparison",
]
"""What there is to show."""

_CALLED: dict[Report, str] = {
    "results": "results",
    "runs": "a row a run",
    "tracking": "the checkpoints of a training",
    "inspection": "what is in a file",
    "verification": "a verification",
    "critical": "critical values",
    "explanation": "an explanation",
    "cells": "the cells",
    "check": "a check",
    "comparison": "a comparison",
}


PICTURES = ("svg", "png", "pdf")
"""The kinds of file that a figure can be, by their suffix."""

DRAWN: dict[Report, str] = {
    "results": "runs",
    "runs": "runs",
    "tracking": "tracking",
    "critical": "critical",
    "comparison": "comparison",
}
"""The reports that figures show, each with the module of `plots` that draws it."""


class Format(NamedTuple):
    """One format.

    Attributes:
        name: what `--format` calls it.
        suffixes: of the files that are written in it.
        shows: by report, the function that shows it: `module:function`, the module in this folder,
            which loads when it is first called.
        is_text: whether it can go to standard output; else it is bytes, and goes to files only.
        has_notes: whether it says itself which runs diverged and what was taken for granted.
        needs: a library that is not always installed.
    """

    name: str
    suffixes: tuple[str, ...]
    shows: Mapping[Report, str]
    is_text: bool = True
    has_notes: bool = False
    needs: str | None = None

    def missing(self) -> str | None:
        """What has to be installed before anything can be shown; None: nothing."""
        if self.needs is None or find_spec(self.needs) is not None:
            return None
        return f"{self.name} needs {self.needs}: pip install {self.needs}"

    def show(self, report: Report, content: Any, look: Look) -> Iterator[str] | Iterator[bytes]:
        """The pieces of a report."""
        module, function = self.shows[report].split(":")
        show: Callable[[Any, Look], Iterator[str]]
        show = getattr(import_module(f"{__name__}.{module}"), function)
        return show(content, look)


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            "table",
            (".txt",),
            {
                "results": "table:export",
                "runs": "runs:table",
                "tracking": "tracking:table",
                "inspection": "inspection:table",
                "verification": "verification:table",
                "critical": "critical:table",
                "explanation": "explanation:table",
                "cells": "cells:text",
                "check": "checks:table",
                "comparison": "comparison:table",
            },
            has_notes=True,
        ),
        Format(
            "csv",
            (".csv",),
            {
                "results": "csv:export",
                "runs": "runs:to_csv",
                "tracking": "tracking:to_csv",
                "critical": "critical:to_csv",
                "comparison": "comparison:to_csv",
            },
        ),
        Format(
            "json",
            (".json",),
            {
                "results": "json:export",
                "runs": "json:export",
                "tracking": "tracking:to_json",
                "inspection": "inspection:to_json",
                "verification": "verification:to_json",
                "critical": "critical:to_json",
                "explanation": "explanation:to_json",
                "cells": "cells:to_json",
                "check": "checks:to_json",
                "comparison": "comparison:to_json",
            },
        ),
        Format(
            "markdown",
            (".md",),
            {
                "results": "markdown:export",
                "runs": "runs:to_markdown",
                "tracking": "tracking:to_markdown",
                "inspection": "inspection:to_markdown",
                "verification": "verification:to_markdown",
                "critical": "critical:to_markdown",
                "explanation": "explanation:to_markdown",
                "cells": "cells:to_markdown",
                "check": "checks:to_markdown",
                "comparison": "comparison:to_markdown",
            },
            has_notes=True,
        ),
        *(
            Format(
                kind,
                (f".{kind}",),
                {report: f"plots:{report}_{kind}" for report in DRAWN},
                is_text=False,
                needs="matplotlib",
            )
            for kind in PICTURES
        ),
        Format(
            "html",
            (".html",),
            {
                "results": "page:of_results",
                "runs": "page:of_runs",
                "tracking": "page:of_tracking",
                "critical": "page:of_critical",
                "explanation": "page:of_explanation",
                "check": "page:of_check",
                "comparison": "page:of_comparison",
            },
            is_text=False,
            needs="jinja2",
        ),
        Format("junit", (".junit.xml",), {"check": "junit:export"}),
        Format("github", (), {"check": "github:export"}),
    )
}
"""Every format by its name."""


def for_screen(report: Report) -> list[str]:
    """The names of the formats in which a report can go to standard output."""
    return [one.name for one in FORMATS.values() if report in one.shows and one.is_text]


def for_files(report: Report) -> dict[str, Format]:
    """The formats of a report by the suffix of a file's name."""
    able = (one for one in FORMATS.values() if report in one.shows)
    return {suffix: one for one in able for suffix in one.suffixes}


def unfit(name: str, report: Report) -> str:
    """Why a format does not do for a report on standard output, and which do."""
    able = ", ".join(map(repr, for_screen(report)))
    if name not in FORMATS:
        return f"{name!r} is not one of {able}"
    if report not in FORMATS[name].shows:
        return f"{name} cannot show {_CALLED[report]}: {able} can"
    suffix = FORMATS[name].suffixes[0]
    return f"{name} is no text: write it to a file, --output NAME{suffix}; text are {able}"


def by_name(path: Path, report: Report) -> Format | Fault:
    """The format that the name of a file asks for, whose suffix may have several points; or why
    there is none: no format of this report has such names, or what it needs is not installed."""
    name, able = path.name.lower(), for_files(report)
    found = next((able[end] for end in able if path.suffix and name.endswith(end)), None)
    if found is None:
        return Fault(_misnamed(path.suffix.lower(), report), str(path))
    missing = found.missing()
    return found if missing is None else Fault(missing, str(path))


def _misnamed(suffix: str, report: Report) -> str:
    message = f"expected a name that ends in one of {', '.join(for_files(report))}"
    known = next((one for one in FORMATS.values() if suffix in one.suffixes), None)
    return f"{known.name} cannot show {_CALLED[report]}: {message}" if known else message
