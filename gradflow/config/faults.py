"""What is wrong with a config, each fault with its place in the file or on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gradflow.config.tree import Document, key_path
from gradflow.errors import Fault, InputError


@dataclass
class Faults:
    """Collects what is wrong, with the place each key has in the document or command line."""

    document: Document
    overridden: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    found: list[Fault] = field(default_factory=list)

    def add(self, path: tuple[str | int, ...], message: str, key: bool = False) -> None:
        """Something is wrong with the value (or the key) at `path`."""
        name = key_path(path)
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                self.found.append(
                    Fault(message, f"--set {self.overridden[path[:length]]}", key=name)
                )
                return
        document = self.document
        if document.marks.keys() == {()}:  # plain data has no lines
            self.found.append(Fault(message, document.source, key=name))
            return
        mark = document.mark(path, key=key)
        self.found.append(Fault(message, document.source, mark.line, mark.column, name))

    def adopt(self, faults: Iterable[Fault], key: str) -> None:
        """Faults found in a file that the value of `key` names."""
        self.found += [replace(f, key=f.key or key) for f in faults]

    def stop_if_any(self) -> None:
        """Raise what was found."""
        if self.found:
            place = sorted(self.found, key=lambda f: (f.line or 0, f.column or 0))
            raise InputError(*place)
