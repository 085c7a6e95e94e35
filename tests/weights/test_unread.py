"""Formats without a reader: one line that names the format and the way out."""

from __future__ import annotations

import zipfile

import pytest

from gradflow.errors import InputError
from gradflow.weights import read

FILES = {
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "a TensorFlow Lite model", "--tflite FILE"),
    "renamed.dat": (b"\x1c\0\0\0TFL3" + bytes(64), "a TensorFlow Lite model", "tf2onnx.convert"),
    "frozen.pb": (b"\n\x12\n\x05input" + bytes(40), "a TensorFlow graph", "tf2onnx.convert"),
    "model.ckpt.index": (b"\0\0" + bytes(40), "a TensorFlow checkpoint", "numpy.savez"),
    "variables.data-00000-of-00001": (bytes(40), "a TensorFlow checkpoint", "numpy.savez"),
    "openvino.xml": (b'<?xml version="1.0"?><net name="m">', "an OpenVINO model", "ONNX or Keras"),
    "openvino.bin": (b"\1\2\3" * 20, "numbers without names", "converted from"),
    "net.mlmodel": (b"\x08\x05\x12" + bytes(40), "a Core ML model", "converted from"),
    "model.gguf": (b"GGUF" + bytes(60), "a GGUF file", r"\.safetensors"),
    "model.json": (b'{"format":"layers-model","weightsManifest":[]}', "a TensorFlow.js", "_conv"),
    "graph.json": (b'{"format": "graph-model", "weightsManifest": []}', "graph model", "--tfjs"),
    "net.json": (b'{"class_name": "Sequential", "config": []}', "configuration without", "save"),
    "net.index.json": (b'{"metadata": {}, "weight_map": {}}', "an index of several", "name one"),
    "darknet.weights": (bytes(range(1, 90)), "Darknet weights", "numpy.savez"),
    "net.pth.tar": (b"x" * 257 + b"ustar" + bytes(90), "a tar archive", r"state_dict\(\)"),
    "net.pt.gz": (b"\x1f\x8b\x08" + bytes(40), "a gzip file", "gunzip < FILE"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_message_names_the_format_and_the_way_out(tmp_path, name):
    content, what, way_out = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{what}.*{way_out}") as error:
        read(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: error: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("member", "way_out"),
    [("net/archive_format", r"torch\.export\.load"), ("model/weights.h5", "unpack it")],
)
def test_an_archive_that_is_no_net_says_what_it_is(tmp_path, member, way_out):
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.writestr(member, "pt2")
    with pytest.raises(InputError, match=way_out):
        read(tmp_path / "net.zip")
