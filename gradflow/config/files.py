"""The arrays that a config names: the input series and the target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gradflow.columns import Array
from gradflow.config.faults import Faults
from gradflow.config.model import Config, FileInput
from gradflow.errors import Fault, InputError
from gradflow.files import series
from gradflow.runs.experiment import Signal


def read_files(
    config: Config, folder: Path, faults: Faults
) -> tuple[Config, Signal, float | Array | None]:
    """The input and the target, with the sizes that the file of the input gives."""
    given = config.model_fields_set
    chosen = config.input
    if not isinstance(chosen, FileInput):
        signal = Signal(chosen.kind, getattr(chosen, "scale", 1.0))
        return config, signal, _target(config, folder, faults)
    values = _series(chosen, folder, faults)
    if values is None:
        return config, Signal("zeros"), None
    T, N, I = values.shape  # noqa: E741 (I is the field's letter)
    for key, size in (("input_size", I), ("batch_size", N)):
        wanted = getattr(config, key)
        if key in given and wanted != size and key == "input_size" and config.weights:
            message = f"expected {wanted} columns, which {config.weights.file} takes"
            faults.add(("input",), f"{message}; {chosen.file} has {size}")
        elif key in given and wanted != size:
            message = f"expected {size}, which {chosen.file} has, found {wanted}"
            faults.add((key,), f"{message}: leave the key out")
    for i, length in enumerate(config.sequence_length if "sequence_length" in given else []):
        if length > T:
            message = f"expected at most {T}, the steps in {chosen.file}, found {length}"
            faults.add(("sequence_length", i), message)
    lengths = config.sequence_length if "sequence_length" in given else [T]
    sizes = {"input_size": I, "batch_size": N, "sequence_length": lengths}
    config = config.model_copy(update=sizes)
    return config, Signal("file", values=values), _target(config, folder, faults)


def named_files(config: Mapping[str, object], folder: Path) -> list[Path]:
    """The files that a config, as an Experiment has it, makes a run read."""
    named = [(config.get(key), part) for key, part in (("input", "file"), ("weights", "file"))]
    named.append((config.get("loss"), "target"))
    found = [value.get(part) for value, part in named if isinstance(value, Mapping)]
    return [folder / name for name in found if isinstance(name, str)]


def _series(chosen: FileInput, folder: Path, faults: Faults) -> Array | None:
    """The input file as (T, N, I)."""
    path = folder / chosen.file
    try:
        values: Array = series.read_array(path, columns=chosen.columns, key=chosen.key)
        if values.ndim not in (2, 3):
            message = f"expected a shape of (T, I) or (T, N, I), found {values.shape}"
            raise InputError(Fault(message, str(path)))
        if chosen.standardize:
            values = series.standardize(values)
        if chosen.window is not None:
            if values.ndim == 3:
                raise InputError(Fault("window needs a (T, I) file, found (T, N, I)", str(path)))
            values = series.windows(values, chosen.window, chosen.stride)
    except InputError as error:
        faults.adopt(error.faults, ("input", "file"))
        return None
    return values[:, None] if values.ndim == 2 else values


def _target(config: Config, folder: Path, faults: Faults) -> float | Array | None:
    """The loss's target: a number, an array (N, O), or (N,) of classes; None: drawn at random."""
    target = config.loss.target
    classes = config.loss.kind == "cross_entropy"
    if not isinstance(target, str):
        if classes and target is not None and not _is_class(target, config.output_size):
            message = f"expected a class from 0 to {config.output_size - 1}, found {target:g}"
            faults.add(("loss", "target"), message)
        return target
    path = folder / target
    try:
        values = series.read_array(path)
    except InputError as error:
        faults.adopt(error.faults, ("loss", "target"))
        return None
    expected = (config.batch_size, 1 if classes else config.output_size)
    if values.reshape(len(values), -1).shape != expected:
        message = f"expected {target} to be of shape {expected}, found {values.shape}"
        faults.add(("loss", "target"), message)
    elif classes and not _is_class(values, config.output_size):
        message = f"expected classes from 0 to {config.output_size - 1} in {target}"
        faults.add(("loss", "target"), message)
    return values.reshape(len(values), -1)


def _is_class(value: float | Array, count: int) -> bool:
    values = np.asarray(value)
    return bool(((values >= 0) & (values < count) & (values == np.floor(values))).all())
