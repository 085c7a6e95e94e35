"""`gradflow critical` and `explain`: where the rate is 1, and why a gradient does what it does."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradflow.axes import SCALES
from gradflow.cli.base import app, look, reporting, threads_of_each
from gradflow.cli.options import Config, CoresOption, Set, Theme, ThemeOption
from gradflow.cli.outputs import Destinations, format_option, output_option, read_by
from gradflow.errors import InputError
from gradflow.output.terminal import progress_bar

if TYPE_CHECKING:
    from gradflow.results import Result
    from gradflow.runs.experiment import Experiment


@app.command(short_help="Find where the gradient neither vanishes nor explodes.")
@reporting
def critical(
    config: Config,
    vary: Annotated[
        str,
        typer.Option(
            "--vary",
            metavar="KEY",
            help=f"{', '.join(SCALES)}, or cell.OPTION, an option that is a number.",
        ),
    ] = "ws_scale",
    between: Annotated[
        tuple[float, float] | None,
        typer.Option("--between", metavar="LOW HIGH", help="The range that is searched."),
    ] = None,
    format: Annotated[str, format_option("critical")] = "table",
    output: Annotated[list[Path] | None, output_option("critical")] = None,
    theme: ThemeOption = Theme.auto,
    set_: Set = None,
    cores: CoresOption = None,
) -> None:
    """Find the value of a setting at which the rate per step is 1, for every net of a config.

    A bracketed search on the rate of the typical sample, over at least 200 steps, with the same
    draws for every value: gradflow critical config.yaml --vary cell.forget_bias --between 0 6
    """
    from gradflow.config.load import load
    from gradflow.criticality import find, most_time_steps
    from gradflow.runs.runner import execute

    threads = threads_of_each(cores)
    destinations = Destinations.of("critical", format, output)
    experiment = load(config, set_ or [])
    with ExitStack() as open_files:
        open_files.enter_context(_named_as_options("vary", "between"))
        steps = most_time_steps(experiment, vary)
        destinations.open(open_files, read_by(config, experiment))
        with progress_bar(steps) as progress:

            def evaluate(asked: "Experiment") -> "Iterable[Result]":
                return execute(asked, progress, threads=threads)

            found = find(experiment, evaluate, vary, between)
        destinations.write(
            found, lambda screen: look(experiment, tables=True, screen=screen, theme=theme)
        )


@app.command(short_help="Say why each run's gradient does what it does.")
@reporting
def explain(
    config: Config,
    no_advice: Annotated[
        bool, typer.Option("--no-advice", help="Try no changes, which takes about 20 runs each.")
    ] = False,
    format: Annotated[str, format_option("explanation")] = "table",
    output: Annotated[list[Path] | None, output_option("explanation")] = None,
    theme: ThemeOption = Theme.auto,
    set_: Set = None,
    cores: CoresOption = None,
) -> None:
    """Say why each run's gradient does what it does, and what would change it.

    The rate is multiplied out from its factors, the one that decides it is named, and every piece
    of advice is tried. Of a run of at most 10 steps the sum of the chain rule over k is written out
    as well, term by term.
    """
    from gradflow.config.load import load
    from gradflow.explanation import explain as explanations
    from gradflow.explanation import most_time_steps
    from gradflow.runs.runner import execute

    threads = threads_of_each(cores)
    destinations = Destinations.of("explanation", format, output)
    experiment = load(config, set_ or [])
    with ExitStack() as open_files:
        destinations.open(open_files, read_by(config, experiment))
        with progress_bar(most_time_steps(experiment, not no_advice)) as progress:

            def evaluate(asked: "Experiment") -> "Iterable[Result]":
                return execute(asked, progress, threads=threads)

            found = list(explanations(experiment, evaluate, advice=not no_advice))
        destinations.write(
            found, lambda screen: look(experiment, tables=True, screen=screen, theme=theme)
        )


@contextmanager
def _named_as_options(*names: str) -> Iterator[None]:
    """What is wrong with an argument is said of the option that it came from."""
    try:
        yield
    except InputError as error:
        raise InputError(
            *(replace(f, key=f"--{f.key}") if f.key in names else f for f in error.faults)
        ) from None
