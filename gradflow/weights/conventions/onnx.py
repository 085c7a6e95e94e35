"""ONNX: the RNN, LSTM and GRU nodes of a graph, each with one or two directions.

W (D, G, I), R (D, G, H), B (D, 2G) with both biases. Gates: LSTM `i o f c`, GRU `z r h`, with
`linear_before_reset` for reset after. A stack is nodes that feed each other through reshapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from gradflow.weights.files.onnx import Node
from gradflow.weights.files.onnx_constants import Constants
from gradflow.weights.layers import CELLS, Net, Place, RecurrentLayer, Traits, make_layer
from gradflow.weights.tensors import Array, Tensors, named, refuse

_RECURRENT = ("RNN", "LSTM", "GRU")
_RESHAPES = ("Squeeze", "Unsqueeze", "Transpose", "Reshape", "Identity", "Dropout", "Cast")

_MAX_RESHAPES = 64

_DIRECTIONS = {
    "forward": ("forward",),
    "reverse": ("reverse",),
    "bidirectional": ("forward", "reverse"),
}
_ORDER = {"RNN": (), "LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
_USUAL = {"RNN": ["tanh"], "LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}
_ACTIVATIONS = ("tanh", "relu", "sigmoid")


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of the graph: chains of recurrent nodes of one kind."""
    nodes: tuple[Node, ...] = tensors.attributes.get("nodes", ())
    makers = {name: node for node in nodes for name in node.outputs}
    below = {id(n): _source(n, makers) for n in nodes if n.op in _RECURRENT and len(n.inputs) > 2}
    above: dict[int, list[Node]] = {}
    for node in nodes:
        if (source := below.get(id(node))) and source.op == node.op:
            above.setdefault(id(source), []).append(node)
    names = Counter(node.name for node in nodes)
    for node in nodes:
        source = below.get(id(node))
        # A node that shares its source with another is the first of a net of its own.
        alone = source is None or len(above.get(id(source), [])) != 1
        if id(node) in below and alone:
            chain = [node]
            while len(following := above.get(id(chain[-1]), [])) == 1:
                chain += following
            prefix = node.name if names[node.name] == 1 else "".join(node.outputs[:1])
            yield Net(prefix, partial(_layers, tensors, prefix, chain))


def _source(node: Node, makers: Mapping[str, Node]) -> Node | None:
    """The recurrent node whose sequence of outputs a recurrent node reads, if there is one."""
    name = node.inputs[0]
    for _ in range(_MAX_RESHAPES):
        maker = makers.get(name)
        if maker is None:
            return None
        if maker.op in _RECURRENT:
            return maker if maker.outputs[0] == name else None
        if maker.op not in _RESHAPES or not maker.inputs:
            return None
        name = maker.inputs[0]
    return None


def _layers(tensors: Tensors, prefix: str, chain: list[Node]) -> list[RecurrentLayer]:
    return [layer for k, node in enumerate(chain) for layer in _node(tensors, prefix, k, node)]


def _node(tensors: Tensors, prefix: str, index: int, node: Node) -> list[RecurrentLayer]:
    """The layers of a node, one for each direction."""
    directions = _DIRECTIONS.get(_text(node.attributes.get("direction", b"forward")))
    if directions is None:
        raise refuse(tensors.source, f"node {named(node.name)} has no known direction")
    names = dict(zip(("W_x", "W_s", "b"), filter(None, node.inputs[1:4]), strict=False))
    constants = Constants(tensors)
    blocks = {}
    for role, name in names.items():
        if name not in constants:
            message = f"its {role}, {named(name)}, is computed in the graph, not stored"
            raise refuse(tensors.source, f"node {named(node.name)}: {message}")
        blocks[role] = constants[name]
        axes, shape = 2 if role == "b" else 3, blocks[role].shape
        if len(shape) != axes or shape[0] != len(directions):
            message = f"expected {axes} axes, {len(directions)} directions first, found {shape}"
            raise refuse(tensors.source, f"tensor {named(name)}: {message}")
    layers = []
    for d, direction in enumerate(directions):
        arrays = _parameters({role: block[d] for role, block in blocks.items()})
        origin = {role: constants.origin(names.get(role) or names["b"]) for role in arrays}
        traits = dict.fromkeys(CELLS.values(), _traits(node, d))
        place = Place(prefix, index, direction)
        layers.append(make_layer(tensors, "ONNX", place, origin, arrays, traits, node.op.lower()))
    return layers


def _parameters(blocks: Mapping[str, Array]) -> dict[str, Array]:
    """A direction's W_x, W_s and the halves of B."""
    arrays = {role: blocks[role] for role in ("W_x", "W_s")}
    if "b" in blocks:
        half = (len(blocks["b"]) + 1) // 2
        arrays |= {"b_x": blocks["b"][:half], "b_s": blocks["b"][half:]}
    return arrays


def _traits(node: Node, direction: int) -> Traits:
    """What the node's attributes say of one of its directions."""
    options, unsupported = {}, []
    usual = _USUAL[node.op]
    listed = [_text(a).lower() for a in node.attributes.get("activations", [])]
    found = listed[direction * len(usual) : (direction + 1) * len(usual)] or usual
    if node.op == "RNN" and found[0] in _ACTIVATIONS:
        options["activation"] = found[0]
    elif found != usual:
        unsupported.append(f"activations {' '.join(found)} (gradflow has {' '.join(usual)})")
    if node.op == "GRU":
        options["reset"] = "after" if node.attributes.get("linear_before_reset") else "before"
    if node.attributes.get("clip"):
        unsupported.append("clipping of the pre-activations")
    if node.attributes.get("input_forget"):
        unsupported.append("coupled input and forget gates")
    if len(node.inputs) > 7 and node.inputs[7]:
        unsupported.append("peephole weights")
    return Traits(options, unsupported=tuple(unsupported), order=_ORDER[node.op])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
