"""The console script: `gradflow`, and `python -m gradflow`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an interrupt ends with 130 from the first moment on."""
    try:
        from gradflow.cli import app

        app(prog_name="gradflow")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
