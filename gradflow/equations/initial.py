"""Initial values: `init` expressions over draws, sizes, options and parameters above."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np

from gradflow.counts import many
from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.mistakes import At, Mistakes, nearest
from gradflow.equations.parse import Tree, expression
from gradflow.equations.sizes import Shape, spelled
from gradflow.numerics.arrays import Array

NAMES = ("ones", "zeros", "gaussian", "orthogonal", "identity", "uniform", "glorot")
"""What an `init` may be besides an expression: an initializer."""


class DrawError(ValueError):
    """Nothing can be drawn so: `uniform(2, 1)`."""


_FUNCTIONS = {name: function for name, function in FUNCTIONS.items() if name != "linear"}


@dataclass
class Initial:
    """What one `init` expression knows.

    Attributes:
        shape: of the parameter.
        rng: what `uniform(a, b)` and `normal(mean, sd)` draw from.
        names: sizes, options, `bias_scale` and the parameters above.
        choices: options that are a choice.
        drawn: what the config would have drawn.
    """

    shape: tuple[int, ...]
    rng: np.random.Generator
    names: Mapping[str, Any]
    choices: Mapping[str, str]
    drawn: Array

    def of(self, text: str) -> Array:
        """The values that an expression gives."""
        tree = _tree(text)
        assert tree is not None, text
        with np.errstate(all="ignore"):
            value = np.asarray(self._value(tree), dtype=np.float64)
        return np.array(np.broadcast_to(value, self.shape))

    def _value(self, tree: Tree) -> Any:
        kind, args = tree.kind, tree.args
        if kind == "number":
            return cast(float, tree.value)
        if kind == "name":
            return self._named(str(tree.value))
        if kind == "call":
            return self._called(str(tree.value), args)
        if kind == "sum":
            signs = cast("tuple[float, ...]", tree.value)
            values = [sign * self._value(arg) for sign, arg in zip(signs, args, strict=True)]
            return sum(values[1:], start=values[0])
        if kind == "choose":
            option, _, then, other = args
            known: Any = {**self.names, **self.choices}[str(option.value)]
            return self._value(then if holds(tree, known) else other)
        if kind == "turn":
            return self._value(args[0]).T
        if kind == "slice":
            bounds = (None if b.kind == "nothing" else int(self._value(b)) for b in args[1:])
            return self._value(args[0])[slice(*bounds)]
        a, b = map(self._value, args)
        return _ARITHMETIC[kind](a, b)

    def _named(self, name: str) -> Any:
        if name == "drawn":
            return self.drawn
        if name == "index":
            return np.arange(self.shape[-1], dtype=np.float64)
        if name == "row" and name not in self.names:
            return np.arange(self.shape[0], dtype=np.float64)[:, None]
        return self.names[name]

    def _called(self, name: str, args: tuple[Tree, ...]) -> Any:
        values = [self._value(arg) for arg in args]
        if name == "normal":
            mean, deviation = values
            if (least := np.min(deviation)) < 0:
                raise DrawError(f"normal(mean, sd) with the sd {least:g}: expected at least 0")
            return mean + deviation * self.rng.standard_normal(self.shape)
        if name == "uniform":
            low, high = values
            if np.any(apart := np.greater(low, high)):
                ends = (f"{np.broadcast_to(end, apart.shape)[apart].flat[0]:g}" for end in values)
                raise DrawError(f"uniform({', '.join(ends)}) is empty: expected the smaller first")
            return low + (high - low) * self.rng.random(self.shape)
        if name in ("max", "min"):
            return np.maximum(*values) if name == "max" else np.minimum(*values)
        if name == "sum":
            return np.sum(values[0])
        if name in _OF_MATRICES:
            return _OF_MATRICES[name](values[0])
        z = np.asarray(values[0], dtype=np.float64)
        if name == "linear":
            return z
        out = np.empty_like(z)
        FUNCTIONS[name].value(z, out)
        return out


_ARITHMETIC = {
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
}
_CALLS = {"normal": 2, "uniform": 2, "max": 2, "min": 2, "sum": 1, "expm": 1, "inv": 1}


def exponential(M: Array) -> Array:
    """e^M of a square matrix: the series of e^(M / 2^s), squared s times (N. J. Higham, Functions
    of Matrices, 2008, chapter 10)."""
    halvings = max(0, int(np.ceil(np.log2(max(float(np.abs(M).sum(axis=0).max()), 0.25)))) + 2)
    term = total = np.eye(len(M))
    for k in range(1, 19):
        term = term @ M / (k * 2.0**halvings)
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def _inverse(M: Array) -> Array:
    try:
        return np.linalg.inv(M)
    except np.linalg.LinAlgError:  # a singular one
        return np.full(M.shape, np.nan)


_OF_MATRICES = {"expm": exponential, "inv": _inverse}


def uses_drawn(text: str | None) -> bool:
    """Whether an init builds on what the config draws; if there is none, it is that."""
    if text is None:
        return True
    if text in NAMES:
        return False
    tree = _tree(text)
    return tree is not None and any(
        node.kind == "name" and node.value == "drawn" for node in _all(tree)
    )


def read_by_others(equations: Equations) -> set[str]:
    """The constants that the `init` of another parameter or constant is made of."""
    constants = {declared.name for declared in equations.parameters if not declared.trained}
    texts = [declared.init for declared in equations.parameters]
    trees = [_tree(text) for text in texts if text is not None and text not in NAMES]
    named = {node.value for tree in trees if tree is not None for node in _all(tree)}
    return constants & named


def check_initial(equations: Equations, mistakes: Mistakes) -> None:
    """Find what is wrong in the `init` of parameters and constants."""
    known = {"H", "I", "drawn", "index", "row", "bias_scale", *equations.defaults}
    for declared in equations.parameters:
        group = "parameters" if declared.trained else "constants"
        where = f"{group}.{declared.name}.init"
        if declared.init is None:
            if not declared.trained:
                message = "a constant needs an init: {shape: H, init: ones}"
                mistakes.add(f"{group}.{declared.name}", At(1, 1), message)
        elif declared.init not in NAMES:
            tree = expression(declared.init, mistakes, where)
            for node in _all(tree) if tree is not None else ():
                _check(node, known, where, mistakes)
        known.add(declared.name)


_H, _I, _MOST_ENTRIES = 5, 3, 10**5


def check_values(
    equations: Equations, options: Chosen, shapes: Mapping[str, Shape], mistakes: Mistakes
) -> None:
    """Find an `init` that has no values, or none of the parameter's shape: each is tried at
    small sizes."""
    sizes = {name: int(options.get(name, size)) for name, size in (("H", _H), ("I", _I))}
    numbers = {
        name: tuple(size.at(sizes["H"], sizes["I"]) for size in shape)
        for name, shape in shapes.items()
    }
    choices = {name: str(v) for name, v in options.items() if isinstance(v, str)}
    values: dict[str, Any] = {**options, **sizes, "bias_scale": 0.0}
    if sum(math.prod(shape) for shape in numbers.values()) > _MOST_ENTRIES:
        return  # which costs more than it is worth
    for declared in equations.parameters:
        shape = numbers.get(declared.name)
        if shape is None:
            continue
        drawn = np.full(shape, 0.5)
        if declared.init is not None and declared.init not in NAMES:
            group = "parameters" if declared.trained else "constants"
            tried = Initial(shape, np.random.default_rng(0), values, choices, drawn)
            try:
                drawn = tried.of(declared.init)
                wrong = "" if np.isfinite(drawn).all() else "it gives numbers that are not finite"
            except DrawError as error:
                wrong = str(error)
            except (ValueError, TypeError, IndexError, AttributeError):
                wrong = f"its shapes do not fit each other, or {spelled(shapes[declared.name])}"
            except (ArithmeticError, KeyError):
                wrong = "it has no finite value"
            if wrong:
                mistakes.add(f"{group}.{declared.name}.init", At(1, 1), wrong)
        values[declared.name] = drawn


def _check(node: Tree, known: set[str], where: str, mistakes: Mistakes) -> None:
    if node.kind == "name" and node.value not in known:
        message = f"unknown name '{node.value}'{nearest(str(node.value), known)}"
        if node.value in NAMES:
            message = f"'{node.value}' is an initializer, which is an init alone; in an expression "
            message += "write a number, uniform(a, b), normal(mean, sd) or drawn"
        mistakes.add(where, node.at, message)
    elif node.kind == "call":
        count = _CALLS.get(str(node.value), 1)
        if node.value not in _CALLS and node.value not in _FUNCTIONS and node.value != "linear":
            near = nearest(str(node.value), [*_CALLS, *_FUNCTIONS])
            mistakes.add(where, node.at, f"unknown function '{node.value}'{near}")
        elif len(node.args) != count or any(arg.kind == "keyword" for arg in node.args):
            message = f"{node.value} takes {many(count, 'argument')}"
            mistakes.add(where, node.at, message)
    elif node.kind == "time":
        mistakes.add(where, node.at, "initial values know no time")


def _all(tree: Tree) -> list[Tree]:
    """The nodes that are expressions: not what a condition compares with."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(node.args)
    return found


@lru_cache(maxsize=1024)
def _tree(text: str) -> Tree | None:
    return expression(text, Mistakes(), "init")


def holds(condition: Tree, known: object) -> bool:
    """Whether a condition `option == value`, or `!=`, holds where the option has this value."""
    value = condition.args[1].value
    same = known == value or str(known) == value or _same(known, value)
    return same == (condition.value == "==")


def _same(known: object, text: object) -> bool:
    try:
        return float(known) == float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
