"""Standard output and error: whole rows for a pipe, colour and progress for a person, and a clear
end where nothing more can be written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gradflow.errors import Fault, GradflowError

if TYPE_CHECKING:
    from gradflow.engine.flow import Progress

_PIPE_WIDTH = 160  # a pipe or a file has no edge; rows are whole up to here


def width_and_colour(screen: bool) -> tuple[int, bool]:
    """How wide a table may be and whether in colour; `screen`: if it goes to standard output."""
    if not (screen and sys.stdout.isatty()):
        return _PIPE_WIDTH, False
    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size().columns, colour


def write(pieces: Iterable[str]) -> None:
    """Write to standard output as the pieces come, with plain line ends on every system."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="\n", errors="replace")
    for piece in pieces:
        with _writing():
            sys.stdout.write(piece)
    with _writing():
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    """Says what went wrong with standard output; whoever closed it has seen enough."""
    try:
        yield
    except BrokenPipeError:
        forget_stdout()
        sys.exit(0)
    except OSError as error:
        forget_stdout()
        fault = Fault(f"{error.strerror}", key="standard output")
        raise GradflowError(str(fault)) from None


def forget_stdout() -> None:
    """Keep the interpreter from writing what is still buffered when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextmanager
def progress_bar(total: int) -> Iterator[Progress]:
    """A bar on stderr for work of more than half a second, where someone is there to see it."""
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
    import time

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("time steps"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=total)
    begin = time.monotonic()

    def progress(steps: int) -> None:
        bar.advance(task, steps)
        if not bar.live.is_started and time.monotonic() - begin > 0.5:
            bar.start()

    try:
        yield progress
    finally:
        bar.stop()
