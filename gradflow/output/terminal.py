"""Standard output and error: whole rows for a pipe, colour and progress for a person, and a clear
end where nothing more can be written."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from gradflow.errors import Fault, GradflowError, visible
from gradflow.output.plain import HANDLER, legible, terminal_encoding

if TYPE_CHECKING:
    from gradflow.engine.flow import Progress

_PIPE_WIDTH = 160  # a pipe or a file has no edge; rows are whole up to here

_NOTEBOOK_WIDTH = 100
_PATIENCE = 0.5  # seconds of work that need no bar
_REFRESH = 0.1  # seconds between two looks of a notebook's bar


def open_streams() -> None:
    """Make standard output and error safe to print to. What is printed to a stream that the caller
    has closed (`>&-`) goes nowhere; no file that is opened later takes its number. Standard error
    never fails, and shows what a terminal would act on as an escape."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # takes the lowest that is free
        os.set_inheritable(number, True)  # for workers too
    os.close(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
    if sys.stderr is None:
        sys.stderr = _Messages(io.FileIO(2, "w", closefd=False), "utf-8")
    else:
        buffer: Any = sys.stderr.buffer  # is the raw file itself where Python is not to buffer
        sys.stderr = _Messages(getattr(buffer, "raw", buffer), sys.stderr.encoding)


class _Messages(io.TextIOWrapper):
    """Standard error: whatever becomes of it, the command does its work and ends as it would."""

    def __init__(self, raw: io.RawIOBase, encoding: str) -> None:
        buffer = cast(Any, io.BufferedWriter(_Unfailing(raw)))
        how: Any = {"encoding": encoding, "errors": "backslashreplace", "line_buffering": True}
        super().__init__(buffer, **how)
        self.screen = io.TextIOWrapper(buffer, **how)
        """The same for a progress bar, which moves the cursor."""

    def write(self, text: str) -> int:
        return super().write(visible(text, line_ends=True))


class _Unfailing(io.RawIOBase):
    """What cannot be written, the reader being gone or the disk full, is dropped."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def write(self, data: Any) -> int:
        try:
            written = self._raw.write(data)
        except OSError:
            written = None
        return len(data) if written is None else written

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def width_and_colour(screen: bool) -> tuple[int, bool]:
    """How wide a table may be and whether in colour; `screen`: if it goes to standard output."""
    if not screen:
        return _PIPE_WIDTH, False
    refused = "NO_COLOR" in os.environ
    forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0", "false") and not refused
    if not sys.stdout.isatty():
        return _PIPE_WIDTH, forced
    is_able = os.environ.get("TERM") != "dumb" and not refused
    return shutil.get_terminal_size().columns, forced or is_able


def prompt_width() -> int:
    """How wide a table may be that a Python prompt, a notebook or a script prints; without a
    terminal it is as wide as that of the command."""
    if sys.stdout is not None and sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _NOTEBOOK_WIDTH if in_notebook() else _PIPE_WIDTH


def write(pieces: Iterable[str], *, for_people: bool = False) -> bool:
    """Write to standard output as the pieces come, with plain line ends on every system, and with
    characters that its encoding has, or `for_people` those that the terminal shows.

    Returns:
        Whether all of it was read. A reader that has closed its pipe has seen enough: no more
        pieces are made, and whatever the command found holds as if it had read on.

    Raises:
        GradflowError: if nothing more can be written for another reason.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if for_people:
        encoding = terminal_encoding(encoding)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="\n", errors=HANDLER)
    return all(_wrote(legible(piece, encoding)) for piece in pieces) and _wrote("", flush=True)


def _wrote(piece: str, flush: bool = False) -> bool:
    """Whether there is still a reader."""
    try:
        sys.stdout.write(piece)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError:
        forget_stdout()
        return False
    except OSError as error:
        forget_stdout()
        fault = Fault(f"{error.strerror}", key="standard output")
        raise GradflowError(str(fault)) from None
    return True


def forget_stdout() -> None:
    """Keep the interpreter from writing what is still buffered when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def in_notebook() -> bool:
    """Whether this process is the kernel of one."""
    return "ipykernel" in sys.modules


@contextmanager
def notebook_bar(total: int) -> Iterator[Progress]:
    """A bar below the cell of a notebook, for work of more than half a second; nothing elsewhere.
    By IPython alone: rich's bar needs ipywidgets there, and warns without."""
    if not in_notebook():
        yield lambda steps: None
        return
    from importlib import import_module

    screen: Any = import_module("IPython.display")
    begin = shown_at = time.monotonic()
    done, handle = 0, None

    def progress(steps: int) -> None:
        nonlocal done, handle, shown_at
        done += steps
        now = time.monotonic()
        if now - begin < _PATIENCE or now - shown_at < _REFRESH:
            return
        bar = f"<progress max={total} value={done}></progress> {done / total:.0%} of the time steps"
        if handle is None:
            handle = screen.display(screen.HTML(bar), display_id=True)
        else:
            handle.update(screen.HTML(bar))
        shown_at = now

    try:
        yield progress
    finally:
        if handle is not None:
            handle.update(screen.HTML(""))


@contextmanager
def progress_bar(total: int) -> Iterator[Progress]:
    """A bar on stderr for work of more than half a second, where someone is there to see it."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda steps: None
        return

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
        console=Console(file=getattr(sys.stderr, "screen", sys.stderr)),
        transient=True,
    )
    task = bar.add_task("", total=total)
    begin = time.monotonic()

    def progress(steps: int) -> None:
        bar.advance(task, steps)
        if not bar.live.is_started and time.monotonic() - begin > _PATIENCE:
            bar.start()

    try:
        yield progress
    finally:
        bar.stop()
