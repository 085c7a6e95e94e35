from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gradflow.errors import InputError
from gradflow.machine import interrupts
from gradflow.output.whole import WholeFile, refuse_overwriting


def names(folder):
    return sorted(os.listdir(folder))


def test_the_file_is_there_only_once_it_is_whole(tmp_path):
    with WholeFile(tmp_path / "a.txt") as file:
        assert "a.txt" not in names(tmp_path)
        file.write(["α\n", "b\n"])
        assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == "α\nb\n".encode()


def test_without_a_write_nothing_changes(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with WholeFile(tmp_path / "a.txt"), WholeFile(tmp_path / "b.txt"):
        pass
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_within_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def pieces():
        yield "new"
        raise error

    with pytest.raises(error), WholeFile(tmp_path / "a.txt") as file:
        file.write(pieces())
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_obeys_the_umask_and_an_old_one_keeps_its_mode(tmp_path, mask):
    (tmp_path / "old.txt").write_text("")
    (tmp_path / "old.txt").chmod(0o604)
    before = os.umask(mask)
    try:
        for name in ("old.txt", "new.txt"):
            with WholeFile(tmp_path / name) as file:
                file.write(["x"])
    finally:
        assert os.umask(before) == mask
    assert stat.S_IMODE((tmp_path / "old.txt").stat().st_mode) == 0o604
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_a_link_stays_a_link_even_where_it_leads_nowhere_yet(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    with WholeFile(tmp_path / "link.txt") as file:
        file.write(["x"])
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["", "no/a.txt"])
def test_a_place_that_cannot_be_written_is_told_on_entering(tmp_path, name):
    with pytest.raises(InputError), WholeFile(tmp_path / name):
        pytest.fail("entered")
    assert names(tmp_path) == []


LINKS = pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")


@LINKS
def test_no_temporary_file_is_there_while_others_work(tmp_path):
    with WholeFile(tmp_path / "a.txt"):
        assert names(tmp_path) == []
        assert interrupts.temporary_files == set()


@LINKS
@pytest.mark.parametrize("length", [200, 249, 255])
@pytest.mark.parametrize("letter", ["x", "é", "\U0001d54f"])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path, length, letter):
    name = letter * (length // len(letter.encode()))
    with WholeFile(tmp_path / name) as file:
        file.write(["x"])
    assert names(tmp_path) == [name]


@LINKS
@pytest.mark.parametrize("name", ["x" * 256, "loop", "a/b"])
def test_a_name_that_cannot_be_is_told_on_entering(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"), WholeFile(tmp_path / name):
        pytest.fail("entered")


@LINKS
def test_a_folder_that_is_gone_is_told_by_the_name_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match=r"^a\.txt: error: cannot be written: No such file"):
        WholeFile(Path("a.txt"))


@LINKS
@pytest.mark.parametrize(
    "output",
    ["c.yaml", "./c.yaml", "sub/../c.yaml", "sym.csv", "far.csv", "hard.csv", "absolute", "chain"],
)
def test_what_is_read_is_not_written_whatever_it_is_called(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "c.yaml").write_text("cell: rnn")
    (tmp_path / "sym.csv").symlink_to("c.yaml")
    (tmp_path / "chain").symlink_to("sym.csv")
    (tmp_path / "far.csv").symlink_to(tmp_path / "sub/../c.yaml")
    os.link(tmp_path / "c.yaml", tmp_path / "hard.csv")
    path = tmp_path / "c.yaml" if output == "absolute" else Path(output)
    with pytest.raises(InputError, match=r"is c\.yaml, which this run reads: give another name"):
        refuse_overwriting([path], [Path("c.yaml")])
    with pytest.raises(InputError, match="which this run reads"):
        refuse_overwriting([Path("c.yaml")], [path])


@LINKS
@pytest.mark.parametrize("second", ["a.csv", "./a.csv", "A.CSV", "link.csv", "sub/../a.csv"])
def test_outputs_do_not_coincide(tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.csv").symlink_to("a.csv")  # to what is not there yet
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError, match="another output"):
        refuse_overwriting([Path("a.csv"), Path(second)], [])
    with pytest.raises(InputError, match="another output"):
        refuse_overwriting([Path(second), Path("a.csv")], [])


def test_composed_and_decomposed_letters_are_one_name(tmp_path):
    with pytest.raises(InputError, match="another output"):
        refuse_overwriting([tmp_path / "\u00e9.csv", tmp_path / "e\u0301.csv"], [])


def test_every_output_that_is_something_else_is_told(tmp_path):
    outputs = [tmp_path / name for name in ("a.csv", "kept", "b.csv", "a.csv", "free.csv")]
    with pytest.raises(InputError) as caught:
        refuse_overwriting(outputs, [tmp_path / "b.csv"], [tmp_path / "kept/journal"])
    assert len(caught.value.faults) == 3
