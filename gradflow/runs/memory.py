"""How many bytes a run needs, and how many there are: asked before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gradflow.cells import Cell
from gradflow.engine.flow import tape_bytes_per_step
from gradflow.runs.experiment import Run

_RESULT_BYTES_PER_LAG = 160  # seven curves of mantissa and exponent, and what formats them


def bytes_needed(run: Run) -> dict[str, int]:
    """Bytes that one run takes at its peak, by the config key that governs them most."""
    item = 4 if run.dtype == "float32" else 8
    T, N, I = run.sequence_length, run.batch_size, run.input_size  # noqa: E741
    directions = 2 if run.bidirectional else 1
    lowest, upper = (run.cell_of_layer(min(layer, run.layers - 1)) for layer in (0, 1))
    largest, P = max(lowest, upper, key=lambda cell: cell.G), max(lowest.P, upper.P)
    tape = max(tape_bytes_per_step(cell, N, item) for cell in (lowest, upper))
    checkpoints = 2 * int((T * tape * tape) ** 0.5)  # at most, where the tape would be too long
    places = run.layers * directions
    of_lowest, of_upper = (
        sum(math.prod(p.shape) for p in cell.parameters.values()) for cell in (lowest, upper)
    )
    weights = directions * (of_lowest + (run.layers - 1) * of_upper)
    # What a layer hands to the one above, and what its inputs receive back, at every step.
    between = T * N * P * directions * (3 * item + 8) if run.layers > 1 else 0
    step = N * largest.G * item * 8  # a block's pre-activations and cotangents, and copies
    return {
        "hidden_size": weights * (8 + 4 * item) + step * 4,
        "sequence_length": (T * tape if T * tape * places <= run.tape_memory else checkpoints)
        * places
        + between
        + T * _RESULT_BYTES_PER_LAG * (1 + places),
        "batch_size": T * N * I * (8 + item),
        "output_size": run.output_size * (P * (8 + 2 * item) + N * (8 + 5 * item)),
    }


_WORTH_SAYING = 2**30  # bytes


def workers_that_fit(runs: Sequence[Run], wanted: int) -> int:
    """How many runs of a sweep fit into memory at a time, at least one and at most `wanted`."""
    return max(1, min(wanted, bytes_available() // _largest(runs)))


def statement(runs: Sequence[Run], workers: int) -> str | None:
    """What a sweep is about to take, where it is much; None where it is not."""
    total = _largest(runs) * workers
    if total < _WORTH_SAYING:
        return None
    each = f"{workers} processes take" if workers > 1 else "this takes"
    return f"memory: {each} about {_rounded(total)} of {_rounded(bytes_available())} available"


def too_large(runs: Sequence[Run]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key path, message) where runs ask for more memory than there is: the key that saves most."""
    available = bytes_available()
    kept = sum(run.sequence_length * _RESULT_BYTES_PER_LAG for run in runs)
    told = set()
    for run in _of_each_shape(runs):
        total = sum(bytes_needed(run).values()) + kept
        if total <= available:
            continue
        lowered = _lowered(run)
        key = min(lowered, key=lambda key: sum(bytes_needed(lowered[key]).values()))
        if key not in told:
            told.add(key)
            message = f"this would take {_spelled(total)} of memory and {_spelled(available)} are"
            yield key, f"{message} available: lower {key[-1]}"


_MODEST = {
    "sequence_length": 100,
    "hidden_size": 64,
    "layers": 1,
    "batch_size": 32,
    "input_size": 16,
    "output_size": 10,
}


def _lowered(run: Run) -> dict[tuple[str, ...], Run]:
    """By the key path of each of its sizes: the run with that size lowered to a modest one."""
    lowered: dict[tuple[str, ...], Run] = {
        (key,): replace(run, **{key: min(getattr(run, key), modest)})
        for key, modest in _MODEST.items()
    }
    options = run.cell.options
    for option, modest in run.cell.equations.defaults.items():
        if isinstance(modest, int):
            smaller = {**options, option: min(int(options[option]), modest)}
            lowered["cell", option] = replace(run, cell=Cell.of(run.cell.equations, **smaller))
    return lowered


def bytes_available() -> int:
    """Free memory of this machine or container, in bytes."""
    limits = [_of_machine(), _of_container()]
    return min(limit for limit in limits if limit is not None)


def _of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2**62  # a system that does not tell


def _of_container() -> int | None:
    """What the control group still allows, where one sets a limit."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
    except OSError:
        return None
    return int(limit) - int(used) if limit.isdigit() and used.isdigit() else None


def _largest(runs: Sequence[Run]) -> int:
    """Bytes that the run which needs most takes at its peak."""
    return max(sum(bytes_needed(run).values()) for run in _of_each_shape(runs))


def _of_each_shape(runs: Sequence[Run]) -> Iterable[Run]:
    """One run for all that need as much."""
    return {(*run.shape, run.output_size): run for run in runs}.values()


def _spelled(count: int) -> str:
    """1234567890 as `1,234,567,890 bytes (1.15 GiB)`."""
    return f"{count:,} bytes" + (f" ({_rounded(count)})" if count >= 1024 else "")


def _rounded(count: int) -> str:
    """1234567890 as `1.15 GiB`."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size >= 1024:
            size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"
