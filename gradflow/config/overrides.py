"""`--set KEY=VALUE`: values from the command line, put over those of the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from gradflow.cells import CELLS
from gradflow.config import tree
from gradflow.config.bare import BARE
from gradflow.config.faults import Faults
from gradflow.config.model import Config
from gradflow.config.tree import Tree
from gradflow.errors import Fault, InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_DEFAULTS: dict[str, Tree] = {
    name: Config.model_fields[name].default.kind for name in ("input", "initial_state", "loss")
}
"""What is at a key that the config leaves out."""


def settable(incomplete: str) -> list[str]:
    """`KEY=` of every key, and of every option of a cell, that begins so; behind the equals sign
    the values of a choice. Of a key that is alone its values are there already, or its default:
    shells put a blank behind what is alone, and none where more may follow."""
    key, equals, _ = incomplete.partition("=")
    if equals:
        values = [f"{key}={value}" for value in _choices(key)]
        return [text for text in values if text.startswith(incomplete)]
    names = [f"{name}=" for name in Config.model_fields]
    if "." in incomplete:
        outer = incomplete.partition(".")[0]
        inner = ["type", *_options()] if outer == "cell" else _fields(outer)
        names = [f"{outer}.{name}=" for name in inner]
    names = [name for name in names if name.startswith(incomplete)]
    if len(names) == 1:
        key = names[0].removesuffix("=")
        values = [f"{key}={value}" for value in _choices(key)]
        names += values or [f"{name}={value}" for name, value in _defaults(key).items()]
    return names


def _defaults(key: str) -> dict[str, str]:
    """The default of a key or of an option of a cell, as `--set` takes it; of a mapping those of
    the keys in it."""
    if key.startswith("cell."):
        return {key: str(_options()[key.removeprefix("cell.")])}
    outer, _, inner = key.partition(".")
    if inner:
        fields = [one for one in _fields(outer)[inner] if not one.is_required()]
        return {key: json.dumps(fields[0].default)} if fields else {}
    default = Config.model_validate({"cell": "rnn"}).model_dump(mode="json")[key]
    if isinstance(default, dict):
        return {f"{key}.{name}": json.dumps(value) for name, value in default.items()}
    return {key: json.dumps(default[0] if isinstance(default, list) and default else default)}


def _options() -> dict[str, object]:
    """The options of all cells, and what is declared of each."""
    return {name: given for cell in CELLS for name, given in CELLS[cell].equations.options}


def _choices(key: str) -> list[str]:
    """The names that a key can be, as far as there are such."""
    if key in ("cell", "cell.type"):
        return list(CELLS)
    if key == "measure":
        from gradflow.measures import OPTIONAL

        return list(OPTIONAL)
    outer, _, inner = key.partition(".")
    if inner and outer == "cell":
        given = _options().get(inner)
        return [str(one) for one in given] if isinstance(given, tuple) else []
    there = _fields(outer).get(inner, []) if inner else [Config.model_fields.get(key)]
    kinds = (field.annotation for field in there if field is not None)
    return [*dict.fromkeys(name for kind in kinds for name in _names_in(kind))]


def _fields(key: str) -> dict[str, list[FieldInfo]]:
    """What a mapping at this key of a config may hold, each as in the forms that the mapping
    takes."""
    found: dict[str, list[FieldInfo]] = {}
    field = Config.model_fields.get(key)
    for model in _models(field.annotation) if field is not None else ():
        for name, inner in model.model_fields.items():
            found.setdefault(name, []).append(inner)
    return found


def _models(kind: Any) -> Iterator[Any]:
    """The models within a type."""
    if hasattr(kind, "model_fields"):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)


def _names_in(kind: Any) -> Iterator[str]:
    """The texts of the literals within a type, and those that a model's `kind` may be."""
    if kind is bool:
        yield from ("true", "false")
    if "kind" in getattr(kind, "model_fields", {}):
        yield from _names_in(kind.model_fields["kind"].annotation)
    for inner in get_args(kind):
        if isinstance(inner, str) and get_origin(kind) is Literal:
            yield inner
        else:
            yield from _names_in(inner)


def override(data: Tree, overrides: Sequence[str], faults: Faults) -> Tree:
    """The data with each `KEY=VALUE` put where it belongs."""
    for text in overrides:
        key, equals, value = text.partition("=")
        steps = re.findall(r"[^.\[\]]+", key)
        if not equals or not steps:
            faults.found.append(Fault("expected KEY=VALUE, such as ws_scale=1.5", f"--set {text}"))
            continue
        path = tuple(int(s) if s.isdecimal() and len(s) < 10 else s for s in steps)
        if len(path) > tree.MAX_DEPTH:
            message = f"nested too deeply: expected at most {tree.MAX_DEPTH} names"
            faults.found.append(Fault(message, f"--set {key[:40]}…"))
            continue
        try:
            data = _put(data, path, tree.parse_value(value, f"--set {text}"), str(path[0]))
        except InputError as error:
            faults.found += [Fault(f.message, f.source, key=key) for f in error.faults]
            continue
        except LookupError as error:
            faults.found.append(Fault(str(error.args[0]), f"--set {text}", key=key))
            continue
        faults.given[path] = f"--set {text}"
    return data


def _put(data: Tree, path: tuple[str | int, ...], value: Tree, key: str) -> Tree:
    """A copy of `data` with `value` at `path`; a bare cell, input or loss becomes a mapping. `key`
    is that of the config that it is in."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(data, list) or step >= len(data):
            raise LookupError(f"there is no item {step} to set")
        return [_put(v, rest, value, key) if i == step else v for i, v in enumerate(data)]
    if isinstance(data, list):
        raise LookupError(f"a list: put the number of an item before {step}, or set it whole")
    if isinstance(data, str):
        data = {} if step in BARE.values() else {BARE.get(key, "kind"): data}
    if data is not None and not isinstance(data, dict):
        raise LookupError(f"there is no mapping to set {step} in")
    data = data or {}
    default = _DEFAULTS.get(str(step))
    return {**data, step: _put(data.get(step, default), rest, value, key)}
