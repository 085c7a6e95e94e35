"""What `explain`, `critical` and `verify` found, a list, and what `check` came to: each shows and
saves itself as the command would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Generic, SupportsIndex, TypeVar, overload

from gradflow.api.saving import save
from gradflow.checks.checked import Checked
from gradflow.formats.look import Look, Theme
from gradflow.output.terminal import prompt_width

if TYPE_CHECKING:
    from gradflow.formats import Report

_One = TypeVar("_One")


class Shown:
    """What a command would show and write of it."""

    _report: Report
    _look: Look

    def __str__(self) -> str:
        """What the command prints."""
        return self._shown("table").rstrip("\n")

    def _repr_markdown_(self) -> str:
        """The tables of the command, for a notebook."""
        return self._shown("markdown")

    def _shown(self, name: str) -> str:
        from gradflow.formats import FORMATS

        look = replace(self._look, width=prompt_width())
        return "".join(map(str, FORMATS[name].show(self._report, self, look)))

    def save(self, path: str | PathLike[str], *, theme: Theme = "auto") -> None:
        """Write a file in the format of its suffix, as the command's `--output`.

        Args:
            path: of the file.
            theme: the page that a figure is for, `light` or `dark`; `auto`: an SVG follows its
                reader, the others are for a light one.

        Raises:
            InputError: no format of this has the suffix, or the file cannot be written.
        """
        save(path, self._report, self, self._look, theme)


class Answers(Shown, list[_One], Generic[_One]):
    """A list of what was found, one a run or net. `str` is the table of the command; a notebook
    shows it too.

        >>> import gradflow
        >>> found = gradflow.critical({"cell": "rnn", "seed": [0, 1]})
        >>> found
        [<Critical 0: rnn, ws_scale 1.869>, <Critical 1: rnn, ws_scale 1.94>]
        >>> found.save("critical.csv")
    """

    def __init__(self, found: Iterable[_One], report: Report, look: Look) -> None:
        super().__init__(found)
        self._report: Report = report
        self._look = look

    @overload
    def __getitem__(self, index: SupportsIndex) -> _One: ...
    @overload
    def __getitem__(self, index: slice) -> Answers[_One]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> _One | Answers[_One]:
        if isinstance(index, slice):
            return Answers(super().__getitem__(index), self._report, self._look)
        return super().__getitem__(index)


@dataclass(frozen=True, repr=False)
class Check(Shown, Checked):
    """What a check came to: true where everything holds; `str` is the table of the command, a line
    for each expectation that all its runs hold, and for each run that does not; a notebook shows it
    too.

        >>> import gradflow
        >>> check = gradflow.check({"cell": "rnn", "expect": {"horizon": {"min": 50}}})
        >>> check
        <Check: 1 figure: 1 missed>
        >>> check.save("check.junit.xml")
    """

    _look: Look = field(default_factory=Look, compare=False)
    _report = "check"

    @classmethod
    def of(cls, checked: Checked, look: Look) -> Check:
        """The same, with how it is shown."""
        return cls(**vars(checked), _look=look)
