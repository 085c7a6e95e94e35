"""The names of equations: which are taken already, and what each means in one declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from gradflow.equations.declaration import ROLES, Chosen, Equations
from gradflow.equations.functions import FUNCTIONS
from gradflow.equations.mistakes import At, Mistakes, nearest
from gradflow.equations.parse import Tree, expression
from gradflow.equations.sizes import ONE, H, I, Shape, Size, spelled

OPERATIONS = ("max", "min", "layernorm", "outer", "sum")
"""Functions of the equations that are not taken entry by entry of one argument."""

DRAWS = ("uniform", "normal", "index", "drawn")
"""What only an `init` expression knows."""

LETTERS = ("t", "x", "H", "I", "if", "else")

PARTS_TAKEN = frozenset(("norm", "W_x", "W_s", "b", "other"))
"""What cannot be a part of the state, since `grad_norm` and so on are columns."""

_MOST_ENTRIES = 10**9


def taken(name: str) -> str | None:
    """What a name is already, or None."""
    if name in FUNCTIONS or name in OPERATIONS:
        return "a function"
    if name in DRAWS:
        return "what an init expression draws from"
    if name in LETTERS:
        return "a letter of the equations"
    return None


def check_names(equations: Equations, mistakes: Mistakes) -> None:
    """Find declared names that are no names, are taken, or are there twice."""
    declared: dict[str, str] = {}
    groups = (
        ("state", [part for part, _ in equations.state]),
        ("parameters", [p.name for p in equations.parameters if p.trained]),
        ("constants", [p.name for p in equations.parameters if not p.trained]),
        ("options", [name for name, _ in equations.options]),
    )
    for group, names in groups:
        for name in names:
            where = f"{group}.{name}"
            what = taken(name)
            if not (name.isascii() and name.isidentifier()):
                mistakes.add(where, At(1, 1), f"'{name}' is no name: letters, digits and '_'")
            elif what is not None:
                mistakes.add(where, At(1, 1), f"'{name}' is {what} already: choose another name")
            elif name in declared:
                message = f"'{name}' is declared under {declared[name]} already"
                mistakes.add(where, At(1, 1), message)
            declared.setdefault(name, group)
    _check_parts(equations, mistakes)
    if not equations.parameters:
        message = "a cell needs a parameter or a constant, such as W: [H, I]"
        mistakes.add("parameters", At(1, 1), message)
    for name, value in equations.options:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            message = "expected a list of different names, the default first"
            mistakes.add(f"options.{name}", At(1, 1), message)


def _check_parts(equations: Equations, mistakes: Mistakes) -> None:
    parts = [part for part, _ in equations.state]
    if not parts:
        mistakes.add("state", At(1, 1), "expected the parts of the state, such as {h: H}")
    for number, part in enumerate(parts):
        if part in PARTS_TAKEN:
            message = f"'{part}' is no name for a part: grad_{part} is a column already"
            mistakes.add(f"state.{part}", At(1, 1), message)
        for earlier in parts[:number]:
            if earlier != part and earlier.lower() == part.lower():
                message = f"'{part}' and '{earlier}' differ by case alone, which columns must not"
                mistakes.add(f"state.{part}", At(1, 1), message)


def check_roles(equations: Equations, mistakes: Mistakes) -> None:
    """Find roles and gauges that are none."""
    for declared in equations.parameters:
        if declared.role is not None and declared.role not in ROLES:
            message = f"expected one of {', '.join(ROLES)}, found '{declared.role}'"
            message += nearest(declared.role, ROLES)
            mistakes.add(f"parameters.{declared.name}.role", At(1, 1), message)
    parts = [part for part, _ in equations.state]
    for scale, scaled in equations.gauge:
        for part in (scale, *scaled):
            if part not in parts:
                message = f"'{part}' is no part of the state{nearest(part, parts)}"
                mistakes.add(f"gauge.{scale}", At(1, 1), message)
            elif part == scale and part in scaled:
                message = f"'{part}' cannot be the scale of itself"
                mistakes.add(f"gauge.{scale}", At(1, 1), message)


def check_gauge(
    equations: Equations, state: Mapping[str, Shape | None], mistakes: Mistakes
) -> None:
    """Find scales that do not fit the parts that they scale."""
    for scale, scaled in equations.gauge:
        for part in scaled:
            own, other = state.get(scale), state.get(part)
            if own is not None and other is not None and own not in ((ONE,), other):
                fits = f"expected size 1 or {spelled(other)}, that of {part}, found {spelled(own)}"
                mistakes.add(f"gauge.{scale}", At(1, 1), fits)


_WORD = re.compile(r"[^\W\d]\w*")


def names_in(equations: Equations) -> set[str]:
    """Every word of the step, the output, sizes and initial values."""
    sizes = [size for _, shape in equations.state for size in shape]
    sizes += [size for declared in equations.parameters for size in declared.shape]
    inits = [declared.init or "" for declared in equations.parameters]
    texts = [equations.step, equations.output or "", *sizes, *inits]
    return {word for text in texts for word in _WORD.findall(text)}


def shape_of(
    sizes: tuple[str, ...], options: Chosen, mistakes: Mistakes, where: str
) -> Shape | None:
    """A declared shape, or None where it is none."""
    if not 1 <= len(sizes) <= 2:
        message = "expected a size, or two of a matrix: H, I, a number, or [H, I]"
        mistakes.add(where, At(1, 1), message)
        return None
    found = [size_of(text, options, mistakes, where) for text in sizes]
    return None if None in found else tuple(size for size in found if size is not None)


def letter(name: str, options: Chosen) -> Size:
    """H or I: a letter, or, where the options give it as if it were one, a number."""
    if name in options:
        return Size(n=int(options[name]))
    return H if name == "H" else I


def size_of(text: str, options: Chosen, mistakes: Mistakes, where: str) -> Size | None:
    """A size as it is written: `H`, `8`, `2*H`, an option; None where it is none."""
    if text in ("H", "I"):
        return letter(text, options)
    tree = expression(text, mistakes, where)
    if tree is None:
        return None
    size = size_of_tree(tree, options, mistakes, where)
    if size is not None and (min(size) < 0 or not any(size) or max(size) > _MOST_ENTRIES):
        mistakes.add(where, tree.at, f"expected a size of at least 1, found {size}")
        return None
    return size


def size_of_tree(tree: Tree, options: Chosen, mistakes: Mistakes, where: str) -> Size | None:
    """A sum of H, I and whole numbers; None, and a mistake, if it is not."""
    if tree.kind == "name" and tree.value in ("H", "I"):
        return letter(str(tree.value), options)
    if tree.kind == "number" and float(tree.value).is_integer():  # type: ignore[arg-type]
        return Size(n=int(tree.value))  # type: ignore[arg-type]
    if tree.kind == "name" and tree.value in options:
        value = options[str(tree.value)]
        if isinstance(value, int):
            return Size(n=value)
    if tree.kind in ("sum", "*"):
        parts = [size_of_tree(arg, options, mistakes, where) for arg in tree.args]
        if None in parts:
            return None
        sizes = [part for part in parts if part is not None]
        if tree.kind == "*":
            product = sizes[0].times(sizes[1])
            if product is not None:
                return product
        else:
            total = Size()
            for sign, size in zip(cast("tuple[float, ...]", tree.value), sizes, strict=True):
                total = total.plus(size) if sign > 0 else total.minus(size)
            return total
    names = ["H", "I", *(name for name, value in options.items() if isinstance(value, int))]
    spelled = f", found '{tree.value}'{nearest(str(tree.value), names)}" * (tree.kind == "name")
    message = f"expected a size: H, I, a whole number or an option that is one{spelled}"
    mistakes.add(where, tree.at, message)
    return None
