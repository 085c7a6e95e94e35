"""NumPy's own files, read as if a stranger had made them.

No pickles; nothing is allocated that the file's size does not vouch for: a header's shape must
account for the bytes there, and a zip's claims must be within what honest data compresses to.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import os
import stat
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gradflow.errors import Fault, InputError, first_faults

Array = NDArray[Any]

MAX_BYTES = 2 << 30
"""The most that one file may unpack to."""

MAX_RATIO = 100
"""What a zip may claim to unpack to, as a multiple of its own size (deflate can do 1032)..."""

FREE_BYTES = 64 << 20
"""...unless it is this little: a long constant series compresses that well, and does no harm."""

_MAX_DIRECTORY = 4 << 20
_CHUNK = 1 << 20
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError, NotImplementedError),
)


def read_npy(path: Path, *, source: str | None = None) -> Array:
    """The array in a `.npy` file: its shape, its real or boolean dtype in native byte order.

    `source` is what messages call the file. Raises InputError for anything else.
    """
    source = source or str(path)
    with open_regular(path, source) as file:
        return _read_array(file, os.fstat(file.fileno()).st_size, source, "the file")


def read_npz(
    path: Path, *, source: str | None = None, only: Collection[str] | None = None
) -> dict[str, Array]:
    """The arrays of a `.npz` file by name, each as `read_npy` gives them.

    `only` names those to read (names not there are left out); what the others hold is then never
    looked at. Raises InputError.
    """
    source = source or str(path)
    with open_regular(path, source) as file, _open_zip(file, source) as archive:
        members = {n: m for n, m in _members(archive, source).items() if only is None or n in only}
        arrays: dict[str, Array] = {}
        faults: list[Fault] = []
        for name, member in members.items():
            try:
                arrays[name] = _read_member(archive, member, source)
            except InputError as error:  # noqa: PERF203 - every bad array is named
                faults.extend(error.faults)
    if faults:
        raise InputError(*first_faults(faults))
    return arrays


def npz_names(path: Path, *, source: str | None = None) -> list[str]:
    """The names of the arrays in a `.npz` file, in its order, without reading any of them."""
    source = source or str(path)
    with open_regular(path, source) as file, _open_zip(file, source) as archive:
        return list(_members(archive, source))


def open_regular(path: Path, source: str) -> io.FileIO:
    """Opens a regular file that is not empty; InputError for everything else a path can name.

    A device or a pipe is refused before it is opened: opening one can wait for ever.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
            raise InputError(Fault(f"expected a file, found {what}", source))
        if not found.st_size:
            raise InputError(Fault("the file is empty", source))
        return io.FileIO(path)
    except FileNotFoundError:
        raise InputError(Fault(f"no such file{_instead(path)}", source)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(Fault(f"the file cannot be opened: {reason}", source)) from None


def _instead(path: Path) -> str:
    """What the user may have meant by a path that leads nowhere."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, 10_000)]
    except OSError:
        return f": there is no folder {str(path.parent)!r}"
    near = difflib.get_close_matches(path.name[:255], names, n=1)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""


class _ShortReads(io.FileIO):
    """zipfile reads a zip's whole directory in one call: the one place to bound its size."""

    def read(self, size: int | None = -1) -> Any:
        if size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too long")
        return super().read(-1 if size is None else size)


def _open_zip(file: io.FileIO, source: str) -> zipfile.ZipFile:
    """The zip in `file`, once its directory is known to promise no more than it can hold."""
    try:
        archive = zipfile.ZipFile(_ShortReads(file.fileno(), closefd=False))
    except _ZIP_ERRORS as error:
        message = f"not a .npz file, or a damaged one ({error})"
        raise InputError(Fault(message, source)) from None
    size = os.fstat(file.fileno()).st_size
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * size)):
        archive.close()
        message = (
            f"the file of {size:,} bytes claims to unpack to {unpacked:,}: expected at most"
            f" {MAX_RATIO} times its size and {MAX_BYTES:,}; save it again with numpy.savez"
        )
        raise InputError(Fault(message, source))
    return archive


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    """The zip's members by array name; InputError where one is no array or a name comes twice."""
    members = archive.infolist()
    count = Counter(member.filename for member in members)
    faults = [
        Fault(f"array {name.removesuffix('.npy')!r} is there {n} times, expected once", source)
        for name, n in count.items()
        if n > 1
    ]
    faults += [
        Fault(f"expected only .npy arrays in the .npz, found {name!r}", source)
        for name in count
        if not name.endswith(".npy")
    ]
    if not members:
        faults.append(Fault("the .npz file holds no array", source))
    if faults:
        raise InputError(*first_faults(faults))
    return {member.filename.removesuffix(".npy"): member for member in members}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> Array:
    """One array of a `.npz`."""
    what = f"array {member.filename.removesuffix('.npy')!r}"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # numpy writes no others, and theirs may claim gigabytes for their dictionaries
        message = f"{what} is compressed in a way numpy does not use; save it with numpy.savez"
        raise InputError(Fault(message, source))
    try:
        with archive.open(member) as file:
            return _read_array(file, member.file_size, source, what)
    except _ZIP_ERRORS as error:
        raise InputError(Fault(f"{what} is damaged ({error})", source)) from None


def _read_array(file: IO[bytes] | io.FileIO, size: int, source: str, what: str) -> Array:
    """The array in `file`, which has `size` bytes; `what` is its name in messages."""
    shape, fortran, dtype, start = _read_header(file, source, what)
    if dtype.hasobject:
        message = f"{what} holds Python objects, which can run code when read: save plain numbers"
        raise InputError(Fault(message, source))
    if dtype.kind not in "biuf":
        message = f"{what}: expected real numbers, found dtype {str(dtype)[:60]}"
        raise InputError(Fault(message, source))
    needed, there = math.prod(shape) * dtype.itemsize, size - start
    if needed != there or needed > MAX_BYTES:
        message = (
            f"{what} is damaged, cut short or too long: its header promises shape {shape} of"
            f" {dtype}, {needed:,} bytes (at most {MAX_BYTES:,}), and {there:,} follow"
        )
        raise InputError(Fault(message, source))
    try:
        flat = np.empty(needed, dtype=np.uint8)
        _fill(file, flat)
        array = flat.view(dtype).reshape(shape, order="F" if fortran else "C")
        return array.astype(dtype.newbyteorder("="), copy=False)
    except (MemoryError, EOFError, ValueError) as error:
        raise InputError(Fault(f"{what} cannot be read ({error})", source)) from None


def _read_header(
    file: IO[bytes] | io.FileIO, source: str, what: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype, and the offset at which the numbers start."""
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
        return shape, fortran, dtype, file.tell()
    except Exception as error:  # numpy evaluates the header: a hostile one raises almost anything
        reason = str(error).split("\n")[0][:120]
        message = f"{what} is not a .npy array, or a damaged one ({reason})"
        raise InputError(Fault(message, source)) from None


def _fill(file: IO[bytes] | io.FileIO, flat: NDArray[np.uint8]) -> None:
    """Reads `flat` full, in pieces: a zip member is copied once more per piece."""
    view, at = flat.data, 0
    while at < len(flat):
        got = file.readinto(view[at : at + _CHUNK])  # type: ignore[union-attr]
        if not got:
            raise EOFError("the file ends too early")
        at += got
