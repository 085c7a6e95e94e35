"""The library's front door: `analyze`, `load`, `check`, `verify`, `explain`, `critical`, and the
`Results` that they give."""

from gradflow.api.answers import Answers, Check
from gradflow.api.calls import analyze, check, critical, explain, load_results, verify
from gradflow.api.engine import backpropagate, unroll
from gradflow.api.results import Results
from gradflow.api.sources import Source, load

__all__ = [
    "Answers",
    "Check",
    "Results",
    "Source",
    "analyze",
    "backpropagate",
    "check",
    "critical",
    "explain",
    "load",
    "load_results",
    "unroll",
    "verify",
]
