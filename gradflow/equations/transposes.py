"""The transposes of operations that are not entry by entry: from dy, the cotangent of a node, to a
piece of that of its argument `number`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from gradflow.equations.graph import Node
from gradflow.equations.sizes import ZERO, Size


class Values(Protocol):
    """What knows the names of the values that a transpose needs."""

    def local(self, node: Node) -> str:
        """The value of an argument, kept next to the partials."""

    def inverse(self, node: Node) -> str:
        """What `normalise` multiplied with."""


class Piece(NamedTuple):
    """A part of a cotangent: an expression, or a call that puts it into an array; the rows it is
    for, if not all, as code and `of` sizes; its sign."""

    text: str
    call: str | None = None
    rows: str = ""
    of: tuple[Size, Size] | None = None
    sign: str = "+"
    is_name: bool = False

    @property
    def signed(self) -> str:
        """The expression with its sign."""
        return self.text if self.sign == "+" else f"-({self.text})"

    def into(self, target: str) -> str:
        """The statement that puts it into an array."""
        if self.rows:
            return f"{target}[...] = 0\n{target}{self.rows} {self.sign}= {self.text}"
        if self.call is not None:
            return self.call.format(target)
        return f"{target}[...] = {self.signed}"


def covers(pieces: Sequence[Piece], node: Node) -> bool:
    """Whether pieces have their own rows each, and for every row of a node."""
    behind = {piece.of[0]: piece.of[1] for piece in pieces if piece.of is not None}
    at, count = ZERO, 0
    while at in behind and at != node.shape[0]:
        at, count = behind[at], count + 1
    return count == len(pieces) and at == node.shape[0]


def whole(of: str, node: Node, axes: int) -> str:
    """The shape of a node's values, from an array `of` such whose last `axes` are its own."""
    sizes = ", ".join(code(size) for size in node.shape)
    return f"(*{of}.shape[:-{axes}], {sizes}, {of}.shape[-1])"


def code(size: object) -> str:
    """A size as code."""
    return str(size).replace(" ", "")


def _spread_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    if len(node.shape) == 2:
        yield Piece(f"{dy}.sum(axis=(-3, -2))[..., None, :]")
    else:
        yield Piece(f"{dy}.sum(axis=-2, keepdims=True)")


def _slice_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    start, stop = (code(size) for size in node.payload)
    rows = f"[..., {start}:{stop}, :{', :' * (len(node.shape) == 2)}]"
    yield Piece(dy, rows=rows, of=node.payload)


def _turn_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    yield Piece(f"{dy}.swapaxes(-3, -2)", is_name=True)


def _total_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    (of,) = node.args
    broad = f"{dy}[..., None, :]" if len(of.shape) == 2 else dy
    yield Piece(f"np.broadcast_to({broad}, {whole(dy, of, 2)})", is_name=True)


def _norm_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    inverse = writer.inverse(node)
    call = f"normalise_back({dy}, {writer.local(node)}, {inverse}"
    yield Piece(f"{call})", f"{call}, out={{}})")


def _outer_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    other = writer.local(node.args[1 - number])
    if number == 0:
        yield Piece(f"({dy} * {other}[..., None, :, :]).sum(axis=-2)")
    else:
        yield Piece(f"({dy} * {other}[..., :, None, :]).sum(axis=-3)")


def _matmul_back(writer: Values, node: Node, number: int, dy: str) -> Iterator[Piece]:
    _, b = node.args
    other = writer.local(node.args[1 - number])
    if len(b.shape) == 1:
        if number == 0:
            yield Piece(f"{dy}[..., :, None, :] * {other}[..., None, :, :]")
        else:
            yield Piece(f"({other} * {dy}[..., :, None, :]).sum(axis=-3)")
    elif number == 0:
        yield Piece(f"({dy}[..., :, None, :, :] * {other}[..., None, :, :, :]).sum(axis=-2)")
    else:
        yield Piece(f"({other}[..., :, :, None, :] * {dy}[..., :, None, :, :]).sum(axis=-4)")


Back = Callable[[Values, Node, int, str], Iterator[Piece]]

SHAPED: dict[str, Back] = {
    "spread": _spread_back,
    "slice": _slice_back,
    "turn": _turn_back,
    "total": _total_back,
    "norm": _norm_back,
    "outer": _outer_back,
    "matmul": _matmul_back,
}


def values_needed(node: Node) -> list[Node]:
    """The values that the transpose of an operation needs."""
    if node.kind in ("outer", "matmul"):
        return [arg for arg in node.args if arg.kind != "fixed"]
    if node.kind == "norm":
        return [node]
    return []
