"""Mutations of good files, and of what is packed inside them: only GradflowError escapes.

`GRADFLOW_FUZZ_EXAMPLES` sets how many files are tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hostile_files import SUFFIXES, write_valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effort import processor_seconds
from gradflow.errors import GradflowError
from gradflow.weights import choose_net, find_layers, read
from gradflow.weights.readers import in_time

in_time.SECONDS = 0.5  # HDF5 loops for ever on some of these files; each costs this long
EXAMPLES = int(os.environ.get("GRADFLOW_FUZZ_EXAMPLES", "5000"))

EXTREMES = (
    *(b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f", b"\0\0\0\x80"),
    *(b"[" * 200, b"(" * 200, b'"', b"-1", b"1e999", b"null", b"\n", b"."),
    *(b"cos\nsystem\n", b"\x93", b"\x81", b"R", b"Q", b"b", b"u", b"t", b"\x85", b"h\0", b"q\0"),
    *(b"data/0", b"kernel", b"weight_ih_l0", b"layers/lstm", b"float32", b"F64", b"BF16"),
)

Mutation = tuple[str, float, float, bytes]

MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "replace", "insert", "delete", "repeat", "move"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(EXTREMES), st.binary(min_size=1, max_size=16)),
    ),
    min_size=1,
    max_size=6,
)


def mutate(data: bytes, mutations: list[Mutation]) -> bytes:
    """Places are fractions of the length, so that small examples stay meaningful."""
    for kind, place, other, new in mutations:
        at, to = int(place * len(data)), int(other * len(data))
        start, end = min(at, to), min(max(at, to), min(at, to) + 64)
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << (new[0] % 8))]) + data[at + 1 :]
        elif kind == "replace":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "insert":
            data = data[:at] + new + data[at:]
        elif kind == "delete":
            data = data[:start] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:end] + data[end:]
        elif kind == "move":
            data = data[:at] + data[start:end] + data[at + end - start :]
    return data


def repacked(path: Path, mutations: list[Mutation], inside: float) -> bytes:
    """The file with one part of it mutated, checksums and lengths made to fit again."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        length = struct.unpack("<Q", data[:8])[0]
        header = mutate(data[8 : 8 + length], mutations)
        return struct.pack("<Q", len(header)) + header + data[8 + length :]
    if data[:2] != b"PK":
        return mutate(data, mutations)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = list(members)[int(inside * len(members))]
    members[chosen] = mutate(members[chosen], mutations)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def read_all(path: Path) -> None:
    """Whatever a command would do with the file."""
    tensors = read(path)
    for use in (find_layers, choose_net, lambda t: [t[name] for name in t]):
        with contextlib.suppress(GradflowError):
            use(tensors)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    for suffix in SUFFIXES:
        with contextlib.suppress(pytest.skip.Exception):
            write_valid(folder, suffix).rename(folder / f"good{suffix}")
    return folder


@pytest.mark.fuzz
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(
    which=st.floats(0, 1, exclude_max=True),
    mutations=MUTATIONS,
    inside=st.one_of(st.none(), st.floats(0, 1, exclude_max=True)),
)
def test_only_gradflow_errors_escape_from_mutated_files(folder, which, mutations, inside):
    good = sorted(folder.glob("good*"))
    chosen = good[int(which * len(good))]
    path = folder / f"net{chosen.suffix}"
    path.write_bytes(chosen.read_bytes())
    data = mutate(path.read_bytes(), mutations) if inside is None else None
    path.write_bytes(repacked(path, mutations, inside) if data is None else data)
    with processor_seconds(5):
        try:
            read_all(path)
        except GradflowError as error:
            assert str(error).startswith(f"{path}: error: ")  # noqa: PT017 - some files stay good


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    "class_name",
                    "config",
                    "layers",
                    "layer",
                    "cell",
                    "cells",
                    "name",
                    "inbound_nodes",
                ]
            ),
            st.one_of(inner, st.sampled_from(["LSTM", "RNN", "Bidirectional", "Sequential"])),
        ),
    ),
    max_leaves=20,
)


@pytest.mark.fuzz
@settings(max_examples=max(1, EXAMPLES // 10), deadline=None, database=None)
@given(config=VALUES)
def test_no_configuration_of_keras_breaks_the_reading(config):
    from test_conventions import tensors
    from test_keras_config import keras_stack

    config = json.loads(json.dumps(config))
    try:
        find_layers(tensors(keras_stack(), config=config, groups={"layers/lstm/vars": "lstm"}))
    except GradflowError as error:
        assert str(error).startswith("net.file: error: ")  # noqa: PT017 - most are good
