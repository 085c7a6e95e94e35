"""What the tests of threads have in common."""

from __future__ import annotations

import threading
import time
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


@pytest.fixture
def nobody_is_left():
    """By Python at once, by the system as soon as it has cleared away."""
    before, running = threading.active_count(), tasks()
    yield
    assert threading.active_count() == before
    end = time.monotonic() + 100  # gives up: a busy machine may take its time
    while tasks() > running:
        assert time.monotonic() < end
        time.sleep(0.001)
