"""What each reader gives back of files made here, byte by byte."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from types import ModuleType

import numpy as np
import pytest
import weight_writers as writers

from gradflow.errors import InputError
from gradflow.weights import READERS, choose_net, read

WRITERS = {
    ".npz": writers.write_npz,
    ".safetensors": writers.write_safetensors,
    ".pt": writers.write_torch,
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_every_tensor_comes_back_exactly(tmp_path, suffix, dtype):
    arrays = writers.lstm_arrays(dtype) | {"steps": np.array(7), "none": np.zeros((0, 3), "f4")}
    tensors = read(WRITERS[suffix](tmp_path / f"net{suffix}", arrays))
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        assert tensors.shape(name) == array.shape
        assert tensors.stored[name].dtype == str(array.dtype)
        np.testing.assert_array_equal(tensors[name], array, strict=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_bfloat16_is_widened_exactly(tmp_path, suffix):
    exact = np.array([[1.5, -2.0, 0.0], [2.0**-130, 3.140625, -np.inf]], np.float32)
    tensors = read(WRITERS[suffix](tmp_path / f"net{suffix}", {"w": exact}, bfloat16=True))
    assert tensors.stored["w"].dtype == "bfloat16"
    np.testing.assert_array_equal(tensors["w"], exact, strict=True)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_checkpoints_that_wrap_a_state_dict_are_unwrapped(tmp_path, wrapper):
    arrays = writers.lstm_arrays()
    tensors = read(writers.write_torch(tmp_path / "net.pth", arrays, wrapper))
    assert list(tensors) == list(arrays)


def test_other_dictionaries_in_a_checkpoint_give_dotted_names(tmp_path):
    tensors = read(writers.write_torch(tmp_path / "net.pth", writers.lstm_arrays(), "generator"))
    assert choose_net(tensors)[0].prefix == "generator.rnn"


def test_views_of_a_storage_are_read_through_their_strides(tmp_path):
    base = np.arange(12, dtype=np.float32)
    content = writers.dictionary(
        {
            "transposed": writers.tensor("0", "Float", 12, (3, 2), (1, 3), offset=4),
            "repeated": writers.tensor("0", "Float", 12, (2, 3), (0, 1)),
        }
    )
    path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": base.tobytes()})
    tensors = read(path)
    np.testing.assert_array_equal(tensors["transposed"], base[4:10].reshape(2, 3).T)
    np.testing.assert_array_equal(tensors["repeated"], [base[:3], base[:3]])


def test_metadata_that_holds_no_tensor_is_passed_over(tmp_path):
    """What `torch.save({"args": Namespace(lr=0.1), "best": np.float64(1), ...})` writes."""
    namespace = b"cargparse\nNamespace\n)\x81}" + writers.text("lr") + writers.number(1) + b"sb"
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n" + writers.text("f8") + b"\x85R"
    scalar += b"c_codecs\nencode\n" + writers.text("a") + writers.text("latin1") + b"\x86RtR"
    content = writers.dictionary(
        {
            "args": namespace,
            "best": scalar,
            "betas": b"G" + bytes(8) + b"\x85",
            "w": writers.tensor("0", "Float", 2, (2,), (1,)),
        }
    )
    path = writers.write_torch_parts(tmp_path / "net.pt", content, {"0": bytes(8)})
    assert list(read(path)) == ["w"]


@pytest.mark.parametrize(
    ("written", "suffix"),
    [(".npz", ".pt"), (".pt", ".npz"), (".pt", ".bin"), (".safetensors", ".pth")],
)
def test_the_content_decides_where_the_suffix_lies(tmp_path, written, suffix):
    path = WRITERS[written](tmp_path / f"net{written}", writers.lstm_arrays())
    renamed = path.rename(tmp_path / f"renamed{suffix}")
    assert list(read(renamed)) == list(writers.lstm_arrays())


@pytest.fixture
def with_reader(monkeypatch):
    """A function that adds a reader of a `.new` file to the list, which gives nothing."""
    from gradflow.weights import readers

    module = ModuleType("gradflow.weights.readers.new")
    module.read = lambda file: readers.Tensors(file.source, {}, format="new")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def add(**how):
        added = (*readers.READERS, readers.Reader("new", (".new",), **how))
        monkeypatch.setattr(readers, "READERS", added)

    return add


LIKE_SAFETENSORS = b"NEW1\0\0\0\0{" + bytes(20)
LIKE_A_PICKLE = b"\x80\4" + bytes(20)


@pytest.mark.parametrize("content", [LIKE_SAFETENSORS, LIKE_A_PICKLE], ids=["{", "0x80"])
def test_the_suffix_of_a_reader_is_believed_before_what_another_looks_like(
    tmp_path, with_reader, content
):
    with_reader()
    (tmp_path / "net.new").write_bytes(content)
    assert read(tmp_path / "net.new").format == "new"


def test_a_reader_whose_files_are_known_by_their_beginning_takes_them_by_any_name(
    tmp_path, with_reader
):
    with_reader(is_surely=lambda head: head.startswith(b"NEW1"))
    for name in ("net.new", "net.dat", "net.pt", "net.safetensors"):
        (tmp_path / name).write_bytes(LIKE_SAFETENSORS)
        assert read(tmp_path / name).format == "new"


def test_only_what_is_looked_up_is_read(tmp_path):
    """A tensor whose bytes are damaged does no harm to the others."""
    path = writers.write_torch(tmp_path / "net.pt", writers.lstm_arrays())
    data = bytearray(path.read_bytes())
    raw = writers.lstm_arrays()["rnn.weight_hh_l0"].tobytes()
    data[data.index(raw)] ^= 1
    path.write_bytes(data)
    tensors = read(path)
    np.testing.assert_array_equal(
        tensors["rnn.weight_ih_l0"], writers.lstm_arrays()["rnn.weight_ih_l0"]
    )
    with pytest.raises(InputError, match=r"net\.pt: .*CRC"):
        tensors["rnn.weight_hh_l0"]


def test_a_missing_reader_names_the_command_that_installs_it(tmp_path, monkeypatch):
    for module, suffix, start in (
        ("h5py", ".h5", b"\x89HDF\r\n\x1a\n"),
        ("onnx", ".onnx", b"\x08"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        path = tmp_path / f"net{suffix}"
        path.write_bytes(start + bytes(100))
        with pytest.raises(InputError, match=f"pip install {module}$"):
            read(path)


def test_importing_the_readers_loads_no_framework():
    code = "import gradflow.weights, sys; print(sorted({'torch','h5py','onnx'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_every_suffix_has_a_reader_that_can_be_imported():
    from importlib import import_module

    for reader in READERS:
        assert callable(import_module(f"gradflow.weights.readers.{reader.name}").read)


def keras_h5(path, config=None, dtype="f4"):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        if config:
            file.attrs["model_config"] = json.dumps(config)
        for name, shape in {"0": (2, 12), "1": (3, 12), "2": (12,)}.items():
            file[f"layers/lstm/cell/vars/{name}"] = rng.standard_normal(shape).astype(dtype)
        file["optimizer/vars/1"] = np.zeros(3)
    return path


@pytest.mark.parametrize("archive", [False, True], ids=[".weights.h5", ".keras"])
def test_hdf5_gives_all_but_the_optimizer(tmp_path, archive):
    path = keras_h5(tmp_path / "net.weights.h5")
    if archive:
        config = {"class_name": "Sequential", "config": {"layers": []}}
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as file:
            file.writestr("metadata.json", "{}")
            file.writestr("config.json", json.dumps(config))
            file.write(path, "model.weights.h5")
        path = tmp_path / "net.keras"
    tensors = read(path)
    assert list(tensors) == [f"layers/lstm/cell/vars/{k}" for k in "012"]
    assert tensors["layers/lstm/cell/vars/1"].shape == (3, 12)
    assert choose_net(tensors)[0].cell == "lstm"


def onnx_file(path, **fields):
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(4)
    arrays = {"W": (1, 12, 2), "R": (1, 12, 3), "B": (1, 24)}
    constants = [
        onnx.numpy_helper.from_array(rng.standard_normal(s).astype("f4"), n)
        for n, s in arrays.items()
    ]
    node = onnx.helper.make_node("LSTM", ["X", *arrays], ["Y"], name="lstm", hidden_size=3)
    graph = onnx.helper.make_graph([node], "g", [], [], constants[:2])
    constant = onnx.helper.make_node("Constant", [], ["B"], value=constants[2])
    graph.node.insert(0, constant)
    inner = onnx.helper.make_graph(list(graph.node), "inner", [], [], constants[:2])
    if fields.get("nested"):
        branch = onnx.helper.make_node(
            "If", ["c"], ["Y"], "if", then_branch=inner, else_branch=inner
        )
        graph = onnx.helper.make_graph([branch], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def test_onnx_gives_initializers_and_constants_also_of_branches(tmp_path):
    tensors = read(onnx_file(tmp_path / "net.onnx"))
    assert list(tensors) == ["W", "R", "B"]
    assert choose_net(tensors)[0].prefix == "lstm"
    nested = read(onnx_file(tmp_path / "nested.onnx", nested=True))
    (layer,) = choose_net(nested)  # each branch has a copy of the same weights
    assert re.fullmatch(r"if\.(then|else)_branch/lstm", layer.prefix)
    np.testing.assert_array_equal(layer.W_x, choose_net(tensors)[0].W_x)


def test_a_whole_file_of_keras_1(tmp_path):
    """Its config is bytes, its gates are their own tensors, and by default hard sigmoids."""
    h5py = pytest.importorskip("h5py")
    for gate_activation in ("sigmoid", "hard_sigmoid"):
        layer = {"name": "lstm_1", "activation": "tanh", "inner_activation": gate_activation}
        config = {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": layer}]}
        with h5py.File(tmp_path / "net.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(config).encode()
            file.attrs["keras_version"] = b"1.2.2"
            for gate in "icfo":
                for part, shape in {"W": (2, 3), "U": (3, 3), "b": (3,)}.items():
                    file[f"model_weights/lstm_1/lstm_1_{part}_{gate}:0"] = np.full(
                        shape, ord(gate), "f4"
                    )
            file["optimizer_weights/x"] = np.zeros(3)
        tensors = read(tmp_path / "net.h5")
        (layer,) = choose_net(tensors)
        assert layer.prefix == "lstm_1"
        np.testing.assert_array_equal(layer.b_x, np.repeat([ord(g) for g in "ifco"], 3))
        found = layer.options["recurrent_activation"]
        assert found == gate_activation.replace("hard", "keras2_hard")


def test_a_keras_attribute_that_is_no_text_is_passed_over(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.ones((2, 3))
        file.attrs["model_config"] = np.void(b"{}")
        file.attrs["keras_version"] = ["2.4", "2.5"]
    assert read(path).attributes["config"] is None
    assert read(path).attributes["keras_version"] is None
