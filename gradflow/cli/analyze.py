"""`gradflow analyze`: load, run, export."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradflow.cli.base import EXIT_CODES, app, look, made_one, reporting, threads_of_each, warned
from gradflow.cli.options import (
    Config,
    CoresOption,
    JobsOption,
    OverOption,
    QuietOption,
    ResumeOption,
    Rows,
    RowsOption,
    SchedulerOption,
    Set,
    TablesOption,
    Theme,
    ThemeOption,
    report_of,
)
from gradflow.cli.outputs import Destinations, format_option, output_option, read_by
from gradflow.output.terminal import progress_bar

if TYPE_CHECKING:
    from gradflow.results import Result
    from gradflow.runs.experiment import Experiment


@app.command(
    epilog="\b\nExamples:\n"
    "  gradflow analyze config.yaml\n"
    "  gradflow analyze config.yaml --format csv | head\n"
    "  gradflow analyze config.yaml --output flow.csv --output report.md --quiet\n"
    "  gradflow analyze config.yaml --set cell.forget_bias=1 --set 'seed=[0, 1, 2]'\n"
    "  echo 'cell: [rnn, lstm]' | gradflow analyze -\n\n" + EXIT_CODES
)
@reporting
def analyze(
    config: Config,
    format: Annotated[
        str, format_option("results", "How results are shown on standard output.")
    ] = "table",
    output: Annotated[list[Path] | None, output_option("results")] = None,
    set_: Set = None,
    rows: RowsOption = Rows.lags,
    over: OverOption = None,
    tables: TablesOption = False,
    theme: ThemeOption = Theme.auto,
    quiet: QuietOption = False,
    jobs: JobsOption = None,
    cores: CoresOption = None,
    scheduler: SchedulerOption = None,
    resume: ResumeOption = None,
) -> None:
    """Run a config and show the gradient of the loss against time lag."""
    from gradflow.config.load import load

    destinations = Destinations.of(report_of(rows), format, output, quiet)
    if resume is None:
        destinations.note_if_unseen()
    experiment = load(config, set_ or [])
    with ExitStack() as contexts:
        kept = [] if resume is None else [resume / "journal.jsonl", resume / "lock"]
        making = [] if resume is None else [resume]
        destinations.open(contexts, [*read_by(config, experiment), *kept], making)
        found = computed(experiment, contexts, jobs, cores, scheduler, resume)
        results, shown = made_one(
            warned(found, on=not destinations.has_notes),
            lambda screen: look(
                experiment, tables=tables or not screen, screen=screen, theme=theme
            ),
            over,
        )
        if destinations.readers() > 1:
            results = list(results)  # a single one streams
        if not destinations.write(results, shown):
            raise typer.Exit  # workers end in the middle of what nobody will read
        if not destinations.readers():
            for _ in results:
                pass


def computed(
    experiment: "Experiment",
    contexts: ExitStack,
    jobs: int | None,
    cores: int | None = None,
    scheduler: str | None = None,
    resume: Path | None = None,
) -> "Iterable[Result]":
    """The results as they finish, with a progress bar if the work takes a while; from whichever
    processes the options name, which stay with us as long as `contexts`."""
    from gradflow.runs.memory import statement
    from gradflow.runs.runner import execute, time_steps
    from gradflow.runs.scheduling.pages import keep_freed_memory
    from gradflow.runs.scheduling.workforce import workforce

    keep_freed_memory()
    journal = None
    if resume is not None:
        from gradflow.runs.scheduling.journal import Journal

        journal = contexts.enter_context(Journal(resume, experiment.runs, experiment.thresholds))
        for damage in journal.damage:
            print(damage, file=sys.stderr)
    found = workforce(experiment.runs, jobs, scheduler, cores)
    executor, workers = contexts.enter_context(found)
    threads = 1 if scheduler is not None else threads_of_each(cores, workers)
    if scheduler is None and (taken := statement(experiment.runs, workers, threads)):
        print(taken, file=sys.stderr)

    def results() -> "Iterator[Result]":
        with progress_bar(sum(map(time_steps, experiment.runs))) as progress:
            yield from execute(experiment, progress, executor, workers, journal, threads)

    return results()
