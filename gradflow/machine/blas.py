"""One thread for NumPy's linear algebra. Imports no NumPy: it is asked before that loads.

The last digits of long dot products depend on the number of threads: one thread gives the same
bytes on 2 cores and on 64, in this process and in a worker, and so it is whatever the variables of
the libraries say (batch systems set OMP_NUM_THREADS unasked). And the products of a time step are
small: a second thread gains little even on two quiet cores, and where other work wants the cores it
spins and loses (OpenBLAS 0.3, LSTM, N = 32, float64; milliseconds a time step with one thread and
with two, which forgo the blocks of products.py):

    H = 64  0.21  0.22      H = 256  1.5  1.2      H = 1024  19  17

Cores are put to use by `--jobs` instead and, in one wide run, by our own threads (threads.py),
whose digits do not depend on their number.

The library, whose NumPy is loaded already, has one thread while it computes (on two busy cores,
1000 steps of two LSTMs took 14 s with the two threads of OpenBLAS and 2.3 s with one), and then as
many as before.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def use_one_thread() -> None:
    """Start NumPy with one thread in this process, if it is not yet loaded, and in its children."""
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
    _limit.from_the_start = "numpy" not in sys.modules


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread from here on, also where a process was started with more; as before when all
    threads of the caller that are in here have left it."""
    if _limit.from_the_start:
        yield
        return
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _Limit:
    """The limit on the threads of linear algebra, of which a process has one.

    Attributes:
        from_the_start: whether NumPy was loaded with one thread.
        inside: how many computations are under way that need it.
    """

    def __init__(self) -> None:
        self.from_the_start = False
        self.inside = 0
        self._lock = threading.Lock()
        self._set: Any = None

    def enter(self) -> None:
        with self._lock:
            if self.inside == 0:
                self._set = _controller().limit(limits=1)
            self.inside += 1

    def leave(self) -> None:
        with self._lock:
            self.inside -= 1
            if self.inside == 0:
                self._set.restore_original_limits()


_limit = _Limit()


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Of the libraries of linear algebra that this process has loaded."""
    import numpy as np  # noqa: F401 - its own is among them
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController().select(user_api="blas")


def library() -> dict[str, str | None]:
    """The BLAS that NumPy computes with: its `name`, `version` and `kernel`, the code path that it
    has chosen for this processor. None: not known."""
    import numpy as np

    built = cast("dict[str, str]", np.show_config(mode="dicts")["Build Dependencies"]["blas"])
    found = _loaded()
    return {
        "name": found.get("internal_api") or built.get("name"),
        "version": found.get("version") or built.get("version"),
        "kernel": found.get("architecture"),
    }


def kernel() -> str | None:
    """The code path that NumPy's BLAS has chosen for this processor; None: not known."""
    return _loaded().get("architecture")


def _loaded() -> dict[str, Any]:
    """What threadpoolctl finds of NumPy's BLAS; empty where it knows nothing."""
    import numpy as np
    from threadpoolctl import threadpool_info

    loaded = [one for one in threadpool_info() if one["user_api"] == "blas"]
    folder = str(Path(np.__file__).parent)  # a wheel has its own copy there or in numpy.libs
    loaded.sort(key=lambda one: (not one["filepath"].startswith(folder), one["filepath"]))
    return loaded[0] if loaded else {}
