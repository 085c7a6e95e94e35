"""The second pass: trees to a graph. What every name means, every shape, every parameter's role;
all that is wrong with them is noted, each mistake once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, cast

from gradflow.counts import many
from gradflow.equations import operations
from gradflow.equations.bounds import check_bounds
from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.graph import Graph, Node
from gradflow.equations.initial import check_initial, read_by_others
from gradflow.equations.mistakes import At, Mistakes, nearest
from gradflow.equations.names import (
    OPERATIONS,
    check_gauge,
    check_names,
    check_roles,
    letter,
    names_in,
    shape_of,
    size_of_tree,
    taken,
)
from gradflow.equations.operations import ShapeError
from gradflow.equations.parse import Statement, Tree, expression, statements
from gradflow.equations.roles import find_roles
from gradflow.equations.sizes import Shape, spelled
from gradflow.equations.step import Step

_EPSILON = 1e-5  # of layernorm, as PyTorch has it


def infer(equations: Equations, options: Chosen, mistakes: Mistakes) -> Step | None:
    """The step that these equations describe with these options; None where anything is wrong.
    `H` and `I` among the options make these sizes numbers."""
    check_names(equations, mistakes)
    check_roles(equations, mistakes)
    check_bounds(equations, mistakes)
    check_initial(equations, mistakes)
    state = {
        part: shape_of(sizes, options, mistakes, f"state.{part}") for part, sizes in equations.state
    }
    shapes = {
        p.name: shape_of(
            p.shape, options, mistakes, f"{'parameters' if p.trained else 'constants'}.{p.name}"
        )
        for p in equations.parameters
    }
    reader = _Reader(equations, options, mistakes, state, shapes)
    before = len(mistakes.found)
    written = statements(equations.step, mistakes)
    reader.is_whole = len(mistakes.found) == before
    reader.assigned_at = {_key(s): s.at.line for s in reversed(written)}
    for statement in written:
        reader.assign(statement)
    check_gauge(equations, state, mistakes)
    reader.finish()
    return None if mistakes.found else reader.step


def _key(statement: Statement) -> str:
    return f"{statement.name}[t]" if statement.is_part else statement.name


class _Reader:
    """Reads trees into the graph, a method for each kind of tree. A node of None is one about
    which a mistake has been noted already."""

    def __init__(
        self,
        equations: Equations,
        options: Chosen,
        mistakes: Mistakes,
        state: Mapping[str, Shape | None],
        shapes: Mapping[str, Shape | None],
    ) -> None:
        self.equations, self.options, self.mistakes = equations, options, mistakes
        self.state, self.shapes = state, shapes
        self.trained = {p.name for p in equations.parameters if p.trained}
        self.graph = Graph()
        self.step = Step(self.graph, {n: s for n, s in state.items() if s is not None})
        self.values: dict[str, Node | None] = {}  # intermediates, and parts as `h[t]`
        self.assigned_at: dict[str, int] = {}
        self.used: set[str] = set()  # names met in any branch
        self.where = "step"
        self.is_whole = True  # whether every equation could be read

    # Statements

    def assign(self, statement: Statement) -> None:
        key, at = _key(statement), statement.at
        if self._may_assign(statement) and key in self.values:
            remedy = "" if statement.is_part else ": give the second one its own name"
            self.mistake(at, f"{key} is assigned twice{remedy}")
        value = self.read(statement.tree)
        if value is not None and statement.is_part:
            value = self._fitted(value, statement)
        elif value is not None and not value.is_number:
            self.step.names.setdefault(id(value), statement.name)
        self.values.setdefault(key, value)

    def _may_assign(self, statement: Statement) -> bool:
        name, at = statement.name, statement.at
        if statement.is_part:
            if name not in self.state:
                message = f"'{name}' is no part of the state{nearest(name, self.state)}"
                self.mistake(at, message)
            return name in self.state
        what = taken(name)
        if name in self.state:
            self.mistake(at, f"'{name}' is a part of the state: its new value is {name}[t]")
        elif name in self.shapes:
            self.mistake(at, f"'{name}' is a parameter: give what is assigned another name")
        elif name in self.options:
            self.mistake(at, f"'{name}' is an option: give what is assigned another name")
        elif what is not None:
            self.mistake(at, f"'{name}' is {what} already: choose another name")
        else:
            return True
        return False

    def _fitted(self, value: Node, statement: Statement) -> Node | None:
        shape = self.state.get(statement.name)
        if shape is None or value.shape == shape:
            return value
        if operations.size_of(value) == 1:
            return operations.spread(self.graph, value, shape)
        found = f"expected {spelled(shape)}, as declared, found {spelled(value.shape)}"
        self.mistake(statement.tree.at, f"{statement.name}[t] has the wrong shape: {found}")
        return None

    def finish(self) -> None:
        """What can be said only at the end: what is missing, roles, the output."""
        for part in self.state:
            if f"{part}[t]" not in self.values:
                self._missing(f"state.{part}", f"the step never assigns {part}[t]")
            elif (value := self.values[f"{part}[t]"]) is not None:
                self.step.new[part] = value
        self._read_output()
        self._unused()
        if not self.mistakes.found:
            find_roles(self.equations, self.step, self.shapes)

    def _unused(self) -> None:
        used = self.used | read_by_others(self.equations)
        for declared in self.equations.parameters:
            if declared.name not in used:
                where = f"{'parameters' if declared.trained else 'constants'}.{declared.name}"
                self._missing(where, f"'{declared.name}' is used nowhere in the step")
        named = names_in(self.equations)
        for option in self.equations.defaults:
            if option not in named:
                self._missing(f"options.{option}", f"'{option}' is used nowhere")

    def _missing(self, where: str, message: str) -> None:
        if self.is_whole:
            self.mistakes.add(where, At(1, 1), message)

    def _read_output(self) -> None:
        text = self.equations.output
        if text is None:
            part = "h" if "h" in self.state else next(iter(self.state), None)
            shape = self.state.get(str(part))
            if shape is not None:
                self.step.output = self.graph.node("after", (), part, shape)
        else:
            self.where = "output"
            tree = expression(text, self.mistakes, self.where)
            self.step.output = self.read(tree) if tree is not None else None
        output = self.step.output
        if output is not None and text is not None and len(output.shape) != 1:
            message = f"the output has to be a vector, this is {spelled(output.shape)}"
            self.mistakes.add("output", At(1, 1), message)

    # Expressions

    def read(self, tree: Tree) -> Node | None:
        """The node of a tree."""
        reader = self._READERS.get(tree.kind, _Reader._operation)
        try:
            return reader(self, tree)
        except ShapeError as wrong:
            self.mistake(tree.at, str(wrong))
        except (ArithmeticError, ValueError):
            self.mistake(tree.at, "this has no finite value")
        return None

    def mistake(self, at: At, message: str) -> None:
        self.mistakes.add(self.where, at, message)

    def _all(self, trees: Iterable[Tree]) -> list[Node] | None:
        nodes = [self.read(tree) for tree in trees]  # every one, for what is wrong in it
        return None if None in nodes else cast("list[Node]", nodes)

    def _number(self, tree: Tree) -> Node | None:
        value = cast(float, tree.value)
        if not math.isfinite(value):
            self.mistake(tree.at, "this number is beyond the range of floats")
            return None
        return self.graph.number(value)

    def _name(self, tree: Tree) -> Node | None:
        name = str(tree.value)
        self.used.add(name)
        if name in self.values:
            return self.values[name]
        if name in self.shapes:
            shape = self.shapes[name]
            kind = "parameter" if name in self.trained else "constant"
            return self.graph.node(kind, (), name, shape) if shape is not None else None
        if name in self.equations.defaults and not isinstance(self.options[name], str):
            return self.graph.number(float(self.options[name]))
        self.mistake(tree.at, self._unknown(name))
        return None

    def _unknown(self, name: str) -> str:
        """Why a name means nothing here."""
        if name in self.state:
            return f"'{name}' is a part of the state: write {name}[t-1] or {name}[t]"
        if name == "x":
            return "'x' is the input: write x[t]"
        if name in self.options:
            choices = ", ".join(self.equations.choices.get(name, ()))
            return f"'{name}' is a choice of {choices}: call it, {name}(z), or compare it"
        if name in self.assigned_at:
            return f"'{name}' is used before it is assigned, on line {self.assigned_at[name]}"
        if name in ("H", "I"):
            return f"'{name}' is a size: make a constant of it, {{shape: 1, init: {name}}}"
        if name in FUNCTIONS or name in OPERATIONS:
            return f"'{name}' is a function: call it, {name}(z)"
        return f"unknown name '{name}'{nearest(name, self._known())}"

    def _known(self) -> list[str]:
        return [*self.values, *self.shapes, *self.options, *self.state, *FUNCTIONS, *OPERATIONS]

    def _time(self, tree: Tree) -> Node | None:
        (indexed,) = tree.args
        name, time = str(indexed.value), str(tree.value)
        if indexed.kind != "name":
            self.mistake(tree.at, "only x and the parts of the state have a time")
            return None
        if name == "x":
            if time == "t":
                return self.graph.node("x", (), None, (letter("I", self.options),))
            message = "a step knows only x[t]: keep the one before in its own part of the state"
            self.mistake(tree.at, message)
            return None
        if name not in self.state:
            known = [*self.state, "x"]
            is_known = name in self.values or name in self.shapes or name in self.options
            remedy = f": write {name} alone" if is_known else nearest(name, known)
            self.mistake(tree.at, f"'{name}' is no part of the state{remedy}")
            return None
        if time == "t-1" or self.where == "output":
            shape = self.state[name]
            kind = "previous" if time == "t-1" else "after"
            return self.graph.node(kind, (), name, shape) if shape is not None else None
        if f"{name}[t]" not in self.values:
            line = self.assigned_at.get(f"{name}[t]")
            later = f", on line {line}" if line else ""
            self.mistake(tree.at, f"{name}[t] is used before it is assigned{later}")
            return None
        return self.values[f"{name}[t]"]

    def _slice(self, tree: Tree) -> Node | None:
        of, *bounds = tree.args
        node = self.read(of)
        start, stop = (
            None
            if b.kind == "nothing"
            else size_of_tree(b, self.options, self.mistakes, self.where)
            for b in bounds
        )
        wrong = any(
            b.kind != "nothing" and size is None
            for b, size in zip(bounds, (start, stop), strict=True)
        )
        if node is None or wrong:
            return None
        return operations.cut(self.graph, node, start, stop)

    def _choose(self, tree: Tree) -> Node | None:
        option, value, then, other = tree.args
        name, text = str(option.value), str(value.value)
        self.used.add(name)
        if name not in self.equations.defaults:
            known = list(self.equations.defaults)
            self.mistake(option.at, f"'{name}' is no option{nearest(name, known)}")
            return None
        choices = self.equations.choices.get(name)
        chosen: object = self.options[name]
        if choices is not None and text not in choices:
            message = f"expected one of {', '.join(choices)}, found '{text}'"
            self.mistake(value.at, message + nearest(text, choices))
            return None
        holds = (
            chosen == text if choices is not None else float(cast(float, chosen)) == _float(text)
        )
        taken_, left = (then, other) if holds == (tree.value == "==") else (other, then)
        self._look_at(left)
        return self.read(taken_)

    def _look_at(self, tree: Tree) -> None:
        """The names of a branch that is not taken count as used."""
        trees = [tree]
        while trees:
            tree = trees.pop()
            trees.extend(tree.args)
            if tree.kind in ("name", "call"):
                name = str(tree.value)
                self.used.add(name)
                known = [*self._known(), *self.assigned_at, "x", "H", "I"]
                if name not in known:
                    self.mistake(tree.at, f"unknown name '{name}'{nearest(name, known)}")

    def _call(self, tree: Tree) -> Node | None:
        name = str(tree.value)
        self.used.add(name)
        if name in self.equations.choices:
            name = str(self.options[name])
            if name not in FUNCTIONS:
                self.mistake(tree.at, f"'{tree.value}' is {name} here, which is no function")
                return None
        if name not in FUNCTIONS and name not in OPERATIONS:
            known = [*FUNCTIONS, *OPERATIONS, *self.equations.choices]
            self.mistake(tree.at, f"unknown function '{name}'{nearest(name, known)}")
            self._all(arg for arg in tree.args if arg.kind != "keyword")
            return None
        keywords = {str(arg.value): arg for arg in tree.args if arg.kind == "keyword"}
        plain = [arg for arg in tree.args if arg.kind != "keyword"]
        if keywords and not (name == "layernorm" and set(keywords) == {"eps"}):
            wrong = next(key for key in keywords if (name, key) != ("layernorm", "eps"))
            self.mistake(keywords[wrong].at, f"{name} takes no '{wrong}'")
            return None
        epsilon = self._epsilon(keywords)
        args = self._all(plain)
        if args is None or epsilon is None or not self._count_fits(name, len(args), tree.at):
            return None
        if name in FUNCTIONS:
            return operations.apply(self.graph, name, args[0])
        if name == "layernorm":
            return operations.layernorm(self.graph, args, epsilon)
        if name in ("max", "min"):
            return operations.extreme(name)(self.graph, *args)
        return (operations.outer if name == "outer" else operations.total)(self.graph, *args)

    def _epsilon(self, keywords: Mapping[str, Tree]) -> float | None:
        if "eps" not in keywords:
            return _EPSILON
        node = self.read(keywords["eps"].args[0])
        if node is None or not node.is_number or not node.payload > 0:
            self.mistake(keywords["eps"].at, "eps has to be a number above 0")
            return None
        return float(node.payload)

    def _count_fits(self, name: str, count: int, at: At) -> bool:
        least, most = {"outer": (2, 2), "layernorm": (1, 3), "max": (2, 99), "min": (2, 99)}.get(
            name, (1, 1)
        )
        if least <= count <= most:
            return True
        wanted = str(least) if least == most else f"{least} to {most}" if most < 99 else "2 or more"
        self.mistake(at, f"{name} takes {many(wanted, 'argument')}, found {count}")
        return False

    def _sum(self, tree: Tree) -> Node | None:
        terms = self._all(tree.args)
        signs = cast("tuple[float, ...]", tree.value)
        return None if terms is None else operations.add(self.graph, terms, signs)

    def _operation(self, tree: Tree) -> Node | None:
        args = self._all(tree.args)
        if args is None:
            return None
        by_kind: dict[str, Callable[..., Node]] = {
            "*": operations.multiply, "/": operations.divide, "**": operations.raised,
            "@": operations.matmul, "turn": operations.turn,
        }  # fmt: skip
        return by_kind[tree.kind](self.graph, *args)

    _READERS: ClassVar[Mapping[str, Callable[..., Node | None]]] = {
        "number": _number, "name": _name, "time": _time, "slice": _slice, "choose": _choose,
        "call": _call, "sum": _sum,
    }  # fmt: skip


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
