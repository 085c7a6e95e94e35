"""What is loaded, and when."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"numpy", "rich", "pydantic", "yaml", "gradflow.engine.flow"}),
        (["--version"], {"numpy", "rich", "pydantic", "yaml", "gradflow.engine.flow"}),
        (["cells"], {"rich", "gradflow.engine.flow", "gradflow.config"}),
        (["schema"], {"rich"}),
    ],
    ids=["--help", "--version", "cells", "schema"],
)
def test_nothing_is_imported_before_it_is_used(arguments, heavy):
    script = (
        "import sys\nfrom gradflow.__main__ import main\n"
        f"sys.argv = ['gradflow', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout
    assert not heavy & set(ended.stderr.split())


def test_importing_the_library_loads_nothing():
    script = "import sys, gradflow; print('numpy' in sys.modules, 'typer' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "False False\n"
