"""`gradflow show`: saved results in any format, nothing computed again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gradflow.cli.base import EXIT_CODES, Format, app, formats_of, reporting, warned
from gradflow.terminal import width_and_colour, write

Results = Annotated[
    Path,
    typer.Argument(metavar="RESULTS.json", help="What gradflow analyze --output NAME.json wrote."),
]


@app.command(
    short_help="Show saved results in any format.",
    epilog="\b\nExamples:\n"
    "  gradflow show results.json\n"
    "  gradflow show results.json --output flow.csv --output report.md --quiet\n\n" + EXIT_CODES,
)
@reporting
def show(
    results: Results,
    format: Annotated[
        Format, typer.Option("--format", help="How results are shown on standard output.")
    ] = Format.table,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Also write the results to FILE, whole or not at all; the format follows the "
            "suffix: .csv .json .md .txt. May be repeated.",
        ),
    ] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Show the lag tables of a wide sweep too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Leave standard output empty.")] = False,
) -> None:
    """Show saved results as gradflow analyze showed them, in any format; nothing is run again."""
    from gradflow.exporters import EXPORTERS
    from gradflow.output import WholeFile, refuse_overwriting
    from gradflow.saved import read_results

    formats = formats_of(output or [])
    refuse_overwriting([path for path, _ in formats], [results])
    saved = read_results(results)
    shown = list(warned(saved.results, on=format not in ("table", "markdown") or quiet))
    with ExitStack() as files:
        opened = [(files.enter_context(WholeFile(path)), name) for path, name in formats]
        width, colour = width_and_colour(screen=False)
        for file, name in opened:
            view = saved.view(width=width, colour=colour, tables=True)
            file.write(EXPORTERS[name](shown, view))
    if not quiet:
        width, colour = width_and_colour(screen=True)
        write(
            EXPORTERS[format](shown, saved.view(width=width, colour=colour, tables=tables or None))
        )
