"""`measure:` what is to be measured besides the gradient, checked against what measures declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from gradflow.config.bare import as_mapping
from gradflow.config.faults import Faults
from gradflow.config.messages import shown
from gradflow.config.tree import Path, Tree
from gradflow.errors import nearest
from gradflow.measures import ALWAYS, MEASURES, OPTIONAL, UNASKED
from gradflow.measures.contract import Asked, Option
from gradflow.runs.experiment import Run

_LARGEST = 10**9
FORM = "the name of a measure or a mapping such as {type: NAME, OPTION: 1}"


def asked_for(data: Mapping[str, Tree], faults: Faults) -> tuple[Asked, ...]:
    """What the key `measure` asks for, every option filled in; notes what is wrong with it."""
    given = data.get("measure")
    if given is None:
        return ()
    items = given if isinstance(given, list) else [given]
    found: dict[str, Asked] = {}
    for number, item in enumerate(items):
        path: Path = ("measure", number) if isinstance(given, list) else ("measure",)
        asked = _asked(item, path, faults)
        if asked is not None and asked.name in found:
            faults.add(path, f"{asked.name} is asked for twice")
        elif asked is not None:
            found[asked.name] = asked
    return tuple(found.values())


def plain(asked: Sequence[Asked]) -> list[dict[str, object]]:
    """The same as a config has it."""
    return [{"type": one.name, **one.options} for one in asked]


def _asked(item: Tree, path: Path, faults: Faults) -> Asked | None:
    """One item of the list; None where something is wrong, which is noted."""
    mapping = as_mapping("measure", item)
    if not isinstance(mapping, dict):
        faults.add(path, f"expected {FORM}, found {shown(item)}")
        return None
    if "type" not in mapping:
        near = next((key for key in islice(mapping, 100) if nearest(key, ["type"])), None)
        if near is not None:
            faults.add((*path, near), "unknown key; did you mean type?", key=True)
        else:
            faults.add(path, f"the key type is required: {_names()}")
        return None
    name = mapping["type"]
    if not isinstance(name, str) or name not in OPTIONAL:
        at = path if isinstance(item, str) else (*path, "type")
        faults.add(at, _unknown(name))
        return None
    known = MEASURES[name].options
    before = len(faults.found)
    for key in mapping:
        if key not in known and key != "type":
            message = _near(key, ["type", *known]) or f"; known are {', '.join(['type', *known])}"
            faults.add((*path, key), f"unknown key{message}", key=True)
    options = {key: _value(mapping, key, path, faults) for key in known}
    return Asked(name, options) if len(faults.found) == before else None


def _value(mapping: Mapping[str, Tree], key: str, path: Path, faults: Faults) -> int | float | str:
    """The value of an option: its own, or the default."""
    option = MEASURES[str(mapping["type"])].options[key]
    value = mapping.get(key, option.default)
    if isinstance(option.default, int) and isinstance(value, float) and value.is_integer():
        value = int(value)
    misfit = _misfit(value, option)
    if misfit:
        faults.add((*path, key), misfit)
        return option.default
    return float(value) if isinstance(option.default, float) else value  # type: ignore[arg-type, return-value]


def _misfit(value: Tree, option: Option) -> str | None:
    """What is wrong with the value of an option, if anything."""
    if option.choices:
        if isinstance(value, str) and value in option.choices:
            return None
        near = _near(value, option.choices)
        return f"expected one of {', '.join(option.choices)}, found {shown(value)}{near}"
    whole = isinstance(option.default, int)
    kind = "a whole number" if whole else "a number"
    fits = isinstance(value, int) or (isinstance(value, float) and not whole)
    least = option.least if option.least is not None else -_LARGEST
    if isinstance(value, bool) or not fits:
        return f"expected {kind}, found {shown(value)}"
    if not least <= value <= _LARGEST:  # type: ignore[operator]
        bound = f"at least {least:g}" if not value >= least else f"at most {_LARGEST:g}"  # type: ignore[operator]
        return f"expected {kind}, {bound}, found {shown(value)}"
    return None


def _unknown(name: Tree) -> str:
    if name in ALWAYS:
        return f"{name} is always measured: leave it out"
    return f"{_names()}, found {shown(name)}{_near(name, OPTIONAL)}"


def _names() -> str:
    return f"expected one of {', '.join(OPTIONAL)}"


def _near(name: Tree, known: Iterable[str]) -> str:
    near = nearest(name, known) if isinstance(name, str) else None
    return f"; did you mean {near}?" if near else ""


def explained(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The runs; a single one of a net of one place with its factors measured, if its cell has
    some: they say in a line why its gradient does what it does."""
    if len(runs) != 1 or runs[0].layers > 1 or runs[0].bidirectional:
        return runs
    from gradflow.measures.factors import has_factors  # for a single run alone

    (run,) = runs
    if any(asked.name == UNASKED for asked in run.measures) or not has_factors(run.cells[0, 0]):
        return runs
    return (replace(run, measures=(*run.measures, Asked(UNASKED))),)
