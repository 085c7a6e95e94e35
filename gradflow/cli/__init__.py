"""The command line: parse, load, run, export. With output/terminal.py it alone prints, exits,
or looks at the terminal. Commands import what they need when they run: `--help` stays quick. Their
modules do without `from __future__ import annotations`: typer would evaluate each text four times,
5 ms of every start."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from typer import Typer

from gradflow.cli.base import app

COMMANDS = {
    "analyze": "analyze",
    "show": "saved",
    "critical": "why",
    "explain": "why",
    "check": "check",
    "compare": "check",
    "verify": "nets",
    "inspect": "nets",
    "track": "nets",
    "cells": "about",
    "schema": "about",
    "init": "about",
}
"""The module of each command, in the order in which `gradflow --help` shows them."""


def app_for(arguments: Sequence[str] = ()) -> Typer:
    """The app with the command that these arguments begin with; with every command where that is
    none of them: for help, completion, and what was meant."""
    asked = COMMANDS.get(arguments[0]) if arguments else None
    for module in [asked] if asked else dict.fromkeys(COMMANDS.values()):
        import_module(f"gradflow.cli.{module}")
    order = list(COMMANDS)  # some may have been there before, in a process that runs several
    app.registered_commands.sort(key=lambda one: order.index(getattr(one.callback, "__name__", "")))
    return app
