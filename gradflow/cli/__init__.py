"""The command line: parse, load, run, export. With output/terminal.py it alone prints, exits,
or looks at the terminal. Commands import what they need when they run: `--help` stays quick. Their
modules do without `from __future__ import annotations`: typer would evaluate each text four times,
5 ms of every start."""

from __future__ import annotations

# Imported in the order in which `gradflow --help` shows the commands.
from gradflow.cli import analyze, saved, why, check, nets, about  # isort: skip  # noqa: F401
from gradflow.cli.base import app

__all__ = ["app"]
