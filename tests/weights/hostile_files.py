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
from weight_writers import dictionary, number, numbers, tensor, text

LSTM = writers.lstm_arrays()
MIB = 1 << 20


def torch(content, storages=(), **options):
    """A PyTorch file of this pickle."""
    return lambda folder: writers.write_torch_parts(
        folder / "net.pt", content, dict(storages), **options
    )


def calling(code):
    """A state dict one of whose values is what this pickle code makes."""
    return torch(dictionary({"weight_ih_l0": code}))


def weight(view, length=4):
    """A state dict of one tensor, on a storage of four floats."""
    return torch(dictionary({"rnn.weight_hh_l0": view}), {"0": bytes(4 * length)})


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def reduce(module, name, *arguments):
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def deep_tuples():
    return b"}" + b")" + b"\x85" * 200_000 + b"Ns"


def torch_of(arrays, **options):
    return lambda folder: writers.write_torch(folder / "net.pt", arrays, **options)


def duplicate_member(folder):
    path = writers.write_torch(folder / "net.pt", LSTM)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(LSTM["rnn.weight_ih_l0"].nbytes))
    return path


def torchscript(folder):
    path = writers.write_torch(folder / "net.pt", LSTM)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"\x80\x02).")
    return path


def raw(name, data):
    def write(folder):
        path = folder / name
        path.write_bytes(data)
        return path

    return write


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


TORCH = {
    "a call of os.system": (
        calling(reduce("os", "system", text("true"))),
        r"its pickle calls 'os\.system', which is not run: save only the parameters",
    ),
    "a call of eval": (calling(reduce("builtins", "eval", text("1"))), r"calls 'builtins\.eval'"),
    "a call of getattr in Python 2's spelling": (
        calling(reduce("__builtin__", "getattr", text("a"), text("b"))),
        r"calls 'builtins\.getattr'",
    ),
    "a global named on the stack": (
        calling(text("posix") + text("system") + b"\x93"),
        r"calls 'posix\.system'",
    ),
    "an instance by INST": (calling(b"(" + text("a") + b"ios\nsystem\n"), "uses INST"),
    "a registered extension": (calling(b"\x82\x01"), "uses EXT1"),
    "a model pickled whole": (calling(named("__main__", "Net") + b")\x81"), r"'__main__\.Net'"),
    "attributes set on what rebuilds tensors": (
        calling(named("torch._utils", "_rebuild_tensor_v2") + b"}" + text("a") + b"Nsb)R"),
        "damaged",
    ),
    "a call of what is no function": (calling(text("f") + b")R"), "calls what is no function"),
    "compressed members": (
        torch(
            dictionary({"w": tensor("0", "Float", 4, (4,), (1,))}),
            {"0": bytes(16)},
            compression=zipfile.ZIP_DEFLATED,
        ),
        r"member 'archive/data\.pkl' is compressed: save the file uncompressed",
    ),
    "a giant with stride 0": (
        weight(tensor("0", "Float", 4, (30_000, 30_000), (0, 0))),
        r"tensor 'rnn\.weight_hh_l0' claims 900,000,000 elements from a storage of 4",
    ),
    "a giant of a shape": (
        weight(tensor("0", "Float", 4, (2**40, 2**40), (1, 1))),
        "reaches element",
    ),
    "more axes than any tensor has": (
        weight(tensor("0", "Float", 4, (1,) * 1000, (1,) * 1000)),
        "impossible shape",
    ),
    "a negative stride": (weight(tensor("0", "Float", 4, (2,), (-1,))), "impossible shape"),
    "a view past its storage": (
        weight(tensor("0", "Float", 4, (2, 2), (2, 1), offset=1)),
        "reaches element 4 of a storage of 4",
    ),
    "a storage shorter than promised": (
        weight(tensor("0", "Float", 5, (5,), (1,))),
        r"needs a storage of 20 bytes, which has 16: cut short\?",
    ),
    "a storage that is not there": (
        weight(tensor("../0", "Float", 4, (4,), (1,))),
        "needs a storage of 16 bytes, which is not in the file",
    ),
    "a member twice": (duplicate_member, r"member 'archive/data/0' is there 2 times"),
    "a tensor twice": (
        torch(dictionary({"a": number(1)})[:-1] + text("a") + number(2) + b"u"),
        "its dictionary has 'a' twice",
    ),
    "two ways to one dotted name": (
        torch(
            dictionary(
                {
                    "a.b": tensor("0", "Float", 1, (1,), (1,)),
                    "a": dictionary({"b": tensor("0", "Float", 1, (1,), (1,))}),
                }
            ),
            {"0": bytes(4)},
        ),
        "two of its tensors have the same dotted name",
    ),
    "no tensors": (torch(dictionary({"epoch": number(1)})), "found no tensor"),
    "a list that holds itself": (torch(b"]q\0h\0a"), "found no tensor"),
    "a dictionary that holds itself": (torch(b"}q\0" + text("a") + b"h\0s"), "found no tensor"),
    "tuples nested 200,000 deep as a key": (torch(deep_tuples()), "found no tensor"),
    "a million empty dictionaries": (torch(b"}" * 3_000_000), "more than 1,000,000 steps"),
    "a pickle of 40 MB": (torch(b"}" * 40_000_000), "longer than"),
    "a memo index of four billion": (torch(b"}r\xff\xff\xff\xff"), "found no tensor"),
    "a string of eight exabytes": (torch(b"\x8d" + b"\xff" * 7 + b"\x0f"), "damaged"),
    "a number of a million digits": (torch(b"I" + b"9" * 1_000_000 + b"\n"), "damaged"),
    "one long list of arguments, over and over": (
        torch(b"(" + b"N" * 400_000 + b"tq\0" + (named("torch", "Size") + b"h\0R") * 100_000),
        "too many arguments",
    ),
    "one long name, over and over": (
        torch(
            text("x" * MIB)
            + b"q\1"
            + tensor("0", "Float", 1, (1,), (1,))
            + b"q\2"
            + (b"}h\1h\2s") * 100_000
            + b"l"
        ),
        "uses LIST",
    ),
    "nested dictionaries with long names": (
        torch(
            text("x" * MIB) + b"q\1" + b"}h\1" * 5 + tensor("0", "Float", 1, (1,), (1,)) + b"s" * 5
        ),
        "a name in it is longer than 1000 characters",
    ),
    "an empty stack": (torch(b"0" * 3), "uses POP"),
    "a mark never set": (torch(b"u"), "damaged"),
    "PyTorch's format before 1.6": (
        raw("net.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" + bytes(100)),
        "a bare pickle, PyTorch's format before 1.6",
    ),
    "TorchScript": (torchscript, r"a TorchScript program.*torch\.jit\.load\(FILE\)\.state_dict"),
    "NaN weights": (
        torch_of(LSTM | {"rnn.bias_hh_l0": np.full(16, np.nan, "f4")}),
        r"tensor 'rnn\.bias_hh_l0' holds nan at \[0\]: expected finite numbers",
    ),
    "wrong shapes": (
        torch_of(LSTM | {"rnn.bias_hh_l0": np.zeros(15, "f4")}),
        r"'rnn\.weight_ih_l0' gives W_x shape \(16, 3\) and .* gives b_s shape \(15,\)",
    ),
    "zero-size tensors": (
        torch_of(LSTM | {"rnn.weight_hh_l0": np.zeros((16, 0), "f4")}),
        r"tensor 'rnn\.weight_hh_l0' is empty: its shape is \(16, 0\)",
    ),
    "names with escape sequences": (
        torch_of({"\x1b[31m": np.zeros(3)}),
        "expected printable names",
    ),
}

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


ONNX = {
    "numbers in another file": (onnx(elsewhere), "tensor 'W' keeps its numbers in another file"),
    "a giant of a shape": (onnx(dims(2**30, 2**30)), "claims shape .* and 8 elements are there"),
    "a negative length": (onnx(dims(-1, 4, 2)), "claims shape"),
    "two directions' shape for one": (onnx(dims(2, 2, 2)), "expected 3 axes, 1 directions first"),
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
    "text": (raw("net.onnx", b"hello, this is not a model"), "not an ONNX file"),
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


SUFFIXES = (".npz", ".safetensors", ".pt", ".h5", ".keras", ".onnx")
__all__ = ["HOSTILE", "SUFFIXES", "numbers", "write_valid"]
