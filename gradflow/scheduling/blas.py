"""How many threads NumPy's linear algebra may use. Imports no NumPy: it is asked before that loads.

The command computes with one thread a process, for two reasons, both measured (OpenBLAS 0.3, two
cores, T = 100, N = 32; seconds with one thread, with two):

    lstm H = 64    0.07  0.26        lstm H = 256   0.28  0.96
    lstm H = 128   0.15  0.49        rnn  H = 512   0.21  0.54

The products of a time step are too small to be worth waking a second thread, which spins in
between; more so where other work wants the cores. And the last digits of long dot products
depend on the number of threads: one thread gives the same bytes on 2 cores and on 64, in this
process and in a worker. Cores are put to use by `--jobs` instead.

A user who has set one of the variables keeps that setting. The library sets nothing.
"""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def use_one_thread() -> None:
    """Set the default for this process, if NumPy is not yet loaded, and for its children."""
    if not any(name in os.environ for name in _VARIABLES):
        os.environ.update(dict.fromkeys(_VARIABLES, "1"))


def threads() -> int:
    """The threads that the environment asks for; 1 where it says nothing readable."""
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return 1
