"""What the tests of threads have in common."""

from __future__ import annotations

import time
from _thread import _count
from pathlib import Path

import pytest

from gradflow.machine import helpers, threads

TASKS = Path("/proc/self/task")


@pytest.fixture(params=["awake", "asleep"])
def gate(request, monkeypatch):
    """Both ways to wait."""
    if request.param == "asleep":
        monkeypatch.setattr(helpers, "gate", helpers._Lock)


@pytest.fixture
def shared(monkeypatch):
    """Nothing is kept alone because a machine is busy."""
    monkeypatch.setattr(threads, "_PENANCE", 0)
    monkeypatch.setattr(threads, "idle_cores", lambda: 64)


def tasks():
    """How many threads this process has, by the system."""
    return len(list(TASKS.iterdir())) if TASKS.exists() else 0


def wait_until(true):
    end = time.monotonic() + 100  # gives up: a busy machine may take its time
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def nobody_is_left():
    """By Python and by the system, as soon as each has cleared away."""
    before, running = _count(), tasks()
    yield
    wait_until(lambda: _count() <= before and tasks() <= running)
