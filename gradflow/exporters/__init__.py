"""Results as text, one format a file. Pure: nothing here prints, opens or knows a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module

from gradflow.exporters.view import Exporter, View
from gradflow.results import Result

__all__ = ["EXPORTERS", "SUFFIXES", "Exporter", "View"]


def _exporter(module: str) -> Exporter:
    """The `export` function of a module here, which loads when it is first called."""

    def export(results: Iterable[Result], view: View) -> Iterator[str]:
        load: Exporter = import_module(f"{__name__}.{module}").export
        return load(results, view)

    return export


EXPORTERS: dict[str, Exporter] = {
    name: _exporter(name) for name in ("table", "csv", "json", "markdown")
}
"""Every format by its name."""

SUFFIXES = {".txt": "table", ".csv": "csv", ".json": "json", ".md": "markdown"}
"""The format that an output file's suffix asks for."""
