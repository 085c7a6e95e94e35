"""The console script: `gradflow`, and `python -m gradflow`."""

from __future__ import annotations

import os
import sys

from gradflow.blas import use_one_thread


def main() -> None:
    """Run the command line. From the first moment on an interrupt ends with 130; the help, which
    typer prints by itself, meets a closed pipe or a full disk as the commands do."""
    try:
        _open_closed_streams()
        use_one_thread()
        # pydantic, which typer loads, would search every installed package for plugins: 16 ms.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        from gradflow.cli import app
        from gradflow.terminal import forget_stdout

        try:
            app(prog_name="gradflow")
        except SystemExit as end:
            if not isinstance(end.__context__, BrokenPipeError):
                raise
            forget_stdout()
            sys.exit(0)
        except OSError as error:
            forget_stdout()
            print(f"error: standard output: {error.strerror}", file=sys.stderr)
            sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)


def _open_closed_streams() -> None:
    """What is printed to a stream that the caller has closed (`>&-`) goes nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open to the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open to the end


if __name__ == "__main__":
    main()
