"""The roles of parameters, from how they are used.

What multiplies something made of the state is recurrent, what multiplies something made of x_t
alone is an input weight, what is only added a bias; gains of layernorm, and all else, are other.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradflow.equations.declaration import Equations
from gradflow.equations.graph import Node, in_order
from gradflow.equations.initial import read_by_others
from gradflow.equations.sizes import Shape
from gradflow.equations.step import Step


def find_roles(equations: Equations, step: Step, shapes: Mapping[str, Shape | None]) -> None:
    """Fill `shapes`, `roles` and `gains` of a step."""
    roots = [*step.new.values()]
    roots += [step.output] if step.output is not None else []
    order = in_order(roots)
    used = {node.payload for node in order if node.kind in ("parameter", "constant")}
    kept = used | read_by_others(equations)
    step.shapes = {
        name: shape for name, shape in shapes.items() if name in kept and shape is not None
    }
    uses: dict[str, set[str]] = {name: set() for name in used}
    for node in order:
        if not node.static:
            for number, arg in enumerate(node.args):
                if arg.static and not arg.is_number:
                    for name in _parameters(arg):
                        uses[name].add(_how_used(node, number))
    for declared in equations.parameters:
        if declared.trained and declared.name in used:
            inferred = _role(uses[declared.name])
            step.roles[declared.name] = declared.role or inferred
            if uses[declared.name] == {"gain"}:
                step.gains.add(declared.name)


def _parameters(node: Node) -> list[str]:
    return [n.payload for n in in_order([node]) if n.kind in ("parameter", "constant")]


def _how_used(node: Node, number: int) -> str:
    """The role of what is argument `number` of a node that is not static."""
    if node.kind == "sum":
        return "bias"
    if node.kind in ("mul", "matmul", "div"):
        others = [arg for k, arg in enumerate(node.args) if k != number]
        if any(arg.kind == "norm" for arg in others):
            return "gain"
        return "recurrent" if any(arg.past for arg in others) else "input"
    return "other"


def _role(uses: set[str]) -> str:
    """The role of a parameter from everything that it multiplies or is added to."""
    for role in ("recurrent", "input"):
        if role in uses:
            return role
    return "bias" if uses == {"bias"} else "other"
