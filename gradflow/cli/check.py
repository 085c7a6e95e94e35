"""`gradflow check` and `compare`: results held to expectations, to a baseline, to each other."""

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradflow.cli.analyze import computed
from gradflow.cli.base import EXIT_CODES, app, look, plain_look, reporting, warned
from gradflow.cli.options import (
    Config,
    CoresOption,
    JobsOption,
    QuietOption,
    Set,
    Theme,
    ThemeOption,
)
from gradflow.cli.outputs import Destinations, format_option, output_option, read_by
from gradflow.counts import many
from gradflow.errors import Fault, InputError
from gradflow.formats import FORMATS
from gradflow.output.terminal import write

if TYPE_CHECKING:
    from gradflow.checks.checked import Checked
    from gradflow.output.whole import WholeFile
    from gradflow.runs.experiment import Experiment
    from gradflow.saved import Saved

Tolerance = Annotated[
    float,
    typer.Option("--tolerance", metavar="DECADES", help="How far apart curves may be."),
]


@app.command(
    short_help="Hold results to `expect:` or a baseline; exit 1 where they miss.",
    epilog="\b\nExamples:\n"
    "  gradflow check net.yaml\n"
    "  gradflow check net.yaml --baseline net.json --update-baseline\n"
    "  gradflow check net.yaml --baseline net.json --output check.junit.xml\n"
    "  gradflow check net.yaml --format github\n\n" + EXIT_CODES,
)
@reporting
def check(
    config: Config,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="Also compare every curve with these results of gradflow analyze --output.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the results to the baseline instead.")
    ] = False,
    tolerance: Tolerance = 0.05,
    format: Annotated[str, format_option("check")] = "table",
    output: Annotated[list[Path] | None, output_option("check")] = None,
    theme: ThemeOption = Theme.auto,
    set_: Set = None,
    quiet: QuietOption = False,
    jobs: JobsOption = None,
    cores: CoresOption = None,
) -> None:
    """Run a config and hold the results to what it expects, and to a baseline; exit 1 where they
    do not keep to it."""
    from gradflow.formats.github import faults, summary, summary_of_faults

    try:
        destinations = Destinations.of("check", format, output, quiet)
        checked = _checked(
            config, baseline, update_baseline, tolerance, destinations, theme, set_, jobs, cores
        )
    except InputError as error:
        if format == "github":
            write(faults(error.faults))
            _summarize(summary_of_faults(config, error.faults))
        raise
    if format == "github":
        _summarize(summary(checked))
    if not checked.held:
        raise typer.Exit(1)


def _checked(
    config: str,
    baseline: Path | None,
    update: bool,
    tolerance: float,
    destinations: Destinations,
    theme: Theme,
    set_: list[str] | None,
    jobs: int | None,
    cores: int | None,
) -> "Checked":
    """What the check came to, once everything is written."""
    from gradflow.checks.checked import Checked
    from gradflow.checks.compare import Side, check_tolerance, compare
    from gradflow.checks.judge import judge
    from gradflow.config.expect import load_expected
    from gradflow.saved import read_results

    check_tolerance(tolerance, key="--tolerance")
    if update and baseline is None:
        raise InputError(Fault("needs --baseline FILE", key="--update-baseline"))
    experiment, wanted = load_expected(config, set_ or [])
    if not wanted and baseline is None:
        message = "nothing is expected: add `expect:` to the config, or --baseline FILE"
        raise InputError(Fault(message, config))
    saved = read_results(baseline) if baseline is not None and not update else None
    with ExitStack() as contexts:
        read = read_by(config, experiment)
        destinations.open(contexts, [*read, *([baseline] if baseline is not None else [])])
        new = _new_baseline(contexts, baseline, read) if baseline is not None and update else None
        found = computed(experiment, contexts, jobs, cores)
        results = list(warned(found, on=True))
        before = None if saved is None else Side(saved.results, saved.thresholds)
        after = Side(results, experiment.thresholds)
        checked = Checked(
            source=config,
            judgements=tuple(judge(wanted, results)),
            comparison=None if before is None else compare(before, after, tolerance),
            baseline=None if baseline is None else str(baseline),
            title=experiment.title,
            results=tuple(results),
            line=_line_of_cell(experiment, config),
        )
        if new is not None:
            new.write(FORMATS["json"].show("results", results, look(experiment, tables=True)))
            print(f"wrote {baseline}: {many(len(results), 'run')}", file=sys.stderr)
        destinations.write(
            checked, lambda screen: look(experiment, tables=True, screen=screen, theme=theme)
        )
    return checked


def _line_of_cell(experiment: "Experiment", config: str) -> int:
    """Where the config has its cell; its first line, if it has none."""
    at = experiment.positions.get("cell")
    return (at.line or 1) if at is not None and at.source == config else 1


def _new_baseline(contexts: ExitStack, baseline: Path, read: list[Path]) -> "WholeFile":
    """The file that the results are to be written to: a new one, or one of results."""
    from gradflow.output.whole import WholeFile, refuse_overwriting
    from gradflow.saved import refuse_foreign

    refuse_overwriting([baseline], read, key="--baseline")
    if baseline.suffix.lower() not in FORMATS["json"].suffixes:
        message = "expected the name of results, which ends in .json"
        raise InputError(Fault(message, str(baseline), key="--baseline"))
    refuse_foreign(baseline, key="--baseline")
    return contexts.enter_context(WholeFile(baseline))


def _summarize(text: Iterable[str]) -> None:
    """Add to the summary that GitHub shows of the step, if there is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with open(path, "a", encoding="utf-8", errors="replace", newline="") as file:
                file.writelines(text)
        except OSError as error:
            print(f"warning: {path}: {error.strerror}: no summary is written", file=sys.stderr)


@app.command(
    short_help="Compare two saved results; exit 1 where they differ.",
    epilog=EXIT_CODES,
)
@reporting
def compare(
    before: Annotated[
        Path, typer.Argument(metavar="A.json", help="What gradflow analyze --output wrote.")
    ],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="The same, later.")],
    tolerance: Tolerance = 0.05,
    format: Annotated[str, format_option("comparison")] = "table",
    output: Annotated[list[Path] | None, output_option("comparison")] = None,
    theme: ThemeOption = Theme.auto,
) -> None:
    """Compare every curve and diagnosis of two saved results: where each run differs most, in
    decades; exit 1 where that is more than the tolerance, or a run is on one side only."""
    from gradflow.checks.compare import Side, check_tolerance
    from gradflow.checks.compare import compare as compared

    check_tolerance(tolerance, key="--tolerance")
    destinations = Destinations.of("comparison", format, output)
    both = _both(before, after)
    one, other = (Side(saved.results, saved.thresholds) for saved in both)
    found = compared(one, other, tolerance)
    if not found.pairs:
        raise InputError(Fault("neither file has a run", f"{before}, {after}"))
    with ExitStack() as contexts:
        destinations.open(contexts, [before, after])
        sources = {str(before): both[0].head, str(after): both[1].head}
        destinations.write(
            found, lambda screen: plain_look(screen, theme=theme.value, sources=sources)
        )
    if not found.held:
        raise typer.Exit(1)


def _both(*paths: Path) -> "list[Saved]":
    """The results of the files.

    Raises:
        InputError: with the faults of all of them.
    """
    from gradflow.saved import read_results

    found: list[Saved] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            found.append(read_results(path))
        except InputError as error:  # noqa: PERF203 (two files)
            faults += error.faults
    if faults:
        raise InputError(*dict.fromkeys(faults))
    return found
