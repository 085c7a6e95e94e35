"""The last pass: everything so far as the source of functions that a person can read.

`step`, `linearize`, `pullback`; where the input decides more than sums, `prepare`; where the output
is more than a part of the state, `settle`; see `cells.contract` for what they do. The source is
in `linecache`, so that tracebacks and profiles point into it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradflow.equations import functions
from gradflow.equations.arrange import Arrangement, is_input
from gradflow.equations.backward import Cotangents, Pullback, reads_new
from gradflow.equations.differentiate import Derivatives, Partial, operands_of
from gradflow.equations.forward import Arrays, Forward, Prepare, Step
from gradflow.equations.graph import Node, in_order
from gradflow.equations.layout import Entry, View
from gradflow.equations.linearize import Linearize
from gradflow.equations.reduce import Reduced, Use
from gradflow.equations.sizes import Shape
from gradflow.equations.transposes import values_needed
from gradflow.equations.writing import runtime
from gradflow.numerics.arrays import Array


class Operand(NamedTuple):
    """Where the right factor of a use is found: `x`, `s`, `local` or `one`, and its entry."""

    of: str
    entry: int
    shape: Shape


class Standing(NamedTuple):
    """A use of a weight: in which slot, by number, and with which operand."""

    use: Use
    slot: int
    operand: Operand


class Matrix(NamedTuple):
    """A matrix of `w`: for each slot the weights whose sum is its block of rows; `past` says that
    it multiplies something made of the state before."""

    name: str
    blocks: tuple[tuple[Use, ...], ...]
    past: bool


@dataclass(frozen=True, eq=False)
class Code:
    """What a cell's equations are compiled to. Widths are lists of entries; H and I are free.

    Attributes:
        source: of the functions.
        prepare, step, linearize, pullback, settle: the functions; the first and the last are None
            where they are not needed.
        views: the views that each of them is given.
        z, saved, local, handed: entries of the arrays; `handed` are the parts of the state, and
            the output where it has its own rows.
        hoisted: how many entries of z the input product fills.
        takes_x: whether x_t is used otherwise than in the input product.
        standings: every use of a weight.
        inputs, biases: for each hoisted entry of z, the uses of x_t and those without operand;
            `constants` what else is added.
        matrices: those of `w`.
        fixed: the vectors of `w`: name, expression of parameters, shape.
    """

    source: str
    prepare: Callable[..., None] | None
    step: Callable[..., None]
    linearize: Callable[..., None]
    pullback: Callable[..., None]
    settle: Callable[..., None] | None
    views: dict[str, tuple[View, ...]]
    z: tuple[Entry, ...]
    saved: tuple[Entry, ...]
    local: tuple[Entry, ...]
    handed: tuple[Entry, ...]
    hoisted: int
    takes_x: bool
    standings: tuple[Standing, ...]
    inputs: tuple[tuple[Use, ...], ...]
    biases: tuple[tuple[Use, ...], ...]
    constants: tuple[float, ...]
    matrices: tuple[Matrix, ...]
    fixed: tuple[tuple[str, Node, Shape], ...]


def emit(
    name: str, state: dict[str, Shape], reduced: Reduced, derivatives: Derivatives,
    arranged: Arrangement,
) -> Code:  # fmt: skip
    """The code of one cell."""
    arrays, rows = Arrays(), Cotangents()
    arrays.labels.update(_labels(reduced, derivatives, arranged))
    _lay_state(state, reduced, arrays, rows)
    for slot in arranged.slots:
        arrays.z.add(id(slot), arrays.labels[id(slot)], slot.shape)
        rows.dz.add(id(slot), arrays.labels[id(slot)], slot.shape)
    takes_x = _takes_x(derivatives)
    if takes_x is not None:
        rows.dz.add("x", "x", takes_x.shape)
    matrices = _matrices(arranged, arrays)
    writers = _written(reduced, derivatives, arranged, arrays, rows)
    source = "\n\n".join(_function(key, writer) for key, writer in writers.items())
    made = _executed(name, source)
    hoisted = arranged.slots[: arranged.hoisted]
    return Code(
        source=source,
        prepare=made.get("prepare"),
        step=made["step"],
        linearize=made["linearize"],
        pullback=made["pullback"],
        settle=made.get("settle"),
        views={key: tuple(writer.views.views) for key, writer in writers.items()},
        z=tuple(arrays.z.entries),
        saved=tuple(arrays.saved.entries),
        local=tuple(arrays.local.entries),
        handed=tuple(arrays.s_next.entries),
        hoisted=arranged.hoisted,
        takes_x=takes_x is not None,
        standings=tuple(_standings(arranged, arrays)),
        inputs=tuple(_uses(slot, is_input) for slot in hoisted),
        biases=tuple(_uses(slot, lambda use, _: use.kind == "bias") for slot in hoisted),
        constants=tuple(slot.payload.constant for slot in hoisted),
        matrices=matrices,
        fixed=tuple((key, node.args[0], node.shape) for key, node in arrays.fixed.values()),
    )


def _written(
    reduced: Reduced, derivatives: Derivatives, arranged: Arrangement, arrays: Arrays,
    rows: Cotangents,
) -> dict[str, Forward | Linearize | Pullback]:  # fmt: skip
    """The functions of the cell by name, each written: what one saves, those after it use."""
    prepare = Prepare(reduced, arranged, arrays)
    prepare.write()
    step = Step(prepare)
    step.write()
    linearize = Linearize(step, _local_entries(derivatives, arranged, arrays))
    linearize.write()
    pullback = Pullback(derivatives, arranged, arrays, rows)
    pullback.write()
    writers: dict[str, Forward | Linearize | Pullback] = {
        **({"prepare": prepare} if prepare.lines else {}),
        "step": step, "linearize": linearize, "pullback": pullback,
    }  # fmt: skip
    if reduced.output is not None and any(reads_new(n) for n in derivatives.order):
        writers["settle"] = settle = Pullback(derivatives, arranged, arrays, rows, late=True)
        settle.write()
    return writers


def _lay_state(state: dict[str, Shape], reduced: Reduced, arrays: Arrays, rows: Cotangents) -> None:
    handed = [*state.items()]
    handed += [("out", reduced.output.shape)] if reduced.output is not None else []
    for array in (arrays.s, arrays.s_next, rows.ds, rows.ds_prev):
        for part, shape in handed:
            array.add(part, part, shape)
    for node in in_order([*reduced.new.values(), *([reduced.output] if reduced.output else [])]):
        if node.kind == "x":
            arrays.x.add("x", "x", node.shape)


def _takes_x(derivatives: Derivatives) -> Node | None:
    """x_t, if its cotangent has more than the input product gives."""
    structured = {"spread", "slice", "turn", "total", "norm", "outer", "matmul"}
    for node in derivatives.order:
        if node.kind == "x" and derivatives.into.get(id(node)):
            return node
        if node.kind in structured and (x := next((a for a in node.args if a.kind == "x"), None)):
            return x
    return None


def _matrices(arranged: Arrangement, arrays: Arrays) -> tuple[Matrix, ...]:
    found = []
    for products in arranged.products.values():
        for made in products:
            label = arrays.labels.get(id(made.operand), "v")
            name = arrays.names_of_w.new(f"W_{label}")
            arrays.products[id(made)] = name
            found.append(Matrix(name, made.uses, made.operand.past))
    return tuple(found)


def _local_entries(
    derivatives: Derivatives, arranged: Arrangement, arrays: Arrays
) -> list[tuple[object, Node]]:
    """What `linearize` fills, partials of neighbouring slots side by side; factors become
    part of a partial that is kept."""
    graph = derivatives.graph
    found: list[tuple[object, Node]] = []
    vertices = {id(node): node for node in derivatives.order}

    def keep(node: Node, name: str) -> None:
        if id(node) not in arrays.local.at and not node.static:
            arrays.local.add(id(node), name, node.shape)
            found.append((id(node), node))

    ordered = [slot for slot in arranged.slots if id(slot) in vertices]
    ordered += [node for node in derivatives.order if node.kind != "slot"]
    for vertex in ordered:
        edges = derivatives.into[id(vertex)]
        for at, (source, partial) in enumerate(edges):
            node = partial.node
            if node is None or node.static:
                continue
            if partial.factor != 1:
                node = graph.node("sum", (node,), ((partial.factor,), 0.0), node.shape)
                edges[at] = (source, Partial(1.0, node))
            keep(node, f"{arrays.labels[id(source)]}_by_{arrays.labels[id(vertex)]}")
    for vertex in derivatives.order:
        for node in values_needed(vertex):
            keep(node, arrays.labels.get(id(node), "v"))
        if vertex.kind == "norm":
            key: object = (id(vertex), "inverse")
            arrays.local.add(key, "inverse", (arrays.saved.entries[arrays.saved.at[key]].shape))
            found.append((key, vertex))
    for slot in arranged.slots:
        for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True):
            if use.kind != "bias" and operand is not None and operand.kind not in ("previous", "x"):
                keep(operand, arrays.labels.get(id(operand), "v"))
    return found


def _standings(arranged: Arrangement, arrays: Arrays) -> list[Standing]:
    found = []
    for number, slot in enumerate(arranged.slots):
        for use, operand in zip(slot.payload.uses, operands_of(slot), strict=True):
            if operand is None:
                where = Operand("one", 0, ())
            elif operand.kind == "x":
                where = Operand("x", 0, operand.shape)
            elif operand.kind == "previous":
                where = Operand("s", arrays.s.at[operand.payload], operand.shape)
            elif operand.static:  # the same at every step
                where = Operand("fixed", 0, operand.shape)
            else:
                where = Operand("local", arrays.local.at[id(operand)], operand.shape)
            found.append(Standing(use, number, where))
    return found


def _uses(slot: Node, wanted: Callable[[Use, Node | None], bool]) -> tuple[Use, ...]:
    pairs = zip(slot.payload.uses, operands_of(slot), strict=True)
    return tuple(use for use, operand in pairs if wanted(use, operand))


def _labels(reduced: Reduced, derivatives: Derivatives, arranged: Arrangement) -> dict[int, str]:
    """What nodes are called: as in the text where that names them, slots by their function."""
    labels: dict[int, str] = {}
    nodes = in_order([*derivatives.sources, *reduced.new.values()])
    for node in nodes:
        if node.kind in ("previous", "after", "new"):
            labels[id(node)] = node.payload
        elif node.kind in ("x", "out"):
            labels[id(node)] = node.kind
        if node.kind == "new":
            labels.setdefault(id(node.args[0]), node.payload)
        if node.kind == "out":
            labels.setdefault(id(node.args[0]), "y")
    labels |= {key: name for key, name in reduced.names.items() if key not in labels}
    for node in nodes:
        if node.kind == "function" and node.args[0].kind == "slot" and id(node) in labels:
            labels.setdefault(id(node.args[0]), labels[id(node)])
        if node.kind == "function" and id(node.args[0]) in labels:
            labels.setdefault(id(node), f"{node.payload}_{labels[id(node.args[0])]}")
    counts = 0
    for node in (*arranged.slots, *nodes):
        if id(node) not in labels:
            counts += node.kind == "slot"
            labels[id(node)] = f"a{counts}" if node.kind == "slot" else node.kind
    return labels


_ARGUMENTS = {
    "prepare": "z, saved, x",
    "step": "z, saved, s, s_next, x",
    "linearize": "z, saved, s, s_next, x, local",
    "pullback": "local, ds, dz, ds_prev",
    "settle": "local, ds, dz",
}
_ABOUT = {
    "prepare": "What the input alone decides, for any number of steps; z holds W_x x_t and biases.",
    "step": "One step forward: s_{t-1} to s_t; z holds W_x x_t and biases.",
    "linearize": "The local partials of any number of steps, from what `step` left.",
    "pullback": "The chain rule of one step: dL/ds_t to dL/dz_t and dL/ds_{t-1}.",
    "settle": "What arrives at the output of a step, brought to the state that it is read from.",
}


def _function(name: str, writer: Forward | Linearize | Pullback) -> str:
    writer.views.keep(writer.lines)
    lines = [f"def {name}(views, w):", f'    """{_ABOUT[name]}"""']
    given = [view.name for view in writer.views.views]
    if given:
        lines += _wrapped(f"{', '.join(given)}{',' * (len(given) == 1)} = views")
    body = [part for line in writer.lines for part in line.split("\n")]
    sizes = [s for s in ("H", "I") if any(_mentions(line, s) for line in body)]
    if sizes:
        lines.append(f"    {', '.join(sizes)} = {', '.join(f'w.{s}' for s in sizes)}")
    lines += [f"    {line}" for line in body]
    return "\n".join(lines) + "\n"


def _mentions(line: str, letter: str) -> bool:
    return re.search(rf"(?<![\w.]){letter}(?!\w)", line) is not None


def _wrapped(line: str) -> Sequence[str]:
    """A long unpacking over several lines."""
    if len(line) < 90:
        return [f"    {line}"]
    names, rows, row = line.removesuffix(" = views").split(", "), [], ""
    for name in names:
        if len(row) + len(name) > 85:
            rows.append(row)
            row = ""
        row += f"{name}, "
    return ["    (", *(f"        {row.rstrip()}" for row in [*rows, row]), "    ) = views"]


def merged(a: Array) -> Array:
    """Columns (..., a, b, N) as (..., a, b·N)."""
    return a.reshape(*a.shape[:-2], -1)


_RUNTIME: dict[str, Any] = {
    "np": np,
    "merged": merged,
    "sigmoid": functions.sigmoid,
    **{
        name: getattr(functions, name)
        for name in (
            "rest_from", "sigmoid_slope_from", "fresh", "finite", "larger", "smaller",
            "normalise", "normalise_back",
        )
    },
}  # fmt: skip


def _executed(name: str, source: str) -> dict[str, Any]:
    """The functions of a source, which is kept where tracebacks look for it."""
    file = f"<cell {name} {abs(hash(source)):x}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    found = {**runtime(), **_RUNTIME}
    exec(compile(source, file, "exec"), found)
    return found
