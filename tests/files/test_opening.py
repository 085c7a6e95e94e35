"""A file that changes while it is read: what was opened is read whole, or refused by name."""

from __future__ import annotations

import os
import time

import pytest

from gradflow.errors import InputError
from gradflow.files import opening
from gradflow.files.opening import Part, open_regular


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(200)))
    opened = open_regular(path, "x.bin")
    opened.wait_until_written()
    return opened


def test_bytes_are_read_by_position(file):
    assert file.read_at(10, 3) == bytes([10, 11, 12])
    assert file.read_at(200, 0) == b""
    assert Part(file, 50, 20).read_at(19, 1) == bytes([69])


@pytest.mark.parametrize(("start", "count"), [(0, 201), (199, 2), (-1, 1), (0, 2**62), (2**70, 1)])
def test_no_read_goes_beyond_the_end_or_takes_memory_for_it(file, start, count):
    with pytest.raises(InputError, match=r"x\.bin: error: cut short"):
        file.read_at(start, count)
    with pytest.raises(InputError, match=r"x\.bin: error: cut short"):
        Part(file, 0, 200).read_at(start, count)


def test_as_a_file_it_ends_where_it_ended(file):
    assert file.read() == bytes(range(200))
    assert file.read(10) == b""
    file.seek(-5, os.SEEK_END)
    assert file.read(2**60) == bytes(range(195, 200))
    part = Part(file, 100, 10)
    part.seek(8)
    assert part.read(2**60) == bytes([108, 109])
    with pytest.raises(OSError, match="Invalid argument"):
        part.seek(-1)


def test_one_that_another_takes_the_place_of_is_read_as_it_was(file):
    other = file.path.with_name("other")
    other.write_bytes(b"other")
    other.replace(file.path)
    assert file.read_at(0, 200) == bytes(range(200))


def test_one_that_is_gone_is_read_as_it_was(file):
    file.path.unlink()
    assert file.read_at(0, 200) == bytes(range(200))


@pytest.mark.parametrize("size", [0, 100, 199])
def test_one_that_is_cut_is_refused(file, size):
    os.truncate(file.path, size)
    with pytest.raises(InputError, match=r"x\.bin: error: it was written to while it was read"):
        file.read_at(0, 50)


def test_one_that_is_overwritten_in_place_is_refused(file):
    file.path.write_bytes(bytes(200))
    with pytest.raises(InputError, match="it was written to while it was read"):
        file.read_at(0, 1)


def test_one_that_is_being_written_is_waited_for_and_then_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    path.write_bytes(b"a")
    file = open_regular(path, "x.bin")
    monkeypatch.setattr(opening, "_PATIENCE", 0.1)
    monkeypatch.setattr(opening.time, "sleep", lambda _: path.write_bytes(b"a"))
    with pytest.raises(InputError, match=r"x\.bin: error: it is being written"):
        file.wait_until_written()


def test_what_is_not_new_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    path.write_bytes(b"a")
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    monkeypatch.setattr(opening.time, "sleep", lambda _: pytest.fail("waited"))
    open_regular(path, "x.bin").wait_until_written()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are listed in /proc")
def test_files_are_closed_with_the_last_that_refers_to_them(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"a")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        open_regular(path, "x.bin")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_turns_into_another_kind_between_look_and_opening(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    path.write_bytes(b"a")
    really = os.open
    monkeypatch.setattr(os, "open", lambda *a: really(tmp_path, os.O_RDONLY))
    with pytest.raises(InputError, match="found a folder"):
        open_regular(path, "x.bin")


def test_a_missing_file_suggests_one_of_its_own_suffix_first(tmp_path):
    for name in ("model.npz", "model.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(b"1")
    for suffix in (".npz", ".pt", ".safetensors"):
        with pytest.raises(InputError, match=f"did you mean '.*model{suffix}'"):
            open_regular(tmp_path / f"modle{suffix}", "f", (".npz", ".pt", ".safetensors"))


def test_a_missing_file_suggests_one_of_the_suffixes_that_would_do(tmp_path):
    for name in ("model.new", "model.txt"):
        (tmp_path / name).write_bytes(b"1")
    for name in ("modle", "modle.nwe", "modle.pt"):
        with pytest.raises(InputError, match=r"did you mean '.*model\.new'"):
            open_regular(tmp_path / name, "f", (".new", ".pt"))
        with pytest.raises(InputError, match=r"no such file$"):
            open_regular(tmp_path / name, "f", (".pt",))
