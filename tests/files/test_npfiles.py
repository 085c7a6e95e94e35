from __future__ import annotations

import io
import os
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effort import processor_seconds
from gradflow.errors import InputError
from gradflow.files.npfiles import npz_names, read_npy, read_npz


def npy(array: object) -> bytes:
    """The bytes of `array` as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claim(header: str, data: bytes = b"\0" * 8, version: int = 1) -> bytes:
    """A .npy file with a header of our own making."""
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + data


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of (name, bytes), duplicates and all."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the duplicates
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return file.getvalue()


def bomb() -> bytes:
    """486 KB that unpack to 500 MB."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(claim("{'descr': '<f8', 'fortran_order': False, 'shape': (62500000,)}", b""))
        for _ in range(500):
            member.write(bytes(10**6))
    return file.getvalue()


def lying_directory() -> bytes:
    """A zip whose directory says that 200 bytes unpack to a gigabyte."""
    data = zipped(("x.npy", npy(np.ones(9))))
    at = data.rindex(b"PK\1\2")
    return data[: at + 24] + struct.pack("<I", 1 << 30) + data[at + 28 :]


def flipped_bit() -> bytes:
    """A zip whose checksum no longer holds."""
    data = bytearray(zipped(("x.npy", npy(np.ones(9)))))
    data[data.index(b"\xf0\x3f")] ^= 1
    return bytes(data)


def fault(read: object, path: Path) -> str:
    """The message of the InputError that `read(path)` must raise."""
    with pytest.raises(InputError) as caught:
        read(path, source="x")  # type: ignore[operator]
    assert all(f.source == "x" for f in caught.value.faults)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "f2", "i8", ">i2", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_back_what_numpy_wrote(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], order: str
) -> None:
    count = int(np.prod(shape))
    array = np.asarray(np.arange(count).reshape(shape).astype(dtype), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", array)
    np.savez_compressed(tmp_path / "x.npz", **{"layer/kernel": array, "b": array})
    read = read_npy(tmp_path / "x.npy")
    assert read.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)
    both = read_npz(tmp_path / "x.npz")
    assert list(both) == npz_names(tmp_path / "x.npz") == ["layer/kernel", "b"]
    np.testing.assert_array_equal(both["layer/kernel"], array)


def test_not_a_number_is_for_the_caller_to_judge(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", [np.nan, np.inf])
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), [np.nan, np.inf])


def test_arrays_not_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    names = np.array(["a", None], dtype=object)
    np.savez(tmp_path / "x.npz", x=np.ones(3), names=names)
    assert list(read_npz(tmp_path / "x.npz", only=["x"])) == ["x"]
    assert "'names' holds Python objects" in fault(read_npz, tmp_path / "x.npz")


def test_a_long_constant_series_is_no_bomb(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(10**6))
    assert read_npz(tmp_path / "x.npz")["x"].shape == (10**6,)


F8 = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\x93NUM", "not a .npy array"),
        (bytes(range(100)), "not a .npy array"),
        (npy(np.ones(3))[:-1], "24 bytes (at most 2,147,483,648), and 23 follow"),
        (npy(np.ones(3)) + npy(np.ones(3)), "too long"),
        (npy(np.ones(3))[:60], "not a .npy array, or a damaged one"),
        (claim(F8 % "(10**12,)"), "not a .npy array"),
        (claim(F8 % "(1000000000000,)"), "8,000,000,000,000 bytes"),
        (claim(F8 % "(1099511627776, 1099511627776, 1099511627776)"), "and 8 follow"),
        (claim(F8 % ("(" + "9" * 4000 + ",)")), "impossible shape"),
        (claim(F8 % ("(" + "9" * 5000 + ",)")), "not a .npy array"),
        (claim(F8 % "(-1, -1)"), "impossible shape"),
        (claim(F8 % ("(" + "1," * 65 + ")")), "impossible shape"),
        (claim(F8 % "(0, 281474976710655, 281474976710655)", b""), "cannot be read"),
        (claim("[" * 5000 + "]" * 5000), "not a .npy array"),
        (claim("{" * 20000), "not a .npy array"),
        (claim(" " * 10**6, version=2), "not a .npy array"),
        (claim("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "Python objects"),
        (claim("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}"), "Python obj"),
        (claim("{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}"), "found dtype <U2"),
        (claim("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}"), "dtype complex64"),
        (claim("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}"), "dtype datetime64"),
        (claim("{'descr': '|V8', 'fortran_order': False, 'shape': (1,)}"), "found dtype |V8"),
        (claim("{'descr': '<f99', 'fortran_order': False, 'shape': (1,)}"), "not a .npy array"),
    ],
)
def test_a_hostile_npy_is_one_clear_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    assert message in fault(read_npy, path)
    if data:
        path.write_bytes(zipped(("x.npy", data)))
        assert message.replace("the file", "array 'x'") in fault(read_npz, path)


GOOD = npy(np.ones(9))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\5\6", "not a .npz file"),
        (GOOD, "not a .npz file"),
        (zipped(), "holds no array"),
        (zipped(("x.npy", GOOD))[:-30], "not a .npz file, or a damaged one"),
        (zipped(("x.npy", GOOD))[40:], "damaged"),
        (zipped(("x.npy", GOOD), ("x.npy", GOOD)), "array 'x' is there 2 times, expected once"),
        (zipped(("x.npy", GOOD), ("\x1b[31m", b"")), r"only .npy arrays in the .npz, found '\x1b"),
        (zipped(("x.npy", GOOD), method=zipfile.ZIP_LZMA), "compressed in a way numpy does not"),
        (flipped_bit(), "damaged one (Bad CRC-32"),
        (lying_directory(), "claims to unpack to 1,073,741,824"),
        (bomb, "claims to unpack to 500,0"),
        (
            lambda: zipped(*((f"{i}{'y' * 999}.npy", b"") for i in range(9000))),
            "directory is too long",
        ),
        (lambda: zipped(*((f"{i}.npy", b"") for i in range(500))), "… and 490 more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # an archive holds the time
)
def test_a_hostile_npz_is_one_clear_error(
    tmp_path: Path, data: bytes | Callable[[], bytes], message: str
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(data() if callable(data) else data)
    tracemalloc.start()
    with processor_seconds(5):
        assert message in fault(read_npz, path)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "series.npy").write_bytes(GOOD)
    for name, message in {
        "pipe.npy": "found a device, pipe or socket",
        ".": "found a folder",
        "serie.npy": f"no such file; did you mean '{tmp_path}/series.npy'?",
        "nowhere/x.npy": f"there is no folder '{tmp_path}/nowhere'",
        "series.npy/x.npy": "Not a directory",
        "x" * 300: "File name too long",
        "a\0b": "null",
    }.items():
        assert message in fault(read_npy, tmp_path / name)
    assert "found a device" in fault(read_npy, Path("/dev/zero"))


def test_a_file_one_may_not_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.npy").write_bytes(GOOD)
    monkeypatch.setattr(os, "open", denied)
    assert "cannot be opened: Permission denied" in fault(read_npy, tmp_path / "x.npy")


@given(st.data())
def test_any_damage_is_an_array_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for read, whole in ((read_npy, GOOD), (read_npz, zipped(("x.npy", GOOD)))):
        damaged = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path = folder / "damaged"
        path.write_bytes(damaged[: data.draw(st.integers(0, len(whole)))])
        with suppress(InputError):
            assert isinstance(read(path), (np.ndarray, dict))
