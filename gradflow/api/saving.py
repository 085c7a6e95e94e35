"""A report as a file, in the format of its suffix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradflow.errors import Fault, InputError
from gradflow.formats.look import Look, Theme, known_theme

if TYPE_CHECKING:
    from gradflow.formats import Report

_WIDTH = 160  # columns of a text, as the command writes them


def save(
    path: str | PathLike[str], report: Report, content: Sequence[Any], look: Look, theme: Theme
) -> None:
    """Write a report whole or not at all.

    Raises:
        InputError: no format of this report has the suffix, what it needs is not installed, or the
            file cannot be written.
    """
    from gradflow.formats import for_files, suffix_unfit
    from gradflow.output.whole import WholeFile

    target = Path(path)
    able = for_files(report)
    suffix = target.suffix.lower()
    if suffix not in able:
        raise InputError(Fault(suffix_unfit(suffix, report), str(path)))
    if (missing := able[suffix].missing()) is not None:
        raise InputError(Fault(missing, str(path)))
    with WholeFile(target) as file:
        how = replace(look, width=_WIDTH, tables=True, theme=known_theme(theme))
        file.write(able[suffix].show(report, content, how))
