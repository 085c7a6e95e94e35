"""Parameters that are in memory: a state dict of arrays or tensors, or the module that has one.

Nothing is imported for it: a tensor is asked for its numbers, `detach().cpu().numpy()`, a module
for its `state_dict()` and, if it has them, its `named_modules()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradflow.numerics.arrays import of_any
from gradflow.weights.tensors import Array, Stored, Tensors, named, refuse

_DEEPEST = 8  # mappings within mappings

SOURCE = "weights"
"""What messages call them."""


def is_module(value: object) -> bool:
    """Whether it has a state dict."""
    return callable(getattr(value, "state_dict", None))


def is_state_dict(value: object) -> bool:
    """Whether it holds nothing but arrays or tensors by name, a matrix among them. A config whose
    values are all of NumPy holds no matrix, and has a cell."""
    if not isinstance(value, Mapping) or "cell" in value:
        return False
    arrays = [v for v in value.values() if hasattr(v, "shape") and hasattr(v, "dtype")]
    alone = len(arrays) == len(value) and all(isinstance(name, str) for name in value)
    return alone and any(len(v.shape) > 1 for v in arrays) and not any(map(is_text, arrays))


def is_text(value: object) -> bool:
    """Whether it is text, as Python or NumPy has it."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return isinstance(value, str) or kind in ("U", "S", "T")


def given(weights: Any) -> Tensors:
    """The tensors of a state dict, or of a module.

    Raises:
        InputError: it is neither, or one of them is no array of numbers.
    """
    modules = {}
    if isinstance(weights, type):
        message = f"expected a module, found the class {weights.__name__}"
        raise refuse(SOURCE, f"{message}: make one, {weights.__name__}(...)")
    if is_module(weights):
        modules = _facts(weights)
        weights = weights.state_dict()
    if not isinstance(weights, Mapping):
        kind = type(weights).__name__
        raise refuse(SOURCE, f"expected a module or a state dict of arrays, found a {kind}")
    # What else a state dict has, such as counters, is not looked at.
    tensors = dict(_arrays(weights))
    if not tensors:
        raise refuse(SOURCE, "holds no arrays")
    stored = {str(name): _stored(str(name), value) for name, value in tensors.items()}
    return Tensors(SOURCE, stored, {"modules": modules}, "a state dict")


def _arrays(weights: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """What of a state dict is an array, a table or a list of numbers, by name; of mappings in it,
    as a checkpoint has them, too, under `state_dict.weight`."""
    for name, value in weights.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            if above.count(".") < _DEEPEST:
                yield from _arrays(value, f"{path}.")
        elif hasattr(value, "shape") and hasattr(value, "dtype"):
            yield path, value
        elif isinstance(value, list) or hasattr(value, "__array__"):
            try:
                found = np.asarray(value)
            except ValueError:  # a ragged list
                continue
            if found.ndim and found.size and found.dtype.kind in "fciub":
                yield path, found


def _stored(name: str, value: Any) -> Stored:
    return Stored(
        tuple(map(int, value.shape)),
        str(value.dtype).rpartition(".")[2],
        lambda: _numbers(name, value),
    )


def _numbers(name: str, value: Any) -> Array:
    """The numbers of an array or tensor; bfloat16 as float32."""
    try:
        array = of_any(value)
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
