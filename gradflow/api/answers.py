"""What `explain`, `critical` and `verify` found: a list that shows itself as the command would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from gradflow.formats.view import View

if TYPE_CHECKING:
    from gradflow.formats import Report

_One = TypeVar("_One")


class Answers(list[_One], Generic[_One]):
    """A list of what was found, one a run or net. `str` is the table of the command; a notebook
    shows it too."""

    def __init__(self, found: Iterable[_One], report: Report, view: View) -> None:
        super().__init__(found)
        self._report: Report = report
        self._view = view

    def __str__(self) -> str:
        """The table that the command prints."""
        return self._shown("table").rstrip("\n")

    def _repr_markdown_(self) -> str:
        """The same for a notebook."""
        return self._shown("markdown")

    def _shown(self, name: str) -> str:
        from gradflow.formats import FORMATS

        view = replace(self._view, width=100)
        return "".join(map(str, FORMATS[name].show(self._report, list(self), view)))
