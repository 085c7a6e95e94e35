"""`gradflow verify`, `inspect` and `track`: a net checked, looked into, followed over training."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradflow.cli.base import app, look, plain_look, reporting, threads_of_each, warned
from gradflow.cli.options import Config, CoresOption, Set, Theme, ThemeOption
from gradflow.cli.outputs import Destinations, format_option, output_option, read_by
from gradflow.errors import InputError
from gradflow.formats import Look
from gradflow.output.terminal import progress_bar

if TYPE_CHECKING:
    from gradflow.checks.judge import Judgement
    from gradflow.checks.wanted import Wanted
    from gradflow.tracking import Track


@app.command(short_help="Check the gradients of a config from outside; exit 1 where they differ.")
@reporting
def verify(
    config: Config,
    set_: Set = None,
    format: Annotated[str, format_option("verification")] = "table",
    details: Annotated[
        bool, typer.Option("--details", help="Show every quantity of every run in the table.")
    ] = False,
    cores: CoresOption = None,
) -> None:
    """Check the gradients of a config against complex-step derivatives; exit 1 where they differ.

    Each run of the sweep is checked at about a dozen lags, along random directions: the state
    gradient of every sample, and the terms of W_x, W_s and the biases at that step alone.
    """
    from gradflow.config.load import load
    from gradflow.verification import verify as check

    threads = threads_of_each(cores)
    experiment = load(config, set_ or [], believing=True)
    verifications = [check(run, threads) for run in experiment.runs]
    destinations = Destinations.of("verification", format, None)
    destinations.write(
        verifications, lambda screen: look(experiment, tables=details, screen=screen)
    )
    if not all(v.holds for v in verifications):
        raise typer.Exit(1)
    if not any(v.comparisons for v in verifications):
        raise InputError("nothing could be compared, for the reasons above")


@app.command(short_help="Show the tensors and recurrent layers in a file of trained weights.")
@reporting
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of trained weights.")],
    format: Annotated[str, format_option("inspection")] = "table",
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Show each of many tensors on its own line.")
    ] = False,
) -> None:
    """Show the tensors in a file of trained weights, the recurrent layers recognised among them,
    and a config that analyses them."""
    from gradflow.inspection import inspect as look_into

    found = look_into(file)
    destinations = Destinations.of("inspection", format, None)
    destinations.write(found, lambda screen: plain_look(screen, tables=tensors))


@app.command(short_help="Follow the gradient's reach over the checkpoints of a training.")
@reporting
def track(
    config: Config,
    checkpoints: Annotated[
        list[str], typer.Argument(metavar="CKPT...", help="Files of trained weights.")
    ],
    format: Annotated[
        str, format_option("tracking", "How results are shown on standard output.")
    ] = "table",
    output: Annotated[list[Path] | None, output_option("tracking")] = None,
    theme: ThemeOption = Theme.auto,
    set_: Set = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="FIGURE>=BOUND",
            help="What every checkpoint has to keep to, such as 'horizon>=100'; exit 1 where one "
            "does not. May be repeated.",
        ),
    ] = None,
    cores: CoresOption = None,
) -> None:
    """Run a config on each checkpoint of a training, in natural order of names.

    Each is read instead of the file in the config's `weights`; what else is there, such as the
    prefix of the net, holds for all: gradflow track config.yaml run/ckpt-*.pt --output reach.csv
    """
    from gradflow.checks.judge import judge

    threads = threads_of_each(cores)
    destinations = Destinations.of("tracking", format, output)
    tracked, wanted = _planned(config, checkpoints, set_ or [], expect or [])
    with ExitStack() as contexts:
        destinations.open(contexts, [*map(Path, checkpoints), *read_by(config, tracked.example)])
        with progress_bar(tracked.time_steps) as progress:
            found = tracked.results(progress, threads)
            results = list(warned(found, on=not destinations.has_notes))
        judged: tuple[Judgement, ...] = ()
        try:
            judged = tuple(judge(wanted, results))
        finally:  # what was found is written even where it cannot be judged

            def shown(screen: bool) -> Look:
                found = look(tracked.example, tables=True, screen=screen, theme=theme)
                return replace(found, judgements=judged)

            destinations.write(results, shown)
    if _said_misses(judged, len(results)):
        raise typer.Exit(1)


def _planned(
    config: str, checkpoints: Sequence[str], overrides: Sequence[str], expect: Sequence[str]
) -> "tuple[Track, list[Wanted]]":
    """What is to be tracked, and what is expected of it.

    Raises:
        InputError: with all that is wrong with either.
    """
    from gradflow.config.expect import from_options
    from gradflow.tracking import plan

    try:
        tracked = plan(config, checkpoints, overrides)
    except InputError as error:
        faults = list(error.faults)
        try:
            from_options(expect, None)
        except InputError as more:
            faults += more.faults
        raise InputError(*faults) from None
    return tracked, from_options(expect, tracked.example)


def _said_misses(judged: Sequence["Judgement"], count: int) -> bool:
    """Whether any of `count` results misses what it has to keep to; the first of each is named."""
    from gradflow.checks.judge import first_misses

    misses = list(first_misses(judged))
    for first, missed in misses:
        more = f"; {missed} of {count} miss it" if missed > 1 else ""
        off = f", {first.off}" if first.off else ""
        what = f"{first.wanted.what} {first.wanted.bounds}"
        got = "undecided, " * (first.outcome == "undecided") + first.got
        print(f"{first.name} is the first to miss {what}: {got}{off}{more}", file=sys.stderr)
    return bool(misses)
