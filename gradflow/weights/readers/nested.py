"""The walk through containers within containers, as pickles and msgpack hold them, without
recursion and within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradflow.weights.tensors import MAX_NAME

Children = Iterator[tuple[str, Any]]
"""What a container holds, by name."""

_MAX_DEPTH = 100


def leaves(
    root: Children,
    is_leaf: Callable[[Any], bool],
    children: Callable[[Any, str], Children],
    separator: str,
    refused: type[Exception],
) -> Children:
    """The leaves by their path, in the order of the file. What lies too deep is passed over.

    Args:
        root: what the outermost container holds.
        is_leaf: whether a value is what is looked for.
        children: of any other value, with its path, what it holds.
        separator: between the names of a path.
        refused: raised where a path is too long.
    """
    open_ = [("", root)]
    while open_:
        prefix, siblings = open_[-1]
        child = next(siblings, None)
        if child is None:
            open_.pop()
            continue
        name, value = f"{prefix}{child[0]}", child[1]
        if len(name) > MAX_NAME:
            raise refused(f"a name in it is longer than {MAX_NAME} characters")
        if is_leaf(value):
            yield name, value
        elif len(open_) < _MAX_DEPTH:
            open_.append((f"{name}{separator}", children(value, name)))
