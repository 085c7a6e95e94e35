"""ONNX: the RNN, LSTM and GRU nodes of a graph, each with one or two directions.

W (D, G, I), R (D, G, H), B (D, 2G) with both biases. Gates: LSTM `i o f c`, GRU `z r h`, with
`linear_before_reset` for reset after. A stack is nodes that feed each other through reshapes, or
through a sum, mean or product over the directions. onnxruntime's `DynamicQuantizeLSTM` has W and R
transposed and in whole numbers. A cell that is written out in a graph is known by PyTorch's names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import numpy as np

from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.weights.conventions import pytorch
from gradflow.weights.conventions.chains import chains
from gradflow.weights.conventions.onnx_traits import text, traits
from gradflow.weights.layers import CELLS, Net, NetPlace, RecurrentLayer, Traits, make_layer, reads
from gradflow.weights.readers.onnx import RECURRENT, Node
from gradflow.weights.readers.onnx_constants import Constants
from gradflow.weights.tensors import Array, Tensors, float64, named, refuse

NAME = "ONNX"
TRANSPOSED = False
"""What the convention is called, and whether a dense layer's kernel is (inputs, outputs)."""

_QUANTIZED = RECURRENT[-1]
_RECURRENT = dict(zip(RECURRENT, ("rnn", "lstm", "gru", "lstm"), strict=True))
_RESHAPES = ("Squeeze", "Unsqueeze", "Transpose", "Reshape", "Identity", "Dropout", "Cast")
_MERGES = {"ReduceSum": "sum", "ReduceMean": "ave", "ReduceProd": "mul"}

_BRANCH = re.compile(r"\.(?:then|else)_branch/")

_MAX_RESHAPES = 64

_DIRECTIONS = {
    "forward": ("forward",),
    "reverse": ("reverse",),
    "bidirectional": ("forward", "reverse"),
}

_WRITTEN_OUT = (
    "the graph has no node for this cell, which is written out in it: taken for PyTorch's, by the"
    " names of its tensors"
)
_DEQUANTIZED = (
    "quantized weights: whole numbers times their scale; onnxruntime rounds the inputs of each"
    " product too, which is not done here"
)


@dataclass(frozen=True, eq=False)
class _Recurrent:
    """A recurrent node; `below` is the one whose sequence it reads, through a `merge`."""

    node: Node
    below: Node | None
    merge: str

    @property
    def cell(self) -> str:
        """`rnn`, `lstm` or `gru`."""
        return _RECURRENT[self.node.op]


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of the graph: chains of recurrent nodes of one kind, then cells written out."""
    nodes: tuple[Node, ...] = tensors.attributes.get("nodes", ())
    makers = {name: node for node in nodes for name in node.outputs}
    found = {
        id(node): _Recurrent(node, *_source(node, makers))
        for node in nodes
        if node.op in _RECURRENT and len(node.inputs) > 2
    }
    constants = Constants(tensors)
    names = Counter(node.name for node in nodes)
    seen: set[object] = set()
    sources = {one: found.get(id(one.below)) for one in found.values()}
    for chain in chains(sources, _fits):
        same = tuple(_identity(constants, one) for one in chain)
        if same in seen:  # the same weights again, as in the branches of an If
            continue
        seen.add(same)
        node = chain[0].node
        prefix = node.name if names[node.name] == 1 else "".join(node.outputs[:1])
        below = chain[0].below.name if chain[0].below else None
        yield Net(prefix, partial(_layers, constants, prefix, chain, below))
    taken = {name for one in found.values() for name in _origins(constants, one.node)}
    yield from _written_out(tensors, [name for name in tensors if name not in taken])


def _fits(chain: Sequence[_Recurrent], upper: _Recurrent) -> bool:
    """Whether a node that reads the sequence of a chain's last one can be computed with it."""
    lower = chain[-1]
    way = _direction(lower.node)
    if lower.cell != upper.cell or way != _direction(upper.node) or way == "reverse":
        return False
    if upper.merge != (chain[1].merge if len(chain) > 1 else upper.merge):
        return False
    known = [t for one in (lower, upper) for t in _all_traits(one)]
    alike = all((t.options, t.unsupported) == (known[0].options, ()) for t in known)
    return alike and (upper.merge == "concat" or way == "bidirectional")


def _all_traits(one: _Recurrent) -> list[Traits]:
    ways = _DIRECTIONS.get(_direction(one.node), ())
    return [traits(one.node, one.cell, d) for d in range(len(ways))]


def _direction(node: Node) -> str:
    return text(node.attributes.get("direction", b"forward"))


def _source(node: Node, makers: Mapping[str, Node]) -> tuple[Node | None, str]:
    """The recurrent node whose sequence of outputs a recurrent node reads, if there is one, and
    what becomes of its directions on the way."""
    name, merge = node.inputs[0], "concat"
    for _ in range(_MAX_RESHAPES):
        maker = makers.get(name)
        if maker is None:
            break
        if maker.op in _RECURRENT:
            reads = len(maker.inputs) > 2 and maker.outputs[0] == name
            return (maker, merge) if reads else (None, merge)
        if maker.op in _MERGES and merge == "concat":
            merge = _MERGES[maker.op]
        elif maker.op not in _RESHAPES:
            break
        if not maker.inputs:
            break
        name = maker.inputs[0]
    return None, merge


def _identity(constants: Constants, one: _Recurrent) -> tuple[object, ...]:
    """What two nodes have the same of where they share their weights: the stored tensors, or
    their numbers where each branch of an If has its own copy."""
    node = one.node
    origins = [(constants.origin(name) or (name,)) if name else () for name in node.inputs[1:4]]
    if _BRANCH.search(node.name):
        origins = [tuple(_digest(constants.tensors, n) for n in names) for names in origins]
    return node.op, tuple(origins), repr(sorted(node.attributes.items()))


def _digest(tensors: Tensors, name: str) -> str:
    """The same for equal numbers; the name itself where they cannot be read."""
    try:
        array = tensors[name]
        return f"{array.dtype} {array.shape} {sha256(array.tobytes()).hexdigest()}"
    except (InputError, KeyError):
        return name


def _origins(constants: Constants, node: Node) -> tuple[str, ...]:
    """The stored tensors that a node's weights come from."""
    return tuple(n for name in node.inputs[1:4] if name for n in constants.origin(name))


def _written_out(tensors: Tensors, rest: Sequence[str]) -> Iterator[Net]:
    """The cells that only the names of tensors show, each once though branches repeat it."""
    seen: set[object] = set()
    for net in pytorch.find(tensors, rest):
        if _BRANCH.search(net.prefix):
            own = [name for name in rest if name.startswith(f"{net.prefix}.")]
            same = tuple(_digest(tensors, name) for name in own)
            if own and same in seen:
                continue
            seen.add(same)
        yield Net(net.prefix, partial(_noted, net))


def _noted(net: Net) -> list[RecurrentLayer]:
    return [replace(one, notes=(*one.notes, _WRITTEN_OUT)) for one in net.layers()]


def _layers(
    constants: Constants, prefix: str, chain: Sequence[_Recurrent], below: str | None
) -> list[RecurrentLayer]:
    merge = chain[1].merge if len(chain) > 1 else "concat"
    layers = [layer for k, one in enumerate(chain) for layer in _node(constants, prefix, k, one)]
    notes = (reads(prefix, below),) if below is not None else ()
    return [replace(layer, merge=merge, notes=(*layer.notes, *notes)) for layer in layers]


def _node(constants: Constants, prefix: str, index: int, one: _Recurrent) -> list[RecurrentLayer]:
    """The layers of a node, one for each direction."""
    tensors, node = constants.tensors, one.node
    directions = _DIRECTIONS.get(_direction(node))
    if directions is None:
        raise refuse(tensors.source, f"node {named(node.name)} has no known direction")
    names = {
        role: name
        for role, name in zip(("W_x", "W_s", "b"), node.inputs[1:4], strict=False)
        if name
    }
    blocks = {}
    for role, name in names.items():
        if name not in constants:
            message = f"its {role}, {named(name)}, is computed in the graph, not stored"
            raise refuse(tensors.source, f"node {named(node.name)}: {message}")
        blocks[role] = constants[name]
        axes, shape = 2 if role == "b" else 3, blocks[role].shape
        if len(shape) != axes or shape[0] != len(directions):
            message = (
                f"expected {axes} axes, {many(len(directions), 'direction')} first, found {shape}"
            )
            raise refuse(tensors.source, f"tensor {named(name)}: {message}")
    if node.op == _QUANTIZED:
        blocks = _dequantized(constants, node, blocks)
    layers: list[RecurrentLayer] = []
    for d, direction in enumerate(directions):
        arrays = _parameters({role: block[d] for role, block in blocks.items()})
        origin = {role: constants.origin(names.get(role) or names["b"]) for role in arrays}
        known = traits(node, one.cell, d)
        stored = [tensors.stored[name].dtype for name in _origins(constants, node)]
        if any("int" in dtype for dtype in stored):
            known = replace(known, notes=(_DEQUANTIZED,))
        same = dict.fromkeys(CELLS.values(), known)
        place = NetPlace(prefix, index, direction)
        layers.append(make_layer(tensors, NAME, place, origin, arrays, same, one.cell))
    return layers


def _dequantized(constants: Constants, node: Node, blocks: Mapping[str, Array]) -> dict[str, Array]:
    """W and R of a quantized node in ONNX's own layout: (q - zero point) x scale, transposed.

    Scale and zero point are numbers for each direction, or for each of its gates' rows.
    """
    found, source = dict(blocks), constants.tensors.source
    for role, k in (("W_x", 8), ("W_s", 10)):
        given = [*node.inputs[k : k + 2], "", ""][:2]
        if not given[0] or any(name and name not in constants for name in given):
            message = f"the scale of its {role} is not stored"
            raise refuse(source, f"node {named(node.name)}: {message}")
        scale, zero = (float64(constants[n]) if n else np.zeros(()) for n in given)
        D = len(blocks[role])
        try:
            scale, zero = (
                a.reshape(D, 1, -1) if a.size > 1 else a.reshape(()) for a in (scale, zero)
            )
            found[role] = ((float64(blocks[role]) - zero) * scale).swapaxes(1, 2)
        except ValueError:
            shapes = f"{blocks[role].shape}, scale {scale.shape} and zero point {zero.shape}"
            message = f"its {role} of shape {shapes} do not fit"
            raise refuse(source, f"node {named(node.name)}: {message}") from None
    return found


def _parameters(blocks: Mapping[str, Array]) -> dict[str, Array]:
    """A direction's W_x, W_s and the halves of B."""
    arrays = {role: blocks[role] for role in ("W_x", "W_s")}
    if "b" in blocks:
        half = (len(blocks["b"]) + 1) // 2
        arrays |= {"b_x": blocks["b"][:half], "b_s": blocks["b"][half:]}
    return arrays
