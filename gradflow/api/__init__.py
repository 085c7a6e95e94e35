"""The library's front door: `analyze`, `load`, `check`, `verify`, `explain`, `critical`, and the
`Results` that they give."""

from gradflow.api.calls import (
    Source,
    analyze,
    check,
    critical,
    explain,
    load,
    load_results,
    verify,
)
from gradflow.api.results import Results

__all__ = [
    "Results",
    "Source",
    "analyze",
    "check",
    "critical",
    "explain",
    "load",
    "load_results",
    "verify",
]
