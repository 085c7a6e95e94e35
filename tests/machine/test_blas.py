"""Linear algebra has one thread while a run is computed, in the library as in the command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from command import GRADFLOW
from gradflow.machine import blas

WIDE = "{cell: lstm, hidden_size: 192, sequence_length: 12, batch_size: 48}"
SCRIPT = f"""
import numpy, threadpoolctl, gradflow
def threads():
    found = threadpoolctl.threadpool_info()
    return [one["num_threads"] for one in found if one["user_api"] == "blas"]
before, seen = threads(), []
import gradflow.runs.runner as runner
run_bundle = runner.run_bundle
runner.run_bundle = lambda *args: (seen.append(threads()), run_bundle(*args))[1]
gradflow.analyze({WIDE!r} + "\\n").save("own.csv")
print(set(sum(seen, [])), threads() == before)
"""


def _run(arguments, folder, **variables):
    there = {name: v for name, v in os.environ.items() if name not in blas._VARIABLES}
    environment = {**there, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    ended = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True,
                           input=WIDE, timeout=120)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_library_computes_with_one_thread_the_bytes_of_the_command(tmp_path):
    assert _run([sys.executable, "-c", SCRIPT], tmp_path) == "{1} True\n"
    command = _run([*GRADFLOW, "analyze", "-", "--format", "csv"], tmp_path)
    assert (tmp_path / "own.csv").read_text() == command


@pytest.mark.parametrize("variable", blas._VARIABLES)
def test_the_variables_of_the_libraries_change_no_byte(tmp_path, variable):
    """Their two threads are at the user's service before and after."""
    assert _run([sys.executable, "-c", SCRIPT], tmp_path, **{variable: "2"}) == "{1} True\n"
    command = _run([*GRADFLOW, "analyze", "-", "--format", "csv"], tmp_path, **{variable: "2"})
    assert (tmp_path / "own.csv").read_text() == command
    assert command == _run([*GRADFLOW, "analyze", "-", "--format", "csv"], tmp_path)


def test_the_limit_is_there_until_the_last_has_left(monkeypatch):
    """Of two computations in two threads of the caller, whichever begins and ends first."""
    done = []

    class Controller:
        def limit(self, limits):
            done.append(limits)
            return self

        def restore_original_limits(self):
            done.append("as before")

    monkeypatch.setattr(blas, "_controller", Controller)
    monkeypatch.setattr(blas, "_limit", blas._Limit())
    for _ in range(2):
        first, second = blas.one_thread(), blas.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert done.pop() == 1
        assert not done
        second.__exit__(None, None, None)
        assert done.pop() == "as before"
