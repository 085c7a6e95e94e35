"""ONNX graphs: their constants by name, and their nodes; long constants are read when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradflow.counts import many
from gradflow.errors import GradflowError
from gradflow.files.opening import RegularFile
from gradflow.weights.readers.onnx_head import Head
from gradflow.weights.tensors import (
    MAX_NAME,
    Array,
    Stored,
    Tensors,
    check_room,
    element_count,
    itemsize,
    named,
    optional,
    refuse,
)

RECURRENT = ("RNN", "LSTM", "GRU", "DynamicQuantizeLSTM")
"""Nodes that are recurrent layers; the last is onnxruntime's."""

_MAX_BYTES = 2 << 30
_FIELDS = ("float_data", "double_data", "int32_data", "int64_data", "uint64_data")
_PLAIN = {
    **dict.fromkeys(["value_int", "value_ints"], np.int64),
    **dict.fromkeys(["value_float", "value_floats"], np.float32),
}
"""Attributes of a Constant that are no tensors, and what they hold."""

_CHECKED = ("float64", "float32", "float16", "bfloat16")
"""Parameters come in these; others are listed, and refused where they are used as parameters."""


@dataclass(frozen=True)
class Node:
    """One operation of a graph. Names of what is in a subgraph start with the path to it."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def read(file: RegularFile) -> Tensors:
    """The initializers and constants of an `.onnx` file, its nodes as `attributes["nodes"]`.

    Raises InputError.
    """
    source = file.source
    onnx = optional("onnx", source)
    if file.size > _MAX_BYTES:
        raise refuse(source, f"longer than the {_MAX_BYTES:,} bytes an ONNX file can have")
    try:
        head = Head(file)
        check_room(source, "reading it", len(head.content))
        model, walk = onnx.ModelProto(), _Walk(onnx, source, head)
        model.ParseFromString(head.content)
        walk.graph(model.graph, None, "")
    except GradflowError:
        raise
    except Exception as error:  # protobuf's error class is not public
        reason = str(error).split("\n")[0][:120]
        raise refuse(source, f"not an ONNX file, or a damaged one: {reason}") from None
    if not walk.nodes:
        raise refuse(source, "not an ONNX file, or an empty one: it has no graph")
    in_functions = {node.op_type for one in model.functions for node in one.node}
    if in_functions.intersection(RECURRENT) and not any(one.op in RECURRENT for one in walk.nodes):
        message = "has its recurrent nodes in functions, which are not followed: put them in line,"
        message += " onnx.save(onnx.inliner.inline_local_functions(onnx.load(FILE)), OTHER)"
        raise refuse(source, message)
    return Tensors(source, walk.stored, {"nodes": tuple(walk.nodes)}, "ONNX")


class _Scope:
    """The full names of what a graph sees: its own, and those of the graphs around it."""

    def __init__(self, around: _Scope | None) -> None:
        self.around = around
        self.names: dict[str, str] = {}

    def full(self, name: str) -> str | None:
        """None where nothing is called so; protobuf itself limits how deep graphs are nested."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.around
        return None


class _Walk:
    """Gathers the constants and the nodes of a graph and of the graphs within."""

    def __init__(self, onnx: Any, source: str, head: Head) -> None:
        self.onnx, self.source, self.head = onnx, source, head
        self.graph_type = onnx.GraphProto
        self.dtypes: dict[int, str] = {}
        self.stored: dict[str, Stored] = {}
        self.nodes: list[Node] = []

    def graph(self, graph: Any, around: _Scope | None, path: str) -> None:
        """One graph; `around` is the scope it is in, `path` what its names begin with."""
        scope = _Scope(around)
        for tensor in graph.initializer:
            scope.names[tensor.name] = self.store(path + tensor.name, tensor)
        for node in graph.node:
            inputs = tuple(scope.full(name) or path + name if name else "" for name in node.input)
            scope.names.update((name, path + name) for name in node.output if name)
            outputs = tuple(path + name if name else "" for name in node.output)
            attributes: dict[str, Any] = {}
            for attribute in node.attribute:
                value = self.onnx.helper.get_attribute_value(attribute)
                if node.op_type == "Constant" and attribute.name == "value" and outputs:
                    self.store(outputs[0], value)
                elif node.op_type == "Constant" and attribute.name in _PLAIN and outputs:
                    array = np.array(value, _PLAIN[attribute.name])
                    self.store(outputs[0], self.onnx.numpy_helper.from_array(array))
                elif isinstance(value, self.graph_type):
                    inner = f"{path}{node.name or ''.join(outputs[:1])}.{attribute.name}/"
                    if len(inner) > MAX_NAME:
                        message = f"its graphs are nested too deeply, at {named(inner)}"
                        raise refuse(self.source, message)
                    self.graph(value, scope, inner)
                else:
                    attributes[attribute.name] = value
            name = path + node.name if node.name else next(iter(outputs), path)
            self.nodes.append(Node(node.op_type, name, inputs, outputs, attributes))

    def store(self, name: str, tensor: Any) -> str:
        """Adds a constant, once it is known to hold what it claims; gives its name back."""
        shape = tuple(tensor.dims)
        dtype = self.dtypes.get(tensor.data_type) or self.dtype(tensor.data_type)
        count, size = element_count(shape), itemsize(dtype)
        if len(name) > MAX_NAME:
            message = f"expected names of at most {MAX_NAME} characters for tensors"
            raise refuse(self.source, f"{message}, found {named(name)}")
        if name in self.stored:
            raise refuse(self.source, f"tensor {named(name)} is there twice")
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            message = "keeps its numbers in another file, which is not read: save it in one file,"
            message += " onnx.save(onnx.load(FILE), OTHER)"
            raise refuse(self.source, f"tensor {named(name)} {message}")
        there = max(len(getattr(tensor, field)) for field in _FIELDS)
        if tensor.HasField("raw_data"):
            there = self.head.length(tensor.raw_data) // size if size else 0
        if count is None or (dtype in _CHECKED and there != count):
            message = f"claims shape {named(shape)}, found {many(there, 'element')}"
            raise refuse(self.source, f"tensor {named(name)} {message}")
        self.stored[name] = Stored(shape, dtype, partial(self.load, name, tensor))
        return name

    def dtype(self, number: int) -> str:
        """The usual name of a dtype of ONNX."""
        name: str = self.onnx.TensorProto.DataType.Name(number)
        known = {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())
        return self.dtypes.setdefault(number, known)

    def load(self, name: str, tensor: Any) -> Array:
        """The numbers of one constant."""
        whole = self.onnx.TensorProto()
        whole.CopyFrom(tensor)
        if tensor.HasField("raw_data"):
            whole.raw_data = self.head.numbers(tensor.raw_data)
        try:
            array: Array = self.onnx.numpy_helper.to_array(whole)
        except Exception as error:  # the checks above leave only exotic dtypes
            reason = str(error).split("\n")[0][:120]
            raise refuse(self.source, f"tensor {named(name)} cannot be read: {reason}") from None
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
