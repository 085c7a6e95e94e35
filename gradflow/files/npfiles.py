"""NumPy's own files, read as if a stranger had made them.

No pickles; nothing is allocated that the file's size does not vouch for: a header's shape must
account for the bytes there, and a zip's claims must be within what honest data compresses to.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gradflow.counts import many
from gradflow.errors import Fault, InputError, first_faults
from gradflow.files.opening import RegularFile, open_regular
from gradflow.files.zips import MAX_BYTES, Archive

Array = NDArray[Any]

REAL, COMPLEX = "biuf", "biufc"
"""Kinds of dtypes: real numbers, and these and complex ones."""

_CHUNK = 1 << 20


class NotNumbersError(InputError):
    """An array is not of numbers, or of others than are taken."""


@dataclass(frozen=True)
class Header:
    """What an array is, before its numbers are read; `start` is where they begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzFile:
    """The arrays of a `.npz` file, each read when it is asked for; `kinds` of dtypes are taken.

    Raises InputError where the file is no zip of arrays with different names.
    """

    def __init__(self, file: RegularFile, kinds: str = REAL) -> None:
        self.source, self.kinds = file.source, kinds
        self.archive = Archive(file, "a .npz file")
        self._headers: dict[str, Header] = {}
        self.names = _array_names(self.archive, file.source)
        """Of the arrays, in the order of the file."""

    def header(self, name: str) -> Header:
        """What an array is. Raises InputError where it is not one of plain numbers, all there."""
        if name not in self._headers:
            size, what = self._member(name).file_size, f"array {name!r}"
            with self.archive.open(f"{name}.npy") as member:
                self._headers[name] = _read_header(member, size, self.source, what, self.kinds)
        return self._headers[name]

    def read(self, name: str) -> Array:
        """An array. Raises InputError as `header` does, and where it is damaged."""
        header = self.header(name)
        with self.archive.open(f"{name}.npy") as member:
            member.read(header.start)
            array = _read_numbers(member, header, self.source, f"array {name!r}")
        self.archive.file.check_unchanged()
        return array

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = self.archive.members[f"{name}.npy"]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # numpy writes no others, and theirs may claim gigabytes for their dictionaries
            message = "is compressed in a way numpy does not use; save it with numpy.savez"
            raise InputError(Fault(f"array {name!r} {message}", self.source))
        return member


def read_npy(path: Path, *, source: str | None = None) -> Array:
    """The array in a `.npy` file: its shape, its real or boolean dtype in native byte order.

    `source` is what messages call the file. Raises InputError for anything else.
    """
    source = source or str(path)
    with open_regular(path, source) as file:
        header = _read_header(file, file.size, source, "the file")
        return _read_numbers(file, header, source, "the file")


def read_npz(
    path: Path, *, source: str | None = None, only: Collection[str] | None = None
) -> dict[str, Array]:
    """The arrays of a `.npz` file by name, each as `read_npy` gives them.

    `only` names those to read (names not there are left out); what the others hold is then never
    looked at. Raises InputError.
    """
    source = source or str(path)
    with open_regular(path, source) as file:
        found = NpzFile(file)
        arrays: dict[str, Array] = {}
        faults: list[Fault] = []
        for name in found.names:
            try:
                if only is None or name in only:
                    arrays[name] = found.read(name)
            except InputError as error:  # noqa: PERF203 - every bad array is named
                faults.extend(error.faults)
    if faults:
        raise InputError(*first_faults(faults))
    return arrays


def npz_names(path: Path, *, source: str | None = None) -> list[str]:
    """The names of the arrays in a `.npz` file, in its order, without reading any of them."""
    with open_regular(path, source or str(path)) as file:
        return list(NpzFile(file).names)


def _array_names(archive: Archive, source: str) -> list[str]:
    """The zip's members by array name; InputError where one is no array or a name comes twice."""
    faults = [
        Fault(f"array {name.removesuffix('.npy')!r} is there {n} times, expected once", source)
        for name, n in archive.repeated()
    ]
    faults += [
        Fault(f"expected only .npy arrays in the .npz, found {name!r}", source)
        for name in archive.members
        if not name.endswith(".npy")
    ]
    if not archive.members:
        faults.append(Fault("the .npz file holds no array", source))
    if faults:
        raise InputError(*first_faults(faults))
    return [name.removesuffix(".npy") for name in archive.members]


def _read_numbers(file: IO[bytes] | RegularFile, header: Header, source: str, what: str) -> Array:
    """The array that follows a header in `file`; `what` is its name in messages."""
    try:
        flat = np.empty(header.nbytes, dtype=np.uint8)
        _fill(file, flat)
        order = "F" if header.fortran else "C"
        array = flat.view(header.dtype).reshape(header.shape, order=order)  # type: ignore[call-overload]
        return np.asarray(array.astype(header.dtype.newbyteorder("="), copy=False))
    except (MemoryError, EOFError, ValueError) as error:
        raise InputError(Fault(f"{what} cannot be read ({error})", source)) from None


def _read_header(
    file: IO[bytes] | RegularFile, size: int, source: str, what: str, kinds: str = REAL
) -> Header:
    """What the array in `file` is, once its `size` bytes account for it."""
    header = _parsed_header(file, source, what)
    if header.dtype.hasobject:
        message = f"{what} holds Python objects, which can run code when read: save plain numbers"
        raise NotNumbersError(Fault(message, source))
    if header.dtype.kind not in kinds:
        message = f"{what}: expected real numbers, found dtype {str(header.dtype)[:60]}"
        raise NotNumbersError(Fault(message, source))
    needed, there = header.nbytes, size - header.start
    if needed != there or needed > MAX_BYTES:
        message = (
            f"{what} is damaged, cut short or too long: its header promises shape {header.shape} of"
            f" {header.dtype}, {many(needed, 'byte')} (at most {MAX_BYTES:,}), and {there:,} follow"
        )
        raise InputError(Fault(message, source))
    return header


def _parsed_header(file: IO[bytes] | RegularFile, source: str, what: str) -> Header:
    """What the header in `file` says."""
    try:
        version = np.lib.format.read_magic(file)
        # Versions 2 and 3 differ in the encoding of field names, which no plain number has.
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header written by Python 2 is as good
            shape, fortran, dtype = header(file)
        if len(shape) > 32 or not all(0 <= n < 2**48 for n in shape):
            raise ValueError("its header claims an impossible shape")
        return Header(shape, fortran, dtype, file.tell())
    except Exception as error:  # numpy evaluates the header: a hostile one raises almost anything
        reason = str(error).split("\n")[0][:120]
        message = f"{what} is not a .npy array, or a damaged one ({reason})"
        raise InputError(Fault(message, source)) from None


def _fill(file: IO[bytes] | RegularFile, flat: NDArray[np.uint8]) -> None:
    """Reads `flat` full, in pieces: a zip member is copied once more per piece."""
    view, at = flat.data, 0
    while at < len(flat):
        got = file.readinto(view[at : at + _CHUNK])  # type: ignore[union-attr]
        if not got:
            raise EOFError("the file ends too early")
        at += got
