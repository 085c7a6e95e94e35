"""A recurrent layer of a trained net, in gradflow's own layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from gradflow.counts import many
from gradflow.errors import InputError
from gradflow.weights.tensors import Array, Tensors, float64, named, refuse

CELLS = {1: "rnn", 3: "gru", 4: "lstm"}
"""The cell by its number of blocks of H rows."""

USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid"}
"""A cell's activations where nothing else is said: of state and candidate, and of the gates."""

GATES = {cell: gates for gates, cell in CELLS.items()}

Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RecurrentLayer:
    """One direction of one recurrent layer; I inputs, H units, P outputs.

    Attributes:
        prefix: the net that the layer belongs to, as its module is called in the file.
        layer: its number in the stack, from 0.
        direction: `forward` or `reverse`.
        convention: whose layout the file has: `PyTorch`, `Keras`, `Flax`, `ONNX`, that of a
            package, or `named`.
        cell: the cell that it is.
        options: the cell's options that the file says (`activation`, `reset`).
        undetermined: those of its options that the file does not say.
        likely: what these would be by default, where that is known of what wrote the file.
        blank: how many of its outputs, the last, are 0, since the file has fewer.
        merge: how the outputs of both directions become one: `concat`, `sum`, `ave` or `mul`.
        unsupported: what the file says of the layer that gradflow's cells do not compute.
        notes: what was taken for granted.
        names: the tensor, or the tensors, that a parameter came from.
    """

    prefix: str
    layer: int
    direction: str
    convention: str
    cell: str
    _: KW_ONLY
    options: Mapping[str, str | int] = field(default_factory=dict)
    undetermined: tuple[str, ...] = ()
    likely: Mapping[str, str] = field(default_factory=dict)
    blank: int = 0
    merge: str = "concat"
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    names: Mapping[str, Names] = field(default_factory=dict)

    @property
    def notable(self) -> dict[str, str | int]:
        """The options without the activations that a gated cell usually has."""
        return {o: value for o, value in self.options.items() if self.telling(o, value)}

    def telling(self, option: str, value: object) -> bool:
        """Whether an option is worth showing: it is no activation that a gated cell usually has."""
        return self.cell == "rnn" or USUAL.get(option) != value

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The parameters by name, float64."""
        raise NotImplementedError

    @property
    def entry(self) -> str:
        """The name of a parameter that sees the input, (..., I)."""
        raise NotImplementedError

    @property
    def exit(self) -> str:
        """The name of one whose tensor shows what the layer hands on."""
        raise NotImplementedError

    @property
    def input_size(self) -> int:
        """I."""
        return int(self.arrays[self.entry].shape[1])

    @property
    def hidden_size(self) -> int:
        """H."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """P: what the layer hands to the next one."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class StackedLayer(RecurrentLayer):
    """A layer of an `rnn`, `lstm` or `gru`, its G = gates x H rows on each other.

    Attributes:
        W_x: (G, I), float64, gates in gradflow's order: LSTM `i f g o`, GRU `r z n`, z keeps.
        W_s: (G, P).
        b_x: (G,) the input-side bias, or the only one; zeros if there is none.
        b_s: (G,) the recurrent-side bias, likewise.
        W_p: (P, H) what projects an LSTM's output; None if there is none, and P = H.
    """

    W_x: Array
    W_s: Array
    b_x: Array
    b_s: Array
    W_p: Array | None = None

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The parameters by name."""
        own = {name: getattr(self, name) for name in ("W_x", "W_s", "b_x", "b_s", "W_p")}
        return {name: array for name, array in own.items() if array is not None}

    @property
    def entry(self) -> str:
        """W_x."""
        return "W_x"

    @property
    def exit(self) -> str:
        """W_s."""
        return "W_s"

    @property
    def hidden_size(self) -> int:
        """H."""
        return len(self.W_x) // GATES[self.cell]

    @property
    def output_size(self) -> int:
        """P: what the layer hands to the next one and, through time, to itself."""
        return int(self.W_s.shape[1])


@dataclass(frozen=True, eq=False)
class CellLayer(RecurrentLayer):
    """A layer of any other cell, its parameters as the cell declares them.

    Attributes:
        parameters: by name, float64, all that the cell uses; those that the file does not have
            (a bias of zeros) are in no `names`.
        units: H.
        sees: the name of a parameter that sees the input.
        outputs: P.
    """

    parameters: Mapping[str, Array]
    units: int
    sees: str
    outputs: int

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The parameters by name."""
        return self.parameters

    @property
    def entry(self) -> str:
        """What sees the input."""
        return self.sees

    @property
    def exit(self) -> str:
        """The first parameter that has a tensor."""
        return next(iter(self.names))

    @property
    def hidden_size(self) -> int:
        """H."""
        return self.units

    @property
    def output_size(self) -> int:
        """P."""
        return self.outputs


@dataclass(frozen=True)
class Net:
    """A net that the names in a file show.

    `layers` reads and checks it, or raises InputError. `aside` says that it is not meant where a
    file also has nets that are not, and nothing says which.
    """

    prefix: str
    layers: Callable[[], Sequence[RecurrentLayer]]
    aside: bool = False


@dataclass(frozen=True)
class NetPlace:
    """Where a layer is in the nets of a file."""

    prefix: str
    layer: int = 0
    direction: str = "forward"


@dataclass(frozen=True)
class Traits:
    """What a file says of a layer besides its numbers, as `RecurrentLayer` has it.

    `order` says where gradflow's gates are among the blocks of the file; empty: the same.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    undetermined: tuple[str, ...] = ()
    likely: Mapping[str, str] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    order: tuple[int, ...] = ()


def reads(prefix: str, below: str) -> str:
    """The note for a net that is cut off from the one below it."""
    net, lower = named(prefix), named(below)
    return f"the net {net} reads the outputs of {lower}: its input here is drawn for them"


def of_another_kind(tensors: Tensors, module: str, name: str, there: str, whose: str) -> InputError:
    """The error for a net with a tensor that the kind it looks like has not, next to one of those
    that it has: what it computes, its names do not say."""
    of = f" {named(module)}" if module else ""
    return refuse(
        tensors.source,
        f"tensor {named(name)}, next to {named(there)}, is none of {whose}: the net{of} is of "
        "another kind; say which, with `cell`, and which tensors its parameters are, with "
        "`parameters` under `weights`",
    )


def tensor(names: Names) -> str:
    """The tensor or tensors of a parameter, for a message."""
    return f"tensor{'s' * (len(names) > 1)} {', '.join(map(named, names))}"


def make_layer(
    tensors: Tensors,
    convention: str,
    place: NetPlace,
    names: Mapping[str, Names],
    arrays: Mapping[str, Array],
    traits: Mapping[str, Traits],
    expected: str | None = None,
) -> StackedLayer:
    """A layer from its `W_x` (G,I), `W_s` (G,P) and, if there are, `b_x`, `b_s`, `W_p`.

    `traits` says for each cell what holds if the shapes turn out to make it, `expected` which cell
    the file says it is. Raises InputError where shapes contradict each other or that.
    """
    _check_numbers(tensors, names, arrays)
    cell = _cell(tensors, names, arrays)
    if expected not in (None, cell):
        message = f"has the shape {arrays['W_s'].shape} of one state by the gates of a {cell}"
        raise refuse(tensors.source, f"{tensor(names['W_s'])} of a {expected} {message}")
    trait = traits[cell]
    blocks = trait.order or range(GATES[cell])
    rows = len(arrays["W_x"])
    sorted_rows = np.arange(rows).reshape(GATES[cell], -1)[list(blocks)].ravel()
    parameters = {
        name: float64(arrays.get(name, np.zeros(rows)))[sorted_rows]
        for name in ("W_x", "W_s", "b_x", "b_s")
    }
    W_p = arrays.get("W_p")
    return StackedLayer(
        place.prefix,
        place.layer,
        place.direction,
        convention,
        cell,
        parameters["W_x"],
        parameters["W_s"],
        parameters["b_x"],
        parameters["b_s"],
        W_p=None if W_p is None else float64(W_p),
        options=trait.options,
        undetermined=trait.undetermined,
        likely=trait.likely,
        unsupported=trait.unsupported,
        notes=trait.notes,
        names=names,
    )


def _check_numbers(
    tensors: Tensors, names: Mapping[str, Names], arrays: Mapping[str, Array]
) -> None:
    """Raises where a parameter is no array of floats with the right number of axes, or is empty."""
    for parameter, array in arrays.items():
        what = tensor(names[parameter])
        axes = 1 if parameter.startswith("b") else 2
        if array.dtype.kind != "f":
            message = f"expected floating-point numbers, found {array.dtype}"
            raise refuse(tensors.source, f"{what}: {message}; quantized weights are not read")
        if array.ndim != axes:
            message = (
                f"expected {many(axes, 'axis', 'axes')} for {parameter}, found shape {array.shape}"
            )
            raise refuse(tensors.source, f"{what}: {message}")
        if not array.size:
            raise refuse(tensors.source, f"{what} is empty: its shape is {array.shape}")


def _cell(tensors: Tensors, names: Mapping[str, Names], arrays: Mapping[str, Array]) -> str:
    """The cell that the shapes make; InputError where they make none."""
    W_x, W_s, W_p = arrays["W_x"], arrays["W_s"], arrays.get("W_p")

    def disagree(one: str, other: str) -> InputError:
        what = " and ".join(
            f"{tensor(names[p])} gives {p} shape {arrays[p].shape}" for p in (one, other)
        )
        return refuse(tensors.source, f"shapes disagree: {what}")

    hidden = W_s.shape[1] if W_p is None else W_p.shape[1]
    if len(W_x) != len(W_s):
        raise disagree("W_x", "W_s")
    if W_p is not None and (len(W_p) != W_s.shape[1] or len(W_s) != 4 * hidden):
        raise disagree("W_s", "W_p")
    for bias in ("b_x", "b_s"):
        if bias in arrays and len(arrays[bias]) != len(W_x):
            raise disagree("W_x", bias)
    gates = len(W_s) / hidden
    if gates not in CELLS:
        message = (
            f"expected 1, 3 or 4 gates of {many(hidden, 'row')} for W_s, found shape {W_s.shape}"
        )
        raise refuse(tensors.source, f"{tensor(names['W_s'])}: {message}")
    return CELLS[int(gates)]
