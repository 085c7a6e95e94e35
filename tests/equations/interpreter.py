"""Equations evaluated as they are: another parser (Python's), no graph, no shapes, one sample.

Nothing here is shared with gradflow. Values are NumPy arrays of floats, complex numbers or mpmath
numbers, whose functions are given; a complex step through it gives derivatives.
"""

from __future__ import annotations

import ast
import functools
import re

import mpmath
import numpy as np


class Functions:
    """Entry by entry, of arrays; the real part decides if there is a choice."""

    def __init__(self, exp, log, sin, cos, sqrt):
        self.exp, self.log, self.sin, self.cos, self.sqrt = exp, log, sin, cos, sqrt

    def tanh(self, z):
        return pick(z, lambda v: v >= 0, lambda w: self._tanh(w), lambda w: -self._tanh(-w))

    def _tanh(self, z):
        e = self.exp(-2 * z)
        return (1 - e) / (1 + e)

    def sigmoid(self, z):
        return pick(z, lambda v: v >= 0, lambda w: 1 / (1 + self.exp(-w)), self._low)

    def _low(self, z):
        e = self.exp(z)
        return e / (1 + e)

    def expm1(self, z):
        return self.exp(z) - 1

    def softplus(self, z):
        return pick(z, lambda v: v > 0, lambda w: w + self.log(1 + self.exp(-w)),
                    lambda w: self.log(1 + self.exp(w)))  # fmt: skip

    def relu(self, z):
        return pick(z, lambda v: v > 0, lambda w: w, lambda w: 0 * w)

    def linear(self, z):
        return z

    def abs(self, z):
        return pick(z, lambda v: v >= 0, lambda w: w, lambda w: -w)

    def hard_sigmoid(self, z):
        return self._hard(z / 6 + 0.5)

    def keras2_hard_sigmoid(self, z):
        return self._hard(z / 5 + 0.5)

    def _hard(self, v):
        low = pick(v, lambda w: w > 0, lambda w: w, lambda w: 0 * w)
        return pick(low, lambda w: w < 1, lambda w: w, lambda w: 1 + 0 * w)

    def max(self, *args):
        return functools.reduce(self._max, args)

    def min(self, *args):
        return functools.reduce(lambda a, b: -self._max(-a, -b), args)

    def _max(self, a, b):
        a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
        first = (real(a) >= real(b)) | (real(a) != real(a))  # no number stays none, as in NumPy
        return np.where(first, a, b)

    def sum(self, v):
        return np.asarray(np.sum(v)).reshape(1)

    def outer(self, a, b):
        return np.outer(a, b)

    def layernorm(self, v, gain=1, shift=0, eps=1e-5):
        centred = v - np.sum(v) / len(v)
        variance = np.sum(centred * centred) / len(v)
        return gain * (centred / self.sqrt(variance + eps)) + shift


def real(a):
    a = np.asarray(a)
    if a.dtype == object:
        return np.frompyfunc(mpmath.re, 1, 1)(a)
    return np.real(a)


def pick(z, condition, then, other):
    """Of each entry one or the other."""
    z = np.asarray(z)
    holds = np.asarray(condition(real(z)), dtype=bool)
    out = np.empty_like(z)
    out[holds] = then(z[holds])
    out[~holds] = other(z[~holds])
    return out


FLOATS = Functions(np.exp, np.log, np.sin, np.cos, np.sqrt)


def _elementwise(f):
    wide = np.frompyfunc(f, 1, 1)
    return lambda z: wide(z) if isinstance(z, np.ndarray) else f(z)


EXACT = Functions(*map(_elementwise, (mpmath.exp, mpmath.log, mpmath.sin, mpmath.cos, mpmath.sqrt)))


class Interpreter:
    """One step of a cell's equations."""

    def __init__(self, equations, options, functions=FLOATS):
        self.equations, self.functions = equations, functions
        self.options = {**equations.defaults, **options}
        lines = map(str.strip, equations.step.splitlines())  # gradflow is easy on spaces
        text = re.sub(r"(?<![\w.])0+(?=\d)", "", "\n".join(lines))  # and on 08 for 8
        self.tree = ast.parse(text)
        self.output = ast.parse(equations.output or self.default_output(), mode="eval").body
        self.sizes = {}

    def default_output(self):
        parts = [part for part, _ in self.equations.state]
        return f"{'h' if 'h' in parts else parts[0]}[t]"

    def __call__(self, params, state, x):
        """(new state, output) of one sample: parts and x as arrays of their shapes."""
        self.params, self.old, self.x = params, state, x
        self.new, self.values = {}, {}
        for statement in self.tree.body:
            (target,) = statement.targets
            value = self.evaluate(statement.value)
            if isinstance(target, ast.Name):
                self.values[target.id] = value
            else:
                part = target.value.id
                self.new[part] = self.kept(part, value + np.zeros(state[part].shape))
        return dict(self.new), self.evaluate(self.output)

    def kept(self, part, value):
        """The new value of a part, as the rest of the step reads it."""
        return value

    def evaluate(self, node):
        return getattr(self, "_" + type(node).__name__.lower())(node)

    def _constant(self, node):
        return node.value

    def _name(self, node):
        for known in (self.values, self.params, self.options):
            if node.id in known:
                return known[node.id]
        return self.sizes[node.id]

    def _binop(self, node):
        a, b = self.evaluate(node.left), self.evaluate(node.right)
        operations = {
            ast.Add: lambda: a + b, ast.Sub: lambda: a - b, ast.Mult: lambda: a * b,
            ast.Div: lambda: a / b, ast.MatMult: lambda: self._matmul(a, b),
            ast.Pow: lambda: self._power(a, b),
        }  # fmt: skip
        return operations[type(node.op)]()

    def _matmul(self, a, b):
        if np.ndim(a) == 1 and np.ndim(b) == 1:
            return self.functions.sum(a * b)
        return a @ b

    def _power(self, a, b):
        if np.ndim(b) or isinstance(b, np.ndarray):
            return self.functions.exp(b * self.functions.log(a))
        if float(b) != int(b) or abs(b) > 8:
            return a**b
        power = functools.reduce(lambda p, _: p * a, range(abs(int(b))), 1 + 0 * a)
        return power if b >= 0 else 1 / power

    def _unaryop(self, node):
        value = self.evaluate(node.operand)
        return -value if isinstance(node.op, ast.USub) else value

    def _subscript(self, node):
        index = node.slice
        if isinstance(index, ast.Slice):
            bounds = [
                None if b is None else int(self.evaluate(b)) for b in (index.lower, index.upper)
            ]
            return self.evaluate(node.value)[slice(*bounds)]
        name, now = node.value.id, isinstance(index, ast.Name)
        if name == "x":
            return self.x
        return self.new[name] if now else self.old[name]

    def _attribute(self, node):
        assert node.attr == "T"
        return self.evaluate(node.value).T

    def _ifexp(self, node):
        (value,), left = node.test.comparators, self.options[node.test.left.id]
        right = value.id if isinstance(value, ast.Name) else value.value
        same = left == right
        return self.evaluate(
            node.body if same == isinstance(node.test.ops[0], ast.Eq) else node.orelse
        )

    def _call(self, node):
        name = node.func.id
        name = self.options.get(name, name)
        args = [self.evaluate(arg) for arg in node.args]
        keywords = {k.arg: self.evaluate(k.value) for k in node.keywords}
        if not hasattr(args[0], "shape"):
            args[0] = np.asarray(args[0], dtype=float)
        return getattr(self.functions, name)(*args, **keywords)
