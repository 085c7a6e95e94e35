"""Weights that an ONNX graph puts together from slices of stored ones, as exporters leave them."""

from __future__ import annotations

import numpy as np
import pytest

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

onnx = pytest.importorskip("onnx")
H, I = 3, 2  # noqa: E741


def graph(nodes, stored):
    """A model of one LSTM that reads W, R, B, which `nodes` make from `stored`."""
    helper = onnx.helper
    lstm = helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], name="lstm", hidden_size=H)
    value = helper.make_tensor_value_info
    model = helper.make_graph(
        [*nodes, lstm],
        "net",
        [value("x", onnx.TensorProto.FLOAT, [4, 1, I])],
        [value("y", onnx.TensorProto.FLOAT, [4, 1, 1, H])],
        [onnx.numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(model)


def reordered(name, source, stored):
    """Nodes that put PyTorch's i f g o into ONNX's i o f c, a direction axis first."""
    make = onnx.helper.make_node
    nodes = []
    for k, (start, stop) in enumerate(((0, H), (3 * H, 4 * H), (H, 3 * H))):
        ends = {f"{name}{k}{what}": np.array([v]) for what, v in (("from", start), ("to", stop))}
        stored |= {**ends, f"{name}axis": np.array([0])}
        nodes.append(make("Slice", [source, *ends, f"{name}axis"], [f"{name}{k}"]))
    nodes.append(make("Concat", [f"{name}{k}" for k in range(3)], [f"{name}all"], axis=0))
    return nodes


def moved_about(tmp_path):
    rng = np.random.default_rng(0)
    own = {
        "weight_ih": rng.standard_normal((4 * H, I)).astype(np.float32),
        "weight_hh": rng.standard_normal((4 * H, H)).astype(np.float32),
        "bias_ih": rng.standard_normal(4 * H).astype(np.float32),
        "bias_hh": rng.standard_normal(4 * H).astype(np.float32),
    }
    stored = {**own, "first": np.array([0])}
    make = onnx.helper.make_node
    nodes = [n for name in own for n in reordered(f"{name}_", name, stored)]
    nodes += [
        make("Concat", ["bias_ih_all", "bias_hh_all"], ["biases"], axis=0),
        make("Unsqueeze", ["weight_ih_all", "first"], ["W"]),
        make("Unsqueeze", ["weight_hh_all", "first"], ["R"]),
        make("Unsqueeze", ["biases", "first"], ["B"]),
    ]
    path = tmp_path / "net.onnx"
    onnx.save(graph(nodes, stored), path)
    return path, own


def test_slices_and_concatenations_are_followed_to_what_is_stored(tmp_path):
    path, own = moved_about(tmp_path)
    (layer,) = choose_net(read(path))
    for ours, name in (
        ("W_x", "weight_ih"),
        ("W_s", "weight_hh"),
        ("b_x", "bias_ih"),
        ("b_s", "bias_hh"),
    ):
        np.testing.assert_array_equal(getattr(layer, ours), own[name])
    assert layer.names["W_x"] == ("weight_ih",)


def saved(tmp_path, nodes, stored):
    path = tmp_path / "net.onnx"
    onnx.save(graph(nodes, stored), path)
    return path


def test_what_computes_is_not_followed(tmp_path):
    stored = {
        "w": np.ones((1, 4 * H, I), np.float32),
        "R": np.ones((1, 4 * H, H), np.float32),
        "B": np.ones((1, 8 * H), np.float32),
    }
    nodes = [onnx.helper.make_node("Add", ["w", "w"], ["W"])]
    with pytest.raises(InputError, match="its W_x, 'W', is computed in the graph, not stored"):
        choose_net(read(saved(tmp_path, nodes, stored)))


def test_concatenations_that_double_are_stopped_before_memory_is_taken(tmp_path):
    make = onnx.helper.make_node
    stored = {
        "w0": np.ones((1, 4 * H, I), np.float32),
        "R": np.ones((1, 4 * H, H), np.float32),
        "B": np.ones((1, 8 * H), np.float32),
    }
    nodes = [make("Concat", [f"w{k}", f"w{k}"], [f"w{k + 1}"], axis=1) for k in range(60)]
    nodes.append(make("Identity", ["w60"], ["W"]))
    with pytest.raises(InputError, match="gives more than the"):
        choose_net(read(saved(tmp_path, nodes, stored)))


def test_a_chain_of_any_length_is_followed(tmp_path):
    make = onnx.helper.make_node
    stored = {
        "w0": np.ones((1, 4 * H, I), np.float32),
        "R": np.ones((1, 4 * H, H), np.float32),
        "B": np.ones((1, 8 * H), np.float32),
    }
    nodes = [make("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(5000)]
    nodes.append(make("Identity", ["w5000"], ["W"]))
    [layer] = choose_net(read(saved(tmp_path, nodes, stored)))
    assert layer.names["W_x"] == ("w0",)


def test_long_chains_of_concatenations_take_little_memory(tmp_path):
    make = onnx.helper.make_node
    stored = {
        "w0": np.ones((1, 4 * H, I), np.float32),
        "none": np.ones((1, 0, I), np.float32),
        "R": np.ones((1, 4 * H, H), np.float32),
    }
    nodes = [make("Concat", [f"w{k}", "none"], [f"w{k + 1}"], axis=1) for k in range(5000)]
    nodes.append(make("Identity", ["w5000"], ["W"]))
    with pytest.raises(InputError, match="gives more than the"):
        choose_net(read(saved(tmp_path, nodes, stored)))


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("Slice", ["w", "from", "to"]),
        ("Slice", ["w", "zero", "computed"]),
        ("Squeeze", ["w", "computed"]),
        ("Unsqueeze", ["w", "x"]),
        ("Unsqueeze", ["w", "nowhere"]),
        ("Concat", ["w", "computed"]),
        ("Transpose", ["W"]),
    ],
)
def test_moves_that_depend_on_what_is_computed_are_said_to_be_computed(tmp_path, op, inputs):
    make = onnx.helper.make_node
    stored = {
        "w": np.ones((4 * H, I), np.float32),
        "R": np.ones((1, 4 * H, H), np.float32),
        "zero": np.array([0]),
        "B": np.ones((1, 8 * H), np.float32),
    }
    attributes = {"axis": 0} if op == "Concat" else {}
    nodes = [make("Shape", ["x"], ["computed"]), make(op, inputs, ["W"], **attributes)]
    with pytest.raises(InputError, match=r"net\.onnx: error: .*'W', is computed in the graph"):
        choose_net(read(saved(tmp_path, nodes, stored)))


def test_constants_that_are_plain_numbers_are_read(tmp_path):
    make = onnx.helper.make_node
    stored = {
        "w": np.arange(8 * H * I, dtype=np.float32).reshape(1, 8 * H, I),
        "R": np.ones((1, 4 * H, H), np.float32),
        "B": np.ones((1, 8 * H), np.float32),
    }
    nodes = [
        make("Constant", [], ["from"], value_ints=[0]),
        make("Constant", [], ["to"], value_ints=[4 * H]),
        make("Constant", [], ["axis"], value_ints=[1]),
        make("Slice", ["w", "from", "to", "axis"], ["W"]),
    ]
    [layer] = choose_net(read(saved(tmp_path, nodes, stored)))
    assert layer.W_x.shape == (4 * H, I)


def test_names_of_graphs_within_graphs_do_not_grow_without_end(tmp_path):
    make, graph_of = onnx.helper.make_node, onnx.helper.make_graph
    inner = graph_of([make("Identity", ["w"], ["y"])], "inner", [], [])
    for _ in range(20):
        inner = graph_of([make("If", ["c"], ["y"], "x" * 100, then_branch=inner)], "g", [], [])
    path = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(inner), path)
    with pytest.raises(InputError, match="nested too deeply"):
        read(path)


def test_a_graph_that_feeds_on_itself_ends(tmp_path):
    make = onnx.helper.make_node
    stored = {"R": np.ones((1, 4 * H, H), np.float32), "B": np.ones((1, 8 * H), np.float32)}
    nodes = [
        make("Identity", ["b"], ["a"]),
        make("Identity", ["a"], ["b"]),
        make("Identity", ["a"], ["W"]),
    ]
    with pytest.raises(InputError, match="is computed in the graph"):
        choose_net(read(saved(tmp_path, nodes, stored)))
