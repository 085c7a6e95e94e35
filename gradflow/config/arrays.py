"""The arrays that a config names: the input series, the initial state and the target."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import numpy as np

from gradflow.config.faults import Faults
from gradflow.config.losses import read_target
from gradflow.config.model import Config, FileInput, FileState
from gradflow.counts import many
from gradflow.equations.mistakes import nearest
from gradflow.errors import Fault, InputError
from gradflow.machine.memory import bytes_available
from gradflow.numerics.arrays import Array, of_any, position_not_finite
from gradflow.runs.experiment import InitialState, Run, Signal

if TYPE_CHECKING:
    from gradflow.weights import Tensors

GIVEN = "the array"
"""What messages and saved configs call a series that came from no file."""

_MOST_PLACES, _MOST_TOLD = 1000, 20

_SCHEMA = re.compile(r"^[ \t]*#[ \t]*yaml-language-server[ \t]*:[ \t]*\$schema=(\S+)", re.MULTILINE)


class Read(NamedTuple):
    """What the files of a config hold: the input, s_0, and the target (None: drawn at random)."""

    input: Signal
    initial_state: InitialState
    target: float | Array | None


def read_files(
    config: Config,
    folder: Path,
    faults: Faults,
    tensors: Tensors | None = None,
    array: object = None,
) -> tuple[Config, Read]:
    """What the files of a config hold, and the config with the sizes that they give; `tensors` are
    those of the file of weights, if there is one, `array` a series in place of a file's."""
    given = config.model_fields_set
    chosen = config.input
    if not isinstance(chosen, FileInput):
        config, start = _initial_state(config, folder, faults)
        signal = Signal(chosen.kind, getattr(chosen, "scale", 1.0))
        return config, Read(signal, start, read_target(config, folder, faults))
    values = _series(chosen, folder, faults, tensors, array)
    if values is None:
        return config, Read(Signal("zeros"), InitialState("zeros"), None)
    T, N, I = values.shape  # noqa: E741 (I is the field's letter)
    for key, size in (("input_size", I), ("batch_size", N)):
        wanted = getattr(config, key)
        if key in given and wanted != size and key == "input_size" and config.weights:
            message = f"expected {many(wanted, 'column')}, which {config.weights.file} takes"
            there = f"the embedding {chosen.embedding}" if chosen.embedding else chosen.file
            faults.add(("input",), f"{message}; {there} has {size}")
        elif key in given and wanted != size:
            message = f"expected {size}, which {chosen.file} has, found {wanted}"
            faults.add((key,), f"{message}: leave the key out")
    for i, length in enumerate(config.sequence_length if "sequence_length" in given else []):
        if length > T:
            message = f"expected at most {T}, the steps in {chosen.file}, found {length}"
            several = len(config.sequence_length) > 1  # else it may be written without brackets
            faults.add(("sequence_length", i) if several else ("sequence_length",), message)
    lengths = config.sequence_length if "sequence_length" in given else [T]
    sizes = {"input_size": I, "batch_size": N, "sequence_length": lengths}
    config, start = _initial_state(config.model_copy(update=sizes), folder, faults)
    return config, Read(Signal("file", values=values), start, read_target(config, folder, faults))


def _given(array: object, faults: Faults) -> Array | None:
    """A series that is in memory, as (T, I) or (T, N, I)."""
    try:
        found = of_any(array)
        if found.dtype.kind in "cmM":  # a cast to floats would drop what is imaginary, or a unit
            faults.add(("input",), f"expected an array of real numbers, found {found.dtype}")
            return None
        values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        faults.add(("input",), f"expected an array of numbers, found {_unfit(array, error)}")
        return None
    if values.ndim not in (2, 3) or not values.size:
        message = f"expected an array of shape (T, I) or (T, N, I), found {values.shape}"
        faults.add(("input",), message)
        return None
    if (at := position_not_finite(values)) is not None:
        message = f"expected finite numbers, found {values[at]} at {list(at)}"
        faults.add(("input",), message)
        return None
    return values


def _unfit(array: object, error: Exception) -> str:
    """What of a series is no array of numbers."""
    if isinstance(array, np.ndarray) and "masked" in str(error):
        return "masked entries"
    what = f"a {type(array).__name__}"
    if (columns := getattr(array, "columns", None)) is not None and len(columns):
        kinds = zip(columns, array.dtypes, strict=True)  # type: ignore[attr-defined]
        other = [str(name) for name, kind in kinds if not _is_number(kind)]
        return f"{what} whose column {other[0]!r} holds none" if other else what
    if isinstance(array, list) and len({len(row) for row in array if isinstance(row, list)}) > 1:
        first = len(array[0])
        row = next(i for i, row in enumerate(array) if len(row) != first)
        return f"{what} whose row {row} has {len(array[row])} and not {first}"
    return f"{what} without values" if getattr(array, "is_meta", False) else what


def _is_number(kind: object) -> bool:
    """Whether a data frame's type is one of numbers."""
    numeric = getattr(kind, "is_numeric", None)  # of polars
    return bool(numeric()) if callable(numeric) else getattr(kind, "kind", "O") in "biuf"


def _initial_state(config: Config, folder: Path, faults: Faults) -> tuple[Config, InitialState]:
    """s_0, and the config with the N that its file has, where nothing else says it."""
    chosen = config.initial_state
    if not isinstance(chosen, FileState):
        return config, InitialState(chosen.kind, getattr(chosen, "scale", 1.0))
    from gradflow.files import series

    try:
        arrays = series.read_arrays(folder / chosen.file, source=chosen.file)
    except InputError as error:
        faults.adopt(error.faults, ("initial_state", "file"))
        return config, InitialState("zeros")
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    if "batch_size" not in config.model_fields_set and len(counts) == 1 and min(counts):
        config = config.model_copy(update={"batch_size": counts.pop()})
    return config, InitialState("file", arrays=arrays)


def check_initial_state(runs: Sequence[Run], file: str, faults: Faults) -> None:
    """Add faults for arrays of s_0 that a run has no use for or needs, and of shapes that do not
    fit."""
    found: dict[str, None] = {}
    used: set[str] = set()
    kinds = {(r.cell, r.hidden_size, r.input_size, r.layers, r.bidirectional): r for r in runs}
    for run in kinds.values():
        arrays = run.initial_state.arrays or {}
        for at in run.places[:_MOST_PLACES]:
            for part in run.cells[at].parts.values():
                names = run.state_name(at, part.name)
                name = next((name for name in names if name in arrays), None)
                if name is None:
                    message = f"{file} has no array {names[0]!r}, a state of {run.cell.name}"
                    found[f"{message}{nearest(names[0], set(arrays) - used)}"] = None
                    continue
                used.add(name)
                shapes = {(run.batch_size, *part.shape), (run.batch_size, math.prod(part.shape))}
                if arrays[name].shape not in shapes:
                    expected = " or ".join(map(str, sorted(shapes, key=len)))
                    message = f"array {name!r} of {file}: expected the shape {expected}, "
                    found[f"{message}found {arrays[name].shape}"] = None
    for run in runs[:1]:
        for name in [name for name in run.initial_state.arrays or {} if name not in used]:
            found[f"array {name!r} of {file} is no part of the state of any run"] = None
    faults.adopt(map(Fault, list(found)[:_MOST_TOLD]), ("initial_state", "file"))


def named_files(config: Mapping[str, object], folder: Path) -> list[Path]:
    """The files that a config, as an Experiment has it, makes a run read."""
    named = [(config.get(key), "file") for key in ("input", "initial_state", "weights")]
    named.append((config.get("loss"), "target"))
    found = [value.get(part) for value, part in named if isinstance(value, Mapping)]
    return [folder / name for name in found if isinstance(name, str) and name != GIVEN]


def schema_files(text: bytes, folder: Path) -> list[Path]:
    """What a config names, in a comment for editors, as the file of its schema."""
    named = map(unquote, _SCHEMA.findall(text.decode("utf-8", "replace")))
    return [folder / name.removeprefix("file://") for name in named if "\0" not in name]


def _series(
    chosen: FileInput, folder: Path, faults: Faults, tensors: Tensors | None, array: object
) -> Array | None:
    """The input file, or the array in its place, as (T, N, I)."""
    from gradflow.files import series

    path = folder / chosen.file
    if chosen.window is None and chosen.stride != 1:
        message = "has no meaning without window, how many steps each is long: give both"
        faults.add(("input", "stride"), message)
    given = None if array is None else _given(array, faults)
    if array is not None and given is None:
        return None
    try:
        values: Array
        if given is not None:
            values = given
        else:
            values = series.read_array(path, columns=chosen.columns, key=chosen.key)
        if chosen.embedding is not None:
            values = _embedded(chosen, values, path, tensors)
        if values.ndim not in (2, 3):
            message = f"expected a shape of (T, I) or (T, N, I), found {values.shape}"
            raise InputError(Fault(message, str(path)))
        if chosen.standardize:
            values = series.standardize(values)
        if chosen.window is not None and chosen.embedding is None:
            values = _windows(chosen, values, path)
    except InputError as error:
        faults.adopt(error.faults, ("input", "file"))
        return None
    return values[:, None] if values.ndim == 2 else values


def _windows(chosen: FileInput, values: Array, path: Path) -> Array:
    """A (T, I) series cut into windows: (window, N, I)."""
    assert chosen.window is not None
    if values.ndim == 3:
        raise InputError(Fault("window needs a (T, I) file, found (T, N, I)", str(path)))
    from gradflow.files import series

    return series.windows(values, chosen.window, chosen.stride)


def _embedded(chosen: FileInput, tokens: Array, path: Path, tensors: Tensors | None) -> Array:
    """The rows (T, N, I) of a tensor that whole numbers (T) or (T, N) are the numbers of.

    Raises InputError: no such tensor, or numbers that are not whole or have no row.
    """
    if tensors is None:
        raise InputError(Fault("an embedding is a tensor of the `weights` file: name one", ""))
    if chosen.standardize:
        raise InputError("standardize has no meaning with embedding")
    from gradflow.weights import embedding  # if there is a file

    if tokens.ndim not in (1, 2):
        message = f"expected whole numbers of shape (T) or (T, N), found {tokens.shape}"
        raise InputError(Fault(message, str(path)))
    table = embedding(tensors, str(chosen.embedding))
    bad = (tokens != np.floor(tokens)) | (tokens < 0) | (tokens >= len(table))
    if bad.any():
        row, column = divmod(int(bad.argmax()), tokens.shape[1] if tokens.ndim == 2 else 1)
        more = f", and {int(bad.sum()) - 1:,} more" if bad.sum() > 1 else ""
        raise InputError(
            Fault(
                f"expected whole numbers from 0 to {len(table) - 1}, the rows of "
                f"{chosen.embedding}, found {tokens.flat[int(bad.argmax())]:g} in row {row}, "
                f"column {column}, both counted from 0{more}",
                str(path),
            )
        )
    if chosen.window is not None:
        if tokens.size > len(tokens):
            raise InputError(Fault("window needs (T) whole numbers, found (T, N)", str(path)))
        tokens = _windows(chosen, tokens.reshape(-1, 1), path)[..., 0]
    needed = tokens.size * table.shape[1] * 2 * table.itemsize
    if needed > bytes_available():
        message = f"looked up, it would take {needed:,} bytes of memory"
        raise InputError(Fault(f"{message}, more than there are: give fewer tokens", str(path)))
    return table[tokens.astype(np.intp)].reshape(len(tokens), -1, table.shape[1])
