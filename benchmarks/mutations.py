"""Small faults that could be in a source: its syntax tree with one node changed.

A mutation replaces the text of one node and leaves every other character where it is. What no test
can see is not changed: annotations, docstrings, texts, decorators, assertions, what only a type
checker reads.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_NOTHING = ("return", "return None", "return False")


@dataclass(frozen=True)
class Mutation:
    """One change of one file.

    Attributes:
        file: the path from the root of the tree.
        line: where the changed node begins, from 1.
        last: the line that it ends in.
        span: its bytes in the file, begin and end.
        context: the line's text, stripped, which finds it again where lines above have changed.
        before, after: the node's text, and what takes its place.
        number: how many of the same context and change come before it in the file.
    """

    file: str
    line: int
    last: int
    span: tuple[int, int]
    context: str
    before: str
    after: str
    number: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What an explanation names."""
        return self.file, self.context, self.before, self.after

    def rank(self, seed: int) -> bytes:
        """Its place in the order that a seed draws, whatever the rest of the tree is."""
        return hashlib.sha256(repr((seed, *self.key, self.number)).encode()).digest()

    def applied(self, source: bytes) -> bytes:
        """The file with the change."""
        begin, end = self.span
        return source[:begin] + self.after.encode() + source[end:]


def mutations(file: str, source: bytes) -> list[Mutation]:
    """Every mutation of a file, in order."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: list[Mutation] = []
    seen: dict[tuple[str, ...], int] = {}
    for node, changed in _changes(ast.parse(source)):
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        after = ast.unparse(ast.fix_missing_locations(changed))
        after = after if isinstance(node, ast.stmt) else f"({after})"
        context = lines[node.lineno - 1].decode().strip()
        before = source[begin:end].decode()
        key = (context, before, after)
        seen[key] = seen.get(key, -1) + 1
        found.append(
            Mutation(file, node.lineno, node.end_lineno, (begin, end), *key, number=seen[key])
        )
    return found


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(a node, what takes its place)."""
    for node in _seen_by_tests(tree):
        yield from ((node, changed) for changed in _changed(node))


def _seen_by_tests(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without those that no test can see."""
    skipped: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [one for one in (arguments.vararg, arguments.kwarg) if one]
        skipped = [node.returns, *node.decorator_list, *every]
    elif isinstance(node, ast.ClassDef):
        skipped = [*node.decorator_list]
    elif isinstance(node, ast.AnnAssign):
        skipped = [node.annotation]
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        if child in skipped or isinstance(child, ast.JoinedStr | ast.Assert) or _is_strict(child):
            continue
        if _is_cast(child):  # its first argument is a type
            assert isinstance(child, ast.Call)
            yield from _seen_by_tests(child.args[1])
            continue
        yield child
        yield from _seen_by_tests(child)


def _is_strict(node: ast.AST) -> bool:
    """`zip(..., strict=True)`, an assertion."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _is_cast(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "cast"


def _is_type(node: ast.BinOp) -> bool:
    """`X | None`, where a type is given a name."""
    return isinstance(node.right, ast.Constant) and node.right.value is None


def _changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may take the place of a node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        other = _COMPARISONS[type(node.ops[0])]()
        yield ast.Compare(node.left, [other, *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not _is_type(node):
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other_op, node.values)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
    elif isinstance(node, ast.Continue | ast.Break):
        yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and ast.unparse(node) not in _NOTHING:
        yield ast.Return(ast.Constant(None))


def _other_constants(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, float):
        yield ast.Constant(2 * value if value else 1.0)
