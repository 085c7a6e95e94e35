"""xlstm's mLSTM: `igate` and `fgate` (heads, 3 E) of its cell, which is given q, k and v.

Each head is its own memory, of E / heads units, and a net here. The input is q, k and v next
to each other, as the gates see it: projections and convolution are before the cell, `outnorm` and
the gate behind it. The package adds 1e-6 to what it divides by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from gradflow.weights.conventions.modules import TRANSPOSED, Module, alone, found
from gradflow.weights.layers import CellLayer, Net
from gradflow.weights.tensors import Tensors, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "xlstm"

_MARKS = ("igate.bias", "fgate.bias", "outnorm.weight")
_MEMBERS = (*_MARKS, "igate.weight", "fgate.weight")
_ASIDE = ("causal_mask", "outnorm.bias")
_MOST_HEADS = 256


def find(tensors: Tensors) -> Iterator[Net]:
    """A net for each head."""
    for module in found(tensors, _MEMBERS, _MARKS, 2, _ASIDE):
        shape = tensors.shape(module.names["igate.weight"]) if "igate.weight" in module else ()
        heads = shape[0] if len(shape) == 2 and 0 < shape[0] <= _MOST_HEADS else 1
        for head in range(heads):
            at = f"{module.prefix}.head{head}".lstrip(".") if heads > 1 else module.prefix
            layers = partial(_layers, prefix=at, head=head)
            yield Net(at, partial(alone, layers, module), aside=True)


def _layers(module: Module, prefix: str, head: int) -> Sequence[CellLayer]:
    heads, width = module.shape("igate.weight", "heads, 3 E")
    E = width // 3
    if width % 3 or E % heads:
        message = f"expected (heads, 3 E), E a multiple of heads, found {(heads, width)}"
        raise module.refused(f"tensor {named(module.names['igate.weight'])}: {message}")
    H = E // heads
    if "outnorm.weight" in module:
        module.array("outnorm.weight", "E", (E,))
    picks = np.eye(3 * E).reshape(3, heads, H, 3 * E)[:, head]
    parameters = dict(zip(("W_q", "W_k", "W_v"), picks, strict=True))
    for gate in "if":
        weight = module.array(f"{gate}gate.weight", "heads, 3 E", (heads, width))
        bias = module.array(f"{gate}gate.bias", "heads", (heads,))
        parameters |= {f"w_{gate}": weight[[head]], f"b_{gate}": bias[[head]]}
    notes = [
        "the input here is q, k and v, which projections and a convolution make of the layer's own"
    ]
    if heads > 1:
        notes.append(f"a net for each of the {heads} heads, whose memories do not meet")
    names = module.origin(
        w_i="igate.weight", b_i="igate.bias", w_f="fgate.weight", b_f="fgate.bias"
    )
    return [
        CellLayer(
            *(prefix, 0, "forward", NAME, "mlstm", parameters, H, "w_i", H),
            options={"output_gate": "none"},
            notes=tuple(notes),
            names=names,
        )
    ]
