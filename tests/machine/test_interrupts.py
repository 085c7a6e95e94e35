"""Ctrl-C, SIGTERM and SIGHUP end the command alike, once, and in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from command import GRADFLOW

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]


# Whoever runs the tests may ignore signals, as nohup does, which a child would inherit.
HEARD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
"""


def ran(code):
    """In its own process: where others run too, any thread may be handed the signal."""
    return subprocess.run(
        [sys.executable, "-c", HEARD + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


HELD = """
import os, signal
from gradflow.machine.interrupts import end_on_signals, held
end_on_signals()
try:
    with held():
        with held():
            os.kill(os.getpid(), signal.{})
        print("whole")
except KeyboardInterrupt:
    print("then interrupted", signal.pthread_sigmask(signal.SIG_BLOCK, set()))
"""


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_comes_after_what_is_held(name):
    done = ran(HELD.format(name))
    assert (done.stdout, done.stderr) == ("whole\nthen interrupted set()\n", "")


BY_A_THREAD = """
import os, signal, threading
from gradflow.machine.interrupts import end_on_signals, held
end_on_signals()
try:
    with held():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # as if a thread had taken it
        os.kill(os.getpid(), signal.SIGINT)
        print("whole")
except KeyboardInterrupt:
    print("then interrupted")
"""


def test_a_signal_that_another_thread_takes_waits_too():
    assert ran(BY_A_THREAD).stdout == "whole\nthen interrupted\n"


LIBRARY = """
import os, signal
from gradflow.machine.interrupts import held
try:
    with held():
        os.kill(os.getpid(), signal.SIGINT)
        print("whole")
except KeyboardInterrupt:
    print("then interrupted", signal.pthread_sigmask(signal.SIG_BLOCK, set()))
"""


def test_a_host_process_keeps_its_own_handlers():
    assert ran(LIBRARY).stdout == "whole\nthen interrupted set()\n"


ONCE = """
import os, signal
from gradflow.machine import interrupts
interrupts.end_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    for number in interrupts.SIGNALS:
        os.kill(os.getpid(), number)
    print("cleaned up", interrupts.came())
"""


def test_further_signals_do_not_cut_the_cleaning_up_short():
    done = ran(ONCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up True\n", "")


LOST = """
import os, signal, sys, threading
from gradflow.machine import interrupts
open("half", "w").close()
interrupts.temporary_files.add("half")
interrupts.SECONDS = 0.2
interrupts.end_on_signals()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    pass  # as a callback of a library may lose it
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""


def test_an_end_that_does_not_come_is_forced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ran(LOST)
    assert (done.returncode, done.stderr) == (130, "")
    assert os.listdir() == []


IN_A_CALLBACK = """
import os, signal, time
from gradflow.machine import interrupts
interrupts.end_on_signals()

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.{})

try:
    Dropped()
    time.sleep(60)
    print("never heard")
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
    print("interrupted", interrupts.came())
"""


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_that_falls_into_a_callback_is_raised_again(name):
    done = ran(IN_A_CALLBACK.format(name))
    assert (done.stdout, done.stderr) == ("interrupted True\n", "")


def test_what_else_a_callback_raises_is_reported_as_ever():
    code = IN_A_CALLBACK.replace("os.kill(os.getpid(), signal.{})", "1 / 0", 1)
    done = ran(code.replace("time.sleep(60)", ""))
    assert done.stdout == "never heard\n"
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("name", SIGNALS)
def test_what_the_caller_ignores_stays_ignored(tmp_path, name):
    """As under nohup."""
    (tmp_path / "c.yaml").write_text("cell: rnn\nsequence_length: 3000\n")
    number = getattr(signal, name)
    process = subprocess.Popen(
        [*GRADFLOW, "analyze", "c.yaml", "--quiet", "--output", "o.csv", "--resume", "kept"],
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    while process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    assert process.returncode == 0
    assert (tmp_path / "o.csv").exists()


WRAPPED = """
import os, signal, sys
from gradflow.machine import interrupts
from gradflow.cli.base import reporting
interrupts.end_on_signals()

@reporting
def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        raise ValueError("a model could not be built") from error  # as pydantic does

try:
    command()
except BaseException as end:
    print(end.exit_code)
"""


def test_an_interrupt_that_comes_back_as_another_error_is_one():
    done = ran(WRAPPED)
    assert (done.stdout, done.stderr) == ("130\n", "interrupted\n")


IN_AN_IMPORT = """
import os, signal, sys
from gradflow import __main__
from gradflow.machine import interrupts

class Named:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

def run():
    try:
        type("Owner", (), {"named": Named()})
    except KeyboardInterrupt as error:  # as Python before 3.12 does by itself
        raise RuntimeError("Error calling __set_name__") from error

__main__._run = run
__main__.main()
"""


def test_an_interrupt_that_an_import_turns_into_another_error_is_one():
    done = ran(IN_AN_IMPORT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_error_without_an_interrupt_is_shown():
    code = IN_AN_IMPORT.replace("os.kill(os.getpid(), signal.SIGINT)", "1 / 0")
    done = ran(code)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
