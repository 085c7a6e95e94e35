"""Tiny writers of safetensors and PyTorch files, so that the tests of the core need no torch."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SAFE = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8"}
TORCH = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "int64": "Long",
    "int8": "Char",
}

Arrays = Mapping[str, np.ndarray]


def bfloat16_bits(array: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers."""
    return (np.ascontiguousarray(array, dtype="<f4").view("<u4") >> 16).astype("<u2")


def write_npz(path: Path, arrays: Arrays) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def write_safetensors(path: Path, arrays: Arrays, bfloat16: bool = False) -> Path:
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    data = b""
    for name, array in arrays.items():
        raw = (bfloat16_bits(array) if bfloat16 else array).tobytes()
        header[name] = {
            "dtype": "BF16" if bfloat16 else SAFE[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return write_safetensors_parts(path, json.dumps(header), data)


def write_safetensors_parts(path: Path, header: str | bytes, data: bytes) -> Path:
    header = header if isinstance(header, bytes) else header.encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


EMPTY = b"ccollections\nOrderedDict\n)R"


def tensor(
    key: str,
    kind: str,
    length: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int = 0,
) -> bytes:
    """The pickle of one tensor on a storage of `length` elements."""
    storage = text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu")
    view = number(offset) + numbers(shape) + numbers(strides) + b"\x89" + EMPTY
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + number(length) + b"tQ" + view + b"tR"
    )


def dictionary(items: Mapping[str, bytes]) -> bytes:
    return EMPTY + b"(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def write_torch(
    path: Path, arrays: Arrays, wrapper: str | None = None, bfloat16: bool = False
) -> Path:
    items, storages = {}, {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(s // array.itemsize for s in array.copy("C").strides)
        kind = "BFloat16" if bfloat16 else TORCH[str(array.dtype)]
        items[name] = tensor(str(key), kind, array.size, array.shape, strides)
        storages[str(key)] = (bfloat16_bits(array) if bfloat16 else array).tobytes()
    content = dictionary(items)
    if wrapper:
        content = dictionary({"epoch": number(3), wrapper: content, "loss": b"G" + bytes(8)})
    return write_torch_parts(path, content, storages)


def write_torch_parts(
    path: Path, content: bytes, storages: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("archive/byteorder", b"little")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", b"3\n")
    return path


def write_legacy_torch(path: Path, arrays: Arrays) -> Path:
    """PyTorch's format before 1.6: five pickles, then the storages, each behind its length."""
    items = {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(s // array.itemsize for s in array.copy("C").strides)
        view = tensor(str(key), TORCH[str(array.dtype)], array.size, array.shape, strides)
        items[name] = view.replace(b"tQ", b"NtQ", 1)
    magic = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
    system = b"}(" + text("little_endian") + b"\x88u"
    keys = b"](" + b"".join(text(str(key)) for key in range(len(arrays))) + b"e"
    pickles = (magic, number(1001), system, dictionary(items), keys)
    data = b"".join(b"\x80\x02" + content + b"." for content in pickles)
    for array in arrays.values():
        data += struct.pack("<q", array.size) + array.tobytes()
    path.write_bytes(data)
    return path


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def write_msgpack(path: Path, content: Any) -> Path:
    """As `flax.serialization.msgpack_serialize` does."""
    msgpack = pytest.importorskip("msgpack")

    def packed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: packed(inner) for key, inner in value.items()}
        if not isinstance(value, np.ndarray):
            return value
        parts = (value.shape, value.dtype.name, value.tobytes())
        return msgpack.ExtType(1, msgpack.packb(parts, use_bin_type=True))

    path.write_bytes(msgpack.packb(packed(content), strict_types=True))
    return path


def flax_arrays(inputs: int = 3, hidden: int = 4) -> dict[str, Any]:
    """The parameters of a small `flax.linen` LSTM."""
    rng = np.random.default_rng(6)

    def made(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype("f4")

    below = {f"i{gate}": {"kernel": made(inputs, hidden)} for gate in "ifgo"}
    own = {f"h{g}": {"kernel": made(hidden, hidden), "bias": made(hidden)} for g in "ifgo"}
    return {"params": {"lstm": below | own}}


def lstm_arrays(dtype: str = "float32", inputs: int = 3, hidden: int = 4) -> dict[str, np.ndarray]:
    """The state dict of a small LSTM."""
    rng = np.random.default_rng(5)
    shapes = {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden)}
    shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    return {
        f"rnn.{name}_l0": rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()
    }
