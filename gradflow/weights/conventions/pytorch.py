"""PyTorch: `weight_ih_l0`, `weight_hh_l0_reverse`, ... of RNN, LSTM and GRU, and of their cells.

Gates stand as gradflow has them: LSTM `i f g o`, GRU `r z n`, reset after. A state dict does not
tell tanh from relu.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from gradflow.weights.layers import Net, Place, RecurrentLayer, Traits, make_layer
from gradflow.weights.tensors import Tensors, named, refuse

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

_TRAITS = {
    "rnn": Traits(undetermined=("activation",)),
    "lstm": Traits(),
    "gru": Traits({"reset": "after"}),
}

_Roles = dict[str, str]
"""Names of tensors by parameter."""


def find(tensors: Tensors) -> Iterator[Net]:
    """The nets of the modules that the tensors belong to."""
    for module, layers in _modules(tensors).items():
        yield Net(module, partial(_stack, tensors, module, layers))


def _modules(tensors: Tensors) -> dict[str, dict[tuple[int, str], _Roles]]:
    """The parameters' names by module, layer and direction."""
    modules: dict[str, dict[tuple[int, str], _Roles]] = {}
    for name in tensors:
        if match := _NAME.fullmatch(name):
            layers = modules.setdefault(match["prefix"] or "", {})
            direction = "reverse" if match["reverse"] else "forward"
            roles = layers.setdefault((int(match["layer"] or 0), direction), {})
            roles[_PARAMETERS[match["role"]]] = name
    return modules


def _stack(
    tensors: Tensors, module: str, layers: Mapping[tuple[int, str], _Roles]
) -> list[RecurrentLayer]:
    """The layers of one module, refused where one of them or a part of it is missing."""
    directions = sorted({direction for _, direction in layers} | {"forward"})
    wanted = {role for roles in layers.values() for role in roles} | {"W_x", "W_s"}
    found = []
    for index in range(max(layer for layer, _ in layers) + 1):
        for direction in directions:
            roles = layers.get((index, direction), {})
            if missing := sorted(wanted - roles.keys()):
                raise refuse(tensors.source, _missing(module, index, direction, missing[0], layers))
            found.append(_layer(tensors, Place(module, index, direction), roles))
    return found


def _missing(
    module: str,
    index: int,
    direction: str,
    parameter: str,
    layers: Mapping[tuple[int, str], _Roles],
) -> str:
    """The message for a tensor that is not there, beside one of those that are."""
    role = next(role for role, p in _PARAMETERS.items() if p == parameter)
    there = next(iter(next(iter(layers.values())).values()))
    suffix = f"_l{index}" if re.search(r"_l\d+(_reverse)?$", there) else ""
    suffix += "_reverse" if direction == "reverse" else ""
    name = f"{module}.{role}{suffix}".lstrip(".")
    return f"tensor {named(name)} is missing: the net {named(module)} has {named(there)}"


def _layer(tensors: Tensors, place: Place, names: _Roles) -> RecurrentLayer:
    arrays = {parameter: tensors[name] for parameter, name in names.items()}
    origin = {parameter: (name,) for parameter, name in names.items()}
    return make_layer(tensors, "PyTorch", place, origin, arrays, _TRAITS)
