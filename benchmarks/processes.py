"""Whole processes, start-up included: `gradflow analyze` next to scripts that one would write
(`python -m benchmarks.processes` prints the shapes of one LSTM)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.report import single_runs_table
from benchmarks.timing import Times, side_by_side

THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

_KERNEL = "OPENBLAS_CORETYPE"
_SETTINGS = (*THREADS, _KERNEL, "OPENBLAS_L2_SIZE")
"""What a machine may have set for linear algebra, and few have: without it each library takes the
threads and the code that it takes by itself."""

ROOT = Path(__file__).resolve().parent.parent

SHAPES = ((100, 32, 16), (200, 128, 32), (100, 512, 32))
"""(T, H, N) of one LSTM, as a command and as a script with PyTorch's default threads."""

COMMANDS = {
    "gradflow": ("-m", "gradflow", "analyze", "configs/quickstart.yaml"),
    "torch": ("-m", "benchmarks.script_torch"),
    "jax": ("-m", "benchmarks.script_jax"),
}


def whole_processes(rounds: int) -> dict[str, Times]:
    """Seconds from start to end of each command."""
    tasks = {name: partial(run, arguments) for name, arguments in COMMANDS.items()}
    return side_by_side(tasks, rounds=rounds, seconds=60.0)


def single_runs(rounds: int) -> dict[tuple[int, int, int], dict[str, Times]]:
    """The same of one LSTM by its shape: a command that prints CSV, on all cores; once more with
    OpenBLAS's kernel for processors that have AVX2 alone."""
    found = {}
    for shape in SHAPES:
        script = ("-m", "benchmarks.script_torch_run", *map(str, shape))
        tasks = {
            "gradflow": partial(run, one_lstm(*shape)),
            "AVX2": partial(run, one_lstm(*shape), {_KERNEL: "Haswell"}),
            "torch": partial(run, script),
        }
        found[shape] = side_by_side(tasks, rounds=rounds, seconds=30.0)
    return found


def one_lstm(T: int, H: int, N: int) -> tuple[str, ...]:
    """`gradflow analyze` of one LSTM as CSV."""
    sizes = (f"sequence_length={T}", f"hidden_size={H}", f"batch_size={N}")
    settings = [word for size in sizes for word in ("--set", size)]
    return ("-m", "gradflow", "analyze", "benchmarks/one_lstm.yaml", "--format", "csv", *settings)


def run(arguments: tuple[str, ...], settings: Mapping[str, str] | None = None) -> None:
    """One process of Python, with these settings in its environment. Compiled files are kept, as
    they are where gradflow is installed."""
    subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env=environment(settings), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment with nothing set for linear algebra but these."""
    dropped = (*_SETTINGS, "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if name not in dropped}
    return own | dict(settings or {})


if __name__ == "__main__":
    print(single_runs_table(single_runs(rounds=7)))
