"""Files made to harm or mislead whoever reads them, each a function of the folder to write to."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import weight_writers as writers
from hostile_torch import LSTM, MIB, TORCH, raw


def safe(header, data=b"", length=None):
    header = header if isinstance(header, bytes | str) else json.dumps(header)

    def write(folder):
        path = writers.write_safetensors_parts(folder / "net.safetensors", header, data)
        if length is not None:
            path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
        return path

    return write


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


SAFETENSORS = {
    "a header of 100 MB": (safe({}, length=100 * MIB), r"expected a header at most 8,388,608"),
    "a header of 2^63 bytes": (safe({}, length=2**39), "expected a header"),
    "a header that is a list": (raw("net.safetensors", struct.pack("<Q", 2) + b"[]"), "not a JSON"),
    "a header that is no UTF-8": (safe(b'{"\xff\xfe":1}'), "not JSON"),
    "a header nested 100,000 deep": (safe('{"a":' * 100_000), "nested too deeply"),
    "8 MB of empty lists": (safe('{"a":[' + "[]," * 2_700_000 + "1]}"), "expected dtype, shape"),
    "a number of a million digits": (safe('{"a":' + "9" * 1_000_000 + "}"), "not JSON"),
    "duplicate tensors": (
        safe('{"a":%s,"a":%s}' % ((json.dumps(entry([1], 0, 4)),) * 2), bytes(4)),
        "the header names 'a' twice",
    ),
    "overlapping tensors": (
        safe({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        "tensor 'b' overlaps the one before it at byte 4",
    ),
    "a gap between tensors": (
        safe({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
        "tensor 'b' leaves a gap before it at byte 8",
    ),
    "bytes after the last tensor": (safe({"a": entry([1], 0, 4)}, bytes(5)), "and 5 follow"),
    "a giant of a shape": (
        safe({"a": entry([2**40, 2**40], 0, 4)}, bytes(4)),
        "does not fill its 4 bytes",
    ),
    "a shape of a million giants": (
        safe({"a": entry([2**47] * 400_000, 0, 4)}, bytes(4)),
        "impossible shape",
    ),
    "a negative length": (safe({"a": entry([-1], 0, 4)}, bytes(4)), "impossible shape"),
    "a true length": (safe({"a": entry([True], 0, 4)}, bytes(4)), "impossible shape"),
    "offsets in the wrong order": (safe({"a": entry([0], 4, 0)}, bytes(4)), "does not fill"),
    "a dtype NumPy has not": (
        safe(
            {
                "weight_ih_l0": entry([4, 1], 0, 4, "F8_E4M3"),
                "weight_hh_l0": entry([4, 1], 4, 8, "F8_E4M3"),
            },
            bytes(8),
        ),
        "holds 'F8_E4M3' numbers",
    ),
    "infinite weights": (
        lambda folder: writers.write_safetensors(
            folder / "net.safetensors", LSTM | {"rnn.bias_ih_l0": np.full(16, np.inf, "f4")}
        ),
        r"tensor 'rnn\.bias_ih_l0' holds inf at \[0\]",
    ),
}


def npz(arrays, **options):
    def write(folder):
        with (folder / "net.npz").open("wb") as file:
            np.savez(file, **arrays, **options)
        return folder / "net.npz"

    return write


def npz_bomb(folder):
    np.savez_compressed(folder / "net.npz", rnn=np.zeros(12 * MIB))
    return folder / "net.npz"


def symlink_to_folder(folder):
    (folder / "net.pt").symlink_to(folder, target_is_directory=True)
    return folder / "net.pt"


def fifo(folder):
    os.mkfifo(folder / "net.pt")
    return folder / "net.pt"


OTHERS = {
    "an .npz of objects": (npz({"w": np.array([{}, 1], dtype=object)}), "holds Python objects"),
    "an .npz that unpacks to 100 MB": (npz_bomb, "claims to unpack to"),
    "an .npz with wrong shapes": (
        npz({"weight_ih_l0": np.zeros((4, 2)), "weight_hh_l0": np.zeros((5, 1))}),
        "shapes disagree",
    ),
    "an .npz with three gates of nothing": (
        npz({"weight_ih_l0": np.zeros((0, 2)), "weight_hh_l0": np.zeros((0, 0))}),
        "is empty",
    ),
    "a symlink to a folder": (symlink_to_folder, "expected a file, found a folder"),
    "a folder": (lambda folder: folder, "expected a file, found a folder"),
    "a pipe": (fifo, "expected a file, found a device, pipe or socket"),
    "an empty file": (raw("net.pt", b""), "the file is empty"),
    "a single array": (
        raw("net.npz", b"\x93NUMPY\1\0" + bytes(90)),
        "a single array without a name",
    ),
    "text": (raw("net.txt", b"hello"), r"expected one of \.npz, \.safetensors, \.pt"),
    "a missing file": (lambda folder: folder / "net.pt", "no such file"),
}


def h5(fill):
    def write(folder):
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "net.h5", "w") as file:
            fill(file, folder, h5py)
        return folder / "net.h5"

    return write


def external_link(file, folder, h5py):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.zeros((2, 4))
    file["lstm/kernel"] = h5py.ExternalLink("other.h5", "/kernel")


def external_storage(file, folder, h5py):
    file.create_dataset("kernel", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file, folder, h5py):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.zeros(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "kernel", (4,))
    file.create_virtual_dataset("kernel", layout)


def unwritten(file, folder, h5py):
    file.create_dataset("lstm/kernel", (10**9,), "f8", chunks=(1000,))


def gzip_bomb(file, folder, h5py):
    file.create_dataset("lstm/kernel", data=np.zeros(6 * MIB), chunks=(MIB,), compression="gzip")


def config(value):
    def fill(file, folder, h5py):
        file.attrs["model_config"] = value
        file["lstm/kernel"] = np.zeros((2, 4))

    return h5(fill)


H5 = {
    "a link to another file": (h5(external_link), "holds no tensors"),
    "numbers in another file": (h5(external_storage), "keeps its numbers in other files"),
    "a dataset made of other files'": (h5(virtual), "keeps its numbers in other files"),
    "8 GB that are not there": (h5(unwritten), "claims 8,000,000,000 bytes of numbers"),
    "50 MB in a few bytes": (h5(gzip_bomb), "claims 50,331,648 bytes of numbers"),
    "a config that is not JSON": (config("{"), "the model's config in it is not JSON"),
    "a config nested too deeply": (config("[" * 50_000), "is not JSON"),
    "a config of another kind": (config('{"config": {"layers": [1, null]}}'), "no recurrent layer"),
    "no numbers at all": (
        h5(lambda file, folder, h5py: file.create_dataset("a", data="text")),
        "holds no tensors",
    ),
}


def onnx(change):
    def write(folder):
        onnx = pytest.importorskip("onnx")
        arrays = {"W": np.zeros((1, 4, 2), "f4"), "R": np.zeros((1, 4, 1), "f4")}
        constants = [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()]
        node = onnx.helper.make_node("LSTM", ["X", "W", "R"], ["Y"], name="lstm", hidden_size=1)
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], constants))
        change(model, onnx)
        (folder / "net.onnx").write_bytes(model.SerializeToString())
        return folder / "net.onnx"

    return write


def elsewhere(model, onnx):
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")


def dims(*shape):
    def change(model, onnx):
        model.graph.initializer[0].dims[:] = shape

    return change


def direction(model, onnx):
    model.graph.node[0].attribute.add(name="direction", type=3, s=b"sideways")


def computed(model, onnx):
    model.graph.node[0].input[1] = "other"


def clipped(model, onnx):
    model.graph.node[0].attribute.add(name="clip", type=1, f=3.0)


def text_as_onnx(folder):
    pytest.importorskip("onnx")
    return raw("net.onnx", b"hello, this is not a model")(folder)


ONNX = {
    "numbers in another file": (onnx(elsewhere), "tensor 'W' keeps its numbers in another file"),
    "a giant of a shape": (onnx(dims(2**30, 2**30)), "claims shape .*, found 8 elements"),
    "a negative length": (onnx(dims(-1, 4, 2)), "claims shape"),
    "two directions' shape for one": (onnx(dims(2, 2, 2)), "expected 3 axes, 1 direction first"),
    "no known direction": (onnx(direction), "node 'lstm' has no known direction"),
    "weights computed in the graph": (onnx(computed), "its W_x, 'other', is computed in the graph"),
    "clipping": (onnx(clipped), "cannot be computed: it has clipping"),
    "a duplicate tensor": (
        onnx(lambda model, onnx: model.graph.initializer.append(model.graph.initializer[0])),
        "tensor 'W' is there twice",
    ),
    "no recurrent node": (
        onnx(lambda model, onnx: model.graph.node[0].ClearField("op_type")),
        "no RNN, LSTM or GRU node in its graph",
    ),
    "text": (text_as_onnx, "not an ONNX file"),
}

HOSTILE = {
    f"{kind}: {name}": case
    for kind, table in {
        "torch": TORCH,
        "safetensors": SAFETENSORS,
        "other": OTHERS,
        "h5": H5,
        "onnx": ONNX,
    }.items()
    for name, case in table.items()
}


def write_valid(folder: Path, suffix: str) -> Path:
    """A good file of each format, with one LSTM."""
    path = folder / f"net{suffix}"
    if suffix == ".npz":
        return writers.write_npz(path, LSTM)
    if suffix == ".safetensors":
        return writers.write_safetensors(path, LSTM)
    if suffix == ".pt":
        return writers.write_torch(path, LSTM)
    if suffix == ".pth":
        return writers.write_legacy_torch(path, LSTM)
    if suffix == ".pkl":
        return writers.write_pickle(path, LSTM)
    if suffix == ".msgpack":
        return writers.write_msgpack(path, writers.flax_arrays())
    if suffix == ".onnx":
        return onnx(lambda model, onnx: None)(folder)
    h5_path = h5(keras_layer)(folder)
    if suffix == ".h5":
        return h5_path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(KERAS_CONFIG))
        archive.write(h5_path, "model.weights.h5")
    return path


KERAS_CONFIG = {
    "class_name": "Sequential",
    "config": {"layers": [{"class_name": "LSTM", "config": {"name": "lstm", "units": 3}}]},
}


def keras_layer(file, folder, h5py):
    file.attrs["model_config"] = json.dumps(KERAS_CONFIG)
    for name, shape in {"0": (2, 12), "1": (3, 12), "2": (12,)}.items():
        file[f"layers/lstm/cell/vars/{name}"] = np.ones(shape, "f4")


SUFFIXES = (*(".npz", ".safetensors", ".pt", ".pth", ".pkl", ".h5", ".keras", ".onnx", ".msgpack"),)
"""Of files of each kind; `.pth` is PyTorch's format before 1.6."""
