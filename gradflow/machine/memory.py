"""What the machine has: free memory. psutil has that of the machine, not what its container may
still take."""

from __future__ import annotations

import mmap
import os
from pathlib import Path


def bytes_available() -> int:
    """Free memory of this machine or container, in bytes."""
    limits = [_of_machine(), _of_container()]
    return min(limit for limit in limits if limit is not None)


def has_room(count: int) -> bool:
    """Whether this process may still have so many bytes more, which `ulimit -v` and `-d` can limit.
    None of them is taken; on Windows nobody is asked."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return True
    try:
        mmap.mmap(-1, count, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, OverflowError):
        return False
    return True


def _of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**62  # a system that does not say


def _of_container() -> int | None:
    """What the control group still allows, where one sets a limit."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
    except OSError:
        return None
    return int(limit) - int(used) if limit.isdigit() and used.isdigit() else None
