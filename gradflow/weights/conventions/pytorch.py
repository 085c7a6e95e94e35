"""PyTorch: `weight_ih_l0`, `weight_hh_l0_reverse`, ... of RNN, LSTM and GRU, and of their cells.

Gates are ordered as gradflow has them: LSTM `i f g o`, GRU `r z n`, reset after. A state dict does
not say whether tanh or relu. `reparametrized` puts together what weight norm and the like keep
apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from gradflow.weights.conventions.reparametrized import FORMS, plain_parameter, put_together
from gradflow.weights.layers import (
    Names,
    Net,
    NetPlace,
    RecurrentLayer,
    Traits,
    make_layer,
    of_another_kind,
)
from gradflow.weights.tensors import Array, Tensors, named, refuse

NAME = "PyTorch"
TRANSPOSED = False
"""What the convention is called, and whether a dense layer's kernel is (inputs, outputs)."""

_PARAMETERS = {
    "weight_ih": "W_x",
    "weight_hh": "W_s",
    "bias_ih": "b_x",
    "bias_hh": "b_s",
    "weight_hr": "W_p",
}

_NAME = re.compile(
    rf"(?:(?P<prefix>.*)[./])?(?P<role>{'|'.join(_PARAMETERS)})"
    r"(?:_l(?P<layer>\d{1,6})(?P<reverse>_reverse)?)?"
)

_STRANGER = re.compile(r"(?:weight|bias)(?:_.*)?")
"""What only another kind of net has next to the numbered layers of PyTorch's own. Next to a cell's
parameters, which have no number, anything is such."""

_WRAPPERS = re.compile(r"(?:^|(?<=[./]))(?:module|_orig_mod|_fsdp_wrapped_module)(?:[./]|$)")
"""Modules that hold another one and add nothing: parallel, compiled, sharded, with dropout."""

_TRAITS = {
    "rnn": Traits(undetermined=("activation",)),
    "lstm": Traits(),
    "gru": Traits({"reset": "after"}),
}

_Roles = dict[str, dict[str, str]]
"""By parameter, the names of its tensors by the part of it that they are ("" for the whole)."""

_Stack = dict[tuple[int, str], _Roles]
"""Those of a module by layer and direction."""


def find(tensors: Tensors, names: Iterable[str] | None = None) -> Iterator[Net]:
    """The nets of the modules that the tensors, or those of these names, belong to."""
    strangers = _strangers(tensors)
    modules = _modules(tensors if names is None else names)
    for module, layers in modules.items():
        yield Net(module, partial(_stack, tensors, module, layers, strangers))


def _strangers(names: Iterable[str]) -> dict[str, list[str]]:
    """By module what is in it directly and is no parameter that PyTorch's layers have."""
    found: dict[str, list[str]] = {}
    for name in names:
        plain, _ = plain_parameter(name)
        if not _NAME.fullmatch(plain):
            found.setdefault(_module_of(plain), []).append(name)
    return found


def _module_of(name: str) -> str:
    return re.split(r"[./](?=[^./]*$)", name)[0] if re.search("[./]", name) else ""


def _check_alone(
    tensors: Tensors, module: str, layers: _Stack, strangers: Mapping[str, list[str]]
) -> None:
    """Raises where a net has more than PyTorch's layers have: it is of another kind, whose
    equations its names do not say."""
    there = [
        name for roles in layers.values() for parts in roles.values() for name in parts.values()
    ]
    first = plain_parameter(there[0])[0]
    is_cell = not re.search(r"_l\d+(_reverse)?$", first)
    for own in dict.fromkeys(_module_of(plain_parameter(name)[0]) for name in there):
        for name in strangers.get(own, []):
            if is_cell or _STRANGER.fullmatch(re.split("[./]", name)[-1]):
                whose = "an RNN, LSTM or GRU of PyTorch"
                raise of_another_kind(tensors, module, name, there[0], whose)


def unwrapped(module: str) -> str:
    """The name of a module without those that only wrap another one."""
    return _WRAPPERS.sub("", module).rstrip("./")


def _modules(names: Iterable[str]) -> dict[str, _Stack]:
    """The parameters' names by module. Where a file has a module both wrapped and not (such as
    running averages next to it), each keeps its whole name."""
    whole: dict[str, _Stack] = {}
    for name in names:
        plain, part = plain_parameter(name)
        if match := _NAME.fullmatch(plain):
            direction = "reverse" if match["reverse"] else "forward"
            at = int(match["layer"] or 0), direction
            roles = whole.setdefault(match["prefix"] or "", {}).setdefault(at, {})
            roles.setdefault(_PARAMETERS[match["role"]], {})[part] = name
    joined: dict[str, _Stack] = {}
    for module, layers in whole.items():
        short = unwrapped(module)
        there = joined.get(short, {})
        clash = any(
            part in there.get(at, {}).get(role, {})
            for at, roles in layers.items()
            for role, parts in roles.items()
            for part in parts
        )
        own = joined.setdefault(module if clash else short, {})
        for at, roles in layers.items():
            for role, parts in roles.items():
                own.setdefault(at, {}).setdefault(role, {}).update(parts)
    return joined


def _stack(
    tensors: Tensors, module: str, layers: _Stack, strangers: Mapping[str, list[str]]
) -> list[RecurrentLayer]:
    """The layers of one module, refused where one of them or a part of it is missing, and where it
    has what theirs have not."""
    _check_alone(tensors, module, layers, strangers)
    directions = sorted({direction for _, direction in layers} | {"forward"})
    wanted = {role for roles in layers.values() for role in roles} | {"W_x", "W_s"}
    found = []
    for index in range(max(layer for layer, _ in layers) + 1):
        for direction in directions:
            roles = layers.get((index, direction), {})
            if missing := sorted(wanted - roles.keys()):
                raise refuse(tensors.source, _missing(module, index, direction, missing[0], layers))
            found.append(_layer(tensors, NetPlace(module, index, direction), roles))
    return found


def _missing(
    module: str,
    index: int,
    direction: str,
    parameter: str,
    layers: Mapping[tuple[int, str], _Roles],
) -> str:
    """The message for a tensor that is not there, next to one of those that are."""
    role = next(role for role, p in _PARAMETERS.items() if p == parameter)
    there = next(iter(next(iter(next(iter(layers.values())).values())).values()))
    suffix = f"_l{index}" if re.search(r"_l\d+(_reverse)?(_|\.|$)", there) else ""
    suffix += "_reverse" if direction == "reverse" else ""
    name = f"{module}.{role}{suffix}".lstrip(".")
    return f"tensor {named(name)} is missing: the net {named(module)} has {named(there)}"


def _facts(tensors: Tensors, names: _Roles) -> Mapping[str, Any]:
    """What the module of a layer says of itself, if it is the module and not only tensors."""
    modules: Mapping[str, Mapping[str, Any]] = tensors.attributes.get("modules", {})
    name = next(iter(names["W_s"].values()))
    return modules.get(name.rpartition(".")[0], {}) if modules else {}


def _nonlinearity(facts: Mapping[str, Any]) -> str | None:
    """The activation of an RNN whose module says so."""
    given = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(str(facts.get("mode")))
    return given or next((a for a in ("tanh", "relu") if facts.get("nonlinearity") == a), None)


_OWN = re.compile(r"(Parametrized)?(RNN|LSTM|GRU)(Cell)?|RecursiveScriptModule")
_CELLS = re.compile(r"(?:.*[./])?cells[./]\d+", re.DOTALL)


def _doubt(module: str, facts: Mapping[str, Any], cell: str) -> str | None:
    """The note for a cell that may be another package's: torchrecurrent calls the tensors of all
    its cells so, and puts them into a list `cells`."""
    own = "RNN" if cell == "rnn" else cell.upper()
    kind = facts.get("class")
    if kind is not None and "mode" not in facts and not _OWN.fullmatch(str(kind)):
        return f"read by its tensors as PyTorch's {own}Cell: its class is {str(kind)[:60]}"
    if kind is None and _CELLS.fullmatch(module):
        return (
            f"read as PyTorch's {own}Cell, which the file does not say: other cells, as those of "
            "torchrecurrent, have tensors of these names and shapes too"
        )
    return None


_BATCH_FIRST = "the module is batch_first; arrays of input are (T, N, I) all the same"


def _layer(tensors: Tensors, place: NetPlace, names: _Roles) -> RecurrentLayer:
    arrays: dict[str, Array] = {}
    origin: dict[str, Names] = {}
    notes = []
    for parameter, parts in names.items():
        form, origin[parameter], arrays[parameter] = put_together(tensors, parts)
        notes += [FORMS[form]] if FORMS[form] else []
    facts = _facts(tensors, names)
    if facts.get("batch_first") is True:
        notes.append(_BATCH_FIRST)
    module = _module_of(next(iter(names["W_s"].values())))
    traits = {
        cell: replace(
            known, notes=tuple(dict.fromkeys(filter(None, (*notes, _doubt(module, facts, cell)))))
        )
        for cell, known in _TRAITS.items()
    }
    if activation := _nonlinearity(facts):
        traits["rnn"] = replace(traits["rnn"], options={"activation": activation}, undetermined=())
    return make_layer(tensors, NAME, place, origin, arrays, traits)
