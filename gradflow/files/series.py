"""Input series from files: `.csv`, `.tsv`, `.npy` and `.npz` to float64 arrays, or every fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gradflow.counts import many
from gradflow.errors import Fault, InputError, first_faults
from gradflow.files.csvfiles import read_csv
from gradflow.files.npfiles import npz_names, read_npy, read_npz
from gradflow.files.opening import open_regular

Floats = NDArray[np.float64]

_SHOWN_NAMES = 10
_TABLES = (".csv", ".tsv")
_READ = (*_TABLES, ".npy", ".npz")


def read_array(
    path: Path,
    *,
    source: str | None = None,
    columns: Sequence[str | int] | None = None,
    key: str | None = None,
) -> Floats:
    """The numbers in `path` as float64, with the file's own dimensions; for CSV (rows, columns).

    `columns` picks columns of a CSV file, by header name or by number from 0; the others may then
    hold anything. `key` names the array of a `.npz` that holds several. `source` is what messages
    call the file. Raises InputError for whatever is wrong with the path or in the file.
    """
    source = source or str(path)
    open_regular(path, source, _READ).close()
    suffix = path.suffix.lower()
    if suffix not in _READ:
        message = f"expected a .csv, .tsv, .npy or .npz file, found {suffix or 'no suffix'!r}"
        raise InputError(Fault(message, source))
    if columns is not None and suffix not in _TABLES:
        raise InputError(
            Fault(f"columns can be picked from a .csv file, not from {suffix}", source)
        )
    if key is not None and suffix != ".npz":
        raise InputError(Fault(f"{suffix} files hold one array without a name: drop key", source))
    if suffix in _TABLES:
        return read_csv(path, source=source, columns=columns)
    if suffix == ".npy":
        return _finite(read_npy(path, source=source), source)
    name = _choose(npz_names(path, source=source), key, source)
    return _finite(read_npz(path, source=source, only=[name])[name], source)


def read_arrays(path: Path, *, source: str | None = None) -> dict[str, Floats]:
    """The arrays of a `.npz` file by name, as float64. Raises InputError with every fault: no such
    file, no `.npz`, arrays that are empty or hold what is no finite number."""
    source = source or str(path)
    open_regular(path, source, (".npz",)).close()
    if path.suffix.lower() != ".npz":
        found = path.suffix.lower() or "no suffix"
        raise InputError(Fault(f"expected a .npz file of named arrays, found {found!r}", source))
    arrays, faults = {}, []
    for name, array in read_npz(path, source=source).items():
        try:
            arrays[name] = _finite(array, source)
        except InputError as error:  # noqa: PERF203 - every bad array is named
            faults += [replace(f, message=f"array {name!r}: {f.message}") for f in error.faults]
    if faults:
        raise InputError(*first_faults(faults))
    return arrays


def standardize(array: Floats) -> Floats:
    """Zero mean and unit variance for each column of the last axis, over all other axes.

    `array` is finite, (T, I) or (T, N, I). Raises InputError where a column is constant.
    """
    rows = array.reshape(-1, array.shape[-1])
    faults = [
        Fault(f"column {i} is constant ({rows[0, i]:g}) and cannot be standardized: leave it out")
        for i in np.flatnonzero(rows.max(axis=0) == rows.min(axis=0)).tolist()
    ]
    if faults:
        raise InputError(*first_faults(faults))
    scaled = rows / np.abs(rows).max(axis=0)  # so that no sum or square leaves float range
    centred = scaled - scaled.mean(axis=0)
    # Where the values are large against their spread, the first mean is off by as much.
    centred -= centred.mean(axis=0)
    # The same again for the spread itself, whose square may underflow.
    centred /= np.abs(centred).max(axis=0)
    return np.asarray(centred / centred.std(axis=0), dtype=np.float64).reshape(array.shape)


def windows(array: Floats, T: int, stride: int = 1) -> Floats:
    """Windows of T steps as a batch: (T_total, I) to (T, N, I), a read-only view.

    Window n starts at step n * stride; steps at the end that fill no window are left out.
    Raises InputError where the array has fewer than T steps.
    """
    if array.ndim != 2:
        raise InputError(f"expected a series of shape (T, I) to cut, found shape {array.shape}")
    if T < 1 or stride < 1:
        raise InputError(f"expected T and stride of at least 1, found {T} and {stride}")
    if len(array) < T:
        raise InputError(f"expected a series of at least T = {many(T, 'step')}, found {len(array)}")
    return sliding_window_view(array, T, axis=0)[::stride].transpose(2, 0, 1)


def _choose(names: Sequence[str], key: str | None, source: str) -> str:
    """The array of a `.npz` that is meant."""
    if key in names:
        return str(key)
    if key is None and len(names) == 1:
        return names[0]
    found = ", ".join(repr(name[:60]) for name in names[:_SHOWN_NAMES])
    found += f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    wanted = "key to name one of the arrays" if key is None else f"an array {key!r}"
    raise InputError(Fault(f"expected {wanted}, found {found}", source, key=key and "key"))


def _finite(array: NDArray[Any], source: str) -> Floats:
    """`array` as float64, once it is clear that it holds numbers and only finite ones."""
    if not array.size:
        raise InputError(Fault(f"expected numbers, found an array of shape {array.shape}", source))
    with np.errstate(over="ignore"):  # a long double may not fit; then it is named below
        array = array.astype(np.float64, copy=False)
    bad = ~np.isfinite(array)
    if bad.any():
        at = np.unravel_index(int(bad.argmax()), array.shape)
        message = f"expected finite numbers, found {array[at]} at {[int(i) for i in at]}"
        left = int(bad.sum()) - 1
        raise InputError(Fault(message + (f" and {left} more" if left else ""), source))
    return array
