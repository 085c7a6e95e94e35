"""xlstm's sLSTM: `_recurrent_kernel_` and `_bias_` of its cell, `igate.weight` to `ogate.weight` of
the layer around it.

The kernel is (heads, 4 d, d), out by in, as the package keeps it on a CPU, or (heads, d, 4 d), in
by out, as on a GPU, or (heads, d, 4, d), the same in full; gates are ordered i f z o. The bias is
(4, heads, d) in the first, (heads, 4, d) in the others, flat. Each head has its own block of every
matrix. The package gives what it calls fgate's to i, and igate's to f. Behind a convolution, which
i and f alone see, the input here is what it gives, and next to it the layer's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradflow.counts import many
from gradflow.weights.conventions.modules import TRANSPOSED, Module, nets
from gradflow.weights.layers import CellLayer, Names, Net
from gradflow.weights.tensors import Array, Tensors, float64, named

__all__ = ["NAME", "TRANSPOSED", "find"]

NAME = "xlstm"

_GATES = "ifzo"
_SEEN = {"i": "fgate.weight", "f": "igate.weight", "z": "zgate.weight", "o": "ogate.weight"}
"""By the gate that it makes: the layer's dense tensor."""

_CONVOLUTION = "conv1d.conv.weight"
_INNER = ("slstm_cell._recurrent_kernel_", "slstm_cell._bias_")
_BARE = ("_recurrent_kernel_", "_bias_")
_KIND = "read as of function slstm, which the file does not say: lstm has the same tensors"
_BLOCKS = (
    "all weights have a block for each of the {} heads, and zeros elsewhere, by which grad_W_s and"
    " grad_W_x count too"
)


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of layers, and of cells alone."""
    members = (*_INNER, *_SEEN.values(), _CONVOLUTION)
    yield from nets(tensors, members, _INNER, 1, _layers, ("conv1d.conv.bias",))
    for net in nets(tensors, _BARE, _BARE, 1, _layers):
        if net.prefix.rpartition(".")[2].rpartition("/")[2] != "slstm_cell":
            yield net


def _layers(module: Module) -> Sequence[CellLayer]:
    kernel, bias = _INNER if any(one in module for one in _INNER) else _BARE
    U, b = _recurrent(module, kernel, bias)
    heads, d = U.shape[1], U.shape[2]
    W, names, note = _inputs(module, heads, d)
    parameters: dict[str, Array] = {f"W_{gate}": W[gate] for gate in _GATES}
    parameters |= {f"U_{g}": _diagonal(block) for g, block in zip(_GATES, U, strict=True)}
    parameters |= {f"b_{g}": block for g, block in zip(_GATES, b, strict=True)}
    for gate in _GATES:
        names |= module.origin(**{f"U_{gate}": kernel, f"b_{gate}": bias})
    H = heads * d
    return [
        CellLayer(
            *(module.prefix, 0, "forward", NAME, "slstm", parameters, H, "W_z", H),
            notes=(_KIND, *note, *([_BLOCKS.format(heads)] if heads > 1 else [])),
            names=names,
        )
    ]


def _recurrent(module: Module, kernel: str, bias: str) -> tuple[Array, Array]:
    """The blocks (4, heads, out, in) and the biases (4, H) of the gates."""
    name = module.name(kernel)
    shape = module.tensors.shape(name)
    heads, d = (shape[0], min(shape[1:])) if len(shape) in (3, 4) else (0, 0)
    forms = {(heads, 4 * d, d): "CPU", (heads, d, 4 * d): "GPU", (heads, d, 4, d): "GPU"}
    if shape not in forms or not heads * d:
        wanted = "(heads, 4 d, d), (heads, d, 4 d) or (heads, d, 4, d)"
        raise module.refused(f"tensor {named(name)}: expected the shape {wanted}, found {shape}")
    array = module.array(kernel, "", shape)
    count = module.tensors[module.name(bias)].size
    own = module.tensors.shape(module.name(bias))
    if count != 4 * heads * d:
        message = f"expected {4 * heads * d} numbers, 4 for each of {heads} x {many(d, 'unit')}"
        raise module.refused(f"tensor {named(module.names[bias])}: {message}, found shape {own}")
    b = float64(module.array(bias, "", own)).ravel()
    if forms[shape] == "CPU":
        U = array.reshape(heads, 4, d, d).transpose(1, 0, 2, 3)
        return U, b.reshape(4, heads * d)
    U = array.reshape(heads, d, 4, d).transpose(2, 0, 3, 1)
    return U, b.reshape(heads, 4, d).transpose(1, 0, 2).reshape(4, -1)


def _inputs(
    module: Module, heads: int, d: int
) -> tuple[dict[str, Array], dict[str, Names], tuple[str, ...]]:
    """The input weights by gate, the tensors that they are of, and what the input is."""
    H = heads * d
    if not any(name in module for name in _SEEN.values()):
        identity = np.eye(4 * H).reshape(4, H, 4 * H)
        note = "the file has no weights for its input: the input here is that of i, f, z and o"
        return dict(zip(_GATES, identity, strict=True)), {}, (note,)
    W = {
        gate: _diagonal(module.array(name, "heads, d, d", (heads, d, d)))
        for gate, name in _SEEN.items()
    }
    names = module.origin(**{f"W_{gate}": name for gate, name in _SEEN.items()})
    notes: tuple[str, ...] = (
        "i is made by fgate.weight and f by igate.weight, as the package does it",
    )
    if _CONVOLUTION in module:
        none = np.zeros((H, H))
        for gate in _GATES:
            halves = [W[gate], none] if gate in "if" else [none, W[gate]]
            W[gate] = np.concatenate(halves, axis=1)
        notes += (
            "the input here is what its convolution gives, for i and f, and next to it the"
            " layer's own, for z and o",
        )
    return W, names, notes


def _diagonal(blocks: Array) -> Array:
    """A matrix with these blocks (heads, rows, columns) along its diagonal."""
    heads, rows, columns = blocks.shape
    matrix = np.zeros((heads, rows, heads, columns))
    at = np.arange(heads)
    matrix[at, :, at] = blocks
    return matrix.reshape(heads * rows, heads * columns)
