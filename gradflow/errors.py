"""Errors that are shown to the user as they are, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong in what the user handed us, and where it is.

    `source` is the file as the user named it (`-` for standard input), `line` and `column`
    count from 1 and are None where the source has none. `key` is the dotted key path. `shown` are
    lines that show the place: of the source, and below it a mark.
    """

    message: str
    source: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None
    shown: str | None = None

    def __str__(self) -> str:
        """`file:line:col: error: key path: what was expected, what was found`."""
        place = [str(p) for p in (self.source, self.line, self.column) if p is not None]
        parts = [":".join(place)] if place else []
        parts.append("error")
        if self.key:
            parts.append(self.key)
        text = visible(": ".join([*parts, self.message]))
        lines = self.shown.split("\n") if self.shown else []
        return "\n".join([text, *("    " + visible(line) for line in lines)])


def visible(text: str, line_ends: bool = False) -> str:
    """`text` with what a terminal would act on, and what is no text at all, as an escape:
    `\\x1b`. `line_ends` stay as they are if the text has its own lines."""
    if text.isprintable():
        return text
    kept = "\n" if line_ends else ""
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


class GradflowError(Exception):
    """Anything gradflow reports in its own words. `exit_code` is what the command ends with."""

    exit_code = 3


class InputError(GradflowError):
    """The command line, the config or an input file is wrong: every fault found, in order."""

    exit_code = 2

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[type[InputError], tuple[Fault, ...]]:
        """Pickled by its faults, so that it comes back from a worker process as it was."""
        return type(self), self.faults


def first_faults(faults: Iterable[Fault], most: int = 10, *, at_least: bool = False) -> list[Fault]:
    """The first `most`, then one that says how many follow (`at_least`: as far as was looked)."""
    faults = list(faults)
    left = len(faults) - most
    if left <= 0:
        return faults
    more = f"… and {'at least ' if at_least else ''}{left} more"
    return [*faults[:most], Fault(more, faults[0].source)]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, capital letters counting last; None where none is
    near."""
    from difflib import get_close_matches

    by_letters: dict[str, list[str]] = {}
    for one in known:
        by_letters.setdefault(one.lower(), []).append(one)
    near = get_close_matches(name.lower()[:100], by_letters, n=1, cutoff=0.6)
    return get_close_matches(name[:100], by_letters[near[0]], n=1, cutoff=0.0)[0] if near else None
