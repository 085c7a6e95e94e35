"""Where a command's report goes: standard output and files, checked before any work is done.

destinations = Destinations.of("results", format, output)      # reports wrong suffixes
destinations.open(contexts, reading=..., making=...)           # nothing that is read is lost
destinations.write(content, look)                              # files, then standard output
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gradflow.errors import Fault, GradflowError, InputError
from gradflow.formats import (
    FORMATS,
    Format,
    Report,
    by_name,
    for_files,
    for_screen,
    unfit,
)
from gradflow.output.terminal import write

if TYPE_CHECKING:
    from gradflow.formats import Look
    from gradflow.output.whole import WholeFile
    from gradflow.runs.experiment import Experiment


def format_option(report: Report, help: str = "How it is shown.") -> Any:
    """`--format`, which takes the formats that can show a report on standard output."""
    names = for_screen(report)

    def parsed(name: str) -> str:
        if name not in names:
            raise typer.BadParameter(unfit(name, report))
        return name

    return typer.Option(
        "--format",
        "-f",
        metavar=f"<{'|'.join(names)}>",
        help=help,
        parser=parsed,
        autocompletion=lambda: list(names),
    )


def output_option(report: Report) -> Any:
    """`--output`, whose format follows the suffix."""
    suffixes = " ".join(sorted(for_files(report)))
    return typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help=f"Also write the results to FILE, whole or not at all; the format follows the suffix: "
        f"{suffixes}. May be repeated.",
    )


@dataclass
class Destinations:
    """Where a report goes.

    Attributes:
        report: what it is.
        screen: the format of standard output; None: nothing goes there.
        files: each output file with its format.
    """

    report: Report
    screen: Format | None
    files: list[tuple[Path, Format]]
    _open: list[tuple[WholeFile, Format]] = field(default_factory=list)

    @staticmethod
    def of(
        report: Report, screen: str, paths: Iterable[Path] | None, quiet: bool = False
    ) -> Destinations:
        """The formats of standard output and of each path.

        Raises:
            InputError: with every path whose suffix asks for no format of this report, and every
                file that is named twice.
        """
        from gradflow.output.whole import refuse_overwriting

        paths = list(paths or [])
        found = [(path, by_name(path, report)) for path in paths]
        faults = [replace(one, key="--output") for _, one in found if isinstance(one, Fault)]
        try:
            refuse_overwriting(paths, [])
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        files = [(path, one) for path, one in found if isinstance(one, Format)]
        return Destinations(report, None if quiet else FORMATS[screen], files)

    def open(
        self, contexts: ExitStack, reading: Iterable[Path], making: Sequence[Path] = ()
    ) -> None:
        """Make sure that every file can be written, and is none that is read and no folder that is
        made. They are held as long as `contexts`.

        Raises:
            InputError: with every file that is.
        """
        from gradflow.output.whole import WholeFile, refuse_overwriting

        refuse_overwriting([path for path, _ in self.files], reading, making)
        self._open = [(contexts.enter_context(WholeFile(path)), one) for path, one in self.files]

    @property
    def has_notes(self) -> bool:
        """Whether standard output says itself what there is to note."""
        return self.screen is not None and self.screen.has_notes

    def readers(self) -> int:
        """How many read the content; one can read what is still being made."""
        return len(self.files) + (self.screen is not None)

    def note_if_unseen(self) -> None:
        """Say so where nothing at all is shown."""
        if not self.readers():
            note = "note: --quiet without --output shows nothing: add --output FILE"
            print(note, file=sys.stderr)

    def write(self, content: Any, look: Callable[[bool], Look]) -> bool:
        """Write the files, then standard output. `look` is asked whether it is for a screen. What
        cannot be shown in one format, or written to one file, is said when all else is done.

        Returns:
            Whether standard output was read to its end.

        Raises:
            GradflowError: with everything that could not be written.
        """
        tried = [self._write(file, one, content, look(False)) for file, one in self._open]
        failed = [error for error in tried if error is not None]
        read = self.screen is None or write(
            self.screen.show(self.report, content, look(True)),  # type: ignore[arg-type]
            for_people=self.screen.name == "table",
        )
        if failed:
            raise _together(failed)
        return read

    def _write(
        self, file: WholeFile, one: Format, content: Any, look: Look
    ) -> GradflowError | None:
        """Write one file; what went wrong."""
        try:
            file.write(one.show(self.report, content, look))
        except InputError as error:
            faults = (replace(f, source=f.source or str(file.path)) for f in error.faults)
            return InputError(*faults)
        except GradflowError as error:
            return error
        return None


def _together(errors: Sequence[GradflowError]) -> GradflowError:
    """What went wrong with several files; the exit code is that of the worst."""
    if all(isinstance(error, InputError) for error in errors):
        return InputError(*(f for error in errors for f in error.faults))  # type: ignore[attr-defined]
    return GradflowError("\n".join(map(str, errors)))


def read_by(config: str, experiment: Experiment) -> list[Path]:
    """The files that a run of a config reads: itself, those it names, for editors too."""
    from gradflow.config.arrays import named_files, schema_files
    from gradflow.config.load import read_config

    folder = Path(config).parent
    read = named_files(experiment.config, folder)
    if config != "-":
        read += [Path(config), *schema_files(read_config(config), folder)]
    return read
