"""A report as a file, in the format of its suffix."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradflow.errors import Fault, InputError
from gradflow.formats.look import Look, Theme, known_theme

if TYPE_CHECKING:
    from gradflow.formats import Report

_WIDTH = 160  # columns of a text, as the command writes them


def save(path: str | PathLike[str], report: Report, content: Any, look: Look, theme: Theme) -> None:
    """Write a report whole or not at all.

    Raises:
        InputError: no format of this report has the suffix, what it needs is not installed, or the
            file cannot be written.
    """
    from gradflow.formats import by_name
    from gradflow.output.whole import WholeFile

    target = Path(path)
    format = by_name(target, report)
    if isinstance(format, Fault):
        raise InputError(format)
    with WholeFile(target) as file:
        how = replace(look, width=_WIDTH, tables=True, theme=known_theme(theme))
        file.write(format.show(report, content, how))
