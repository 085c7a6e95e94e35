"""minGRU-pytorch: `to_hidden_and_gate.weight` (2H, I), `to_hidden_and_f_i_gate.weight` (3H, I).

Without biases. Rows are [n, z] of minGRU, [n, f, i] of minLSTM; the candidate is positive, as
log space needs it. `to_out`, which brings H back to I, is outside of the recurrence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Tensors, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "minGRU-pytorch"

_KINDS = {
    "to_hidden_and_gate": ("mingru", "nz"),
    "to_hidden_and_f_i_gate": ("minlstm", "nfi"),
}
"""By the name of its dense layer: the cell, and its blocks of H rows."""


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of modules of both kinds."""
    members = [f"{dense}.{role}" for dense in _KINDS for role in ("weight", "bias")]
    yield from nets(
        tensors, [*members, "to_out.weight"], members[::2], 1, _layers, ("to_out.bias",)
    )


def _layers(module: Module) -> Sequence[CellLayer]:
    dense = next(dense for dense in _KINDS if f"{dense}.weight" in module)
    cell, gates = _KINDS[dense]
    weight, bias = f"{dense}.weight", f"{dense}.bias"
    count = len(gates)
    rows, I = module.shape(weight, f"{count} H, I")  # noqa: E741
    if rows % count:
        message = f"expected {count} blocks of H rows, found the shape {(rows, I)}"
        raise module.refused(f"tensor {named(module.names[weight])}: {message}")
    H = rows // count
    W = np.split(module.array(weight, f"{count} H, I", (rows, I)), count)
    b = module.array(bias, f"{count} H", (rows,)) if bias in module else np.zeros(rows)
    parameters = {f"W_{gate}": block for gate, block in zip(gates, W, strict=True)}
    parameters |= {f"b_{g}": block for g, block in zip(gates, np.split(b, count), strict=True)}
    notes = []
    if "to_out.weight" in module:
        name = module.names["to_out.weight"]
        notes.append(f"{named(name)} is behind the recurrence: name it as W_o to have it too")
    origin = module.origin(
        **{f"W_{gate}": weight for gate in gates}, **{f"b_{gate}": bias for gate in gates}
    )
    return [
        CellLayer(
            *(module.prefix, 0, "forward", NAME, cell, parameters, H, "W_n", H),
            options={"candidate": "positive"},
            notes=tuple(notes),
            names=origin,
        )
    ]
