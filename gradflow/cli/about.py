"""`gradflow cells`, `schema` and `init`: what a config may say, and one to start from."""

import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradflow.cli import completion
from gradflow.cli.base import app, plain_look, reporting
from gradflow.cli.outputs import Destinations, format_option
from gradflow.errors import Fault, InputError
from gradflow.output.terminal import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradflow.equations.declaration import Equations


@app.command()
@reporting
def cells(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="One cell, or a file; all if left out.",
            autocompletion=completion.cells,
        ),
    ] = "",
    equations: Annotated[
        bool, typer.Option("--equations", help="Print its file, to start your own cell from.")
    ] = False,
    numpy: Annotated[
        bool, typer.Option("--numpy", help="Print the NumPy code that its equations become.")
    ] = False,
    format: Annotated[str, format_option("cells")] = "table",
) -> None:
    """Show the cells: their equations, options and citations."""
    from gradflow.cells import CELLS
    from gradflow.cells.library import is_file

    if (equations or numpy) and not name:
        flag = "--equations" if equations else "--numpy"
        raise InputError(Fault("needs the name of a cell: gradflow cells lstm " + flag, key=flag))
    is_own = bool(name) and name not in CELLS and CELLS.is_own(name)
    if is_file(name):
        _show_file(name, equations, numpy, format)
        return
    if name and name not in CELLS and not is_own:
        from gradflow.config.messages import meant

        near = meant(name, list(CELLS))
        hint = f"did you mean {near}?" if near else f"expected one of {', '.join(CELLS)}"
        raise InputError(Fault(f"there is no cell {name!r}: {hint}", key="cells"))
    if equations and is_own:
        message = f"the equations of {name} are in a package's code, not in a file"
        raise InputError(Fault(message, key="--equations"))
    if equations:
        write([CELLS[name].source])
        return
    if name:
        cell = CELLS.own(name) if is_own else CELLS[name]
        if numpy:
            write([cell().compiled.code.source])
            return
        chosen = [cell.equations]
    else:
        chosen = [*(cell.equations for cell in CELLS.values()), *_offered()]
    Destinations.of("cells", format, None).write(chosen, plain_look)


def _show_file(name: str, equations: bool, numpy: bool, format: str) -> None:
    """The user's own cell, as one of gradflow's is shown."""
    from gradflow.config.load import from_mapping

    if equations:
        raise InputError(Fault(f"{name} is the file itself", key="--equations"))
    try:
        run = from_mapping({"cell": name, "hidden_size": 64, "input_size": 64}).runs[0]
    except InputError as error:  # of no config: of this file
        raise InputError(*(_of_file(fault, name) for fault in error.faults)) from None
    if numpy:
        write([run.cell.compiled_for(64, 64).code.source])
    else:
        Destinations.of("cells", format, None).write([run.cell.equations], plain_look)


def _of_file(fault: Fault, name: str) -> Fault:
    """A fault of the file of a cell, where it is told as one of a config's key `cell`."""
    if fault.line is not None or fault.key is None or fault.key.partition(".")[0] != "cell":
        return fault
    key = fault.key.partition(".")[2] or None
    message = fault.message.removeprefix(f"{Path(name)}: ")
    return replace(fault, message=message, source=name, key=key)


def _offered() -> "Iterator[Equations]":
    """The equations that installed packages offer; of those that are none it is said why."""
    from gradflow.cells import CELLS

    for name in CELLS.offered():
        try:
            yield CELLS.own(name).equations
        except InputError as error:  # noqa: PERF203 (each may fail)
            print(error.faults[0].message, file=sys.stderr)


class Described(str, Enum):
    """What a schema is of."""

    config = "config"
    results = "results"


@app.command(short_help="Print the JSON Schema of the config or of the results.")
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
        from gradflow.formats.schema import results_text

        write([results_text()])


@app.command(short_help="Write a commented config to start from.")
@reporting
def init(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where to write; - is standard output.")
    ] = Path("gradflow.yaml"),
) -> None:
    """Write a commented config to start from, and next to it the schema for editors."""
    from gradflow.config.starter import SCHEMA_NAME, schema_text, starter_text
    from gradflow.output.whole import WholeFile, refuse_overwriting

    if str(file) == "-":
        write([starter_text()])
        return
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
