"""From what a pickle describes to named tensors: nested dictionaries, lists, objects, modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.files.opening import Part, RegularFile
from gradflow.files.zips import FREE_BYTES
from gradflow.weights.readers.nested import leaves
from gradflow.weights.readers.pickle_names import Encoded, Inert, Numbers, PickleError, Raw, View
from gradflow.weights.tensors import (
    Array,
    Stored,
    Tensors,
    decode,
    element_count,
    itemsize,
    named,
    refuse,
)

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which checkpoints keep the model next to the optimizer and the like."""

Found = View | Numbers
Sizes = Callable[[str], "int | None"]
"""Bytes that the file has for a storage; None where it has not that storage."""

Read = Callable[[str, int, int], "bytes | bytearray"]
"""Some bytes of a storage: from where, and how many."""

_MOST_LISTED = 100  # dictionaries of parameters in a list
_MAX_WRAPPED = 8
"""How deep in a checkpoint the model may be wrapped."""
_MAX_NAMES = 16 << 20  # characters, of all names together
_MAX_REPEATED = 1 << 20
"""A view may repeat elements (`expand`), but not to make much out of nothing..."""
_MAX_SHARED = 8
"""...and tensors may share a storage, but not to take many times the bytes of the file."""

_MOMENTS = frozenset(
    (
        *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg"),
        *("acc_delta", "grad_avg", "exp_avg_sq_row", "exp_avg_sq_col", "prev_flat_grad"),
    )
)
_MOMENTS_BESIDE_STEP = frozenset(("sum", "prev", "ax"))
"""Names that are an optimizer's only where it counts its steps next to them."""

_HELD = ("_parameters", "_buffers", "_modules")
"""Attributes of a PyTorch module that hold what it is made of."""


def tensors_of(pickled: Part, content: Any, sizes: Sizes, read: Read, format: str) -> Tensors:
    """The tensors of an unpickled `content`. Raises InputError if there are none, or where one
    is not what its storage can hold. `pickled` is where the pickle lies in its file."""
    file = pickled.file
    content = _unwrap(content)
    modules: dict[str, Mapping[str, Any]] = {}
    try:
        found = list(named_tensors(content, modules))
        if not found:
            raise PickleError(_nothing(content))
        _check(found, sizes, file.size)
    except PickleError as error:
        raise refuse(file.source, str(error)) from None
    stored: dict[str, Stored] = {}
    for name, tensor in found:
        if name in stored:
            raise refuse(file.source, f"two of its tensors have the same name {named(name)}")
        shape, dtype = _kind(tensor)
        load = partial(_load, pickled, name, tensor, read)
        stored[name] = Stored(shape, dtype, load)
    return Tensors(file.source, stored, {"modules": modules}, format)


def named_tensors(
    content: Any,
    modules: dict[str, Mapping[str, Any]] | None = None,
    seen: set[int] | None = None,
) -> Iterator[tuple[str, Found]]:
    """The tensors within by dotted name, in the order of the file; each container is visited once,
    and those of optimizers are passed over. Facts of PyTorch modules are put into `modules`.
    Containers whose ids are in `seen` are passed over; those that are visited join them."""
    seen = set() if seen is None else seen
    if id(content) in seen:
        return
    seen.add(id(content))

    def unseen(value: Any, name: str) -> Iterator[tuple[str, Any]]:
        if id(value) not in seen:
            seen.add(id(value))
            yield from _children(value, name, modules)

    length = 0
    root = _children(content, "", modules)
    for name, found in leaves(root, _is_tensor, unseen, ".", PickleError):
        length += len(name)
        if length > _MAX_NAMES:
            raise PickleError(f"the names in it are longer than {_MAX_NAMES:,} characters")
        yield name, found


def _is_tensor(value: Any) -> bool:
    return isinstance(value, View | Numbers)


def _children(
    value: Any, name: str, modules: dict[str, Mapping[str, Any]] | None
) -> Iterator[tuple[str, Any]]:
    """What a container holds that may be or hold tensors, by name; nothing of an optimizer's."""
    if isinstance(value, Inert):
        yield from _of_object(value, name, modules)
    elif isinstance(value, list | tuple):
        yield from ((str(i), v) for i, v in enumerate(value) if isinstance(v, _CONTAINERS))
    elif isinstance(value, dict) and not _is_optimizer(value):
        yield from (item for item in value.items() if isinstance(item[1], _CONTAINERS))


_CONTAINERS = (dict, list, tuple, Inert, View, Numbers)


def _of_object(
    value: Inert, name: str, modules: dict[str, Mapping[str, Any]] | None
) -> Iterator[tuple[str, Any]]:
    states = value.state if isinstance(value.state, tuple) else (value.state,)
    for number, state in enumerate(states):
        if not isinstance(state, dict):
            yield from ((str(number), one) for one in (state,) if isinstance(one, _CONTAINERS))
        elif any(isinstance(state.get(part), dict) for part in _HELD):
            if modules is not None:
                modules[name] = {"class": value.name, **_plain(state)}
            for part in _HELD:
                yield from _children(_dict(state.get(part)), name, modules)
        else:
            if modules is not None and value.name.startswith("__torch__"):
                modules[name] = {"class": value.name, **_plain(state)}
            yield from _children(state, name, modules)
    yield from _children(value.items, name, modules)
    yield from _children(value.arguments, name, modules)


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that are numbers or short texts."""
    return {k: v for k, v in state.items() if isinstance(v, str | int | float | bool)}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_optimizer(content: dict[str, Any]) -> bool:
    """Whether a dictionary is an optimizer's, or what one keeps of a parameter."""
    if "step" in content and not _MOMENTS_BESIDE_STEP.isdisjoint(content):
        return True
    return ("param_groups" in content and "state" in content) or not _MOMENTS.isdisjoint(content)


def _unwrap(content: Any) -> Any:
    """The state dict in a checkpoint; another net next to it stays there, by its key."""
    for _ in range(_MAX_WRAPPED):
        if isinstance(content, dict):
            inner = next(_holders(content.get(w) for w in WRAPPERS), None)
            if inner is None:
                break
            if others := _others(content, inner):
                return _joined(content, inner, others)
            content = inner
        elif isinstance(content, list | tuple) and len(content) <= _MOST_LISTED:
            able = list(islice(_holders(content), 2))
            if len(able) != 1:
                break
            content = able[0]
        else:
            break
    return content


def _others(content: Mapping[str, Any], inner: Any) -> dict[str, Any]:
    """What holds matrices next to the state dict: more than the state of a generator of random
    numbers, or a loss."""
    others = {k: v for k, v in content.items() if v is not inner and isinstance(v, dict | Inert)}
    able = {id(part) for part in _holders(others.values(), _is_matrix)}
    return {key: value for key, value in others.items() if id(value) in able}


def _joined(content: Any, inner: Any, others: Mapping[str, Any]) -> Any:
    """A state dict and what is next to it, all as it was where their names would clash."""
    if not isinstance(inner, dict):
        return content
    first = {name.partition(".")[0] for name in inner}
    return content if first.intersection(others) else {**inner, **others}


def _holders(
    parts: Iterable[Any], wanted: Callable[[Found], bool] = lambda tensor: True
) -> Iterator[Any]:
    """Those of the parts that hold wanted tensors; what several share is searched once."""
    seen: set[int] = set()
    for part in parts:
        if isinstance(part, View | Numbers) or not isinstance(part, _CONTAINERS):
            continue
        try:
            found = any(wanted(tensor) for _, tensor in named_tensors(part, seen=seen))
        except PickleError:
            found = True  # which is said when they are named
        if found:
            seen = set()
            yield part


def _is_matrix(tensor: Found) -> bool:
    return isinstance(tensor.shape, tuple) and len(tensor.shape) == 2


def _nothing(content: Any) -> str:
    """Why there are no tensors: the first object that might have held some."""
    pending, seen = [content], set()
    for _ in range(1000):
        if not pending:
            break
        value = pending.pop(0)
        if isinstance(value, Inert):
            return (
                f"its pickle calls {value.name[:80]!r}, which is not run: save only the"
                " parameters, torch.save(model.state_dict(), FILE)"
            )
        if isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            pending += list(value.values() if isinstance(value, dict) else value)[:1000]
    return "expected a dictionary of tensors, found no tensor"


def _kind(tensor: Found) -> tuple[tuple[int, ...], str]:
    """Shape and dtype, of what has passed the checks."""
    if isinstance(tensor, View):
        return tensor.shape, tensor.dtype
    return tensor.shape, _numpy_dtype(tensor).newbyteorder("=").name


def _numpy_dtype(array: Numbers) -> np.dtype[Any]:
    if array.dtype is None or array.dtype.code is None:
        raise PickleError("holds something else than numbers")
    return np.dtype(array.dtype.order + array.dtype.code)


def _check(found: list[tuple[str, Found]], sizes: Sizes, size: int) -> None:
    """Raises where a tensor is not what its storage can hold, or where all claim too much."""
    claimed = 0
    for name, tensor in found:
        if isinstance(tensor, View):
            fault = _view_fault(tensor, sizes(tensor.storage.key))
        else:
            fault = _numbers_fault(tensor)
        if fault:
            raise PickleError(f"tensor {named(name)} {fault}")
        shape, dtype = _kind(tensor)
        claimed += math.prod(shape) * (itemsize(dtype) or 1)
    if claimed > max(FREE_BYTES, _MAX_SHARED * size):
        raise PickleError(f"its tensors claim {many(claimed, 'byte')} of a file of {size:,}")


def _view_fault(view: View, there: int | None) -> str | None:
    """What is wrong with a tensor on a storage for which `there` bytes are in the file."""
    if not isinstance(view.shape, tuple) or not isinstance(view.strides, tuple):
        return "has no shape"
    count = element_count(view.shape)
    known = None not in (element_count(view.strides), element_count([view.offset]))
    if count is None or not known or len(view.shape) != len(view.strides):
        return f"has an impossible shape {named(view.shape)} or strides {named(view.strides)}"
    size = itemsize(view.dtype)
    if size is None:
        return None  # listed, and refused only where it is used
    length = view.storage.length // (1 if view.storage.dtype else size)
    if there != length * size:
        found = "is not in the file" if there is None else f"has {there:,}"
        return f"needs a storage of {many(length * size, 'byte')}, which {found}: cut short?"
    if count and _last(view) >= length:
        return f"reaches element {_last(view):,} of a storage of {length:,}"
    if count > max(length, _MAX_REPEATED):
        return f"claims {many(count, 'element')} from a storage of {length:,}"
    return None


def _last(view: View) -> int:
    """The element of the storage that a tensor reaches furthest to."""
    return view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))


def _numbers_fault(array: Numbers) -> str | None:
    """What is wrong with an array whose bytes are in the pickle."""
    count = element_count(array.shape) if isinstance(array.shape, tuple) else None
    if count is None:
        return f"has an impossible shape {named(array.shape)}"
    try:
        needed = count * _numpy_dtype(array).itemsize
    except PickleError as error:
        return str(error)
    data, widest = array.data, 1
    if isinstance(data, Encoded):
        data, widest = data.text, 2  # bytes of UTF-8 to a character
    length = data.length if isinstance(data, Raw) else len(data) if _is_bytes(data) else -1
    if not needed <= length <= needed * (widest if isinstance(data, Raw) else 1):
        return f"needs {many(needed, 'byte')}, and {max(length, 0):,} are there: cut short?"
    return None


def _is_bytes(data: Any) -> bool:
    return isinstance(data, bytes | str)


def _load(pickled: Part, name: str, tensor: Found, read: Read) -> Array:
    """The numbers of one tensor."""
    if isinstance(tensor, View):
        return _load_view(pickled.file, name, tensor, read)
    data = tensor.data.text if isinstance(tensor.data, Encoded) else tensor.data
    if isinstance(data, Raw):
        raw = bytes(pickled.read_at(data.start, data.length))
        data = raw.decode("utf-8", "replace") if data.is_text else raw
    if isinstance(data, str):
        data = data.encode("latin-1", "replace")
    dtype = _numpy_dtype(tensor)
    if len(data) != math.prod(tensor.shape) * dtype.itemsize:
        raise refuse(pickled.file.source, f"tensor {named(name)} is damaged: its bytes are too few")
    flat = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return flat.reshape(tensor.shape, order="F" if tensor.fortran else "C")


def _load_view(file: RegularFile, name: str, view: View, read: Read) -> Array:
    size = itemsize(view.dtype)
    if size is None:
        raise refuse(file.source, f"tensor {named(name)} holds {named(view.dtype)} numbers")
    if not math.prod(view.shape):
        return decode(b"", view.dtype).reshape(view.shape)
    count = _last(view) + 1 - view.offset
    flat = decode(read(view.storage.key, view.offset * size, count * size), view.dtype)
    strides = [s * flat.itemsize for s in view.strides]
    return np.lib.stride_tricks.as_strided(flat, view.shape, strides).copy()
