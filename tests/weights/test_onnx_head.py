"""ONNX files are parsed without their long tensors, which are read by position."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.errors import InputError
from gradflow.files.opening import open_regular
from gradflow.weights import read
from gradflow.weights.readers import onnx_head

onnx = pytest.importorskip("onnx")


def written(path, *nodes, functions=(), **arrays):
    """A graph of one Identity, of `nodes`, and of these constants."""
    helper = onnx.helper
    tensors = [onnx.numpy_helper.from_array(a, name) for name, a in arrays.items()]
    nodes = nodes or (helper.make_node("Identity", ["X"], ["Y"]),)
    graph = helper.make_graph(nodes, "g", [], [], tensors)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=functions)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 40_000])
def test_tensors_come_back_exactly_at_any_length(tmp_path, size):
    """4096 bytes stay in the head, 4097 do not; the placeholder is as long as these."""
    arrays = {"f": np.arange(size, dtype="f4"), "h": np.arange(size).astype("f2")}
    bytes_ = np.arange(onnx_head.LONG + size).astype("u1")
    constant = onnx.helper.make_node(
        "Constant", [], ["c"], value=onnx.numpy_helper.from_array(bytes_, "c")
    )
    branch = onnx.helper.make_graph([constant], "b", [], [])
    node = onnx.helper.make_node("If", ["X"], ["Y"], name="if", then_branch=branch)
    tensors = read(written(tmp_path / "net.onnx", node, **arrays))
    for name, array in {**arrays, "if.then_branch/c": bytes_}.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)


def test_the_head_of_a_file_does_not_grow_with_its_tensors(tmp_path):
    lengths = []
    for size in (10_000, 1_000_000):
        path = written(tmp_path / "net.onnx", a=np.zeros(size), b=np.ones(size))
        head = onnx_head.Head(open_regular(path, "net.onnx"))
        lengths.append(len(head.content))
        assert [length for _, length in head.spans] == [8 * size, 8 * size]
    assert abs(lengths[1] - lengths[0]) < 10  # the digits of the shapes
    assert max(lengths) < 10_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x3a\xff\xff\x7f", "a message in it is cut short"),
        (b"\x3a" + b"\xff" * 10, "longer than numbers are"),
        (b"\x3b\1", "unknown wire type 3"),
        (b"\x3d\1", "cut short"),
        (b"\x08\1" * 50, "more than 20 fields"),
    ],
)
def test_what_is_no_message_is_refused_in_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(onnx_head, "_MAX_FIELDS", 20)
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(InputError, match=f"not an ONNX file, or a damaged one: .*{message}"):
        read(tmp_path / "net.onnx")


def test_recurrent_nodes_in_functions_are_not_passed_over(tmp_path):
    """`onnx.inliner` puts them in line."""
    names = ["X", "W", "R"]
    inner = onnx.helper.make_node("GRU", names, ["Y"], hidden_size=3)
    function = onnx.helper.make_function(
        "own", "Encoder", names, ["Y"], [inner], [onnx.helper.make_opsetid("", 17)]
    )
    node = onnx.helper.make_node("Encoder", names, ["Y"], domain="own")
    arrays = {"W": np.ones((1, 9, 2), "f4"), "R": np.ones((1, 9, 3), "f4")}
    path = written(tmp_path / "net.onnx", node, functions=[function], **arrays)
    with pytest.raises(InputError, match=r"onnx\.inliner\.inline_local_functions"):
        read(path)
