"""Writes `pullback`, the chain rule of one step: ds_t and dz_t to ds_{t-1}; and `settle`, which
brings what arrives at the output to the state that it is read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gradflow.equations.arrange import Arrangement, Product
from gradflow.equations.differentiate import Derivatives, Partial
from gradflow.equations.forward import Arrays
from gradflow.equations.graph import Node
from gradflow.equations.layout import Names, Rows, Views
from gradflow.equations.transposes import SHAPED, Piece, code, covers, whole
from gradflow.equations.writing import Writer


@dataclass
class Cotangents:
    """The rows of the arrays of the backward pass."""

    ds: Rows = field(default_factory=lambda: Rows("ds"))
    dz: Rows = field(default_factory=lambda: Rows("dz"))
    ds_prev: Rows = field(default_factory=lambda: Rows("ds_prev"))


class Pullback(Writer):
    """Writes `pullback`; with `late`, `settle`, which goes only through what reads the new
    state."""

    def __init__(
        self,
        derivatives: Derivatives,
        arranged: Arrangement,
        arrays: Arrays,
        rows: Cotangents,
        late: bool = False,
    ) -> None:
        super().__init__(Names(), labels=arrays.labels, weight=arrays.weight)
        self.derivatives, self.arranged, self.arrays, self.rows = (
            derivatives, arranged, arrays, rows,
        )  # fmt: skip
        self.late = late
        self.views = Views(self.names)
        self.cotangent: dict[int, str] = {}
        self.done: set[int] = set()
        self._consumers: dict[int, list[Node]] = {}
        for node in derivatives.order:
            for arg in {id(arg): arg for arg in node.args}.values():
                self._consumers.setdefault(id(arg), []).append(node)
        self._groups = self._neighbours()

    def write(self) -> None:
        """The whole function."""
        for vertex in self.derivatives.order:
            if id(vertex) not in self.done and self._is_wanted(vertex):
                self._pull(vertex)
        if not self.late:
            self._fill()

    def _is_wanted(self, vertex: Node) -> bool:
        if vertex.kind == "after":
            return self.late
        if self.late:
            return vertex.kind == "out" or reads_new(vertex)
        return True

    def _fill(self) -> None:
        """Zero for what nothing has reached."""
        rows = [
            *((self.rows.dz, id(slot)) for slot in self.arranged.slots),
            *((self.rows.ds_prev, key) for key in self.rows.ds_prev.at),
        ]
        rows += [(self.rows.dz, "x")] if "x" in self.rows.dz.at else []
        reached = {id(node): node for node in self.derivatives.order if id(node) in self.cotangent}
        keys = {_key(node) for node in reached.values()}
        for array, key in rows:
            if key not in keys and not (array.array == "ds_prev" and key == "out"):
                name = f"d{array.entries[array.at[key]].name}_zero"
                self.line(f"{self.views.of(array, [key], name)}[...] = 0")

    # Vertices

    def _pull(self, vertex: Node) -> None:
        """Bring together the cotangent of a vertex."""
        self.done.add(id(vertex))
        if vertex.kind in ("new", "out"):
            key = "out" if vertex.kind == "out" else vertex.payload
            self.cotangent[id(vertex)] = self.views.of(self.rows.ds, [key], f"d{key}")
            return
        group = self._groups.get(id(vertex))
        if group is not None:
            self._pull_group(group)
            return
        pieces = [*self._products(vertex), *self._edges(vertex), *self._shaped(vertex)]
        if not pieces:
            return
        target = self._target(vertex)
        if pieces[0].rows and vertex.kind != "after" and covers(pieces, vertex):
            self.cotangent[id(vertex)] = self._put_together(target, pieces, vertex)
            return
        if vertex.kind == "after":  # the rows of ds itself, which have the rest already
            for piece in pieces:
                self.line(f"{target}{piece.rows} {piece.sign}= {piece.text}")
            return
        if target is None:
            target = self.names.new(f"d{self.labels.get(id(vertex), 'v')}")
            pieces = self._begin(target, pieces, vertex)
        else:
            self.line(pieces[0].into(target))
            pieces = pieces[1:]
        for piece in pieces:
            self.line(f"{target}{piece.rows} {piece.sign}= {piece.text}")
        self.cotangent[id(vertex)] = target

    def _put_together(self, target: str | None, pieces: list[Piece], vertex: Node) -> str:
        """Pieces that are for other rows each, in the vertex's array or a new one."""
        if target is None:
            target = self.names.new(f"d{self.labels.get(id(vertex), 'v')}")
            dy, axes = pieces[0].text, len(vertex.shape) + 1
            self.line(f"{target} = np.empty({whole(dy, vertex, axes)}, {dy}.dtype)")
        for piece in pieces:
            self.line(f"{target}{piece.rows} = {piece.signed}")
        return target

    def _begin(self, target: str, pieces: list[Piece], vertex: Node) -> list[Piece]:
        """The first piece or two of a cotangent that has no array yet; what is left."""
        first, *left = pieces
        if first.rows:
            dy, axes = first.text, len(vertex.shape) + 1
            self.line(f"{target} = np.zeros({whole(dy, vertex, axes)}, {dy}.dtype)")
            return pieces
        if left and not left[0].rows:
            self.line(f"{target} = {first.signed} {left[0].sign} {left[0].text}")
            return left[1:]
        self.line(f"{target} = {first.signed}{'.copy()' if first.is_name and left else ''}")
        return left

    def _target(self, vertex: Node) -> str | None:
        """Where the cotangent of a vertex belongs, or None: in its own array."""
        if vertex.kind == "slot":
            return self._dz((vertex,))
        if vertex.kind == "previous":
            return self.views.of(self.rows.ds_prev, [vertex.payload], f"d{vertex.payload}_prev")
        if vertex.kind == "after":
            return self.views.of(self.rows.ds, [vertex.payload], f"d{vertex.payload}")
        if vertex.kind == "x":
            return self.views.of(self.rows.dz, ["x"], "dx")
        return None

    def _dz(self, slots: Sequence[Node], form: str | None = None) -> str:
        whole = len(slots) == len(self.arranged.slots) > 1
        labels = "_".join(self.labels[id(slot)] for slot in slots)
        wanted = "dz" if whole and form in (None, "rows") else f"dz_{labels}"
        form = form or ("rows" if len(slots) > 1 else None)
        wanted = wanted if wanted not in self.names.given or form == "rows" else f"dz_{labels}"
        return self.views.of(self.rows.dz, [id(slot) for slot in slots], wanted, form)

    # Neighbouring slots with one source

    def _neighbours(self) -> dict[int, list[Node]]:
        """The id of a slot to its neighbours that receive from the same vertex alone."""
        groups: dict[int, list[Node]] = {}
        stretch: list[Node] = []
        for slot in [*self.arranged.slots, None]:
            joins = (
                slot is not None
                and self._is_simple(slot)
                and (not stretch or self._follows(stretch[-1], slot))
            )
            if not joins or slot is None:
                if len(stretch) > 1:
                    groups |= {id(member): list(stretch) for member in stretch}
                stretch = [slot] if slot is not None and self._is_simple(slot) else []
            else:
                stretch.append(slot)
        return groups

    def _is_simple(self, slot: Node) -> bool:
        """Whether all that a slot receives is one vertex's cotangent times one local partial."""
        edges = self.derivatives.into.get(id(slot), [])
        if len(edges) != 1 or self._consumers_of(slot) or len(slot.shape) != 1:
            return False
        return self._local_key(edges[0][1]) is not None

    def _consumers_of(self, vertex: Node) -> list[Node]:
        """What hands a cotangent to a vertex otherwise than entry by entry."""
        return [
            node
            for node in self._consumers.get(id(vertex), [])
            if node.kind in SHAPED or any(o is vertex for o in self._multiplied(node))
        ]

    def _multiplied(self, node: Node) -> list[Node]:
        products = self.arranged.products.values() if node.kind == "slot" else []
        return [p.operand for made in products for p in made if any(s is node for s in p.slots)]

    def _local_key(self, partial: Partial) -> object | None:
        node = partial.node
        return id(node) if node is not None and id(node) in self.arrays.local.at else None

    def _follows(self, one: Node, other: Node) -> bool:
        (a,), (b,) = (self.derivatives.into[id(slot)] for slot in (one, other))
        at = self.arrays.local.at
        adjacent = at[self._local_key(b[1])] == at[self._local_key(a[1])] + 1
        return a[0] is b[0] and one.shape == other.shape and adjacent

    def _pull_group(self, group: Sequence[Node]) -> None:
        """All of them at once."""
        edges = [self.derivatives.into[id(slot)][0] for slot in group]
        source, keys = edges[0][0], [self._local_key(partial) for _, partial in edges]
        labels = "_".join(self.labels[id(slot)] for slot in group)
        partials = self.views.of(
            self.arrays.local, keys, f"{self.labels[id(source)]}_by_{labels}", "entries"
        )
        target = self._dz(group, "entries")
        of = self._of(source)
        self.line(f"np.multiply({of}[..., None, :, :], {partials}, out={target})")
        for slot in group:
            self.done.add(id(slot))
            self.cotangent[id(slot)] = ""

    # Pieces of a cotangent

    def _of(self, vertex: Node) -> str | None:
        """The name of the cotangent of a vertex; None of one that nothing reaches."""
        found = self.cotangent.get(id(vertex))
        if found == "":
            found = self.cotangent[id(vertex)] = self._dz((vertex,))
        return found

    def _products(self, vertex: Node) -> Iterator[Piece]:
        """What matrices bring back: W^T dz."""
        for product in self.arranged.products.get(id(vertex), []):
            if not any(id(slot) in self.cotangent for slot in product.slots):
                continue
            for slot in product.slots:
                if id(slot) not in self.cotangent:
                    self.cotangent[id(slot)] = self._dz((slot,))
                    self.line(f"{self.cotangent[id(slot)]}[...] = 0")
            yield self._transposed(product)

    def _transposed(self, product: Product) -> Piece:
        name = f"w.{self.arrays.products[id(product)]}_T"
        if len(product.operand.shape) == 2:
            dz = self._dz(product.slots, "merged")
            a, b = (code(size) for size in product.operand.shape)
            return Piece(f"w.product({name}, {dz}).reshape(*{dz}.shape[:-2], {a}, {b}, -1)")
        dz = self._dz(product.slots)
        return Piece(f"w.product({name}, {dz})", f"w.product({name}, {dz}, out={{}})")

    def _edges(self, vertex: Node) -> Iterator[Piece]:
        """What comes entry by entry."""
        for source, partial in self.derivatives.into.get(id(vertex), []):
            of = self._of(source)
            if of is None:
                continue
            key = self._local_key(partial)
            if key is not None:
                name = self.arrays.local.entries[self.arrays.local.at[key]].name
                value = self.views.of(self.arrays.local, [key], name)
                yield Piece(f"{of} * {value}", f"np.multiply({of}, {value}, out={{}})")
            elif partial.node is not None:
                value = self.value(partial.node)
                scaled = "" if abs(partial.factor) == 1 else f"{abs(partial.factor)!r} * "
                sign = "+" if partial.factor > 0 else "-"
                is_plain = partial.factor == 1 and len(source.shape) == len(vertex.shape)
                call = f"np.multiply({of}, {value}, out={{}})" if is_plain else None
                yield Piece(f"{scaled}{of} * {value}", call, sign=sign)
            else:
                yield _scaled(of, partial.factor)

    def _shaped(self, vertex: Node) -> Iterator[Piece]:
        """What comes from operations that are not entry by entry."""
        for node in self._consumers.get(id(vertex), []):
            back = SHAPED.get(node.kind)
            dy = self._of(node) if back is not None else None
            if back is not None and dy is not None:
                for number, arg in enumerate(node.args):
                    if arg is vertex:
                        yield from back(self, node, number, dy)

    def inverse(self, node: Node) -> str:
        """What `normalise` multiplied with."""
        return self.views.of(self.arrays.local, [(id(node), "inverse")], "inverse")

    def local(self, node: Node) -> str:
        """The value of an argument, kept next to the partials."""
        if node.kind == "fixed":
            return self.value(node)
        return self.views.of(self.arrays.local, [id(node)], self.labels.get(id(node), "v"))


def _scaled(of: str, factor: float) -> Piece:
    sign = "+" if factor > 0 else "-"
    if abs(factor) == 1:
        return Piece(of, sign=sign, is_name=True)
    return Piece(f"{abs(factor)!r} * {of}", sign=sign)


def _key(node: Node) -> object:
    if node.kind == "slot":
        return id(node)
    return "x" if node.kind == "x" else node.payload if node.kind == "previous" else None


def reads_new(node: Node) -> bool:
    """Whether a node is made of the new state, as only the output can be."""
    waiting, seen = [node], set()
    while waiting:
        at = waiting.pop()
        if at.kind == "after":
            return True
        if id(at) not in seen:
            seen.add(id(at))
            waiting += at.args
    return False
