"""What the words of a table mean, as far as they occur in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradflow.formats.look import Look
from gradflow.results import Diagnosis, Result


def explained(results: Sequence[Result], look: Look) -> Iterator[str]:
    """A sentence on each of rate, half-life, horizon and verdict that is there."""
    found = [result.diagnosis for result in results if result.flow is not None]
    yield from of_rates(found)
    verdicts = [diagnosis.verdict for diagnosis in found]
    for result in results:
        verdicts += result.over.verdicts if result.over is not None else ()  # type: ignore[arg-type]
    text = _of_verdicts(set(verdicts), look)
    if text:
        yield text


def of_rates(found: Sequence[Diagnosis]) -> Iterator[str]:
    """Of rate and half-life alone."""
    if any(diagnosis.rate is not None for diagnosis in found):
        yield "rate: the factor per step back in time, of the typical sample."
    if any(diagnosis.half_life is not None for diagnosis in found):
        yield "half-life: the steps in which the gradient halves."


def _of_verdicts(verdicts: set[str], look: Look) -> str:
    """Of the horizon and the verdicts, which are read from it."""
    vanishing, exploding = look.thresholds
    bounds = {
        "vanishing": f"below {vanishing:g} of the start",
        "exploding": f"above {exploding:g} times the start",
    }
    left = [f"{bounds[verdict]} ({verdict})" for verdict in bounds if verdict in verdicts]
    if left:
        neither = "; stable: at none up to T" if "stable" in verdicts else ""
        return f"horizon: the first lag at which the gradient is {' or '.join(left)}{neither}."
    if "stable" in verdicts:
        return f"stable: between {vanishing:g} and {exploding:g} times the start up to T."
    return ""
