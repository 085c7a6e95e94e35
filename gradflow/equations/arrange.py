"""The fifth pass: where everything lies. Slots become rows of z, in the order in which most of
what is done to them is done to neighbours at once; values and partials get their own rows.

Two slots are neighbours for the better if they are multiplied with the same operand (one product
for both), pass through the same function, or receive their cotangent from the same vertex. The
best path through all slots comes from M. Held and R. Karp's dynamic program (SIAM Journal 10,
1962) up to seven slots, beyond it from the heaviest links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from gradflow.equations.differentiate import Derivatives, operands_of
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.graph import Node, in_order
from gradflow.equations.reduce import Reduced, Use
from gradflow.equations.sizes import Shape

_HOISTED, _PRODUCT, _FUNCTION, _SOURCE = 1000, 8, 4, 2  # what two neighbours have in common
_MOST_EXACT = 7


class Product(NamedTuple):
    """Neighbouring slots that one product with `operand` serves: uses of each, by slot."""

    operand: Node
    slots: tuple[Node, ...]
    uses: tuple[tuple[Use, ...], ...]


@dataclass
class Arrangement:
    """Where everything lies.

    Attributes:
        slots: in the order of their rows.
        hoisted: how many of them, from the first, the engine's input product fills.
        products: of operands that are not x_t as a whole, by operand.
        groups: neighbouring slots that pass through one function, none used otherwise.
    """

    slots: list[Node]
    hoisted: int
    products: dict[int, list[Product]] = field(default_factory=dict)
    groups: list[tuple[Node, ...]] = field(default_factory=list)


def arrange(reduced: Reduced, derivatives: Derivatives) -> Arrangement:
    """The order of the slots, and what neighbours have in common."""
    roots = [*reduced.new.values(), *([reduced.output] if reduced.output is not None else [])]
    nodes = in_order(roots)
    slots = [node for node in nodes if node.kind == "slot"]
    functions = _functions(nodes, roots)
    sources = {
        id(slot): derivatives.into[id(slot)][0][0]
        for slot in slots
        if len(derivatives.into.get(id(slot), ())) == 1
    }
    links: dict[tuple[int, int], int] = {}
    for at, (a, b) in zip(combinations(range(len(slots)), 2), combinations(slots, 2), strict=True):
        weight = _HOISTED * (is_hoisted(a) == is_hoisted(b))
        if a.shape == b.shape:
            shared = _operands(a) & _operands(b)
            weight += _PRODUCT * len(shared)
            weight += _FUNCTION * (functions.get(id(a), 0) == functions.get(id(b), 1))
            weight += _SOURCE * (sources.get(id(a)) is sources.get(id(b), a))
        links[at] = weight
    order = _path(len(slots), links)
    if order and not is_hoisted(slots[order[0]]) and any(map(is_hoisted, slots)):
        order.reverse()
    slots = [slots[k] for k in order]
    found = Arrangement(slots, sum(map(is_hoisted, slots)))
    found.groups = [group for group in _stretches(slots, functions) if id(group[0]) in functions]
    for operand in _by_id(o for slot in slots for o in _products(slot)):
        found.products[id(operand)] = list(_products_with(operand, slots, found.hoisted))
    return found


def is_hoisted(slot: Node) -> bool:
    """Whether the input product has a part in this slot: W_x x_t or a bias."""
    return any(
        use.kind == "bias" or is_input(use, operand)
        for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True)
    )


def is_input(use: Use, operand: Node | None) -> bool:
    """Whether a use is W_x x_t, x_t as a whole."""
    return use.kind == "matrix" and operand is not None and operand.kind == "x"


def _products(slot: Node) -> list[Node]:
    """What matrices multiply in a slot, but x_t as a whole."""
    pairs = zip(slot.payload.uses, operands_of(slot), strict=True)
    return [o for use, o in pairs if use.kind == "matrix" and o is not None and o.kind != "x"]


def _operands(slot: Node) -> set[int]:
    return {id(operand) for operand in _products(slot)} if len(slot.shape) == 1 else set()


def _by_id(nodes: Iterable[Node]) -> list[Node]:
    return list({id(node): node for node in nodes}.values())


def _functions(nodes: Sequence[Node], roots: Sequence[Node]) -> dict[int, object]:
    """The id of a slot that is used by one function alone to what it shares with others: the
    function, how many slots lie before it, and whether the state comes into it."""
    users: dict[int, list[Node]] = {}
    depth: dict[int, int] = {}
    for node in nodes:
        start = len(nodes) if node.kind == "after" else 0  # what reads the new state comes last
        below = max((depth[id(arg)] for arg in node.args), default=start)
        depth[id(node)] = below + (node.kind == "slot")
        for arg in node.args:
            if arg.kind == "slot":
                users.setdefault(id(arg), []).append(node)
    held = {id(root) for root in roots}
    found: dict[int, object] = {}
    for key, by in users.items():
        kinds = {node.kind for node in by}
        by_function = {id(node): node for node in by if node.kind == "function"}
        if len(by_function) != 1 or key in held or kinds - {"function", "rest"}:
            continue
        (function,) = by_function.values()
        if any(n.kind == "rest" and function.payload != "sigmoid" for n in by):
            continue
        if not FUNCTIONS[function.payload].cheap and id(function) not in held:
            found[key] = (function.payload, depth[key], function.shape, function.past)
    return found


def _stretches(slots: Sequence[Node], shared: dict[int, object]) -> Iterable[tuple[Node, ...]]:
    """Neighbours that share the same, longest first."""
    stretch: list[Node] = []
    for slot in slots:
        if stretch and shared.get(id(slot), 0) != shared.get(id(stretch[-1]), 1):
            yield tuple(stretch)
            stretch = []
        stretch.append(slot)
    if stretch:
        yield tuple(stretch)


def _products_with(operand: Node, slots: Sequence[Node], hoisted: int) -> Iterable[Product]:
    """The products of an operand: one for each stretch of neighbours, cut where what the input
    product fills ends, and between matrices."""
    stretch: list[Node] = []
    for at, slot in enumerate([*slots, None]):
        goes_on = slot is not None and any(o is operand for o in _products(slot))
        alone = slot is None or len(slot.shape) == 2
        if stretch and (not goes_on or at == hoisted or alone or len(stretch[-1].shape) == 2):
            yield Product(operand, tuple(stretch), tuple(_uses(s, operand) for s in stretch))
            stretch = []
        if goes_on and slot is not None:
            stretch.append(slot)


def _uses(slot: Node, operand: Node) -> tuple[Use, ...]:
    pairs = zip(slot.payload.uses, operands_of(slot), strict=True)
    return tuple(use for use, o in pairs if use.kind == "matrix" and o is operand)


def _path(count: int, links: dict[tuple[int, int], int]) -> list[int]:
    """An order of `count` things whose neighbours' links weigh the most together."""
    if count < 2:
        return list(range(count))
    if count > _MOST_EXACT:
        return _heaviest_first(count, links)
    weight = [[links.get((min(a, b), max(a, b)), 0) for b in range(count)] for a in range(count)]
    best: list[dict[int, tuple[int, int]]] = [{} for _ in range(1 << count)]
    for a in range(count):
        best[1 << a][a] = (0, -1)
    for members in range(1 << count):
        for last, (value, _) in best[members].items():
            for b in range(count):
                if not members >> b & 1:
                    there = best[members | 1 << b]
                    new = value + weight[last][b]
                    if b not in there or new > there[b][0]:
                        there[b] = (new, last)
    members = (1 << count) - 1
    last = max(range(count), key=lambda a: (best[members][a][0], a))
    order = []
    while last >= 0:
        order.append(last)
        members, last = members ^ 1 << last, best[members][last][1]
    return order[::-1]


def _heaviest_first(count: int, links: dict[tuple[int, int], int]) -> list[int]:
    """Join ends of paths, the heaviest link first, until one path is left."""
    path_of = {a: [a] for a in range(count)}
    for a, b in sorted(links, key=lambda pair: -links[pair]):
        one, two = path_of[a], path_of[b]
        if one is two or a not in (one[0], one[-1]) or b not in (two[0], two[-1]):
            continue
        if one[-1] != a:
            one.reverse()
        if two[0] != b:
            two.reverse()
        one += two
        for c in two:
            path_of[c] = one
    return path_of[0]


def is_vector(shape: Shape) -> bool:
    """Whether a shape is that of a vector."""
    return len(shape) == 1
