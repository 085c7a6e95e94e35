"""The console script: `gradflow`, and `python -m gradflow`."""

from __future__ import annotations

import gc
import os
import sys

# What Python does at its end, of which the command does what others asked for.
from atexit import _run_exitfuncs as run_what_was_registered


def command() -> None:
    """`main` as all that this process is for: ended once everything is written. To take apart all
    that was imported, Python would take 10 ms more, a twentieth of a small run."""
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int | None) or _is_watched():
            raise
        run_what_was_registered()
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            raise end from None  # Python says what has to be said of it
        os._exit(end.code or 0)


def _is_watched() -> bool:
    """Whether a debugger, a profiler or a thread is there that wants to see the end."""
    threading, monitoring = sys.modules.get("threading"), getattr(sys, "monitoring", None)
    return (
        sys.gettrace() is not None
        or sys.getprofile() is not None
        or (threading is not None and threading.active_count() > 1)
        or (monitoring is not None and any(map(monitoring.get_tool, range(6))))
    )


def main() -> None:
    """Run the command line, and end with the documented exit code whatever comes."""
    try:
        from gradflow.machine import interrupts
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        interrupts.end_on_signals()
        code = _run()
        interrupts.heed_no_more()
    except KeyboardInterrupt:
        code = interrupts.INTERRUPTED
    except Exception:  # what an interrupt in the middle of an import can come back as
        if not interrupts.came():
            raise
        code = interrupts.INTERRUPTED
    if interrupts.came():
        # Not by way of the interpreter's own end: it waits for threads, and hears signals again.
        interrupts.remove_temporary_files()
        os._exit(interrupts.INTERRUPTED)
    gc.freeze()  # the interpreter's end looks for garbage in what is not frozen: 30 ms
    sys.exit(code)


def _run() -> str | int | None:
    """What the command exits with. The help, which typer prints by itself, meets a closed pipe or
    a full disk as the commands do."""
    gc.set_threshold(100_000, 10, 10)  # little of what is imported is garbage to look for: 15 ms
    from gradflow.machine.blas import use_one_thread
    from gradflow.output.terminal import forget_stdout, open_streams

    open_streams()
    use_one_thread()
    # pydantic, which typer loads, would search every installed package for plugins: 16 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from gradflow.cli import app_for

    if "_GRADFLOW_COMPLETE" in os.environ:
        from gradflow.cli.completion import join_words

        join_words(os.environ)
    try:
        app_for(sys.argv[1:])(prog_name="gradflow")
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            return end.code
        forget_stdout()
    except OSError as error:
        forget_stdout()
        print(f"error: standard output: {error.strerror}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    # `python -m` looks for modules in the current directory first: a `numpy.py` there is no NumPy.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]
    command()
