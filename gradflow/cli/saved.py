"""`gradflow show`: saved results in any format, nothing computed again."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gradflow.cli.base import EXIT_CODES, app, made_one, reporting, warned
from gradflow.cli.options import (
    OverOption,
    QuietOption,
    Rows,
    RowsOption,
    TablesOption,
    Theme,
    ThemeOption,
    report_of,
)
from gradflow.cli.outputs import Destinations, format_option, output_option
from gradflow.formats import Look
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
            metavar="RESULTS.json",
            help="What gradflow analyze --output NAME.json wrote; - is standard input.",
        ),
    ],
    format: Annotated[
        str, format_option("results", "How results are shown on standard output.")
    ] = "table",
    output: Annotated[list[Path] | None, output_option("results")] = None,
    rows: RowsOption = Rows.lags,
    over: OverOption = None,
    tables: TablesOption = False,
    theme: ThemeOption = Theme.auto,
    quiet: QuietOption = False,
) -> None:
    """Show saved results as gradflow analyze showed them, in any format; nothing is run again."""
    from gradflow.saved import read_results

    destinations = Destinations.of(report_of(rows), format, output, quiet)
    destinations.note_if_unseen()
    saved = read_results(results)
    with ExitStack() as contexts:
        destinations.open(contexts, [results])
        shown = list(warned(saved.results, on=not destinations.has_notes))

        def look(screen: bool) -> Look:
            width, colour = width_and_colour(screen)
            return saved.look(width=width, colour=colour, tables=tables or not screen or None,
                              theme=theme.value)  # fmt: skip

        destinations.write(*made_one(shown, look, over))
