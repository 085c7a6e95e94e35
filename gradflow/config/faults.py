"""What is wrong with a config, each fault with its line in the file or on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from gradflow.config.tree import Document, Path, key_path
from gradflow.errors import Fault, InputError

MOST = 100
"""The most faults that are shown; of the others the number is."""


@dataclass
class Faults:
    """Collects what is wrong, with the position each key has in the document or command line.

    Attributes:
        document: what the config is in.
        given: by key path, where a value comes from that is not the document's: `--set KEY=VALUE`,
            or a file that is read instead of the one which the config names.
        found: what is wrong.
        more: how much more is wrong, only counted.
    """

    document: Document
    given: dict[Path, str] = field(default_factory=dict)
    found: list[Fault] = field(default_factory=list)
    more: int = 0
    _broken: set[object] = field(default_factory=set)
    _added: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._broken.update(map(_position, self.found))

    def add(self, path: Path, message: str, key: bool = False) -> None:
        """Something is wrong with the value (or the key) at `path`."""
        fault = self._at(path, message, key)
        position, what = _position(fault), (_position(fault), fault.key)
        if not fault.line or (position not in self._broken and what not in self._added):
            self._added.add(what)  # where the YAML is wrong, nothing else is added
            self.found.append(fault)

    def position(self, key: str) -> Fault:
        """Where a key is, as a fault without a message."""
        return self._at((key,), "")

    def adopt(self, faults: Iterable[Fault], path: Path) -> None:
        """Faults found in a file that the value at `path` names: those of the file as a whole are
        put at the name of the file, or have the file as their source if it is not the config
        that names it."""
        for fault in faults:
            if fault.line is None and fault.source in self.given.values():
                self.found.append(Fault(fault.message, fault.source))
            elif fault.line is None:
                of = f"{fault.source}: " if fault.source else ""
                self.found.append(self._at(path, of + fault.message))
            else:
                self.found.append(replace(fault, key=key_path(path)))

    def first(self, paths: Sequence[tuple[Path, bool]], most: int) -> list[int]:
        """Which of many faults at these paths (and whether at the key) to show, in the order of
        the document; then how many are left is shown."""
        order = sorted(range(len(paths)), key=lambda i: self._order(*paths[i]))
        if len(paths) > most:
            self.more += len(paths) - most
        return order[:most]

    def _order(self, path: Path, key: bool) -> tuple[int, int]:
        fault = self._at(path, "", key)
        return fault.line or 0, fault.column or 0

    def _at(self, path: Path, message: str, key: bool = False) -> Fault:
        name = key_path(path)
        option = self._option(path)
        if option is not None:
            return Fault(message, option, key=name)
        if not self.document.marks:  # plain data has no lines
            return Fault(message, self.document.source, key=name)
        mark = self.document.mark(path, key=key)
        return Fault(message, self.document.source, mark.line, mark.column, name)

    def _option(self, path: Path) -> str | None:
        """Where the value at `path` comes from, whole or in part, if not from the document."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.given:
                return self.given[path[:length]]
        if path in self.document.marks or not path:
            return None
        inside = (text for at, text in self.given.items() if at[: len(path)] == path)
        return next(inside, None)

    def stop_if_any(self) -> None:
        """Raise what was found."""
        if self.found:
            ordered = sorted(self.found, key=lambda f: (f.line or 0, f.column or 0))
            shown = ordered[:MOST]
            more = len(ordered) - len(shown) + self.more
            if more:
                shown.append(Fault(f"… and {more:,} more", self.document.source))
            raise InputError(*shown)


def _position(fault: Fault) -> tuple[str | None, int | None, int | None]:
    return fault.source, fault.line, fault.column
