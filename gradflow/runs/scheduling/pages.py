"""Whether memory that NumPy frees stays with the process.

glibc hands large freed blocks back to the system, and takes them anew page by page, each with a
fault. A block of steps frees and takes the same arrays over and over: kept, the LSTM takes 68 µs a
step instead of 101 (H = 32, N = 16), and 229 instead of 278 (H = 64, N = 32; one core, quiet).
Even so each page of 4 KiB costs a fault when it is first touched. So NumPy is asked once for more
than most runs take: it asks the system for pages of 2 MiB there, and none of them is taken before
it is used. An LSTM of H = 512, T = 100, takes 530 ms then instead of 545, the whole process.
The command keeps it; the library leaves its host process as it is.
"""

from __future__ import annotations

import ctypes

import numpy as np

from gradflow.machine.memory import has_room

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>
_LARGE = 2**30
_PAD = 2**26
_ROOM = 2**28  # addresses, not memory


def keep_freed_memory() -> None:
    """Ask the C library to keep what is freed; does nothing where it is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in (
        (_M_TRIM_THRESHOLD, _LARGE),
        (_M_MMAP_THRESHOLD, _LARGE),
        (_M_TOP_PAD, _PAD),
    ):
        mallopt(option, value)
    if has_room(2 * _ROOM):
        np.empty(_ROOM, np.uint8)  # freed at once, and kept
