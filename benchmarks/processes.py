"""Whole processes, start-up included: `gradflow analyze` beside scripts that one would write."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.timing import Times, side_by_side

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "gradflow": ("-m", "gradflow", "analyze", "configs/quickstart.yaml"),
    "torch": ("-m", "benchmarks.script_torch"),
    "jax": ("-m", "benchmarks.script_jax"),
}


def whole_processes(rounds: int) -> dict[str, Times]:
    """Seconds from start to end of each command."""
    tasks = {name: partial(_run, arguments) for name, arguments in COMMANDS.items()}
    return side_by_side(tasks, rounds=rounds, seconds=60.0)


def _run(arguments: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
