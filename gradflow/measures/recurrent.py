"""The recurrent matrices of a cell, block by block."""

from __future__ import annotations

import numpy as np

from gradflow.cells.contract import Params
from gradflow.cells.sized import SizedCell
from gradflow.columns import Array


def recurrent_blocks(cell: SizedCell, params: Params, r: int) -> dict[str, Array]:
    """Each recurrent matrix of run `r`, a block of H rows at a time, in float64.

    The key is what stands behind a figure's name: "" of a cell with a single block, `_f` of a
    parameter `U_f`, else `_` and the parameter's name; blocks of a parameter with several are
    numbered from 1. An elementwise recurrent vector is a diagonal matrix.
    """
    found: dict[str, Array] = {}
    for p in cell.parameters.values():
        if p.role != "recurrent" or not p.trained:
            continue
        value = params[p.name][r].astype(np.float64)
        gate = "_" + p.name.rpartition("_")[2]
        count = p.shape[0] // cell.H if len(p.shape) == 2 and p.shape[0] % cell.H == 0 else 1
        for number in range(count):
            block = np.diag(value) if value.ndim == 1 else np.split(value, count)[number]
            found[gate if count == 1 else f"{gate}{number + 1}"] = block
    if len(found) == 1:
        (only,) = found.values()
        return {"": only}
    return found
