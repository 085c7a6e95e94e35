"""Cells at random: expressions of every kind that equations have, over every shape."""

from __future__ import annotations

import random
import re

from equations.published import equations
from gradflow.equations.declaration import Equations

SHAPES = ("H", "I", "2", "1", "H H", "H 2", "2 H", "2 2")
BOUNDED = ("sigmoid", "tanh", "hard_sigmoid", "keras2_hard_sigmoid", "sin", "cos")
OTHERS = ("relu", "linear", "softplus", "abs")


class Maker:
    """Makes expressions of a wanted shape, and declares the parameters that they need."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.parameters: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.options: dict[str, object] = {}
        self.known: dict[str, list[str]] = {shape: [] for shape in SHAPES}
        self.output: str | None = None

    def cell(self) -> Equations:
        draw = self.draw
        count = draw.choice((1, 1, 2, 2, 3))
        state = {
            f"s{k}": draw.choice(("H", "H", "H", "2", "1", "H H", "H 2")) for k in range(count)
        }
        for part, shape in state.items():
            self.known[shape].append(f"{part}[t-1]")
        self.known["I"].append("x[t]")
        lines = []
        for k in range(draw.choice((0, 1, 2, 3))):
            shape = draw.choice(SHAPES)
            lines.append(f"v{k} = {self.any(shape, 3)}")
            self.known[shape] += [f"v{k}"] * 2
        for part in draw.sample(list(state), count):
            wrong = draw.random() < 0.02
            shape = draw.choice(SHAPES) if wrong else state[part]
            lines.append(f"{part}[t] = {self.bounded(shape, 3)}")
            self.known[state[part]].append(f"{part}[t]")
        if draw.random() < 0.4:
            self.output = self.any(draw.choice(("H", "2", "1")), 3)
        text = "\n".join([*lines, self.output or ""])
        named = set(re.findall(r"p\d+", text))
        parameters, constants = (
            {name: s for name, s in group.items() if name in named}
            for group in (self.parameters, self.constants)
        )
        return equations(
            "random", state, parameters, "\n".join(lines), constants,
            options=tuple(self.options.items()), output=self.output,
        )  # fmt: skip

    def parameter(self, shape: str) -> str:
        """A new parameter, or one that is there; at times a constant."""
        draw = self.draw
        there = [n for n, s in {**self.parameters, **self.constants}.items() if s == shape]
        if there and draw.random() < 0.3:
            return draw.choice(there)
        name = f"p{len(self.parameters) + len(self.constants)}"
        (self.constants if draw.random() < 0.1 else self.parameters)[name] = shape
        return name

    def bounded(self, shape: str, depth: int) -> str:
        """What does not grow from step to step."""
        draw, kind = self.draw, self.draw.random()
        if kind < 0.5:
            return f"{draw.choice(BOUNDED[:5])}({self.any(shape, depth - 1)})"
        if kind < 0.75:
            a, b = self.bounded(shape, depth - 2), self.bounded(shape, depth - 2)
            gate = f"sigmoid({self.any(shape, depth - 2)})"
            if draw.random() < 0.5:
                return f"(1 - {gate}) * {a} + {gate} * {b}"
            return f"{gate} * {a} + 0.5 * {b}"
        if kind < 0.85 and self.known[shape]:
            return f"0.5 * {draw.choice(self.known[shape])}"
        return f"tanh({self.any(shape, depth - 1)})"

    def any(self, shape: str, depth: int) -> str:
        """An expression of a shape."""
        draw = self.draw
        if depth <= 0 or draw.random() < 0.1:
            return self.leaf(shape)
        makers = [self.sum, self.sum, self.times, self.function, self.static, self.special]
        makers += [self.matrix, self.matrix] if " " in shape else [self.linear] * 5 + [self.vector]
        made = draw.choice(makers)(shape, depth)
        return made if made.startswith(("tanh(", "sigmoid(")) else f"({made})"

    def leaf(self, shape: str) -> str:
        known, draw = self.known[shape], self.draw
        if known and draw.random() < 0.7:
            return draw.choice(known)
        return self.parameter(shape)

    def sum(self, shape: str, depth: int) -> str:
        terms = [self.any(shape, depth - 1) for _ in range(self.draw.choice((2, 2, 3)))]
        if self.draw.random() < 0.2:
            terms.append(str(self.draw.choice((0, 1, 0.5, 2, 0.25))))
            self.draw.shuffle(terms)
        text = terms[0]
        for term in terms[1:]:
            text += f" {self.draw.choice('+-')} {term}"
        return f"({text})"

    def times(self, shape: str, depth: int) -> str:
        a, b = self.any(shape, depth - 1), self.any(shape, depth - 1)
        kind = self.draw.random()
        if kind < 0.6:
            return f"{a} * {b}"
        if kind < 0.8:
            return f"{a} / (1.5 + {b} ** 2)"
        return f"sigmoid({a}) * {b}"

    def function(self, shape: str, depth: int) -> str:
        inner = self.any(shape, depth - 1)
        name = self.draw.choice((*BOUNDED, *OTHERS, "exp", "log", "sqrt", "choice"))
        if name == "choice":
            self.options["f"] = ("tanh", "relu", "sigmoid")
            return f"f({inner})"
        if name == "exp":
            return f"exp(-softplus({inner}))"
        if name in ("log", "sqrt"):
            return f"{name}(1.1 + ({inner}) ** 2)"
        return f"{name}({inner})"

    def static(self, shape: str, depth: int) -> str:
        """Expressions of parameters alone, in sums and products."""
        draw = self.draw
        p, q = self.parameter(shape), self.parameter(shape)
        made = draw.choice((f"exp(-{p})", f"({p} - {q})", f"sigmoid({p} * {q})", f"(1 - {p})",
                            f"2 * {p}", f"sqrt(1 + {p} ** 2)"))  # fmt: skip
        return f"{made} {draw.choice('*+')} {self.any(shape, depth - 1)}"

    def special(self, shape: str, depth: int) -> str:
        draw, kind = self.draw, self.draw.random()
        a, b = self.any(shape, depth - 1), self.any(shape, depth - 1)
        if kind < 0.3:
            return f"{draw.choice(('max', 'min'))}({a}, {b})"
        if kind < 0.45:
            self.options["k"] = 0.75
            return f"({a} if mode == 'one' else k * {b})" if self._has_mode() else f"k * {a}"
        if kind < 0.6:
            return f"({a}) ** {draw.choice((2, 3))}"
        if kind < 0.8:
            return f"{self.any('1', depth - 1)} * {a}"
        return f"({a} + {self.any('1', depth - 1)})"

    def _has_mode(self) -> bool:
        self.options["mode"] = ("one", "two")
        return True

    def linear(self, shape: str, depth: int) -> str:
        draw = self.draw
        inner = draw.choice(("H", "H", "I", "2"))
        if draw.random() < 0.1:
            return f"{self.any(inner, depth - 1)} @ {self.parameter(f'{inner} {shape}')}"
        weight = self.parameter(f"{shape} {inner}")
        if shape == inner == "H" and draw.random() < 0.2:
            weight = draw.choice((f"{weight}.T", f"({weight} - {weight}.T)", f"exp({weight})"))
        elif draw.random() < 0.1:
            weight = f"({weight} * {self.parameter(f'{shape} {inner}')})"
        return f"{weight} @ {self.any(inner, depth - 1)}"

    def vector(self, shape: str, depth: int) -> str:
        draw = self.draw
        if shape == "1":
            return draw.choice((
                f"sum({self.any(draw.choice(('H', 'I', 'H 2')), depth - 1)})",
                f"{self.any('H', depth - 1)} @ {self.any('H', depth - 1)}",
                f"{self.any('H', depth - 1)}[1:2]",
            ))  # fmt: skip
        if shape == "H" and draw.random() < 0.4:
            norm = f"layernorm({self.any('H', depth - 1)}"
            gain, shift = self.parameter("H"), self.parameter("H")
            return draw.choice((f"{norm})", f"{norm}, {gain})", f"{norm}, {gain}, {shift})"))
        if shape == "2" and draw.random() < 0.5:
            return f"({self.any('H', depth - 1)})[{draw.choice(('0:2', '1:3', ':2'))}]"
        of = {"H": "H 2", "2": "2 H", "I": None}.get(shape)
        if of is None:
            return self.any(shape, depth - 1)
        matrix = self.any(of, depth - 1)
        turned = f"({self.any(' '.join(of.split()[::-1]), depth - 1)}).T"
        return f"({draw.choice((matrix, turned))}) @ {self.any(of.split()[1], depth - 1)}"

    def matrix(self, shape: str, depth: int) -> str:
        draw = self.draw
        rows, columns = shape.split()
        kind = draw.random()
        if kind < 0.4:
            return f"outer({self.any(rows, depth - 1)}, {self.any(columns, depth - 1)})"
        if kind < 0.55:
            return f"({self.any(f'{columns} {rows}', depth - 1)}).T"
        if kind < 0.8:
            return f"{self.parameter(f'{rows} H')} @ {self.any(f'H {columns}', depth - 1)}"
        if kind < 0.9:
            return f"({self.any(f'{rows} H', depth - 1)}) @ {self.parameter(f'H {columns}')}"
        return f"({self.any(f'{rows} H', depth - 1)}) @ ({self.any(f'H {columns}', depth - 1)})"


def random_cell(seed: int) -> Equations:
    """The cell of a seed."""
    return Maker(seed).cell()
