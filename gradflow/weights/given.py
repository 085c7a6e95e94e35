"""Parameters that are in memory: a state dict of arrays or tensors, or the module that has one.

Nothing is imported for it: a tensor is asked for its numbers, `detach().cpu().numpy()`, a module
for its `state_dict()` and, if it has them, its `named_modules()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradflow.weights.tensors import Array, Stored, Tensors, named, refuse

SOURCE = "weights"
"""What messages call them."""


def is_module(value: object) -> bool:
    """Whether it has a state dict."""
    return callable(getattr(value, "state_dict", None))


def is_state_dict(value: object) -> bool:
    """Whether it holds nothing but arrays or tensors by name."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(
        isinstance(k, str) and hasattr(v, "shape") and hasattr(v, "dtype") for k, v in value.items()
    )


def given(weights: Any) -> Tensors:
    """The tensors of a state dict, or of a module.

    Raises:
        InputError: it is neither, or one of them is no array of numbers.
    """
    modules = {}
    if is_module(weights):
        modules = _facts(weights)
        weights = weights.state_dict()
    if not isinstance(weights, Mapping):
        kind = type(weights).__name__
        raise refuse(SOURCE, f"expected a module or a state dict of arrays, found a {kind}")
    # What else a state dict has, such as counters, is not looked at.
    tensors = {name: value for name, value in weights.items() if hasattr(value, "shape")}
    if not tensors:
        raise refuse(SOURCE, "holds no arrays")
    stored = {str(name): _stored(str(name), value) for name, value in tensors.items()}
    return Tensors(SOURCE, stored, {"modules": modules}, "a state dict")


def _stored(name: str, value: Any) -> Stored:
    return Stored(
        tuple(map(int, value.shape)),
        str(value.dtype).rpartition(".")[2],
        lambda: _numbers(name, value),
    )


def _numbers(name: str, value: Any) -> Array:
    """The numbers of an array or tensor; bfloat16 as float32."""
    try:
        if callable(getattr(value, "detach", None)):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype).endswith("bfloat16") else value).numpy()
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise refuse(SOURCE, f"tensor {named(name)} cannot be read: {error}") from None
    if array.dtype.kind not in "fciub":
        raise refuse(SOURCE, f"tensor {named(name)} holds no numbers: {array.dtype}")
    return array


def _facts(module: Any) -> dict[str, dict[str, Any]]:
    """The class and the plain attributes of each module in it, by name."""
    if not callable(getattr(module, "named_modules", None)):
        return {}
    return {
        name: {
            "class": type(one).__name__,
            **{k: v for k, v in vars(one).items() if isinstance(v, str | int | float | bool)},
        }
        for name, one in module.named_modules()
    }
