"""Headers are read when a file is opened, numbers when they are asked for."""

from __future__ import annotations

import json
import struct
import time
import zipfile

import numpy as np
import pytest
import weight_writers as writers

from gradflow.errors import InputError
from gradflow.files.opening import RegularFile
from gradflow.weights import choose_net, read
from gradflow.weights.readers import in_time

LSTM = writers.lstm_arrays()
LARGE = np.ones((512, 1024), "f4")


def h5(path, arrays, **options):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)
    return path


def onnx(path, arrays):
    library = pytest.importorskip("onnx")
    tensors = [library.numpy_helper.from_array(a, name) for name, a in arrays.items()]
    node = library.helper.make_node("Identity", ["X"], ["Y"])
    graph = library.helper.make_graph([node], "g", [], [], tensors)
    path.write_bytes(library.helper.make_model(graph).SerializeToString())
    return path


def msgpack(path, arrays):
    pytest.importorskip("msgpack")
    return writers.write_msgpack(path, arrays)


def keras(path, arrays):
    inner = h5(path.with_suffix(".h5"), arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "model.weights.h5")
    return path


WRITERS = {
    ".npz": writers.write_npz,
    ".safetensors": writers.write_safetensors,
    ".pt": writers.write_torch,
    ".pth": writers.write_legacy_torch,
    ".pkl": writers.write_pickle,
    ".h5": h5,
    ".onnx": onnx,
    ".msgpack": msgpack,
    ".keras": keras,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_only_headers_and_the_chosen_tensors_are_read(tmp_path, monkeypatch, suffix):
    """Two megabytes lie between the tensors of the net, and are passed over."""
    arrays = {"a": LARGE, "w": LSTM["rnn.weight_hh_l0"], "z": LARGE + 1}
    path = WRITERS[suffix](tmp_path / f"net{suffix}", arrays)
    taken = []
    for name in ("fill", "readinto"):
        really = getattr(RegularFile, name)

        def counted(self, buffer, *rest, really=really):
            taken.append(len(memoryview(buffer).cast("B")))
            return really(self, buffer, *rest)

        monkeypatch.setattr(RegularFile, name, counted)
    tensors = read(path)
    np.testing.assert_array_equal(tensors["w"], arrays["w"], strict=True)
    assert tensors.shape("z") == LARGE.shape
    assert sum(taken) < LARGE.nbytes / 4  # two buffers, of the size that Python has
    np.testing.assert_array_equal(tensors["z"], arrays["z"], strict=True)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_tensor_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch, suffix):
    from gradflow.weights import tensors as module

    path = WRITERS[suffix](tmp_path / f"net{suffix}", {"weight_hh_l0": LARGE})
    monkeypatch.setattr(module, "_WORTH_ASKING", 1 << 20)
    monkeypatch.setattr(module, "bytes_available", lambda: 4 << 20)
    tensors = read(path)
    with pytest.raises(InputError, match=r"'weight_hh_l0' takes 2,097,152 bytes, more than memory"):
        tensors["weight_hh_l0"]


def test_a_file_of_holes_takes_no_memory(tmp_path):
    """80 GB of numbers that nobody wrote."""
    shape = [4 * 50_000, 50_000]
    size = 4 * shape[0] * shape[1]
    header = {
        f"weight_{kind}_l0": {
            "dtype": "F32", "shape": shape, "data_offsets": [k * size, (k + 1) * size]
        }
        for k, kind in enumerate(("ih", "hh"))
    }  # fmt: skip
    text = json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        try:
            file.truncate(8 + len(text) + 2 * size)
        except OSError:
            pytest.skip("this file system has no sparse files")
    with pytest.raises(InputError, match=r"takes 40,000,000,000 bytes, more than memory has room"):
        choose_net(read(path))


def test_texts_and_objects_beside_the_arrays_of_an_npz_do_no_harm(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, vocabulary=np.array(["a", "b"]), **LSTM, config=np.array({}, dtype=object))
    assert list(read(path)) == list(LSTM)


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 5)}, {"chunks": (7, 7), "shuffle": True},
                                     {"compression": "gzip"}, {"fletcher32": True}])  # fmt: skip
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "<f2"])
def test_datasets_of_every_layout(tmp_path, options, dtype):
    array = np.arange(40 * 11).reshape(40, 11).astype(dtype)
    tensors = read(h5(tmp_path / "net.h5", {"a/w": array}, **options))
    assert tensors.stored["a/w"].dtype == array.dtype.name
    np.testing.assert_array_equal(tensors["a/w"], array)
    assert tensors["a/w"].dtype.isnative


def test_a_dataset_within_its_header(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space, kind = h5py.h5s.create_simple((3,)), h5py.h5t.IEEE_F32LE
        h5py.h5d.create(file.id, b"w", kind, space, plist).write(space, space, np.ones(3, "f4"))
    np.testing.assert_array_equal(read(tmp_path / "net.h5")["w"], np.ones(3))


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_chunks_that_were_never_written_are_no_zeros(tmp_path, options):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        for i in range(300):
            shape = (256, 1024)
            file.create_dataset(f"l{i}/recurrent_kernel", shape, "f4", chunks=(64, 64), **options)
    with pytest.raises(InputError, match="claims 1,048,576 bytes of numbers, and the file has 0"):
        read(tmp_path / "net.h5")


def test_hdf5_may_take_any_time_as_long_as_it_gets_on(monkeypatch):
    monkeypatch.setattr(in_time, "SECONDS", 0.1)

    def slow(alive):
        for _ in range(6):
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
            alive()
        time.sleep(0.3)  # waiting is no work
        return "done"

    assert in_time.in_time(slow, InputError("late")) == "done"


def test_hdf5_that_does_not_get_on_is_ended(monkeypatch):
    monkeypatch.setattr(in_time, "SECONDS", 0.1)

    def forever(alive):
        while True:
            pass

    with pytest.raises(InputError, match="late"):
        in_time.in_time(forever, InputError("late"))
