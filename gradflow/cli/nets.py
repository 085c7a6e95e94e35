"""`gradflow verify`, `inspect` and `track`: a net checked, looked into, followed over training."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gradflow.cli.base import (
    Config,
    Format,
    Report,
    ReportFormat,
    Set,
    app,
    formats_of,
    open_outputs,
    reporting,
    view,
    warned,
)
from gradflow.errors import InputError
from gradflow.terminal import progress_bar, width_and_colour, write


@app.command(short_help="Check the gradients of a config from outside; exit 1 where they differ.")
@reporting
def verify(config: Config, set_: Set = None, format: ReportFormat = Report.table) -> None:
    """Check the gradients of a config against complex-step derivatives; exit 1 where they differ.

    Each run of the sweep is checked at about a dozen lags, along random directions: the state
    gradient of every sample, and the terms of W_x, W_s and the biases at that step alone.
    """
    from gradflow.config.load import load
    from gradflow.exporters.verification import table, to_json, to_markdown
    from gradflow.verification import verify as check

    experiment = load(config, set_ or [])
    verifications = [check(run) for run in experiment.runs]
    shown = {Report.table: table, Report.json: to_json, Report.markdown: to_markdown}[format]
    write(shown(verifications, experiment.varied))
    comparisons = [c for v in verifications for c in v.comparisons]
    if not comparisons:
        raise InputError("nothing could be compared, for the reasons above")
    if not all(c.holds for c in comparisons):
        raise typer.Exit(1)


@app.command(short_help="Show the tensors and recurrent layers in a file of trained weights.")
@reporting
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of trained weights.")],
    format: ReportFormat = Report.table,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Show each of many tensors on a line of its own.")
    ] = False,
) -> None:
    """Show the tensors in a file of trained weights, the recurrent layers recognised among them,
    and a config that analyses them."""
    from gradflow.exporters.inspection import table, to_json, to_markdown
    from gradflow.inspection import inspect as look_into

    found = look_into(file)
    if format is Report.json:
        return write(to_json(found))
    if format is Report.markdown:
        return write(to_markdown(found, tensors))
    width, colour = width_and_colour(screen=True)
    return write(table(found, width, colour, tensors))


@app.command(short_help="Follow the gradient's reach over the checkpoints of a training.")
@reporting
def track(
    config: Config,
    checkpoints: Annotated[
        list[str], typer.Argument(metavar="CKPT...", help="Files of trained weights.")
    ],
    format: Annotated[
        Format, typer.Option("--format", help="How results are shown on standard output.")
    ] = Format.table,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", metavar="FILE", help="Also write the results to FILE."),
    ] = None,
    set_: Set = None,
) -> None:
    """Run a config on each checkpoint of a training, in natural order of names.

    Each takes the place of the file in the config's `weights`; what else stands there, such as the
    prefix of the net, holds for all: gradflow track config.yaml run/ckpt-*.pt --output reach.csv
    """
    from gradflow.exporters.tracking import EXPORTERS
    from gradflow.tracking import plan

    formats = formats_of(output or [])
    tracked = plan(config, checkpoints, set_ or [])
    with ExitStack() as open_files:
        read = map(Path, checkpoints)
        files = open_outputs(open_files, formats, config, tracked.example, read)
        with progress_bar(tracked.time_steps) as progress:
            silent = format not in ("table", "markdown")
            results = list(warned(tracked.results(progress), on=silent))
        for file, name in files:
            file.write(EXPORTERS[name](results, view(tracked.example, tables=True)))
        write(EXPORTERS[format](results, view(tracked.example, tables=True, screen=True)))
