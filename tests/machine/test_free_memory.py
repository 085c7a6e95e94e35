"""How much memory is free, by whatever the system says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradflow.machine import memory

MIB = 1 << 20


@pytest.fixture
def machine(monkeypatch):
    """Files of the system by name; those that are not named are not there."""
    files = {}

    def read(path):
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read)
    return files


@pytest.mark.skipif(os.name == "nt", reason="nobody is asked there")
def test_room_is_what_the_system_would_give():
    assert memory.has_room(MIB)
    assert not memory.has_room(1 << 46)
    assert not memory.has_room(1 << 80)


def test_linux_says_it(machine):
    machine["/proc/meminfo"] = "MemTotal: 4096 kB\nMemAvailable:    2048 kB\n"
    assert memory.bytes_available() == 2 * MIB


@pytest.mark.parametrize(("limit", "free"), [("3145728\n", 1 * MIB), ("max\n", 8 * MIB)])
def test_a_container_may_have_less(machine, limit, free):
    machine["/proc/meminfo"] = "MemAvailable: 8192 kB\n"
    machine["/sys/fs/cgroup/memory.max"] = limit
    machine["/sys/fs/cgroup/memory.current"] = "2097152\n"
    assert memory.bytes_available() == free


@pytest.mark.parametrize("said", [{}, {"/proc/meminfo": "MemTotal: 4096 kB\n"}])
def test_elsewhere_it_is_all_there_is_or_without_bound(machine, monkeypatch, said):
    machine.update(said)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 4096}.get)
    assert memory.bytes_available() == 409600
    monkeypatch.setattr(os, "sysconf_names", {})
    assert memory.bytes_available() == 2**62
