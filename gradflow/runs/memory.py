"""How many bytes a run needs: asked before anything is allocated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradflow.cells import Cell
from gradflow.cells.sized import SizedCell
from gradflow.counts import many
from gradflow.engine.lengths import block_bytes, tape_bytes_per_step
from gradflow.machine.memory import bytes_available, has_room
from gradflow.measures import MEASURES
from gradflow.runs.experiment import Run
from gradflow.runs.reach import origins

_RESULT_BYTES_PER_LAG = 200  # seven curves of mantissa and exponent, four of the batch, and text
_REACH_BYTES_PER_LAG = 48
_SAMPLE_BYTES_PER_LAG = 24  # the log of each sample's norm, twice while it is read, and increments


def bytes_needed(run: Run) -> dict[str, int]:
    """Bytes that one run takes at its peak, by the config key that governs them most."""
    item = 4 if run.dtype == "float32" else 8
    T, N, I = run.sequence_length, run.batch_size, run.input_size  # noqa: E741
    directions = run.directions
    places = run.layers * directions
    lowest, upper = cells = _layers(run)
    G, P = max(cell.G for cell in cells), max(cell.P for cell in cells)
    # What a layer hands to the one above, and what its inputs receive back, at every step.
    between = T * N * P * directions * (3 * item + 8) if run.layers > 1 else 0
    step = N * G * item * 8  # a block's pre-activations and cotangents, and copies
    weights = directions * (_weights(lowest) + (run.layers - 1) * _weights(upper))
    return {
        "hidden_size": weights * (8 + 4 * item) + step * 4,
        "sequence_length": places * _tape_bytes(run, item)
        + between
        + T * _RESULT_BYTES_PER_LAG * (1 + places)
        + max(block_bytes(cell, T, N, item) for cell in cells),
        "measure": sum(
            measure.room(T=T, N=N, S=_state_size(run), **one.options)
            for one in run.measures
            if (measure := MEASURES[one.name]).room is not None
        ),
        "batch_size": T * N * (I * (8 + item) + _SAMPLE_BYTES_PER_LAG * (1 + places))
        + _reading_bytes(run, item),
        "output_size": run.output_size * (P * (8 + 2 * item) + N * (8 + 5 * item))
        + _target_bytes(run, item),
    }


def _layers(run: Run) -> tuple[SizedCell, SizedCell]:
    """The cell of the lowest layer, and that of those above: layers are counted and not listed,
    since there may be any number of them."""
    return run.cell_of_layer(0), run.cell_of_layer(min(1, run.layers - 1))


def _weights(cell: SizedCell) -> int:
    """Numbers in the parameters of one layer."""
    return sum(math.prod(p.shape) for p in cell.parameters.values())


def _state_size(run: Run) -> int:
    """S of the whole net."""
    if run.trained is not None:
        return sum(cell.S for cell in run.cells.values())
    lowest, upper = _layers(run)
    return run.directions * (lowest.S + (run.layers - 1) * upper.S)


def _tape_bytes(run: Run, item: int) -> int:
    """The tape of one place: all of it, or where it would be too long its checkpoints."""
    T, places = run.sequence_length, run.layers * run.directions
    step = max(tape_bytes_per_step(cell, run.batch_size, item) for cell in _layers(run))
    return T * step if T * step * places <= run.tape_memory else 2 * step * math.isqrt(T)


def _reading_bytes(run: Run, item: int) -> int:
    """Of a loss that is read at several steps: in a net of both directions their outputs there, and
    of the reach its sum and count for each sample and lag, and a cotangent for each origin."""
    T, N, losses = run.sequence_length, run.batch_size, len(run.loss_steps)
    if losses < 2:
        return 0
    cells, directions = _layers(run), run.directions
    outputs = losses * N * max(cell.P for cell in cells) * 2 * item if run.bidirectional else 0
    sums = T * N * _REACH_BYTES_PER_LAG * (1 + run.layers * directions)
    cotangents = 2 * _state_size(run) + max(cell.G for cell in cells)
    return outputs + sums + len(origins(run)) * N * cotangents * item


def _target_bytes(run: Run, item: int) -> int:
    """What the loss is held to, of every sample at every step where it is read."""
    each = {"mse": run.output_size * (8 + item), "cross_entropy": 16}
    return len(run.loss_steps) * run.batch_size * each.get(run.loss.kind, 0)


_BUNDLE_ELEMENTS = 2**14  # pre-activations of all runs of a bundle at one step; measured
_BUNDLE_BYTES = 2**29  # of all its runs together, unless one alone takes more
_BUNDLE_INPUT_BYTES = 2**28  # each run of a bundle may have its own input
_WORTH_SAYING = 2**30  # bytes
_THREAD_BYTES = 2**24  # what a helping thread has for itself; measured: half of it at H = 1024
_PRODUCT_ROOM = 2**26  # that OpenBLAS sets aside at a thread's first product; measured: 32 MiB
_THREAD_ROOM = 2**27  # addresses that it sets aside for stack, heap and products; measured: 104 MiB


def bundle_size(run: Run, workers: int = 1) -> int:
    """How many runs of this shape are advanced together: what stays in cache, and what memory has
    room for next to the bundles of the other `workers`."""
    width = max(1, run.batch_size * run.cell_of_layer(0).G)
    input_bytes = 8 * run.sequence_length * run.batch_size * run.input_size
    most = min(_BUNDLE_ELEMENTS // width, _BUNDLE_INPUT_BYTES // input_bytes)
    if most < 2:
        return 1
    room = min(_BUNDLE_BYTES, bytes_available() // max(1, workers))
    return max(1, min(most, room // sum(bytes_needed(run).values())))


def workers_that_fit(runs: Sequence[Run], wanted: int) -> int:
    """How many runs of a sweep fit into memory at a time, at least one and at most `wanted`."""
    return max(1, min(wanted, bytes_available() // _largest(runs)))


def threads_that_fit(runs: Sequence[Run], wanted: int) -> int:
    """How many threads may share the work of a bundle of runs where this process may not have as
    much memory as it likes. OpenBLAS ends it where a thread finds no room for its first product: so
    where room is short, that of this thread is made here, while there is some.

    Raises:
        MemoryError: there is none.
    """
    needed = len(runs) * sum(bytes_needed(runs[0]).values())  # they have one shape
    while wanted > 1 and not has_room(needed + wanted * _THREAD_ROOM):
        wanted -= 1
    if not has_room(needed + _THREAD_ROOM):
        if not has_room(_PRODUCT_ROOM):
            raise MemoryError
        np.dot(*np.zeros((2, 128, 128)))  # too large for what is computed without that room
    return wanted


def statement(runs: Sequence[Run], workers: int, threads: int = 1) -> str | None:
    """What a sweep is about to take, where it is much; None where it is not."""
    total = (_largest_bundle(runs, workers) + (threads - 1) * _THREAD_BYTES) * workers
    if total < _WORTH_SAYING:
        return None
    each = f"{workers} processes take" if workers > 1 else "this takes"
    return f"memory: {each} about {_rounded(total)} of {_rounded(bytes_available())} available"


def too_large(runs: Sequence[Run]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key path, message) where runs ask for more memory than there is: the key that saves most."""
    available = bytes_available()
    kept = sum(run.sequence_length * _RESULT_BYTES_PER_LAG for run in runs)
    named = set()
    for run in _of_each_shape(runs):
        total = sum(bytes_needed(run).values()) + kept
        if total <= available:
            continue
        key, remedy = _remedy(run, available)
        if key not in named:
            named.add(key)
            message = f"this would take {_spelled(total)} of memory and {_spelled(available)} are"
            yield key, f"{message} available: {remedy}"


_MODEST = {
    "sequence_length": 100,
    "hidden_size": 64,
    "layers": 1,
    "batch_size": 32,
    "input_size": 16,
    "output_size": 10,
}


def _remedy(run: Run, available: int) -> tuple[tuple[str, ...], str]:
    """The key path of the size that saves most, and what to do; where the equations themselves have
    a size that is too large, the cell."""
    lowered = _lowered(run)
    modest = _with_options(_with(run, {key: _modest(run, key) for key in _MODEST}))
    if sum(bytes_needed(modest).values()) > available:
        cell = modest.cell_of_layer(0)
        entries = {name: math.prod(part.shape) for name, part in cell.parts.items()}
        entries |= {name: math.prod(p.shape) for name, p in cell.parameters.items()}
        name = max(entries, key=entries.__getitem__)
        return ("cell",), f"lower the size of {name} in the equations, {entries[name]:,} numbers"
    key = min(lowered, key=lambda key: sum(bytes_needed(lowered[key]).values()))
    return key, f"lower {key[-1]}"


def _lowered(run: Run) -> dict[tuple[str, ...], Run]:
    """By the key path of each of its sizes: the run with that size lowered to a modest one."""
    lowered: dict[tuple[str, ...], Run] = {
        (key,): _with(run, {key: _modest(run, key)}) for key in _MODEST
    }
    sizes = (name for name, value in run.cell.equations.options if isinstance(value, int))
    return lowered | {("cell", option): _with_options(run, option) for option in sizes}


def _with(run: Run, sizes: Mapping[str, Any]) -> Run:
    return replace(run, **sizes)


def _modest(run: Run, key: str) -> int:
    return min(int(getattr(run, key)), _MODEST[key])


def _with_options(run: Run, only: str | None = None) -> Run:
    """The run with the options that are sizes, or one of them, lowered to their defaults."""
    options = run.cell.options
    for name, modest in run.cell.equations.defaults.items():
        if isinstance(modest, int) and only in (None, name):
            options[name] = min(int(options[name]), modest)
    return replace(run, cell=Cell.of(run.cell.equations, **options))


def _largest(runs: Sequence[Run]) -> int:
    """Bytes that the run which needs most takes at its peak."""
    return max(sum(bytes_needed(run).values()) for run in _of_each_shape(runs))


def _largest_bundle(runs: Sequence[Run], workers: int) -> int:
    """Bytes that the bundle of runs which needs most takes at its peak."""
    alike = Counter(run.shape for run in runs)
    share = 2 * workers if workers > 1 else 1  # as the runner cuts them
    return max(
        sum(bytes_needed(run).values())
        * min(-(-alike[run.shape] // share), bundle_size(run, workers))
        for run in _of_each_shape(runs)
    )


def _of_each_shape(runs: Sequence[Run]) -> Iterable[Run]:
    """One run for all that need as much."""
    typical = {cell: cell.typical for cell in dict.fromkeys(run.cell for run in runs)}
    return {(typical[run.cell], *run.shape[1:], run.output_size): run for run in runs}.values()


def _spelled(count: int) -> str:
    """1234567890 as `1,234,567,890 bytes (1.15 GiB)`."""
    return many(count, "byte") + (f" ({_rounded(count)})" if count >= 1024 else "")


def _rounded(count: int) -> str:
    """1234567890 as `1.15 GiB`."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size >= 1024:
            size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"
