"""pydantic's complaints in our words: what was expected, what was found, the nearest name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import PurePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gradflow.cells import CELLS
from gradflow.config import elsewhere
from gradflow.config.bare import BARE
from gradflow.config.model import MODELS, Config
from gradflow.config.tree import Path, Tree, parse_value
from gradflow.errors import InputError, nearest

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least one value",
    "string_too_short": "a name",
}
_EXPECTED_AT = {
    "lags": "auto, all or a list of lags",
    "target": "a number or the name of a file",
    "at": "last, all, a list of steps or a mapping such as {every: 10}",
    "tape_memory": "a number of bytes or a text such as 512MiB",
    "columns": "the name or the number of a column",
}
"""What the keys that take values of several types expect."""

_WRONG_TYPES = {"literal_error", "float_type", "int_type"}

CELL_FORM = f"{', '.join(CELLS)} or a mapping such as {{type: lstm, forget_bias: 1}}"
"""What the key `cell` takes."""

_FORMS = {
    "cell": CELL_FORM,
    "input": "gaussian, zeros or a mapping such as {file: series.csv}",
    "initial_state": "zeros, gaussian or a mapping such as {kind: gaussian, scale: 1} or {file: "
    "s0.npz}",
    "loss": "mse, cross_entropy, probe, sum or a mapping such as {kind: mse, target: 0}",
    "parameters": 'a mapping such as {W: "rnn.weight_ih"}, or a list of them, one a layer',
    "thresholds": "a mapping such as {vanishing: 1e-3, exploding: 1e3}",
    "weights": "the name of a file or a mapping such as {file: net.pt, prefix: encoder}",
}
"""What the keys whose value is a mapping take."""

_MOST_KEYS = 100  # of a mapping that are looked at for a typo
_NO_MAPPING = {"union_tag_not_found", "model_type", "model_attributes_type", "dict_type"}
_NAMING = {key: BARE[key] for key in ("input", "initial_state")}
"""The key that says which of several mappings is meant."""


Misfit = tuple[Path, bool, str]
"""Key path, whether the key itself is at fault, message."""


def faults_in(
    error: ValidationError, data: Tree
) -> tuple[list[tuple[Path, bool]], Callable[[int], Misfit]]:
    """About where each error is (a key path, whether it is the key), and what gives the whole
    of one by its index: messages take time, and of many thousands only some are shown."""
    errors = error.errors(include_url=False, include_input=False)
    paths = [(_found(data, one["loc"])[0], one["type"] == "extra_forbidden") for one in errors]
    return paths, lambda index: _located(errors[index], data)


def _located(details: ErrorDetails, data: Tree) -> Misfit:
    loc = details["loc"]
    path, found = _found(data, loc)
    kind = details["type"]
    if kind == "extra_forbidden":
        name = str(loc[-1])
        path = path if path[-1:] == (name,) else (*path, name)
        known = _known_keys(loc[:-1])
        advice = elsewhere.hint(name, data) if len(path) == 1 else None
        return path, True, advice or unknown_key(name, known)
    if kind == "missing":
        return (*path, str(loc[-1])), False, _required(str(loc[-1]))
    if kind in _NO_MAPPING and (typo := _naming_typo(path, found)):
        near, right = typo
        return (*path, near), True, f"unknown key; did you mean {right}?"
    if kind == "union_tag_invalid" and isinstance(found, dict):
        name = _NAMING[str(path[0])]
        return (*path, name), False, _misfit(details, path, found[name])
    return path, False, _misfit(details, path, found)


def _found(data: Tree, loc: Iterable[str | int]) -> tuple[Path, Tree]:
    """The part of pydantic's location that is a path in the config, and the value there: no union
    tags, no index of an item that is alone."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]  # type: ignore[index]
            path.append(part)
    return tuple(path), data


def _required(key: str) -> str:
    form = f": expected {_FORMS[key]}" if key in _FORMS else ""
    return f"this key is required{form}"


def _misfit(details: ErrorDetails, path: Path, found: Tree) -> str:
    """What was expected and what was found."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _NO_MAPPING:
        form = next(_FORMS[key] for key in map(str, reversed(path)) if key in _FORMS)
        return f"expected {form}, found {shown(found)}"
    key = next(part for part in reversed(path) if isinstance(part, str))
    item = key in ("lags", "at") and path[-1] != key
    if kind in _WRONG_TYPES and key in _EXPECTED_AT and not item:
        return f"expected {_EXPECTED_AT[key]}, found {shown(found)}"
    names = context.get("expected") or context.get("expected_tags")
    if not names:
        return _expected(details, found) or details["msg"]
    known = [name.strip(" '") for name in names.replace(" or ", ",").split(",")]
    known = [name for name in known if not name.startswith("(")]
    if path[0] in _NAMING and isinstance(found, str) and PurePath(found).suffix:
        return f"{one_of(known, found, guess=False)}; for a file write {{file: {found}}}"
    return one_of(known, found)


def _expected(details: ErrorDetails, found: Tree) -> str:
    """`expected at least 1, found 0`; "" where pydantic's own words have to do."""
    if details["type"] not in _EXPECTED:
        return ""
    context = details.get("ctx", {})
    values = {name: f"{v:g}" if isinstance(v, float) else v for name, v in context.items()}
    return f"expected {_EXPECTED[details['type']].format(**values)}, found {shown(found)}"


def misfit_of_option(details: ErrorDetails, choices: Sequence[str]) -> str:
    """What an option of the command line was expected to be and what was found; `choices` are those
    of one that has such."""
    try:
        found = parse_value(str(details["input"]), "")
    except InputError:
        found = str(details["input"])
    if choices:
        return one_of(choices, found)
    return _expected(details, found) or details["msg"]


def one_of(names: Iterable[str], found: object, guess: bool = True) -> str:
    """`expected tanh or relu, found "tahn"; did you mean tanh?`"""
    names = list(names)
    expected = " or ".join(", ".join(names).rsplit(", ", 1))
    near = meant(found, names) if guess and isinstance(found, str) else None
    hint = f"; did you mean {near}?" if near else ""
    return f"expected {expected}, found {shown(found)}{hint}"


def meant(name: str, known: Sequence[str]) -> str | None:
    """The known name that is called so elsewhere, or is most like this one."""
    return elsewhere.called(name, known) or nearest(name, known)


def unknown_key(name: str, known: Sequence[str]) -> str:
    """`unknown key; did you mean hidden_size?`, or the known ones where none is near."""
    near = nearest(name, known)
    if near:
        return f"unknown key; did you mean {near}?"
    return f"unknown key; known are {', '.join(known)}" if len(known) <= 10 else "unknown key"


def _naming_typo(path: Path, found: Tree) -> tuple[str, str] | None:
    """The key that was meant to say which mapping this is, and its right name."""
    name = _NAMING.get(str(path[0])) if path else None
    if name is None or not isinstance(found, dict):
        return None
    names = [name, "file"]
    near = misspelt(found, names)
    return None if near is None else (near, str(nearest(near, names)))


def misspelt(mapping: Mapping[str, object], names: list[str]) -> str | None:
    """The first of a mapping's keys that was meant to be one of these names, but is not."""
    keys = (key for key in islice(mapping, _MOST_KEYS) if key not in names)
    return next((key for key in keys if nearest(key, names)), None)


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    """The keys of the model at pydantic's location `loc`."""
    if not loc:
        return list(Config.model_fields)
    tag = next((part for part in loc[1:] if isinstance(part, str)), "")
    return list(MODELS[tag or str(loc[0])].model_fields)


def shown(value: object) -> str:
    """What was found, short, as YAML has it."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    pieces, length = [], 0
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > 60:
            break
    text = "".join(pieces)
    return text if len(text) <= 60 else text[:57] + "..."
