"""`gradflow show`: saved results in any format, nothing computed again."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gradflow.cli.base import (
    EXIT_CODES,
    OverOption,
    Rows,
    RowsOption,
    Theme,
    ThemeOption,
    app,
    made_one,
    report_of,
    reporting,
    warned,
)
from gradflow.cli.outputs import Destinations, format_option, output_option
from gradflow.formats import View
from gradflow.output.terminal import width_and_colour


@app.command(
    short_help="Show saved results in any format.",
    epilog="\b\nExamples:\n"
    "  gradflow show results.json\n"
    "  gradflow show results.json --output flow.csv --output report.md --quiet\n\n" + EXIT_CODES,
)
@reporting
def show(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS.json", help="What gradflow analyze --output NAME.json wrote."
        ),
    ],
    format: Annotated[
        str, format_option("results", "How results are shown on standard output.")
    ] = "table",
    output: Annotated[list[Path] | None, output_option("results")] = None,
    rows: RowsOption = Rows.lags,
    over: OverOption = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Show the lag tables of a wide sweep too.")
    ] = False,
    theme: ThemeOption = Theme.auto,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Leave standard output empty.")
    ] = False,
) -> None:
    """Show saved results as gradflow analyze showed them, in any format; nothing is run again."""
    from gradflow.saved import read_results

    destinations = Destinations.of(report_of(rows), format, output, quiet)
    if not destinations.readers():
        print("note: --quiet without --output shows nothing: add --output FILE", file=sys.stderr)
    saved = read_results(results)
    with ExitStack() as contexts:
        destinations.open(contexts, [results])
        shown = list(warned(saved.results, on=not destinations.has_notes))

        def view(screen: bool) -> View:
            width, colour = width_and_colour(screen)
            return saved.view(width=width, colour=colour, tables=tables or not screen or None,
                              theme=theme.value)  # fmt: skip

        destinations.write(*made_one(shown, view, over))
