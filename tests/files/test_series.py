from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effort import processor_seconds
from gradflow.errors import InputError
from gradflow.files import csvfiles
from gradflow.files.series import read_array, standardize, windows


@pytest.fixture
def csv(tmp_path: Path) -> Any:
    """Writes `text` to a file and gives its path."""

    def write(text: str | bytes, name: str = "x.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def faults(path: Path, **options: Any) -> list[str]:
    """The messages of the InputError that reading `path` must raise."""
    with pytest.raises(InputError) as caught:
        read_array(path, source="x", **options)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("1,2\n3,4", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        ("\ufeffa;b\r\n1.5;-2e-3\r\n", [[1.5, -2e-3]]),
        ("a\tb\n1\t2", [[1, 2]]),
        ("1 2\n 3   4 \n", [[1, 2], [3, 4]]),
        ("# made by hand\n\n# twice\na,b\n1,2\n# between\n3,4\n\n\n", [[1, 2], [3, 4]]),
        ("7\n8\n9", [[7], [8], [9]]),
        ("x\r7\r8\r", [[7], [8]]),
        ("sea level\n7\n8\n", [[7], [8]]),
        ("height width\n7 1\n8 2\n", [[7, 1], [8, 2]]),
        ('"a, in m";b\n"1";"2"\n', [[1, 2]]),
        ('"a; b",c\n1, "2" \n', [[1, 2]]),
        ("+.5,5.\n1e-3,1E3", [[0.5, 5], [1e-3, 1e3]]),
        ("1, \t2\n3,4", [[1, 2], [3, 4]]),
    ],
)
def test_reads_csv(csv: Any, text: str, array: list[list[float]]) -> None:
    read = read_array(csv(text))
    assert read.dtype == np.float64
    assert read.tolist() == array


@pytest.mark.parametrize(
    ("columns", "array"),
    [(["b"], [[2], [4]]), (["b", 1], [[2, 2], [4, 4]]), ([1], [[2], [4]]), (None, None)],
)
def test_picks_columns_and_leaves_the_others_alone(csv: Any, columns: Any, array: Any) -> None:
    path = csv('day,b\n2024-01-01,2\n"1 May, early",4\n')
    if columns:
        assert read_array(path, columns=columns).tolist() == array
    else:
        assert faults(path)[0] == "x:2:1: error: expected a number, found '2024-01-01'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["x: error: the file is empty"]),
        ("\n\n", ["x: error: expected rows of numbers, found none"]),
        ("# only\n", ["x: error: expected rows of numbers, found none"]),
        ("# only\na,b\n", ["x: error: expected rows of numbers, found only the header on line 2"]),
        ("1,2\n3,\n", ["x:2:3: error: expected a number, found an empty field"]),
        ("1,2\n3, \n,4", ["x:2:4: error: expected a number, found an empty", "x:3:1: "]),
        ("a,b\n1,nan\n-Inf,2", ["x:2:3: error: expected a finite number, found 'nan'", "x:3:1: "]),
        ("nan\n1\n", ["x:1:1: error: expected a finite number, found 'nan'"]),
        ("1,1e999", ["x:1:3: error: expected a number in float range"]),
        ("1,  abc", ["x:1:5: error: expected a number, found 'abc'"]),
        ("1,2 # why\n", ["x:1:3: error: expected a number, found '2 # why'"]),
        ("1,2\n1_0,１", ["x:2:1: error: expected a number, found '1_0'", "x:2:5: error: "]),
        ("1,2\n0x1,1j", ["x:2:1: error: expected a number, found '0x1'", "x:2:5: "]),
        ("1,2\n3\n4,5,6", ["x:2:1: error: expected 2 fields as on line 1, found 1", "x:3:1: "]),
        ("1,2\n\n3,4", ["x:2:1: error: expected a row, found an empty line"]),
        ('1,2\n3,"4\n5,6', ['x:2:3: error: expected a closing ", found none']),
        ('1\n"2', ['x:2:1: error: expected a closing ", found none']),
        ('"a,b\n5,6', ['x:1:1: error: expected a closing ", found none']),
        ("a;b\n1,5;2,5", ["x:1:1: error: found both ',' and ';'"]),
        ("1\t2,5\n1\t3,5", ["x:1:1: error: expected a number, found '1\\t2'", "x:2:1: "]),
        (b"1,2\n3,\xe9", ["x:2:3: error: expected UTF-8 text, found the byte 0xe9"]),
        (b"1,2\r\n3,\0", ["x:2:3: error: expected UTF-8 text, found the character U+0000"]),
        ("1,2".encode("utf-16"), ["x:1:1: error: expected UTF-8 text, found the byte 0xff"]),
        (bytes(range(256)), ["x:3:115: error: expected UTF-8 text, found the byte 0x80"]),
        ("1," * (1 << 20), ["x:1:1: error: expected lines of at most 1,048,576 "]),
        ("1\n" * 200_000 + "x\n", ["x:200001:1: error: expected a number, found 'x'"]),
        ("1\n" * 200_000 + "\n2", ["x:200001:1: error: expected a row, found an empty line"]),
        ("1\n" * 200_000 + "\0", ["x:200001:1: error: expected UTF-8 text, found the character"]),
    ],
)  # fmt: skip
def test_a_bad_csv_names_every_place(csv: Any, text: str | bytes, expected: list[str]) -> None:
    found = faults(csv(text))
    assert len(found) == len(expected)
    assert all(message.startswith(part) for message, part in zip(found, expected, strict=True))


def test_faults_past_the_tenth_are_counted(csv: Any) -> None:
    found = faults(csv("0\n" + "1\n2\nx\n" * 25))
    assert len(found) == 11
    assert found[-1] == "x: error: … and 15 more"
    far = faults(csv("0\n" + "1\n2\nx\n" * 200_000))
    assert far[-1].startswith("x: error: … and at least ")


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("year,flow\n1,2", ["flwo"], "x:1:1: error: there is no column 'flwo'; did you mean 'fl"),
        ("year,flow\n1,2", ["q"], "there is no column 'q'; there are 'year', 'flow'"),
        ("year,flow\n1,2", [2], "expected a column number from 0 to 1, found 2"),
        ("year,flow\n1,2", [-1], "expected a column number from 0 to 1, found -1"),
        ("a,a\n1,2", ["a"], "column 'a' is there 2 times: pick it by number, from 0"),
        ("1,2", ["a"], "there is no header to find column 'a' in"),
        ("a,b\n1,2", [], "expected at least one column"),
        ("a,b,c\n1,2,3\n1,2", [0], "x:3:1: error: expected 3 fields as on line 1, found 2"),
        ("a,b\n1,2\nx,2", ["a"], "x:3:1: error: expected a number, found 'x'"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_picked(csv: Any, text: str, columns: Any, message: str) -> None:
    (found,) = faults(csv(text), columns=columns)
    assert message in found


def test_a_long_csv_takes_little_time_and_memory(csv: Any) -> None:
    values = np.random.default_rng(0).standard_normal(100_000)
    path = csv("x\n" + "\n".join(map(repr, values.tolist())))
    tracemalloc.start()
    with processor_seconds(6):
        read = read_array(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    np.testing.assert_array_equal(read[:, 0], values)


def test_both_readers_agree(csv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scales = np.logspace(-320, 300, 50)[:, None]
    values = np.random.default_rng(1).standard_normal((50, 3)) * scales
    path = csv("\n".join(",".join(map(repr, row)) for row in values.tolist()))
    fast = read_array(path)

    def balk(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(np, "loadtxt", balk)
    np.testing.assert_array_equal(read_array(path), fast)
    np.testing.assert_array_equal(fast, values)


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "i8", "u1", "?"])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 2)])
def test_reads_numpy_files_as_float64(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array, other=np.array(["a"]))
    for read in (read_array(tmp_path / "x.npy"), read_array(tmp_path / "x.npz", key="x")):
        assert read.dtype == np.dtype(np.float64)
        np.testing.assert_array_equal(read, array)


def test_bad_numpy_files_are_refused(tmp_path: Path) -> None:
    for array, message in (
        (np.array([[1, 2], [3, np.inf], [np.nan, 1]]), "found inf at [1, 1] and 1 more"),
        (np.zeros((0, 3)), "found an array of shape (0, 3)"),
        (np.array([1j]), "found dtype complex128"),
        (np.array(["a"]), "found dtype <U1"),
        (np.array([None]), "Python objects"),
    ):
        np.save(tmp_path / "x.npy", array)
        np.savez(tmp_path / "x.npz", array)
        for name in ("x.npy", "x.npz"):
            (found,) = faults(tmp_path / name)
            assert message in found


def test_an_npz_of_several_arrays_needs_a_key(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(2), b=np.zeros(2))
    assert faults(path) == ["x: error: expected key to name one of the arrays, found 'a', 'b'"]
    assert faults(path, key="c") == ["x: error: key: expected an array 'c', found 'a', 'b'"]
    assert read_array(path, key="b").tolist() == [0, 0]


def test_options_that_do_not_fit_the_file(tmp_path: Path, csv: Any) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    assert "columns can be picked from a .csv file" in faults(tmp_path / "x.npy", columns=[0])[0]
    assert "drop key" in faults(csv("1\n"), key="x")[0]


def test_paths_that_lead_to_no_series(tmp_path: Path, csv: Any) -> None:
    csv("1\n", "series.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in {
        "serie.csv": f"no such file; did you mean '{tmp_path}/series.csv'?",
        "pipe.csv": "found a device, pipe or socket",
        "": "found a folder",
    }.items():
        assert message in faults(tmp_path / name)[0]
    expected = "expected a .csv, .tsv, .npy or .npz file, found"
    assert f"{expected} '.txt'" in faults(csv("1\n", "x.txt"))[0]
    assert f"{expected} 'no suffix'" in faults(csv("1\n", "x"))[0]


def test_a_csv_past_the_limit_is_not_read(csv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfiles, "MAX_BYTES", 3)
    assert "at most 3 bytes, found 4: save as .npy" in faults(csv("1\n2\n"))[0]


@given(st.binary() | st.text('1.e-,;" \t\n#\rxn', max_size=40).map(str.encode))
def test_any_bytes_are_an_array_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text)
    try:
        array = read_array(path)
    except InputError as error:
        assert error.faults  # noqa: PT017
    else:
        assert array.ndim == 2
        assert array.size
        assert np.isfinite(array).all()


@pytest.mark.parametrize("shape", [(50, 3), (10, 5, 3)])
@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e300, 0), (1e-300, 0), (1e-3, 1e6)])
def test_standardized_columns_have_zero_mean_and_unit_variance(
    shape: tuple[int, ...], scale: float, shift: float
) -> None:
    array = np.random.default_rng(0).standard_normal(shape)
    result = standardize(array * scale + shift)
    axes = tuple(range(len(shape) - 1))
    assert result.shape == shape
    np.testing.assert_allclose(result.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(result.std(axis=axes), 1, rtol=1e-12)
    np.testing.assert_array_less(0.99, np.corrcoef(result[..., 0].ravel(), array[..., 0].ravel()))


def test_a_constant_column_cannot_be_standardized() -> None:
    with pytest.raises(InputError, match=r"column 1 is constant \(0\.1\)") as caught:
        standardize(np.array([[1, 0.1, 0], [2, 0.1, 0], [4, 0.1, 0]]))
    assert len(caught.value.faults) == 2


def test_windows_are_time_major_views() -> None:
    array = np.arange(14.0).reshape(7, 2)
    cut = windows(array, T=3, stride=2)
    assert cut.shape == (3, 3, 2)
    assert np.shares_memory(cut, array)
    for n in range(3):
        np.testing.assert_array_equal(cut[:, n], array[2 * n : 2 * n + 3])
    assert windows(array, T=7).shape == (7, 1, 2)


@pytest.mark.parametrize(
    ("shape", "T", "stride", "message"),
    [
        ((7, 2), 8, 1, "at least T = 8 steps, found 7"),
        ((7, 2), 0, 1, "at least 1, found 0 and 1"),
        ((7, 2), 3, 0, "at least 1, found 3 and 0"),
        ((7,), 3, 1, r"found shape \(7,\)"),
    ],
)
def test_windows_that_cannot_be_cut(
    shape: tuple[int, ...], T: int, stride: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        windows(np.ones(shape), T, stride)


@pytest.mark.parametrize("rows", [4, 5000])
def test_a_column_of_text_is_told_once_and_with_the_columns_to_read(tmp_path, rows):
    lines = [f"2020-01-{day % 28 + 1:02d},{day},{day / 2}" for day in range(rows)]
    (tmp_path / "d.csv").write_text("\n".join(["date,load,a: b", *lines]) + "\n")
    with pytest.raises(InputError) as error:
        read_array(tmp_path / "d.csv")
    [fault] = error.value.faults
    assert (fault.line, fault.column) == (2, 1)
    assert fault.message == (
        "column 'date' holds text, such as '2020-01-01': read the others, "
        'columns: [load, "a: b"]'
    )  # fmt: skip
    assert read_array(tmp_path / "d.csv", columns=["load", "a: b"]).shape == (rows, 2)


@pytest.mark.parametrize("field", ["2020-01-01", '"1,234"'])
@pytest.mark.parametrize("columns", [None, ["date"]])
def test_a_file_of_text_alone_is_told_once(tmp_path, field, columns):
    (tmp_path / "d.csv").write_text("date\n" + f"{field}\n" * 40)
    (tmp_path / "more.csv").write_text("date,load\n" + f"{field},1\n" * 40)
    for name in ["d.csv", *(["more.csv"] if columns else [])]:
        with pytest.raises(InputError) as error:
            read_array(tmp_path / name, columns=columns)
        [fault] = error.value.faults
        found = field.strip('"')
        assert fault.message == f"column 'date' holds text, such as {found!r}: expected numbers"
        assert fault.line == 2


def test_single_cells_of_text_are_told_one_by_one(tmp_path):
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,3\n4,y\n")
    with pytest.raises(InputError) as error:
        read_array(tmp_path / "d.csv")
    assert [fault.line for fault in error.value.faults] == [2, 4]


@pytest.mark.parametrize(("name", "sign"), [("d.tsv", "\t"), ("d.csv", ";"), ("d.csv", "\t")])
def test_tabs_and_semicolons(tmp_path, name, sign):
    (tmp_path / name).write_text(f"a{sign}b\n1{sign}2.5\n3{sign}4\n")
    assert read_array(tmp_path / name).tolist() == [[1, 2.5], [3, 4]]
    assert read_array(tmp_path / name, columns=["b"]).tolist() == [[2.5], [4]]
