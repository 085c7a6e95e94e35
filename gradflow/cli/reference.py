"""`gradflow cells`, `schema` and `init`: what a config may say, and one to start from."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from gradflow.cli.base import Report, ReportFormat, app, reporting
from gradflow.equations.mistakes import nearest
from gradflow.errors import Fault, InputError
from gradflow.terminal import write


@app.command()
@reporting
def cells(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One cell alone.", show_default=False)
    ] = None,
    equations: Annotated[
        bool, typer.Option("--equations", help="The cell's file, to start one's own from.")
    ] = False,
    numpy: Annotated[
        bool, typer.Option("--numpy", help="The code that its equations are compiled to.")
    ] = False,
    format: ReportFormat = Report.table,
) -> None:
    """Show every cell, or one: its equations, options and citation."""
    from gradflow.cells import CELLS
    from gradflow.exporters.cells import of_cell, text, to_json, to_markdown

    if name is None:
        if equations or numpy:
            raise InputError(Fault(f"say of which cell: {', '.join(CELLS)}", key="NAME"))
        write({Report.table: text, Report.json: to_json, Report.markdown: to_markdown}[format]())
        return
    if name not in CELLS:
        near = nearest(name, CELLS)
        raise InputError(
            Fault(f"expected one of {', '.join(CELLS)}, found {name}{near}", key="NAME")
        )
    cell = CELLS[name]
    if equations:
        write([cell.source])
    elif numpy:
        write([cell().compiled.code.source])
    else:
        write(of_cell(cell.equations))


class Described(str, Enum):
    """What a schema is of."""

    config = "config"
    results = "results"


@app.command()
@reporting
def schema(
    of: Annotated[
        Described, typer.Option("--of", help="Of the config or of `--format json`.")
    ] = Described.config,
) -> None:
    """Print the JSON Schema of the config, for editors, or of the results, for scripts."""
    if of is Described.config:
        from gradflow.config.starter import schema_text

        write([schema_text()])
    else:
        from gradflow.exporters.schema import results_text

        write([results_text()])


@app.command(short_help="Write a commented config to start from.")
@reporting
def init(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where to write; - is standard output.")
    ] = Path("gradflow.yaml"),
) -> None:
    """Write a commented config to start from, and beside it the schema for editors."""
    from gradflow.config.starter import SCHEMA_NAME, schema_text, starter_text
    from gradflow.output import WholeFile, refuse_overwriting

    if str(file) == "-":
        return write([starter_text()])
    schema_file = file.with_name(SCHEMA_NAME)
    refuse_overwriting([file, schema_file], [], key=None)
    if file.exists():
        raise InputError(Fault("there is a file of this name: give another", str(file)))
    if schema_file.is_file() and schema_file.read_bytes() != schema_text().encode():
        message = "there is another file of this name, and the schema would be written over it"
        raise InputError(Fault(f"{message}: move it away", str(schema_file)))
    with WholeFile(file) as config, WholeFile(schema_file) as editors:
        editors.write([schema_text()])
        config.write([starter_text()])
    print(f"wrote {file} and, for editors, {schema_file}", file=sys.stderr)
    print(f"next: gradflow analyze {file}", file=sys.stderr)
    return None
