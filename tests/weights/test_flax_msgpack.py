"""Flax's `.msgpack`, byte for byte as `flax.serialization` writes it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import weight_writers as writers

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

msgpack = pytest.importorskip("msgpack")
FLAX = writers.flax_arrays()


def test_arrays_come_back_exactly_under_their_path(tmp_path):
    kinds = ("f4", "f2", "f8", "i4", "u1", "?")
    content = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    tensors = read(writers.write_msgpack(tmp_path / "net.msgpack", {"a": content, "none": None}))
    assert list(tensors) == [f"a/{kind}" for kind in kinds]
    for kind in kinds:
        np.testing.assert_array_equal(tensors[f"a/{kind}"], content[kind], strict=True)


def test_the_net_is_found_and_the_moments_of_its_optimizer_are_not(tmp_path):
    moments = {"0": {"mu": FLAX["params"], "nu": FLAX["params"], "count": np.array(3)}}
    content = {"step": 3, **FLAX, "opt_state": moments}
    tensors = read(writers.write_msgpack(tmp_path / "net.msgpack", content))
    assert all(name.startswith("params/lstm/") for name in tensors)
    [layer] = choose_net(tensors)
    assert (layer.cell, layer.W_x.shape) == ("lstm", (16, 3))


def test_bfloat16_is_widened_exactly(tmp_path):
    exact = np.array([1.5, -2.0, 2.0**-130], "f4")
    bits = writers.bfloat16_bits(exact).tobytes()
    data = msgpack.packb(((3,), "bfloat16", bits), use_bin_type=True)
    path = tmp_path / "net.msgpack"
    path.write_bytes(msgpack.packb({"w": msgpack.ExtType(1, data)}))
    np.testing.assert_array_equal(read(path)["w"], exact)


def test_arrays_in_pieces_are_put_together(tmp_path):
    array = np.arange(10, dtype="f4").reshape(5, 2)
    flat = array.ravel()
    pieces = {"0": flat[:4], "1": flat[4:]}
    shape = {"0": 5, "1": 2}
    content = {"w": {"__msgpack_chunked_array__": True, "shape": shape, "chunks": pieces}}
    tensors = read(writers.write_msgpack(tmp_path / "net.msgpack", content))
    np.testing.assert_array_equal(tensors["w"], array)


def in_pieces(shape, *pieces):
    """An array that says it has this shape."""
    chunks = {str(k): piece for k, piece in enumerate(pieces)}
    return {"w": {"__msgpack_chunked_array__": True, "shape": list(shape), "chunks": chunks}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (in_pieces([4], np.zeros(2, "f4"), np.zeros(2, "f8")), "no numbers of one type"),
        (in_pieces([4]), "no numbers of one type"),
        (in_pieces([5], np.zeros(2, "f4"), np.zeros(2, "f4")), "an impossible shape"),
        (in_pieces([-4], np.zeros(4, "f4")), "an impossible shape"),
        ({"w": {"__msgpack_chunked_array__": True, "chunks": 3}}, "no numbers of one type"),
    ],
    ids=str,
)
def test_pieces_that_do_not_fit_are_told(tmp_path, content, message):
    path = writers.write_msgpack(tmp_path / "net.msgpack", content)
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xc1", "not Flax's msgpack, or damaged"),
        (msgpack.packb({"a": 1}), "holds no tensors"),
        (msgpack.packb({"a": {"w": msgpack.ExtType(9, b"")}}), "is not an array as Flax writes"),
        (msgpack.packb({"w": msgpack.ExtType(1, b"\x93\x91\x05\xa7float32\xc4\1\0")}), "claims"),
        (msgpack.packb({"w": msgpack.ExtType(1, b"\xc1")}), "is not an array as Flax writes"),
        (msgpack.packb({"w": msgpack.ExtType(1, b"\x92\1\2")}), "is not an array as Flax writes"),
        (b"\x82\xa1a\1\xa1a\2", "a key twice"),
        (b"\x81" * 2000 + b"\xc0", "not Flax's msgpack, or damaged|a key twice"),
        (b"\xdd\xff\xff\xff\xff", "not Flax's msgpack, or damaged"),
        (b"\xdd\0\3\0\0" + b"\x90" * 0x30000, "more than 200,000 items|no tensors"),
        (b"\x92" + (b"\xdd\0\2\0\0" + b"\x90" * 0x20000) * 2, "more than 200,000 items"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, content, message):
    path = tmp_path / "net.msgpack"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: error: ")
    assert "\n" not in str(error.value)


def test_without_the_library_the_message_names_it(tmp_path, monkeypatch):
    path = writers.write_msgpack(tmp_path / "net.msgpack", FLAX)
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(InputError, match=r"reading this file needs msgpack: pip install msgpack$"):
        read(path)
