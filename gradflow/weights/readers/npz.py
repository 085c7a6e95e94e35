"""NumPy's `.npz`."""

from __future__ import annotations

from functools import partial

from gradflow.errors import Fault, InputError, first_faults
from gradflow.files.npfiles import COMPLEX, NotNumbersError, NpzFile
from gradflow.files.opening import RegularFile
from gradflow.weights.tensors import Stored, Tensors


def read(file: RegularFile) -> Tensors:
    """The arrays of numbers in a `.npz` file; what is next to them (texts, objects) is never read.

    Raises InputError, also if there are none.
    """
    found = NpzFile(file, COMPLEX)
    stored: dict[str, Stored] = {}
    faults: list[Fault] = []
    for name in found.names:
        try:
            header = found.header(name)
        except NotNumbersError as error:
            faults.extend(error.faults)
            continue
        stored[name] = Stored(header.shape, header.dtype.name, partial(found.read, name))
    if not stored:
        raise InputError(*first_faults(faults))
    return Tensors(file.source, stored, format="NumPy .npz")
