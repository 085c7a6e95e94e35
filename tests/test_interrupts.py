"""Ctrl-C waits until what it must not split has passed."""

from __future__ import annotations

import os
import signal

import pytest

from gradflow.interrupts import held


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX")
def test_an_interrupt_comes_after_what_is_held():
    done = []

    def work():
        with held():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["whole"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
