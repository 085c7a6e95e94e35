"""The command as a user runs it: its own process, with pipes or a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "cell: rnn\nsequence_length: 5\nhidden_size: 3\nbatch_size: 2\ninput_size: 2\n"
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and devices")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")

GRADFLOW = [sys.executable, "-m", "gradflow"]

LOUD = {  # what makes other programs colour a pipe
    "GITHUB_ACTIONS": "true",
    "CLICOLOR_FORCE": "1",
    "PY_COLORS": "1",
    "TERM": "xterm-256color",
}


def run(*args, env=None, **options):
    """The ended process, with stdout and stderr as text."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})}
    pipe = subprocess.PIPE
    options = {"stdout": pipe, "stderr": pipe, "encoding": "utf-8", **options}
    arguments = [*GRADFLOW, *map(str, args)]
    return subprocess.run(arguments, env=environment, timeout=120, check=False, **options)


def main(capsys, *args):
    """(exit code, stdout, stderr) of the command within this process: quick, where no terminal,
    signal or pipe matters."""
    from gradflow.cli import app_for

    code = 0
    try:
        app_for()(list(map(str, args)), prog_name="gradflow")
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    return code, out, err
