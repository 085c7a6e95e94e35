"""The first pass: text to trees, each with its position in the text. Nothing of it is ever run.

The syntax is that of Python's expressions, as far as equations need it:

    statement    name = expression  |  name[t] = expression
    expression   sum [if name == value else expression]
    sum          term {(+ | -) term}
    term         signed {(* | / | @) signed}
    signed       (+ | -) signed  |  power
    power        primary [** signed]
    primary      (number | name | call | (expression)) {.T | [t] | [t-1] | [from:to]}
    call         name(expression, ..., name=expression)

Every character is read once. How deep expressions are nested is counted, and bounded.

Python's own parser would read the same, but stops at its first error, in words that are of Python:
here every statement is read, and says what was expected where.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from gradflow.equations.mistakes import At, Mistakes

MOST_CHARACTERS = 40_000
MOST_STATEMENTS = 400
MOST_DEPTH = 60
"""Of expressions nested in each other; a sum of many terms is one level."""

Value: TypeAlias = "float | str | tuple[float, ...] | None"


class Tree(NamedTuple):
    """An expression.

    kind      value             arguments
    number    float
    text      str
    name      str
    time      `t` or `t-1`      what is indexed
    slice                       what is cut, from, to (None in the text is the kind `nothing`)
    turn                        what is transposed
    sum       signs             terms
    * / @ **                    left, right
    call      function          arguments, then `keyword` trees (value: name)
    choose    `==` or `!=`      name, value, then, else
    """

    kind: str
    value: Value
    args: tuple[Tree, ...]
    at: At
    depth: int = 1


class Statement(NamedTuple):
    """`name = tree`, or, where `is_part`, `name[t] = tree`."""

    name: str
    is_part: bool
    tree: Tree
    at: At


class Token(NamedTuple):
    """A piece of a text: `number`, `name`, `text`, `end` of a statement, or the sign it is."""

    kind: str
    text: str
    at: At


_TOKEN = re.compile(
    r"(?P<space>[ \t]+|\#.*)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<sign>\*\*|==|!=|[-+*/@()\[\],:=.])",
    re.ASCII,
)
_OPEN, _CLOSE = {"(": ")", "[": "]"}, {")", "]"}


class _WrongError(Exception):
    """The statement at hand cannot be read on."""

    def __init__(self, at: At, message: str) -> None:
        self.at, self.message = at, message


def statements(text: str, mistakes: Mistakes, where: str = "step") -> list[Statement]:
    """The statements of a text, in order; what cannot be read is noted and left out."""
    found: list[Statement] = []
    for tokens in _by_statement(text, mistakes, where):
        if len(found) == MOST_STATEMENTS:
            message = f"there are more than {MOST_STATEMENTS} equations"
            mistakes.add(where, tokens[0].at, message)
            break
        try:
            found.append(_Reader(tokens).statement())
        except _WrongError as wrong:
            mistakes.add(where, wrong.at, wrong.message)
    return found


def expression(text: str, mistakes: Mistakes, where: str) -> Tree | None:
    """The only expression of a text, or None where it cannot be read."""
    rows = _by_statement(text, mistakes, where)
    tokens = next(rows, None)
    if tokens is None:
        if not mistakes.found:
            mistakes.add(where, At(1, 1), "expected an expression, found nothing")
        return None
    try:
        tree = _Reader(tokens).whole()
    except _WrongError as wrong:
        mistakes.add(where, wrong.at, wrong.message)
        return None
    more = next(rows, None)
    if more is not None:
        mistakes.add(where, more[0].at, "expected the end: this is one expression")
    return tree


def _by_statement(text: str, mistakes: Mistakes, where: str) -> Iterator[list[Token]]:
    """The tokens of each statement: a line, or several while a bracket is open."""
    if len(text) > MOST_CHARACTERS:
        message = f"the text has {len(text):,} characters, more than {MOST_CHARACTERS:,}"
        mistakes.add(where, At(1, 1), message)
        return
    tokens: list[Token] = []
    depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        column, unreadable = 0, False
        while column < len(line):
            found = _TOKEN.match(line, column)
            if found is None:
                at = At(number, column + 1)
                mistakes.add(where, at, f"{line[column]!r} has no place in an equation")
                unreadable = True
                break
            kind, piece = str(found.lastgroup), found[0]
            if kind != "space":
                at = At(number, column + 1, len(piece))
                tokens.append(Token(piece if kind == "sign" else kind, piece, at))
                depth += (piece in _OPEN) - (piece in _CLOSE) if kind == "sign" else 0
            column = found.end()
        if unreadable:
            tokens, depth = [], 0
        elif depth <= 0 and tokens:
            yield [*tokens, Token("end", "", At(number, len(line) + 1))]
            tokens, depth = [], 0
    if tokens:
        opening = _unclosed(tokens)
        mistakes.add(where, opening.at, f"'{opening.text}' is never closed")


def _unclosed(tokens: list[Token]) -> Token:
    opened = []
    for token in tokens:
        if token.kind in _OPEN:
            opened.append(token)
        elif token.kind in _CLOSE and opened:
            opened.pop()
    return opened[-1]


class _Reader:
    """Reads one statement, a method for each rule of the syntax."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.position, self.nesting = tokens, 0, 0

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self, *kinds: str) -> Token | None:
        """The token here, if it is one of these."""
        token = self.here
        if token.kind not in kinds:
            return None
        self.position += 1
        return token

    def expect(self, kind: str, wanted: str) -> Token:
        """The token here, which has to be this."""
        token = self.take(kind)
        if token is None:
            raise self.wrong(wanted)
        return token

    def wrong(self, wanted: str) -> _WrongError:
        """What is here instead of what was `wanted`."""
        found = f"'{self.here.text}'" if self.here.text else "the end of the line"
        return _WrongError(self.here.at, f"expected {wanted}, found {found}")

    def statement(self) -> Statement:
        name = self.expect("name", "a name and '='")
        is_part = self.take("[") is not None
        if is_part:
            time = self.time()
            if time.text != "t":
                message = f"only the new state is assigned: {name.text}[t] = ..."
                raise _WrongError(time.at, message)
        self.expect("=", "'='")
        return Statement(name.text, is_part, self.whole(), name.at)

    def whole(self) -> Tree:
        tree = self.expression()
        self.expect("end", "an operator or the end of the line")
        return tree

    def expression(self) -> Tree:
        then = self.sum()
        condition = self.take("name") if self.here.text == "if" else None
        if condition is None:
            return then
        option = self.expect("name", "the name of an option")
        sign = self.take("==", "!=")
        if sign is None:
            raise self.wrong("'==' or '!='")
        value = self.take("text", "number", "name")
        if value is None:
            raise self.wrong("a value of the option, such as 'after'")
        if self.here.text != "else":
            raise self.wrong("'else' and what holds otherwise")
        self.position += 1
        other = self.nested(self.expression, condition)
        operands = (
            Tree("name", option.text, (), option.at),
            Tree("text", value.text.strip("'\""), (), value.at),
        )
        return _tree("choose", sign.text, (*operands, then, other), condition.at)

    def sum(self) -> Tree:
        terms, signs = [self.term()], [1.0]
        while sign := self.take("+", "-"):
            signs.append(1.0 if sign.text == "+" else -1.0)
            terms.append(self.term())
        return _tree("sum", tuple(signs), tuple(terms), terms[0].at) if signs[1:] else terms[0]

    def term(self) -> Tree:
        tree = self.signed()
        while sign := self.take("*", "/", "@"):
            tree = _tree(sign.text, None, (tree, self.signed()), sign.at)
        return tree

    def signed(self) -> Tree:
        if sign := self.take("+", "-"):
            tree = self.nested(self.signed, sign)
            return _tree("sum", (-1.0 if sign.text == "-" else 1.0,), (tree,), sign.at)
        base = self.primary()
        if sign := self.take("**"):
            return _tree("**", None, (base, self.nested(self.signed, sign)), sign.at)
        return base

    def primary(self) -> Tree:
        tree = self.atom()
        while mark := self.take(".", "["):
            if mark.text == ".":
                letter = self.expect("name", "'T' after the point")
                if letter.text != "T":
                    raise _WrongError(letter.at, f"expected '.T', found '.{letter.text}'")
                tree = _tree("turn", None, (tree,), letter.at)
            elif self.here.text == "t":
                tree = _tree("time", self.time().text, (tree,), tree.at)
            else:
                tree = self.slice(tree, mark)
        return tree

    def time(self) -> Token:
        """`t]` or `t-1]`; the token of the time, `t` or `t-1`."""
        letter = self.take("name")
        if letter is None or letter.text != "t":
            self.position -= letter is not None
            raise self.wrong("'t' or 't-1'")
        if self.take("]"):
            return letter
        sign, steps = self.take("-", "+"), self.take("number")
        if sign is None or steps is None:
            raise self.wrong("'t' or 't-1'")
        at = At(letter.at.line, letter.at.column, steps.at.column + 1 - letter.at.column)
        if sign.text == "+":
            raise _WrongError(at, "a step knows no later one: expected 't' or 't-1'")
        if steps.text != "1":
            message = (
                f"a step knows only the one before it, 't-1': keep what is older in its own "
                f"part of the state (old[t] = h[t-1], then old[t-1] is h[t-{steps.text}])"
            )
            raise _WrongError(at, message)
        self.expect("]", "']'")
        return Token("time", "t-1", at)

    def slice(self, tree: Tree, mark: Token) -> Tree:
        bounds = []
        for last, wanted in ((":", "':' of a slice such as [0:8]"), ("]", "']'")):
            if self.here.kind == last:
                bounds.append(Tree("nothing", None, (), self.here.at))
            else:
                bounds.append(self.nested(self.sum, mark))
            self.expect(last, wanted)
        return _tree("slice", None, (tree, *bounds), mark.at)

    def atom(self) -> Tree:
        if number := self.take("number"):
            return Tree("number", _float(number.text), (), number.at)
        if opening := self.take("("):
            tree = self.nested(self.expression, opening)
            self.expect(")", "')'")
            return tree
        name = self.take("name")
        if name is None or name.text in ("if", "else"):
            self.position -= name is not None
            raise self.wrong("a number, a name or '('")
        if self.take("(") is None:
            return Tree("name", name.text, (), name.at)
        return _tree("call", name.text, tuple(self.arguments(name)), name.at)

    def arguments(self, name: Token) -> Iterator[Tree]:
        while self.take(")") is None:
            ahead = self.tokens[self.position + 1] if self.here.kind == "name" else self.here
            if ahead.kind == "=":
                keyword = self.expect("name", "a name")
                self.position += 1
                value = self.nested(self.expression, name)
                yield _tree("keyword", keyword.text, (value,), keyword.at)
            else:
                yield self.nested(self.expression, name)
            if self.take(",") is None and self.here.kind != ")":
                raise self.wrong("',' or ')'")

    def nested(self, rule: object, at: Token) -> Tree:
        """What a rule finds, one level deeper."""
        self.nesting += 1
        if self.nesting > MOST_DEPTH:
            raise _WrongError(at.at, _TOO_DEEP)
        tree: Tree = rule()  # type: ignore[operator]
        self.nesting -= 1
        return tree


_TOO_DEEP = f"this is nested more than {MOST_DEPTH} deep: give the inner part its own name"


def _tree(kind: str, value: Value, args: tuple[Tree, ...], at: At) -> Tree:
    depth = 1 + max((arg.depth for arg in args), default=0)
    if depth > 2 * MOST_DEPTH:
        raise _WrongError(at, _TOO_DEEP)
    return Tree(kind, value, args, at, depth)


def _float(text: str) -> float:
    """A number; an infinity too where it is so small that a float has 0 for it."""
    value = float(text)
    is_some = re.match(r"[0.]*[1-9]", text)
    return math.inf if value == 0 and is_some else value
