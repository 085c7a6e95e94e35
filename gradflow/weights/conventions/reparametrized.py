"""Parameters that PyTorch's utilities keep in parts, put together as they are in evaluation.

Weight drop keeps `weight_hh_l0_raw`; weight norm `_g` and `_v` (Salimans and Kingma 2016,
w = g v / |v|), as a parametrization `original0` and `original1`; spectral norm `_orig`, `_u` and
`_v` (Miyato et al. 2018, w / uᵀWv); pruning `_orig` and `_mask`.
"""

from __future__ import annotations

import re

import numpy as np

from gradflow.weights.layers import Names
from gradflow.weights.tensors import Array, Tensors, float64, named, refuse

FORMS = {
    "whole": "",
    "raw": "weights under weight drop: the raw ones are taken, as in evaluation",
    "norm": "weights under weight norm: put together from length and direction",
    "spectral": "weights under spectral norm: divided by it, as in evaluation",
    "pruned": "pruned weights: the mask is applied",
}
"""The ways in which a parameter is kept, with what is said of it."""

_PARAMETRIZED = re.compile(
    r"(?P<module>(?:.*[./])?)parametrizations[./](?P<role>(?:weight|bias)_\w+)[./]"
    r"(?P<part>original0|original1|original|0[./]_u|0[./]_v)"
)
_SUFFIXED = re.compile(
    r"(?P<name>(?:.*[./])?(?:weight|bias)_(?:ih|hh|hr)(?:_l\d{1,6}(?:_reverse)?)?)"
    r"_(?P<part>raw|g|v|u|orig|mask)"
)
_PARTS = {"original0": "g", "original1": "v", "original": "orig", "_u": "u", "_v": "v"}


def plain_parameter(name: str) -> tuple[str, str]:
    """The name of the parameter that a tensor is part of, and of the part: "" is the whole."""
    if match := _PARAMETRIZED.fullmatch(name):
        part = re.split("[./]", match["part"])[-1]
        return match["module"] + match["role"], _PARTS[part]
    if match := _SUFFIXED.fullmatch(name):
        return match["name"], match["part"]
    return name, ""


def put_together(tensors: Tensors, parts: dict[str, str]) -> tuple[str, Names, Array]:
    """A parameter from the names of its parts: its form, the tensors that it came from, itself.

    Raises InputError where a part is missing, or does not fit.
    """
    if "raw" in parts:
        return "raw", (parts["raw"],), tensors[parts["raw"]]
    if "" in parts:
        return "whole", (parts[""],), tensors[parts[""]]
    if "mask" in parts:
        return _made(tensors, parts, "pruned", ("orig", "mask"))
    if list(parts) == ["orig"] and "parametrizations" in parts["orig"]:
        message = "is under a parametrization that is not computed here: save it without,"
        message += " torch.nn.utils.parametrize.remove_parametrizations(module, name)"
        raise refuse(tensors.source, f"tensor {named(parts['orig'])} {message}")
    if "u" in parts or "orig" in parts:
        return _made(tensors, parts, "spectral", ("orig", "u", "v"))
    return _made(tensors, parts, "norm", ("g", "v"))


def _made(
    tensors: Tensors, parts: dict[str, str], form: str, wanted: tuple[str, ...]
) -> tuple[str, Names, Array]:
    there = named(next(iter(parts.values())))
    if missing := [part for part in wanted if part not in parts]:
        message = f"the part {missing[0]!r} of a parameter is missing, next to the tensor {there}"
        raise refuse(tensors.source, message)
    names = tuple(parts[part] for part in wanted)
    whole, *others = (float64(tensors[name]) for name in names)
    try:
        if form == "pruned":
            (mask,) = others
            found = whole * np.broadcast_to(mask, whole.shape)
        elif form == "spectral":
            u, v = others
            found = whole / (u @ whole.reshape(len(whole), -1) @ v)
        else:
            found = _normed(whole, others[0])
    except ValueError:
        shapes = ", ".join(str(tensors.shape(name)) for name in names)
        message = f"the parts {shapes} do not make one parameter"
        raise refuse(tensors.source, f"tensor {there}: {message}") from None
    return form, names, found


def _normed(g: Array, v: Array) -> Array:
    """g v / |v|, the length along the axes on which g is 1 (or all, where it is a number)."""
    if g.ndim and (g.ndim != v.ndim or np.broadcast_shapes(g.shape, v.shape) != v.shape):
        raise ValueError
    axes = tuple(k for k in range(v.ndim) if not g.ndim or g.shape[k] == 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # what is not finite is refused by name
        normed: Array = g * (v / np.sqrt((v * v).sum(axis=axes, keepdims=True)))
    return normed
