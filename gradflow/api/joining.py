"""Runs of one or several experiments as results: what tells them apart, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradflow import axes
from gradflow.errors import InputError
from gradflow.formats.json import head
from gradflow.formats.look import Look
from gradflow.results import LayerResult, Result

_LISTS = ("parts", "options", "measures")
"""What of a look lists what there is of runs."""


def told_apart(results: Iterable[Result]) -> tuple[Result, ...]:
    """The results, told apart by what differs between these, each with a number of its own: its
    own one unless two have the same.

    Raises:
        TypeError: one of them is none.
    """
    found = tuple(results)
    for one in found:
        if not isinstance(one, Result):
            raise TypeError(f"expected a Result for each run, found {type(one).__name__}")
    varied = axes.varied(result.axes for result in found)
    numbers = [result.run for result in found]
    if len(set(numbers)) < len(numbers):
        numbers = list(range(len(numbers)))
    return tuple(
        result
        if (result.run, result.varied) == (number, varied)
        else replace(result, run=number, varied=varied)
        for number, result in zip(numbers, found, strict=True)
    )


def look_of(results: Sequence[Result], look: Look | None = None) -> Look:
    """How runs are shown: as `look` says, and with everything that these have.

    Raises:
        InputError: their diagnoses were read with different thresholds, or not with those of
            the look.
    """
    known = {result.thresholds: None for result in results}
    known |= {} if look is None else {look.thresholds: None}
    if len(known) > 1:
        raise _different(known)
    if look is None:
        low, high = thresholds = next(iter(known), Look.thresholds)
        config = {"lags": "auto", "thresholds": {"vanishing": low, "exploding": high}}
        look = Look(config=config, thresholds=thresholds)
    lists: dict[str, Any] = {
        name: _union(getattr(look, name), own) for name, own in _there(results).items()
    }
    return replace(look, varied=results[0].varied if results else (), **lists)


def both(a: Look, b: Look) -> Look:
    """How runs of two experiments are shown together: as both say, where they say the same.

    Raises:
        InputError: their thresholds differ.
    """
    if a.thresholds != b.thresholds:
        raise _different((a.thresholds, b.thresholds))
    config = {key: value for key, value in a.config.items() if b.config.get(key) == value}
    lags = a.lags if a.lags == b.lags else "auto"
    lists: dict[str, Any] = {n: _union(getattr(a, n), getattr(b, n)) for n in _LISTS}
    config |= {"lags": lags if isinstance(lags, str) else list(lags)}
    return replace(
        a,
        title=a.title if a.title == b.title else None,
        config=config,
        made=_made(a, b, config),
        lags=lags,
        **lists,
    )


def _there(results: Sequence[Result]) -> dict[str, Iterable[str]]:
    """The parts of states, the options and the measures that any of them has."""
    flows = [flow for result in results for flow in result.flows.values()]
    parts: list[Result | LayerResult] = [*results]
    parts += [part for result in results for part in result.layers]
    return {
        "parts": (part for flow in flows for part in flow.parts),
        "options": (name for result in results for name in result.options),
        "measures": (name for part in parts for name in part.measures),
    }


def _union(known: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _made(a: Look, b: Look, config: Mapping[str, object]) -> Mapping[str, object] | None:
    """The head of the files that they were read from, which says both where they differ; None: both
    were made here."""
    if a.made is None and b.made is None:
        return None
    anew: dict[str, Any] = head(config)
    found = _merged(*(look.made or head(look.config) for look in (a, b)))
    found["provenance"]["config_sha256"] = anew["provenance"]["config_sha256"]
    return {**found, "format": anew["format"], "config": anew["config"]}


def _merged(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _of_both(a[key], b.get(key)) for key in a}


def _of_both(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return _merged(a, b)
    return a if a == b else ", ".join(str(one) for one in (a, b) if one is not None)


def _different(found: Iterable[tuple[float, float]]) -> InputError:
    said = " and ".join(f"{low:g} to {high:g}" for low, high in found)
    return InputError(f"runs whose thresholds differ cannot be joined: {said}")
