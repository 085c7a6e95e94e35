"""Ctrl-C waits until what it must not split has passed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# In a process of its own: where others run too, any thread may be handed the signal.
WORK = """
import os, signal
from gradflow.interrupts import held
try:
    with held():
        os.kill(os.getpid(), signal.SIGINT)
        print("whole")
except KeyboardInterrupt:
    print("then interrupted", signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set()))
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX")
def test_an_interrupt_comes_after_what_is_held():
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stdout == "whole\nthen interrupted False\n"
