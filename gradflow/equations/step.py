"""What a step computes, as a graph: what the second pass gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradflow.equations.graph import Graph, Node
from gradflow.equations.sizes import Shape


@dataclass
class Step:
    """What a step computes.

    Attributes:
        graph: where its nodes are made.
        state: part to its shape, in order.
        new: part to the node of its new value.
        output: the node that the loss and the layer above see.
        shapes: parameters and constants that are used, to their shapes, in declared order.
        roles: trained parameter to its role.
        gains: parameters that do nothing but scale what `layernorm` gives.
        names: the id of a node to what the text calls it.
    """

    graph: Graph
    state: dict[str, Shape]
    new: dict[str, Node] = field(default_factory=dict)
    output: Node | None = None
    shapes: dict[str, Shape] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    gains: set[str] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
