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


def test_a_chain_too_long_to_follow_is_not_followed(tmp_path):
    make = onnx.helper.make_node
    stored = {"w0": np.ones((1, 4 * H, I), np.float32), "R": np.ones((1, 4 * H, H), np.float32)}
    nodes = [make("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(5000)]
    nodes.append(make("Identity", ["w5000"], ["W"]))
    with pytest.raises(InputError, match="is computed in the graph"):
        choose_net(read(saved(tmp_path, nodes, stored)))


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
