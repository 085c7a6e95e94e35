"""The options that several commands have."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gradflow.formats import Report


def _settable(incomplete: str) -> list[str]:
    """What `--set` can begin with, for the shell's completion."""
    import os

    from gradflow.cli.completion import settings

    return settings(os.environ, incomplete)


Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file; - is standard input.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Put a value over the config's, as YAML; nested keys with dots. May be repeated.",
        autocompletion=_settable,
    ),
]


class Rows(str, Enum):
    """What there is a row of."""

    lags = "lags"
    runs = "runs"


def report_of(rows: Rows) -> Report:
    """The report that `--rows` asks for."""
    return "runs" if rows is Rows.runs else "results"


RowsOption = Annotated[
    Rows,
    typer.Option(
        "--rows",
        help="What there is a row of: each lag, or each run, with its settings, diagnosis, totals "
        "and measures.",
    ),
]


class Over(str, Enum):
    """What runs are made one over."""

    seed = "seed"


OverOption = Annotated[
    Over | None,
    typer.Option(
        "--over",
        help="Make one of the runs that differ in the seed alone: geometric means of their curves, "
        "medians of their figures with the lowest and highest, a count of their verdicts.",
    ),
]


class Theme(str, Enum):
    """The page that figures are for."""

    auto = "auto"
    light = "light"
    dark = "dark"


ThemeOption = Annotated[
    Theme,
    typer.Option(
        "--theme",
        help="The page that figures are for, or that is written; auto: HTML and SVG follow their "
        "reader, PNG and PDF are for a light page.",
    ),
]


TablesOption = Annotated[
    bool, typer.Option("--tables", help="Show the lag tables of a wide sweep too.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Leave standard output empty.")]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Run a sweep in N processes. The default is one a core where that is faster.",
    ),
]
CoresOption = Annotated[
    int | None,
    typer.Option(
        "--cores",
        metavar="N",
        min=1,
        help="Let a wide run take N cores. The default is what GRADFLOW_CORES says, or all.",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Run it on a Dask cluster, by the address of its scheduler: tcp://host:port.",
    ),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        metavar="DIR",
        help="Keep finished runs in DIR; what is there already is not run again.",
    ),
]
