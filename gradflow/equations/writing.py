"""Writes nodes as NumPy: expressions, and statements that put a value where it belongs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.graph import Node, in_order
from gradflow.equations.layout import Names
from gradflow.equations.sizes import Size

_PLACED = frozenset(("slot", "previous", "x", "after", "rest", "slope", "mask"))
_DEEPEST = 60  # values that an expression may be nested in

_SLOPES = {name: f"{name}_slope" for name in FUNCTIONS}


@dataclass
class Writer:
    """The statements of one function. `held` has the names of values that are at hand, by the id
    of their node; `exponentials` those of e^-z by the id of sigmoid(z); `prepared` are the ids of
    what another function computes."""

    names: Names
    lines: list[str] = field(default_factory=list)
    held: dict[int, str] = field(default_factory=dict)
    exponentials: dict[int, str] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    labels: dict[int, str] = field(default_factory=dict)
    prepared: Set[int] = frozenset()
    weight: Callable[[Node], str] = lambda node: "k"  # of a fixed node, its name in w

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append(text)

    def count(self, roots: Iterable[Node]) -> None:
        """Count how often each value is used on the way to these, so that one used more than once
        is computed once."""
        waiting = [(root, True) for root in roots]
        while waiting:
            node, is_root = waiting.pop()
            self.uses[id(node)] += 1
            if self.uses[id(node)] == 1 and (is_root or id(node) not in self.held):
                waiting += [(arg, False) for arg in needed(node)]

    def shorten(self, roots: Iterable[Node]) -> None:
        """Compute some of the values on a long way to the roots beforehand: no expression is then
        nested deeply, however many equations hang on each other."""
        depth: dict[int, int] = {}
        for node in in_order(roots):
            if id(node) in self.prepared:
                depth[id(node)] = 0
                continue
            own = 1 + max((depth[id(arg)] for arg in node.args), default=0)
            if own > _DEEPEST and not node.static and node.kind not in _PLACED:
                self.uses[id(node)] += 2
                self.value(node)
                own = 0
            depth[id(node)] = own

    # Expressions

    def value(self, node: Node) -> str:
        """An expression of a value: a name, a number, or arithmetic in brackets."""
        if node.kind == "number":
            return _number(node.payload)
        if id(node) in self.held:
            return self.held[id(node)]
        if self.is_stored(node):
            return self.store(node)
        if node.kind == "fixed":
            return f"w.{self.weight(node)}"
        if self.uses[id(node)] > 1 and node.kind not in ("spread", "slice", "turn"):
            written = self.written(node)
            if written.isidentifier():
                self.held[id(node)] = written
                return written
            name = self.names.new(self.labels.get(id(node), "v"))
            self.line(f"{name} = {written[1:-1] if _bracketed(written) else written}")
            self.held[id(node)] = name
            return name
        return self.written(node)

    def is_stored(self, node: Node) -> bool:
        """Whether a value is kept in an array; see `store`."""
        return False

    def store(self, node: Node) -> str:
        """Compute a value that is kept in an array; the name of that array."""
        raise NotImplementedError

    def written(self, node: Node) -> str:
        """A value as an expression of its arguments."""
        kind = node.kind
        if kind == "sum":
            return self._written_sum(node)
        if kind in ("mul", "div"):
            sign = " * " if kind == "mul" else " / "
            return f"({sign.join(self.value(arg) for arg in node.args)})"
        if kind == "blend":
            u, a, b, rest = (self.value(arg) for arg in node.args)
            return f"({u} * {b} + {rest} * {a})"
        if kind == "power":
            base = self.value(node.args[0])
            if node.payload == 2:
                return f"np.square({base})"
            base = f"finite({bare(base)})" if abs(node.payload) < 1 else base
            return f"({base} ** {_number(node.payload)})"
        if kind in _SHAPING:
            return _SHAPING[kind](self.value(node.args[0]), node)
        if kind == "outer":
            a, b = (self.value(arg) for arg in node.args)
            return f"({a}[..., :, None, :] * {b}[..., None, :, :])"
        return self._made(node)

    def _written_sum(self, node: Node) -> str:
        (signs, constant), text = node.payload, ""
        for sign, term in zip(signs, node.args, strict=True):
            value = self.value(term)
            scaled = value if abs(sign) == 1 else f"{_number(abs(sign))} * {value}"
            if not text:
                text = scaled if sign > 0 else f"-{scaled}"
            else:
                text += f" {'+' if sign > 0 else '-'} {scaled}"
        if constant:
            if signs == (-1.0,):
                return f"({_number(constant)} - {text[1:]})"
            text += f" {'+' if constant > 0 else '-'} {_number(abs(constant))}"
        return f"({text})"

    def _made(self, node: Node) -> str:
        """A value that no expression gives, in its own array."""
        if node.kind == "function":
            (z,), function = node.args, FUNCTIONS[node.payload]
            if function.ufunc:
                return f"np.{function.ufunc}({bare(self.value(z))})"
            return f"fresh({node.payload!r}, {bare(self.value(z))})"
        if node.kind in ("max", "min"):
            known = {id(arg): self.value(arg) for arg in node.args}
            like = node.args[1] if node.args[0].static else node.args[0]
            return self._in_own_array(node, known[id(like)], known)
        if node.kind == "total":
            return self._total(node)
        if node.kind == "matmul":
            return self._matmul(*node.args)
        if node.kind == "rest" or node.payload == "sigmoid":
            return self._in_own_array(node, bare(self.exponential(node.args[0])), {})
        like = next(arg for arg in needed(node) if not arg.static)
        text = self.value(like)
        return self._in_own_array(node, bare(text), {id(like): text})

    def _in_own_array(self, node: Node, like: str, known: Mapping[int, str]) -> str:
        """A value in a new array shaped as `like`. Arguments that are `known` as text already are
        not written again: each would write its own arguments twice, and so on."""
        name = self.names.new(node.kind)
        self.line(f"{name} = np.empty_like({like})")
        fresh = {of: text for of, text in known.items() if of not in self.held}
        self.held |= fresh
        self.into(node, name)
        for of in fresh:
            del self.held[of]
        return name

    def _total(self, node: Node) -> str:
        value = self.value(node.args[0])
        if len(node.args[0].shape) == 2:
            return f"{value}.sum(axis=(-3, -2))[..., None, :]"
        return f"{value}.sum(axis=-2, keepdims=True)"

    def _matmul(self, a: Node, b: Node) -> str:
        A, v = self.value(a), self.value(b)
        if len(b.shape) == 1:
            return f"({A} * {v}[..., None, :, :]).sum(axis=-2)"
        return f"({A}[..., :, :, None, :] * {v}[..., None, :, :, :]).sum(axis=-3)"

    # Statements

    def into(self, node: Node, target: str) -> None:
        """Put a value into an array."""
        kind = node.kind
        if id(node) in self.held or kind in ("number", "fixed"):
            self.line(f"{target}[...] = {self.value(node)}")
        elif kind == "sum":
            self._sum_into(node, target)
        elif kind == "mul":
            self._product_into(node, target)
        elif kind == "div":
            a, b = (bare(self.value(arg)) for arg in node.args)
            self.line(f"np.divide({a}, {b}, out={target})")
        elif kind == "blend":
            u, a, b, rest = (self.value(arg) for arg in node.args)
            self.line(f"np.multiply({u}, {b}, out={target})")
            self.line(f"{target} += {rest} * {a}")
        elif kind == "function":
            self._function_into(node, target)
        elif kind == "rest":
            self.line(f"rest_from({self.exponential(node.args[0])}, out={target})")
        elif kind == "slope":
            self._slope_into(node, target)
        elif kind in ("max", "min"):
            a, b = (bare(self.value(arg)) for arg in node.args)
            a, b = (b, a) if node.args[0].is_number else (a, b)
            self.line(f"{'larger' if kind == 'max' else 'smaller'}({a}, {b}, out={target})")
        elif kind == "mask":
            a, b = (bare(self.value(arg)) for arg in node.args)
            self.line(f'np.{_MASKS[node.payload]}({a}, {b}, out={target}, casting="unsafe")')
        else:
            self.line(f"{target}[...] = {bare(self.written(node))}")

    def exponential(self, z: Node) -> str:
        """The name of e^-z, which sigmoid(z) left."""
        raise NotImplementedError

    def add(self, node: Node, target: str, sign: float) -> None:
        """Add sign x a value to an array."""
        value = self.value(node)
        value = bare(value) if abs(sign) == 1 else f"{_number(abs(sign))} * {value}"
        self.line(f"{target} {'+' if sign > 0 else '-'}= {value}")

    def _sum_into(self, node: Node, target: str) -> None:
        signs, constant = node.payload
        terms = list(zip(signs, node.args, strict=True))
        first = next((k for k, sign in enumerate(signs) if sign == 1), 0)
        terms.insert(0, terms.pop(first))
        (sign, term), *others = terms
        if sign == -1 and constant:
            self.line(f"np.subtract({_number(constant)}, {bare(self.value(term))}, out={target})")
            constant = 0
        elif sign != 1:
            self.line(f"np.multiply({bare(self.value(term))}, {_number(sign)}, out={target})")
        elif others and abs(others[0][0]) == 1 and self._is_simple(term):
            its_sign, other = others.pop(0)
            name = "add" if its_sign > 0 else "subtract"
            a, b = bare(self.value(term)), bare(self.value(other))
            self.line(f"np.{name}({a}, {b}, out={target})")
        else:
            self._put(term, target)
        for its_sign, other in others:
            self.add(other, target, its_sign)
        if constant:
            self.line(f"{target} += {_number(constant)}")

    def _is_at_hand(self, node: Node) -> bool:
        return id(node) in self.held or self.is_stored(node)

    def _is_simple(self, node: Node) -> bool:
        return self._is_at_hand(node) or node.kind in ("fixed", "spread", "slice")

    def _put(self, node: Node, target: str) -> None:
        """`into`, but a value that is used elsewhere too is computed once."""
        if (not self._is_at_hand(node) and self.uses[id(node)] > 1) or self.is_stored(node):
            self.value(node)
        self.into(node, target)

    def _product_into(self, node: Node, target: str) -> None:
        """The factor that needs room is computed in place, the others are multiplied to it."""
        factors = list(self._factors(node))
        spacious = [f for f in factors if f.kind in _SPACIOUS and not self._is_at_hand(f)]
        spacious.sort(key=lambda f: _SPACIOUS.index(f.kind))
        if spacious:
            factors.remove(spacious[0])  # once: it may be there twice
            self._put(spacious[0], target)
        else:
            a, b, *factors = factors
            self.line(f"np.multiply({bare(self.value(a))}, {bare(self.value(b))}, out={target})")
        for factor in factors:
            self.line(f"{target} *= {bare(self.value(factor))}")

    def _factors(self, node: Node, whole: bool = True) -> Iterator[Node]:
        if node.kind == "mul" and id(node) not in self.held and (whole or self.uses[id(node)] < 2):
            for arg in node.args:
                yield from self._factors(arg, whole=False)
        else:
            yield node

    def _function_into(self, node: Node, target: str) -> None:
        (z,), function = node.args, FUNCTIONS[node.payload]
        argument = bare(self.value(z))
        if node.payload == "sigmoid":
            e = self.exponentials.get(id(node), target)
            self.line(f"sigmoid({argument}, e={e}, out={target})")
        elif function.ufunc:
            self.line(f"np.{function.ufunc}({argument}, out={target})")
        else:
            self.line(f"{node.payload}({argument}, out={target})")

    def _slope_into(self, node: Node, target: str) -> None:
        name = node.payload
        if name == "sigmoid":
            self.line(f"sigmoid_slope_from({self.exponential(node.args[0])}, out={target})")
            return
        needs = FUNCTIONS[name].needs
        z = bare(self.value(node.args["z" not in needs]))
        h = bare(self.value(node.args["h" in needs]))
        self.line(f"{_SLOPES[name]}({z}, {h}, out={target})")


def needed(node: Node) -> list[Node]:
    """The arguments that the value of a node is computed from."""
    if node.kind == "slope" and node.payload != "sigmoid":
        needs = FUNCTIONS[node.payload].needs
        return [arg for arg, letter in zip(node.args, "zh", strict=True) if letter in needs]
    return [] if node.kind == "fixed" else list(node.args)


def runtime() -> dict[str, object]:
    """What the code finds under its names."""
    values = {name: function.value for name, function in FUNCTIONS.items()}
    slopes = {_SLOPES[name]: function.slope for name, function in FUNCTIONS.items()}
    return {**values, **slopes}


_SPACIOUS = ("slope", "rest", "mask", "function", "max", "min", "blend", "div", "sum")
_MASKS = {
    "max": "greater_equal",
    "not max": "less",
    "min": "less_equal",
    "not min": "greater",
}


def _number(value: float) -> str:
    text = repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
    return f"({text})" if text.startswith("-") else text


def _bracketed(text: str) -> bool:
    """Whether the first bracket of a text closes at its end."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def bare(text: str) -> str:
    """An expression without brackets around the whole of it."""
    return text[1:-1] if _bracketed(text) else text


def size(of: Size) -> str:
    """A size as code."""
    return str(of).replace(" ", "") if of.h or of.i else str(of.n)


def _spread(value: str, node: Node) -> str:
    return f"{value}[..., None, :]" if len(node.shape) == 2 and node.args[0].shape else value


def _sliced(value: str, node: Node) -> str:
    start, stop = node.payload
    return f"{value}[..., {size(start)}:{size(stop)}, :{', :' * (len(node.shape) == 2)}]"


def _turned(value: str, node: Node) -> str:
    return f"{value}.swapaxes(-3, -2)"


_SHAPING = {"spread": _spread, "slice": _sliced, "turn": _turned}
