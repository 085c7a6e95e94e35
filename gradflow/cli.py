"""The command line: parse, load, run, export. With terminal.py the only place that prints, exits,
or looks at the terminal. Commands import what they need when they run: `--help` stays quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gradflow.errors import Fault, GradflowError, InputError
from gradflow.terminal import progress_bar, width_and_colour, write

if TYPE_CHECKING:
    from gradflow.exporters import View
    from gradflow.results import Result
    from gradflow.runs.experiment import Experiment

_EXIT_CODES = """\b
Exit codes:
  0  done
  1  a check did not hold (verify)
  2  the command line, the config or an input file is wrong
  3  anything else that went wrong
  130  interrupted
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: the same on a terminal, in a pipe and in a log
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="How far back in time does the gradient of a recurrent net reach, and why?\n\n"
    "\b\n"
    "Examples:\n"
    "  gradflow init gradflow.yaml             write a commented config to start from\n"
    "  gradflow analyze gradflow.yaml          run it and print the tables\n"
    "  gradflow analyze gradflow.yaml --set cell=lstm --set 'ws_scale=[0.5, 1, 2]'\n"
    "  gradflow analyze gradflow.yaml --format csv > flow.csv\n\n" + _EXIT_CODES,
)

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file; - is standard input.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Put a value over the config's, as YAML; nested keys with dots. May be repeated.",
    ),
]


class Format(str, Enum):
    """The formats of results; the names are those of EXPORTERS."""

    table = "table"
    csv = "csv"
    json = "json"
    markdown = "markdown"


class Report(str, Enum):
    """The formats of what is not results."""

    table = "table"
    json = "json"


def _reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Turns what goes wrong in a command into one clear message and the documented exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except GradflowError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail("interrupted", 130)
        except MemoryError:
            _fail("error: out of memory: lower hidden_size, sequence_length or batch_size", 3)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(f"{place}error: {error.strerror or error}", 3)
        except Exception as error:
            if os.environ.get("GRADFLOW_DEBUG"):
                raise
            kind = type(error).__name__
            _fail(
                f"error: a fault in gradflow itself: {kind}: {error}\n"
                "Please report it with the config; GRADFLOW_DEBUG=1 shows the traceback.",
                3,
            )

    return run


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


@_reporting
def _version(wanted: bool) -> None:
    if wanted:
        from gradflow import __version__

        write([f"gradflow {__version__}\n"])
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None: ...


@app.command(
    epilog="\b\nExamples:\n"
    "  gradflow analyze config.yaml\n"
    "  gradflow analyze config.yaml --format csv | head\n"
    "  gradflow analyze config.yaml --output flow.csv --output report.md --quiet\n"
    "  gradflow analyze config.yaml --set cell.forget_bias=1 --set 'seed=[0, 1, 2]'\n"
    "  echo 'cell: [rnn, lstm]' | gradflow analyze -\n\n" + _EXIT_CODES
)
@_reporting
def analyze(
    config: Config,
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
    set_: Set = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Show the lag tables of a wide sweep too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Leave standard output empty.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            help="Run a sweep in N processes. The default is one a core where that is faster.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Run it on a Dask cluster, by the address of its scheduler: tcp://host:port.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="DIR",
            help="Keep finished runs in DIR; what is there already is not run again.",
        ),
    ] = None,
) -> None:
    """Run a config and show the gradient of the loss against time lag."""
    from gradflow.config.load import load
    from gradflow.exporters import EXPORTERS
    from gradflow.output import WholeFile

    formats = _formats_of(output or [])
    experiment = load(config, set_ or [])
    with ExitStack() as open_files:
        files = [(open_files.enter_context(WholeFile(path)), name) for path, name in formats]
        computed = _computed(experiment, open_files, jobs, scheduler, resume)
        results = _warned(computed, on=format not in ("table", "markdown") or quiet)
        if files and not (len(files) == 1 and quiet):
            results = list(results)  # several readers; a single one streams
        for file, name in files:
            file.write(EXPORTERS[name](results, _view(experiment, tables=True)))
        if not quiet:
            write(EXPORTERS[format.value](results, _view(experiment, tables=tables, screen=True)))
        elif not files:
            for _ in results:
                pass


@app.command(short_help="Check the gradients of a config from outside; exit 1 where they differ.")
@_reporting
def verify(config: Config, set_: Set = None) -> None:
    """Check the gradients of a config against complex-step derivatives; exit 1 where they differ.

    Each run of the sweep is checked at about a dozen lags, along random directions: the state
    gradient of every sample, and the terms of W_x, W_s and the biases at that step alone.
    """
    from gradflow.config.load import load
    from gradflow.exporters.verification import table
    from gradflow.verification import verify as check

    experiment = load(config, set_ or [])
    verifications = [check(run) for run in experiment.runs]
    write(table(verifications, experiment.varied))
    comparisons = [c for v in verifications for c in v.comparisons]
    if not comparisons:
        raise InputError("nothing could be compared, for the reasons above")
    if not all(c.holds for c in comparisons):
        raise typer.Exit(1)


@app.command(short_help="Show the tensors and recurrent layers in a file of trained weights.")
@_reporting
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of trained weights.")],
    format: Annotated[Report, typer.Option("--format", help="How it is shown.")] = Report.table,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Show each of many tensors on a line of its own.")
    ] = False,
) -> None:
    """Show the tensors in a file of trained weights, the recurrent layers recognised among them,
    and a config that analyses them."""
    from gradflow.exporters.inspection import table, to_json
    from gradflow.inspection import inspect as look_into

    found = look_into(file)
    width, colour = width_and_colour(screen=True)
    write(to_json(found) if format == "json" else table(found, width, colour, tensors))


@app.command(short_help="Follow the gradient's reach over the checkpoints of a training.")
@_reporting
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
    from gradflow.output import WholeFile
    from gradflow.tracking import plan

    formats = _formats_of(output or [])
    tracked = plan(config, checkpoints, set_ or [])
    with ExitStack() as open_files:
        files = [(open_files.enter_context(WholeFile(path)), name) for path, name in formats]
        with progress_bar(tracked.time_steps) as progress:
            silent = format not in ("table", "markdown")
            results = list(_warned(tracked.results(progress), on=silent))
        for file, name in files:
            file.write(EXPORTERS[name](results, _view(tracked.example, tables=True)))
        write(EXPORTERS[format](results, _view(tracked.example, tables=True, screen=True)))


@app.command()
@_reporting
def cells() -> None:
    """Show every cell: its equations, options and citation."""
    from gradflow.exporters.cells import text

    write(text())


@app.command()
@_reporting
def schema() -> None:
    """Print the JSON Schema of the config, for editors."""
    from gradflow.config.starter import schema_text

    write([schema_text()])


@app.command(short_help="Write a commented config to start from.")
@_reporting
def init(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where to write; - is standard output.")
    ] = Path("gradflow.yaml"),
) -> None:
    """Write a commented config to start from, and beside it the schema for editors."""
    from gradflow.config.starter import SCHEMA_NAME, schema_text, starter_text
    from gradflow.output import WholeFile

    if str(file) == "-":
        return write([starter_text()])
    if file.exists():
        raise InputError(Fault("there is a file of this name: give another", str(file)))
    schema_file = file.with_name(SCHEMA_NAME)
    with WholeFile(file) as config, WholeFile(schema_file) as editors:
        editors.write([schema_text()])
        config.write([starter_text()])
    print(f"wrote {file} and, for editors, {schema_file}", file=sys.stderr)
    print(f"next: gradflow analyze {file}", file=sys.stderr)
    return None


def _formats_of(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Each output file with its format."""
    from gradflow.exporters import SUFFIXES

    found: list[tuple[Path, str]] = []
    faults = []
    for path in paths:
        name = SUFFIXES.get(path.suffix.lower())
        if name is None:
            message = f"expected a name that ends in one of {', '.join(SUFFIXES)}"
            faults.append(Fault(message, str(path), key="--output"))
        elif any(path.resolve() == other.resolve() for other, _ in found):
            faults.append(Fault("the same file is named twice", str(path), key="--output"))
        else:
            found.append((path, name))
    if faults:
        raise InputError(*faults)
    return found


def _computed(
    experiment: Experiment,
    contexts: ExitStack,
    jobs: int | None,
    scheduler: str | None,
    resume: Path | None,
) -> Iterable[Result]:
    """The results as they finish, with a progress bar if the work takes a while; from whichever
    processes the options name, which stay with us as long as `contexts`."""
    from gradflow.runs.runner import execute, time_steps
    from gradflow.runs.scheduling.choose import workforce
    from gradflow.runs.scheduling.journal import Journal
    from gradflow.runs.scheduling.pages import keep_freed_memory

    keep_freed_memory()
    journal = None
    if resume is not None:
        journal = contexts.enter_context(Journal(resume, experiment.thresholds))
        for damage in journal.damage:
            print(damage, file=sys.stderr)
    executor, workers = contexts.enter_context(workforce(experiment.runs, jobs, scheduler))

    def results() -> Iterator[Result]:
        with progress_bar(sum(map(time_steps, experiment.runs))) as progress:
            yield from execute(experiment, progress, executor, workers, journal)

    return results()


def _warned(results: Iterable[Result], on: bool) -> Iterable[Result]:
    """Says on stderr which runs diverged, where the format of the results has no words."""
    for result in results:
        if on and result.diverged_at is not None:
            varied = " ".join(f"{name}={result.axes[name]}" for name in result.varied)
            print(
                f"warning: run {result.run} {varied}: the forward state left float range at step "
                f"{result.diverged_at}; its gradients are empty",
                file=sys.stderr,
            )
        yield result


def _view(experiment: Experiment, *, tables: bool, screen: bool = False) -> View:
    from gradflow.exporters import View

    width, colour = width_and_colour(screen)
    return View(
        title=experiment.title,
        config=experiment.config,
        lags=experiment.lags,
        thresholds=experiment.thresholds,
        width=width,
        colour=colour,
        tables=tables or None,
    )
