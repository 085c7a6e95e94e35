"""How the command's process ends: at once when everything is written, or as Python ends it where
somebody wants to see that."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_BEGUN = """
import atexit, sys, threading, time
from gradflow import __main__
atexit.register(lambda: print("registered"))
sys.argv = ["gradflow", *sys.argv[1:]]
{before}
try:
    __main__.command()
finally:
    sys.stderr.write("left to Python\\n")
"""

WATCHED = {
    "a profiler": "sys.setprofile(lambda *event: None)",
    "a debugger": "sys.settrace(lambda *event: None)",
    "a thread": "threading.Thread(target=lambda: (time.sleep(0.2), print('waited for'))).start()",
}


def ended(*arguments, before=""):
    command = [sys.executable, "-c", _BEGUN.format(before=before), *arguments]
    unwatched = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=unwatched)


def test_what_was_registered_is_done_and_nothing_else():
    done = ended("--version", before="sys.stdout.write('not flushed\\n')")
    assert done.returncode == 0
    first, version, last = done.stdout.splitlines()
    assert (first, last) == ("not flushed", "registered")
    assert version.startswith("gradflow ")
    assert done.stderr == ""


@pytest.mark.parametrize("before", WATCHED.values(), ids=WATCHED)
def test_who_watches_sees_the_end(before):
    done = ended("--version", before=before)
    assert (done.returncode, done.stderr) == (0, "left to Python\n")
    assert "registered" in done.stdout
    assert ("waited for" in done.stdout) == ("Thread" in before)


def test_the_exit_code_is_the_commands():
    done = ended("analyze", "nosuch.yaml")
    assert done.returncode == 2
    assert done.stderr == "nosuch.yaml: error: no such file\n"


def test_a_text_as_the_exit_code_is_said():
    done = ended(before="__main__.main = lambda: sys.exit('said')")
    assert (done.returncode, done.stderr) == (1, "left to Python\nsaid\n")


def test_a_closed_standard_output_is_no_fault():
    done = ended("--version", before="sys.stdout = None")
    assert (done.returncode, done.stderr) == (0, "")
