"""What is measured of a net: one file a measure, and `MEASURES`, the list of them.

A measure imports the engine, and the engine no measure: it shows its blocks to whoever watches.
What a measure declares (see `contract`) is all that CSV, JSON, its schema, tables, the config and
the docs know of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradflow.measures.contract import Measure

ALWAYS = ["gradient", "terms", "share"]
"""What is measured of every net, by the names of the modules, in the order of their columns."""

OPTIONAL = ["jacobian", "lyapunov", "gates", "paths", "reach", "slopes", "theory", "factors"]
"""What is measured where a config asks for it, likewise: a new measure is a line here."""

UNASKED = "factors"
"""What a config of a single run has measured without asking: elsewhere it is not missed."""


class Measures(Mapping[str, "Measure"]):
    """The measures by name; a module is loaded when its measure is first looked at."""

    def __getitem__(self, name: str) -> Measure:
        if name not in (*ALWAYS, *OPTIONAL):
            raise KeyError(name)
        measure: Measure = import_module(f"{__name__}.{name}").MEASURE
        return measure

    def __iter__(self) -> Iterator[str]:
        return iter((*ALWAYS, *OPTIONAL))

    def __len__(self) -> int:
        return len(ALWAYS) + len(OPTIONAL)


MEASURES = Measures()
"""Every measure by its name."""
