"""Weight files that a training writes to while they are read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import weight_writers as writers
from hostile_files import SUFFIXES, write_valid

from gradflow.errors import InputError
from gradflow.weights import choose_net, read

EAGER = (".onnx", ".msgpack", ".pkl")
"""These are read when they are opened, the short arrays of a pickle too."""


def weights(tensors):
    return [np.array(tensors[name]) for name in tensors]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_replaced_or_removed_is_read_as_it_was_opened(tmp_path, suffix):
    path = write_valid(tmp_path, suffix)
    expected = weights(read(path))
    tensors = read(path)
    (tmp_path / "other").write_bytes(b"something else")
    (tmp_path / "other").replace(path)
    for found, array in zip(weights(tensors), expected, strict=True):
        np.testing.assert_array_equal(found, array)
    assert choose_net(tensors)[0].cell == "lstm"


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s not in EAGER])
@pytest.mark.parametrize("how", ["cut", "emptied", "overwritten", "grown"])
def test_a_file_that_is_written_to_is_refused_in_one_line(tmp_path, suffix, how):
    path = write_valid(tmp_path, suffix)
    size = path.stat().st_size
    tensors = read(path)
    if how == "cut":
        os.truncate(path, size // 2)
    elif how == "emptied":
        os.truncate(path, 0)
    elif how == "overwritten":
        path.write_bytes(bytes(size))
    else:
        with path.open("ab") as file:
            file.write(b"more")
    with pytest.raises(InputError) as error:
        choose_net(tensors)
    assert str(error.value).startswith(f"{path}: error: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz"])
def test_a_training_that_overwrites_its_checkpoint(tmp_path, suffix):
    """Each reading gives one state of the training, whole, or one line."""
    write = {
        ".pt": writers.write_torch,
        ".safetensors": writers.write_safetensors,
        ".npz": writers.write_npz,
    }[suffix]
    path = tmp_path / f"net{suffix}"
    states = [
        {n: np.full((300, 300), k, "f4") for n in ("weight_ih_l0", "weight_hh_l0")}
        for k in range(2)
    ]
    write(path, states[0])
    stop = threading.Event()

    def train():
        step = 0
        while not stop.is_set():
            step += 1
            write(path, states[step % 2])

    writer = threading.Thread(target=train)
    writer.start()
    try:
        for _ in range(40):
            try:
                values = {float(v) for array in weights(read(path)) for v in np.unique(array)}
            except InputError as error:  # noqa: PERF203
                assert str(error).startswith(f"{path}: error: ")  # noqa: PT017
            else:
                assert len(values) == 1
    finally:
        stop.set()
        writer.join()


def test_no_file_is_mapped_into_memory(tmp_path):
    path = writers.write_safetensors(tmp_path / "net.safetensors", writers.lstm_arrays())
    code = (
        "import sys; from pathlib import Path; from gradflow.weights import read;"
        f"t = read(Path({str(path)!r})); arrays = [t[n] for n in t];"
        "print(any('net.safetensors' in line for line in open('/proc/self/maps')))"
    )
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("maps are listed in /proc")
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "False\n"
