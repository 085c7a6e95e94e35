"""Formats that have no reader here: known by their first bytes, so that a message can help."""

from __future__ import annotations

from collections.abc import Collection

_CONVERT = "convert it with python -m tf2onnx.convert --output net.onnx"

_ADVICE = {
    "tflite": f"a TensorFlow Lite model is not read: {_CONVERT} --tflite FILE.tflite",
    "tensorflow": f"a TensorFlow graph is not read: {_CONVERT} --saved-model FOLDER, a frozen one"
    " with --graphdef FILE.pb --inputs IN:0 --outputs OUT:0",
    "checkpoint": "a TensorFlow checkpoint is not read: save its variables with numpy.savez"
    " ({name: reader.get_tensor(name)} of tf.train.load_checkpoint)",
    "openvino": "an OpenVINO model is not read: use the ONNX or Keras model it was converted from",
    "coreml": "a Core ML model is not read: use the PyTorch or Keras model it was converted from",
    "gguf": "a GGUF file is not read: use the .safetensors file it was converted from",
    "ggml": "a GGML file is not read: use the PyTorch file it was converted from",
    "tfjs": "a TensorFlow.js model is not read: convert it with tensorflowjs_converter"
    " --input_format tfjs_layers_model --output_format keras model.json net.h5",
    "tfjs graph": f"a TensorFlow.js graph model is not read: {_CONVERT} --tfjs model.json",
    "darknet": "Darknet weights have no names or shapes: save the parameters with numpy.savez",
    "raw": "numbers without names or shapes (OpenVINO's or TensorFlow.js's) are not read: use the"
    " model they were converted from",
    "tar": "a tar archive, PyTorch's format before 0.1.10 or NeMo's, is not read: unpack it, or"
    " load it where you trust it and torch.save(model.state_dict(), 'net.pt')",
    "gzip": "a gzip file is not read: unpack it with gunzip < FILE > OTHER",
    "zip": "an archive that is no net itself: unpack it, and name a file in it",
    "export": "a torch.export archive is not read: load it where you trust it and"
    " torch.save(torch.export.load(FILE).state_dict, 'net.pt')",
    "keras json": "a Keras model's configuration without weights: name the file of the weights, or"
    " save both in one with model.save('net.keras')",
    "shards": "an index of several files is not read: name one of the files in it",
}

_SUFFIXES = {
    ".tflite": "tflite",
    ".pb": "tensorflow",
    ".index": "checkpoint",
    ".mlmodel": "coreml",
    ".mlpackage": "coreml",
    ".gguf": "gguf",
    ".ggml": "ggml",
    ".weights": "darknet",
    ".bin": "raw",
    ".tar": "tar",
    ".nemo": "tar",
}


def unread(head: bytes, suffix: str) -> str | None:
    """What a file is, and the way out, by its first bytes and its suffix; None where it is not
    known to be of a format without a reader."""
    kind = _by_content(head) or _SUFFIXES.get(suffix)
    if suffix.startswith(".data-0"):
        kind = "checkpoint"
    return _ADVICE[kind] if kind else None


def unread_zip(members: Collection[str]) -> str:
    """The same of a zip that is none of the formats that are read."""
    exported = any(
        name.split("/")[-1] in ("archive_format", "serialized_exported_program.json")
        for name in members
    )
    return _ADVICE["export" if exported else "zip"]


def _by_content(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(b"GGUF"):
        return "gguf"
    if head.startswith((b"ggml", b"lmgg")):
        return "ggml"
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if text.startswith(b"<") and b"<net" in text:
        return "openvino"
    if text.startswith(b"{") and (b'"weightsManifest"' in text or b'"modelTopology"' in text):
        return "tfjs graph" if b'"graph-model"' in text else "tfjs"
    if text.startswith(b"{") and b'"weight_map"' in text:
        return "shards"
    if text.startswith(b"{") and b'"class_name"' in text and b'"config"' in text:
        return "keras json"
    return None
