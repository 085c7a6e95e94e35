"""Which options of a cell have an effect: those that are read once every condition
`... if option == value else ...` of the step, the output and the initial values is resolved."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

from gradflow.equations.declaration import Chosen, Equations
from gradflow.equations.initial import NAMES, holds
from gradflow.equations.mistakes import Mistakes
from gradflow.equations.names import names_in
from gradflow.equations.parse import Tree, expression, statements


class Idle(NamedTuple):
    """An option that nothing reads, and those whose values are why."""

    option: str
    because: tuple[str, ...]

    def of(self, chosen: Chosen) -> str:
        """`does nothing with chrono 784`."""
        values = [(name, chosen[name]) for name in self.because]
        shown = [
            f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in values
        ]
        return f"does nothing with {' and '.join(shown)}" if shown else "does nothing here"


class Effects:
    """What reads the options of a declaration, whatever their values.

    Attributes:
        equations: the declaration.
    """

    def __init__(self, equations: Equations) -> None:
        self.equations = equations
        mistakes = Mistakes()
        written = statements(equations.step, mistakes)
        self._values = {s.name: s.tree for s in written if not s.is_part}
        self._roots = [s.tree for s in written if s.is_part]
        if equations.output is not None:
            self._roots += [tree] if (tree := expression(equations.output, mistakes, "")) else []
        self._inits = {
            declared.name: tree
            for declared in equations.parameters
            if declared.init is not None and declared.init not in NAMES
            and (tree := expression(declared.init, mistakes, "")) is not None
        }  # fmt: skip
        self._is_whole = not mistakes.found
        sizes = [size for _, shape in equations.state for size in shape]
        sizes += [size for declared in equations.parameters for size in declared.shape]
        self._sizes = {name for name in equations.defaults if any(name in s for s in sizes)}
        trees = [*self._roots, *self._values.values(), *self._inits.values()]
        self._conditions = [n for tree in trees for n in _all(tree) if n.kind == "choose"]
        self._named = names_in(equations)
        self._found: dict[object, tuple[Idle, ...]] = {}

    def idle(self, chosen: Chosen, given: Collection[str] = ()) -> tuple[Idle, ...]:
        """The options without an effect where all have these values.

        Args:
            chosen: the value of every option.
            given: the parameters whose values a file gives, whatever their `init`.
        """
        if not self._is_whole:
            return ()  # what is wrong with the equations is said of them
        key = (frozenset(given), *(_holds(one, chosen) for one in self._conditions))
        if key not in self._found:
            self._found[key] = tuple(self._idle(chosen, given))
        return self._found[key]

    def _idle(self, chosen: Chosen, given: Collection[str]) -> Iterator[Idle]:
        nodes, left = self._reached(self._roots, chosen, given)
        read = self._options(nodes) | self._sizes
        for option in self.equations.defaults:
            if option in read or option not in self._named:
                continue
            because = [
                str(node.args[0].value)
                for node, branch in left
                if option in self._options(self._reached([branch], None, given)[0])
            ]
            yield Idle(option, tuple(name for name in dict.fromkeys(because) if name != option))

    def _options(self, nodes: list[Tree]) -> set[str]:
        named = {str(node.value) for node in nodes if node.kind in ("name", "call")}
        return named & self.equations.defaults.keys()

    def _reached(
        self, roots: list[Tree], chosen: Chosen | None, given: Collection[str]
    ) -> tuple[list[Tree], list[tuple[Tree, Tree]]]:
        """The nodes that these trees are made of, through intermediates and initial values; and
        the conditions with the branch that each leaves. Both branches count where no values are
        chosen."""
        found: list[Tree] = []
        left: list[tuple[Tree, Tree]] = []
        waiting, seen = list(roots), set()
        while waiting:
            node = waiting.pop()
            found.append(node)
            if node.kind == "choose" and chosen is not None:
                option, _, then, other = node.args
                taken = _holds(node, chosen)
                waiting += [option, then if taken else other]
                left.append((node, other if taken else then))
                continue
            waiting += node.args
            name = str(node.value)
            if node.kind == "name" and name not in seen:
                seen.add(name)
                more = self._values.get(name) or (
                    self._inits.get(name) if name not in given else None
                )
                waiting += [more] if more is not None else []
        return found, left


@lru_cache(maxsize=64)
def effects(equations: Equations) -> Effects:
    """What reads the options of a declaration, looked at once."""
    return Effects(equations)


def _holds(condition: Tree, chosen: Chosen) -> bool:
    option = str(condition.args[0].value)
    return option in chosen and holds(condition, chosen[option])


def _all(tree: Tree) -> Iterator[Tree]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.args)
