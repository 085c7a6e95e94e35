"""The graph of a step evaluated node by node, of one sample: what the passes make of a step can be
held to what they were given."""

from __future__ import annotations

import numpy as np

from gradflow.equations.arrange import arrange
from gradflow.equations.differentiate import differentiate, operands_of, others_of
from gradflow.equations.functions import FUNCTIONS, fresh
from gradflow.equations.graph import in_order
from gradflow.equations.infer import infer
from gradflow.equations.mistakes import Mistakes
from gradflow.equations.reduce import reduce

H, I = 3, 2  # noqa: E741


def passes(equations, options=None):
    """(step, reduced, derivatives, arranged) of equations."""
    chosen = {**equations.defaults, **(options or {})}
    step = infer(equations, chosen, Mistakes())
    if step is None:  # it holds for numbers alone
        mistakes = Mistakes()
        step = infer(equations, {**chosen, "H": H, "I": H}, mistakes)
        assert step is not None, mistakes.found
    reduced = reduce(step)
    derivatives = differentiate(reduced, [scale for scale, _ in equations.gauge])
    return step, reduced, derivatives, arrange(reduced, derivatives)


def drawn(step, seed=0, scale=1.0):
    """Values of a step's leaves: parameters, parts of the old state, x."""
    rng = np.random.default_rng(seed)
    leaves = {name: rng.standard_normal(sizes(shape)) for name, shape in step.shapes.items()}
    leaves |= {f"{part}[t-1]": rng.standard_normal(sizes(s)) for part, s in step.state.items()}
    width = next((n.shape for n in in_order(step.new.values()) if n.kind == "x"), None)
    leaves["x"] = rng.standard_normal(sizes(width) if width else I)
    return {name: scale * a for name, a in leaves.items()}


def sizes(shape):
    return tuple(size.at(H, I) for size in shape)


def values(roots, leaves, new=None, still=()):
    """The value of every node that the roots are made of, by id. `new` has the new parts, as nodes,
    for an output that reads them; nodes in `still` have no derivative: their values are real."""
    new = new or {}
    still = set(map(id, still))
    found = {}
    for node in in_order([*new.values(), *roots]):
        after = {node.payload: found[id(new[node.payload])]} if node.kind == "after" else {}
        value = _value(node, [found[id(arg)] for arg in node.args], leaves, after)
        value = np.real(value) if id(node) in still else value
        found[id(node)] = np.broadcast_to(value, sizes(node.shape))
    return found


def of_weight(weight, leaves):
    """The value of a weight of a slot."""
    value = values([weight.node], leaves)[id(weight.node)]
    return value.T if weight.turned else value


def _value(node, args, leaves, new):
    kind, payload = node.kind, node.payload
    if kind in ("parameter", "constant"):
        return leaves[payload]
    if kind == "slot":
        return _slot(node, args, leaves)
    simple = {
        "number": lambda: payload,
        "x": lambda: leaves["x"],
        "previous": lambda: leaves[f"{payload}[t-1]"],
        "after": lambda: new[payload],
        "sum": lambda: payload[1] + sum(s * a for s, a in zip(payload[0], args, strict=True)),
        "mul": lambda: args[0] * args[1],
        "div": lambda: args[0] / args[1],
        "power": lambda: args[0] ** payload,
        "function": lambda: fresh(payload, np.array(args[0])),
        "max": lambda: np.maximum(*args),
        "min": lambda: np.minimum(*args),
        "mask": lambda: _is_chosen(payload, *args),
        "spread": lambda: args[0].reshape(-1)[0],
        "slice": lambda: args[0][payload[0].at(H, I) : payload[1].at(H, I)],
        "turn": lambda: args[0].T,
        "total": lambda: args[0].sum(),
        "outer": lambda: np.outer(*args),
        "matmul": lambda: args[0] @ args[1],
        "row": lambda: args[0][None],
        "norm": lambda: (args[0] - args[0].mean()) / np.sqrt(args[0].var() + payload),
        "fixed": lambda: args[0],
        "blend": lambda: args[3] * args[1] + args[0] * args[2],
        "rest": lambda: fresh("sigmoid", -args[0]),
        "slope": lambda: _slope(payload, *args),
        "new": lambda: args[0],
    }  # fmt: skip
    return simple[kind]()


def _is_chosen(payload, a, b):
    """Where `max` or `min` is its first argument; where it is not, with `not`."""
    first = a >= b if payload.endswith("max") else a <= b
    return (first != payload.startswith("not ")).astype(float)


def _slope(name, z, h=None):
    out = np.empty_like(z)
    FUNCTIONS[name].slope(np.array(z), fresh(name, np.array(z)) if h is None else h, out)
    return out


def _slot(node, args, leaves):
    total = node.payload.constant
    by_id = {id(arg): value for arg, value in zip(node.args, args, strict=True)}
    for use, operand in zip(node.payload.uses, operands_of(node), strict=True):
        weight = of_weight(use.weight, leaves)
        if use.kind == "bias":
            total = total + use.factor * weight
        else:
            right = by_id[id(operand)]
            total = total + use.factor * (
                weight @ right if use.kind == "matrix" else weight * right
            )
    for sign, term in others_of(node):
        total = total + sign * by_id[id(term)]
    return total
