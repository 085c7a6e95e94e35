"""Errors that are shown to the user as they stand, without a traceback."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong in what the user handed us, and where it stands.

    `source` is the file as the user named it (`-` for standard input), `line` and `column`
    count from 1 and are None where the source has none. `key` is the dotted key path.
    """

    message: str
    source: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        """`file:line:col: error: key path: what was expected, what was found`."""
        place = [str(p) for p in (self.source, self.line, self.column) if p is not None]
        parts = [":".join(place)] if place else []
        parts.append("error")
        if self.key:
            parts.append(self.key)
        return ": ".join([*parts, self.message])


class GradflowError(Exception):
    """Anything gradflow reports in its own words. `exit_code` is what the command ends with."""

    exit_code = 3


class InputError(GradflowError):
    """The command line, the config or an input file is wrong: every fault found, in order."""

    exit_code = 2

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(map(str, self.faults)))
