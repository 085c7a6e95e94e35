from __future__ import annotations

import os
import stat

import pytest

from gradflow.errors import InputError
from gradflow.output import WholeFile


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
