"""From the nets in a file to the layers of the one that the user means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from gradflow.counts import many
from gradflow.errors import Fault, InputError, first_faults, nearest
from gradflow.numerics.arrays import position_not_finite
from gradflow.weights.conventions import TRANSPOSED, find_nets, within
from gradflow.weights.conventions.pytorch import unwrapped
from gradflow.weights.layers import NetPlace, RecurrentLayer, Traits, make_layer, tensor
from gradflow.weights.tensors import Array, Stored, Tensors, float64, named, refuse

PARAMETERS = ("W_x", "W_s", "b_x", "b_s", "W_p")
"""The names that a user may give tensors for."""

_SHOWN = 10

_NAMED_TRAITS = {
    "rnn": Traits(undetermined=("activation",)),
    "lstm": Traits(),
    "gru": Traits(undetermined=("reset",)),
}


def choose_net(
    tensors: Tensors,
    prefix: str | Sequence[str] | None = None,
    layer: int | None = None,
    names: Mapping[str, str] | None = None,
    *,
    direction: str | None = None,
    merge: str | None = None,
) -> list[RecurrentLayer]:
    """The layers of one net, the lowest first, the forward direction of each before the reverse.

    `prefix` is needed where the file has several nets; several prefixes are stacked in their order.
    `layer` takes one layer of the net, `direction` one direction of that. `names` (parameter to
    tensor, `W_x` and `W_s` at least) takes the tensors named, in gradflow's layout or transposed,
    where the file follows no known convention. `merge` says how both directions of a layer become
    one, where the file does not.

    Raises InputError: no such net, several, tensors missing or contradicting each other, numbers
    that are not finite, or a layer that gradflow's cells do not compute.
    """
    if names:
        layers = [_named_layer(tensors, names)]
    elif prefix is None or isinstance(prefix, str):
        layers = _one_net(tensors, prefix)
    else:
        nets = [_one_net(tensors, one) for one in prefix]
        layers = _restacked(nets, ", ".join(prefix))
    if layer is not None:
        layers = one_layer(tensors, layers, layer)
    if direction is not None:
        layers = one_direction(tensors, layers, direction)
    if merge is not None:
        layers = _merged(tensors, layers, merge)
    check(tensors, layers)
    return layers


def check(tensors: Tensors, layers: Sequence[RecurrentLayer]) -> None:
    """Raises InputError where layers do not make a net that gradflow computes."""
    faults = [*_stack_faults(layers), *_unsupported(layers), *_not_finite(tensors, layers)]
    if faults:
        raise InputError(*first_faults([Fault(text, tensors.source) for text in faults]))


def output_layer(
    tensors: Tensors, layers: Sequence[RecurrentLayer], W_o: str, b_o: str | None = None
) -> tuple[Array, Array]:
    """The output layer (O, H) and (O,) (zeros without `b_o`) named by the user for a net's layers.

    H is what the net's last layer gives, both directions together; where their outputs are summed
    or averaged, each direction is given the weights of its share. A head on the outputs that a file
    has is 0 for those that are blank. Keras and Flax keep the transpose. Raises InputError.
    """
    top = [one for one in layers if one.layer == layers[-1].layer]
    merge = top[0].merge if len(top) == 2 else "concat"
    blank = top[0].blank
    width = _joint_width(top) - blank
    arrays = {}
    for name in filter(None, (W_o, b_o)):
        check_there(tensors, name)
        arrays[name] = floats(tensors, name)
    transposed = layers[-1].convention in TRANSPOSED
    weights = arrays[W_o].T if transposed else arrays[W_o]
    if weights.ndim != 2 or weights.shape[1] != width or not weights.size:
        expected = f"({width}, O)" if transposed else f"(O, {width})"
        message = f"expected W_o of shape {expected}, found {arrays[W_o].shape}"
        raise refuse(tensors.source, f"tensor {named(W_o)}: {message}")
    bias = arrays[b_o] if b_o else np.zeros(len(weights))
    if bias.shape != (len(weights),):
        message = f"expected b_o of shape ({len(weights)},), found {bias.shape}"
        raise refuse(tensors.source, f"tensor {named(b_o)}: {message}")
    for name, array in arrays.items():
        if fault := first_not_finite(name, array):
            raise refuse(tensors.source, fault)
    weights = np.pad(weights, ((0, 0), (0, blank)))
    return of_both_directions(tensors, weights, merge), bias


def of_both_directions(tensors: Tensors, weights: Array, merge: str) -> Array:
    """The weights (O, width) of an output layer for the outputs of both directions side by side,
    where it reads what `merge` makes of them. Raises InputError: their product."""
    if merge == "mul":
        message = "an output layer that reads the product of both directions is not computed"
        raise refuse(tensors.source, f"{message}: leave W_o out")
    if merge == "concat":
        return weights
    share = weights if merge == "sum" else 0.5 * weights
    return np.concatenate([share, share], axis=1)


def embedding(tensors: Tensors, name: str) -> Array:
    """The tensor (V, I), float64, whose row v is that of the token v. Raises InputError."""
    check_there(tensors, name)
    table = floats(tensors, name)
    if table.ndim != 2 or not table.size:
        message = f"expected an embedding of shape (V, I), found {table.shape}"
        raise refuse(tensors.source, f"tensor {named(name)}: {message}")
    if fault := first_not_finite(name, table):
        raise refuse(tensors.source, fault)
    return table


def _one_net(tensors: Tensors, prefix: str | None) -> list[RecurrentLayer]:
    """The layers of the net called `prefix`, or of the only one (within it)."""
    nets = find_nets(tensors)
    exact = [net for net in nets if net.prefix == prefix]
    chosen = exact or [net for net in nets if prefix is None or within(net.prefix, prefix)]
    if prefix is not None and not chosen:  # a name with the wrappers that nets are called without
        short = unwrapped(prefix)
        chosen = [net for net in nets if within(net.prefix, short)] if short != prefix else []
    if prefix is None and len(chosen) > 1:
        chosen = [net for net in chosen if not net.aside] or chosen
    if len(chosen) == 1:
        return list(chosen[0].layers())
    names = [net.prefix for net in chosen or nets]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(map(named, names[:_SHOWN])) + more
    if chosen:
        message = f"expected one recurrent net, found {len(chosen)}: give one as prefix: {listed}"
    elif nets:
        message = f"no recurrent net is called {named(prefix)}; there are: {listed}"
    else:
        where = "RNN, LSTM or GRU node in its graph, nor names of one"
        if "nodes" not in tensors.attributes:
            where = "recurrent layer recognised by the names in it"
        message = (
            f"no {where}: give the tensors' names as W_x, W_s (and b_x, b_s) of an rnn, gru or lstm"
        )
        message += ", or as parameters, one for each that another cell has"
        message = quantized(tensors.stored) or message
    raise refuse(tensors.source, message)


def quantized(stored: Mapping[str, Stored]) -> str | None:
    """What is to be said where the tensors are what PyTorch's quantization has made of a net."""
    if any(re.fullmatch("qu?int[0-9]+", one.dtype) for one in stored.values()):
        return "weights that PyTorch quantized are not read: save the net as it was before that"
    return None


def _restacked(nets: Sequence[Sequence[RecurrentLayer]], prefix: str) -> list[RecurrentLayer]:
    """Several nets as one, each on top of the one before."""
    stack: list[RecurrentLayer] = []
    for net in nets:
        height = stack[-1].layer + 1 if stack else 0
        stack.extend(replace(one, prefix=prefix, layer=height + one.layer) for one in net)
    return stack


def one_layer(
    tensors: Tensors, layers: Sequence[RecurrentLayer], index: int
) -> list[RecurrentLayer]:
    """One layer of a stack, both its directions."""
    found = [replace(one, layer=0) for one in layers if one.layer == index]
    if not found:
        message = f"expected a layer from 0 to {layers[-1].layer}, found {index}"
        raise refuse(tensors.source, message)
    return found


def one_direction(
    tensors: Tensors, layers: Sequence[RecurrentLayer], direction: str
) -> list[RecurrentLayer]:
    """One direction of a net of one layer."""
    if layers[-1].layer:
        message = f"one direction of {layers[-1].layer + 1} layers is no net: say which layer too"
        raise refuse(tensors.source, message)
    found = [one for one in layers if one.direction == direction]
    if not found:
        raise refuse(tensors.source, f"no {direction} direction in the net")
    return found


def _merged(tensors: Tensors, layers: Sequence[RecurrentLayer], merge: str) -> list[RecurrentLayer]:
    """The layers with the user's `merge`, which may not contradict the file's."""
    for one in layers:
        if one.merge not in ("concat", merge):
            raise refuse(tensors.source, f"expected merge {one.merge}, as in the model")
    return [replace(one, merge=merge) for one in layers]


def _joint_width(layers: Sequence[RecurrentLayer]) -> int:
    """What the directions of one layer hand to the next."""
    widths = [one.output_size for one in layers]
    return sum(widths) if layers[0].merge == "concat" else widths[0]


def _named_layer(tensors: Tensors, names: Mapping[str, str]) -> RecurrentLayer:
    """The layer that the user spells out."""
    for parameter in ("W_x", "W_s"):
        if parameter not in names:
            raise refuse(tensors.source, f"expected a tensor's name for {parameter} too")
    for name in names.values():
        check_there(tensors, name)
    names = {parameter: names[parameter] for parameter in PARAMETERS if parameter in names}
    arrays = {parameter: tensors[name] for parameter, name in names.items()}
    if _transposed(arrays):
        arrays = {parameter: array.T for parameter, array in arrays.items()}
    origin = {parameter: (name,) for parameter, name in names.items()}
    return make_layer(tensors, "named", NetPlace(""), origin, arrays, _NAMED_TRAITS)


def _transposed(arrays: Mapping[str, Array]) -> bool:
    """Whether W_x is (I, G) and W_s (H, G), which a G of 3 or 4 times H shows."""
    W_x, W_s = arrays["W_x"], arrays["W_s"]
    if W_x.ndim != 2 or W_s.ndim != 2 or "W_p" in arrays:
        return False
    H, G = W_s.shape
    return G in (3 * H, 4 * H) and W_x.shape[1] == G


def check_there(tensors: Tensors, name: str) -> None:
    """Raises InputError, with the nearest name, where a file has no such tensor."""
    if name not in tensors:
        near = nearest(name, list(tensors)[:10_000])
        hint = f"; did you mean {named(near)}?" if near else ""
        raise refuse(tensors.source, f"no tensor is called {named(name)}{hint}")


def floats(tensors: Tensors, name: str) -> Array:
    """A tensor as float64; InputError where it is none of floating-point numbers."""
    array = tensors[name]
    if array.dtype.kind != "f":
        message = f"expected floating-point numbers, found {array.dtype}"
        raise refuse(tensors.source, f"tensor {named(name)}: {message}")
    return float64(array)


def _stack_faults(layers: Sequence[RecurrentLayer]) -> list[str]:
    """Where the layers of a stack do not fit on each other, or are not of one cell."""
    faults: list[str] = []
    below: list[RecurrentLayer] = []
    for _, group in groupby(layers, key=lambda one: one.layer):
        here = list(group)
        width = _joint_width(below) if below else 0
        merge = here[0].merge
        if merge != "concat" and len({one.output_size for one in here}) > 1:
            sizes = " and ".join(str(one.output_size) for one in here)
            faults.append(f"merge {merge} needs directions of one size, found {sizes}")
        for one in here:
            what = tensor(one.names[one.entry if one.entry in one.names else one.exit])
            gives = f"{what} gives {one.entry} shape {one.arrays[one.entry].shape}"
            if below and one.input_size != width:
                lower = " and ".join(
                    f"{tensor(b.names[b.exit])} {b.arrays[b.exit].shape}" for b in below
                )
                faults.append(
                    f"{gives}: expected {many(width, 'column')} for the outputs of the layer below"
                    f" ({lower})"
                )
            if not below and one.input_size != here[0].input_size:
                forward = here[0].arrays[here[0].entry].shape
                faults.append(f"{gives}, the forward direction's {forward}")
            if one.cell != layers[0].cell:
                faults.append(f"{what} is of a {one.cell}, the lowest layer is a {layers[0].cell}")
        below = here
    return faults


def _unsupported(layers: Sequence[RecurrentLayer]) -> list[str]:
    return [
        f"layer {one.layer} of the net {named(one.prefix)} cannot be computed: it has {what}"
        for one in layers
        for what in one.unsupported
    ]


def _not_finite(tensors: Tensors, layers: Sequence[RecurrentLayer]) -> list[str]:
    """The first NaN or infinity of each tensor, where the file has it."""
    bad = (
        one.names[parameter]
        for one in layers
        for parameter in one.names
        if not np.isfinite(one.arrays[parameter]).all()
    )
    names = dict.fromkeys(name for group in bad for name in group)
    faults = [fault for name in names if (fault := first_not_finite(name, tensors[name]))]
    if names and not faults:  # of finite parts
        faults = [f"{tensor(tuple(names))} make numbers that are not finite"]
    return faults


def first_not_finite(name: str, array: Array) -> str | None:
    """Where an array holds what is no finite number, in words; None where it does not."""
    index = position_not_finite(array)
    if index is None:
        return None
    return f"tensor {named(name)} holds {array[index]} at {list(index)}: expected finite numbers"
