"""Nothing in a file takes more than about twice the time for twice the input."""

from __future__ import annotations

import pytest
import weight_writers as writers
from hostile_torch import torch

from gradflow.errors import InputError
from gradflow.formats import Look
from gradflow.formats.inspection import table, to_json
from gradflow.inspection import inspect
from gradflow.weights import choose_net, read
from gradflow.weights.readers.pickle_tensors import _unwrap
from growth import calls, grows_linearly

PRIME = 2**61 - 1
"""Whole numbers that differ by a multiple of it have one hash."""


def many_nets(n):
    small = writers.lstm_arrays(inputs=1, hidden=1)
    return {f"net{i}.{name}": array for i in range(n) for name, array in small.items()}


def look(path):
    found = inspect(path)
    return list(table(found, Look(width=100))), list(to_json(found, Look()))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".npz"])
def test_inspecting_many_nets(tmp_path, suffix):
    write = {
        ".safetensors": writers.write_safetensors,
        ".pt": writers.write_torch,
        ".npz": writers.write_npz,
    }[suffix]

    def make(n):
        path = write(tmp_path / f"{n}{suffix}", many_nets(n))
        return lambda: look(path)

    grows_linearly(make, 20)


def test_a_file_is_opened_once_however_many_nets_it_has(tmp_path, monkeypatch):
    from gradflow.weights import readers

    opened = []
    really = readers.open_regular
    monkeypatch.setattr(readers, "open_regular", lambda *a: opened.append(a) or really(*a))
    look(writers.write_safetensors(tmp_path / "net.safetensors", many_nets(50)))
    assert len(opened) == 1


def keyed(n):
    keys = (b"\x8a\x0e" + (k * PRIME).to_bytes(14, "little", signed=True) for k in range(n))
    return b"}(" + b"".join(key + b"N" for key in keys) + b"u"


def remembered(n):
    return b"}" + b"".join(b"Np%d\n0" % (k * PRIME % 2**32) for k in range(n))


def objects(n):
    return b"}(" + b"".join(writers.text(f"k{k}") + b"ca\nB\n)\x81}b" for k in range(n)) + b"u"


@pytest.mark.parametrize("content", [keyed, remembered, objects], ids=lambda f: f.__name__)
def test_pickles(tmp_path, content):
    def make(n):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = torch(content(n))(folder)
        return lambda: choose_net(read(path))

    grows_linearly(make, 4000)


def test_graphs_in_graphs_of_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    make_node, make_graph = onnx.helper.make_node, onnx.helper.make_graph

    def make(n):
        stored = [onnx.helper.make_tensor(f"t{i}", 1, [1], [0.0]) for i in range(n)]
        output = onnx.helper.make_tensor_value_info("y", 1, [1])
        inner = make_graph([make_node("Identity", ["t0"], ["y"])], "inner", [], [output])
        branches = {"then_branch": inner, "else_branch": inner}
        nodes = [make_node("If", ["c"], [f"o{i}"], f"if{i}", **branches) for i in range(n)]
        model = onnx.helper.make_model(make_graph(nodes, "g", [], [], stored))
        path = tmp_path / f"{n}.onnx"
        path.write_bytes(model.SerializeToString())
        return lambda: look(path)

    grows_linearly(make, 500)


def test_chains_of_moves_in_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    import numpy as np

    def make(n):
        stored = {"w0": np.ones((1, 4, 1), "f4"), "R": np.ones((1, 4, 1), "f4")}
        nodes = [onnx.helper.make_node("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(n)]
        nodes.append(onnx.helper.make_node("LSTM", ["x", f"w{n}", "R"], ["y"], name="lstm"))
        constants = [onnx.numpy_helper.from_array(a, name) for name, a in stored.items()]
        model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], constants))
        path = tmp_path / f"{n}.onnx"
        path.write_bytes(model.SerializeToString())
        assert choose_net(read(path))[0].cell == "lstm"
        return lambda: look(path)

    grows_linearly(make, 1000)


def test_many_references_to_what_holds_no_tensor():
    """However many places a checkpoint has for its model, and however they share what they hold."""

    def make(n, k):
        big = [[] for _ in range(n)]
        return lambda: _unwrap([[big] for _ in range(k)])

    assert calls(make(2000, 80)) < 2 * calls(make(2000, 1))


def test_a_long_list_is_no_checkpoint_to_unwrap():
    assert calls(lambda: _unwrap([[]] * 100_000)) < 100


def test_groups_deep_in_groups_of_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file
        for _ in range(200):
            group = group.create_group("g")
        group["weight"] = [1.0]
    with pytest.raises(InputError, match="its groups are nested more than 100 deep"):
        inspect(tmp_path / "x.h5")
