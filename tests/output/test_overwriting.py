"""What a run reads is not written over, under whatever name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from command import POSIX, SMALL, main


@pytest.fixture
def everything(folder):
    """A config that names every kind of file, whose names end as outputs do; none is changed."""
    arrays = {
        "series.csv": np.zeros((9, 2)),
        "target.csv": np.zeros((1, 1)),
    }
    for name, array in arrays.items():
        np.savetxt(folder / name, array, delimiter=",", header="x" + ",y" * (array.shape[1] - 1))
    G, H, I = 3, 3, 2  # noqa: E741 (I is the field's letter)
    shapes = {"weight_ih_l0": (G, I), "weight_hh_l0": (H, H), "bias_ih_l0": (G,)}
    with (folder / "net.json").open("wb") as file:  # known by its content
        np.savez(file, **{name: np.ones(shape) / 9 for name, shape in shapes.items()},
                 bias_hh_l0=np.zeros(G))  # fmt: skip
    (folder / "ckpt.md").write_bytes((folder / "net.json").read_bytes())
    (folder / "c.txt").write_text(
        "cell: {type: rnn, activation: tanh}\ninput: {file: series.csv}\n"
        "weights: {file: net.json}\n"
        "loss: {kind: mse, target: target.csv}\n"
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    yield folder
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", ["c.txt", "series.csv", "target.csv", "net.json"])
@pytest.mark.parametrize("command", ["analyze", "track"])
def test_an_output_is_nothing_that_is_read(everything, capsys, monkeypatch, name, command):
    for runner in ("gradflow.runs.runner.execute", "gradflow.tracking.execute"):
        monkeypatch.setattr(runner, lambda *_: pytest.fail("worked"))
    checkpoints = ["net.json"] if command == "track" else []
    output = Path(name).absolute()
    code, out, err = main(capsys, command, "c.txt", *checkpoints, "--output", output)
    assert (code, out) == (2, "")
    assert err == (
        f"{output}: error: --output: is {name}, which this run reads: give another name\n"
    )


def test_an_output_is_no_checkpoint(everything, capsys):
    arguments = ["c.txt", "net.json", "ckpt.md", "--output", "ckpt.md"]
    code, _, err = main(capsys, "track", *arguments)
    assert (code, err) == (
        2, "ckpt.md: error: --output: is ckpt.md, which this run reads: give another name\n"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["NET.json", "Net.JSON"])
def test_an_output_is_nothing_that_is_read_where_case_does_not_count(everything, capsys, name):
    command = ("analyze", "c.txt", "--output", name)
    message = f"{name}: error: --output: is net.json, which this run reads: give another name\n"
    assert main(capsys, *command) == (2, "", message)


def test_an_output_beside_what_is_read_is_written(everything, capsys):
    assert main(capsys, "analyze", "c.txt", "--output", "out.csv", "--quiet")[0] == 0
    assert (everything / "out.csv").exists()


@POSIX
def test_an_output_is_no_part_of_the_journal(folder, capsys):
    (folder / "link.csv").symlink_to("kept/journal.jsonl")  # before it is there, and after
    for arguments in (["link.csv", "kept"], ["kept.csv", "kept.csv"], ["a.csv", "a.csv/b/c"]):
        output, journal = arguments
        options = ["--output", output, "--resume", journal]
        code, out, err = main(capsys, "analyze", "c.yaml", *options)
        assert (code, out) == (2, "")
        assert err.startswith(f"{output}: error: --output: is ")
        assert main(capsys, "analyze", "c.yaml", "--quiet", "--resume", "kept")[0] == 0
    assert sorted(os.listdir()) == ["c.yaml", "kept", "link.csv"]


def test_init_writes_over_nothing(folder, capsys):
    code, _, err = main(capsys, "init", "gradflow.schema.json")
    assert (code, err) == (
        2,
        "gradflow.schema.json: error: is gradflow.schema.json, another output: give another name\n",
    )
    (folder / "gradflow.schema.json").write_text("my own")
    code, _, err = main(capsys, "init", "new.yaml")
    assert code == 2
    assert err.startswith("gradflow.schema.json: error: there is another file of this name")
    assert (folder / "gradflow.schema.json").read_text() == "my own"
    assert sorted(os.listdir()) == ["c.yaml", "gradflow.schema.json"]


@POSIX
def test_init_writes_through_no_link_to_a_config(folder, capsys):
    (folder / "gradflow.schema.json").symlink_to("c.yaml")
    assert main(capsys, "init", "new.yaml")[0] == 2
    (folder / "gradflow.schema.json").unlink()
    (folder / "gradflow.schema.json").symlink_to("new.yaml")
    assert main(capsys, "init", "new.yaml")[0] == 2
    assert (folder / "c.yaml").read_text() == SMALL
    assert not (folder / "new.yaml").exists()


@POSIX
def test_a_current_directory_that_is_gone(folder, capsys, monkeypatch):
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    config = str(folder / "c.yaml")
    for arguments, message in (
        (["analyze", "c.yaml"], "c.yaml: error: no such file"),
        (["analyze", config, "--output", "o.csv"], "o.csv: error: cannot be written: No such"),
        (["analyze", config, "--resume", "kept"], "kept"),
        (["track", config, "a.npz"], "error: the current directory is gone"),
        (["inspect", "a.npz"], "a.npz: error: no such file"),
        (["init"], "gradflow.yaml: error: cannot be written: No such"),
    ):
        code, out, err = main(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith(message)
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("named", ["the schema.json", "file://{}/the schema.json"])
def test_an_output_is_no_schema_that_the_config_names_for_editors(folder, capsys, named):
    named = named.format(folder).replace(" ", "%20")
    (folder / "c.yaml").write_text(f"# yaml-language-server: $schema={named}\n{SMALL}")
    (folder / "the schema.json").write_text("{}")
    code, *_, err = main(capsys, "analyze", "c.yaml", "--output", "./the schema.json")
    assert code == 2
    assert "the schema.json, which this run reads: give another name" in err
    assert (folder / "the schema.json").read_text() == "{}"


def test_what_is_no_file_for_an_editor_does_no_harm(folder, capsys):
    for named in ("https://a.b/c.json", "a%00b", "x" * 5000):
        (folder / "c.yaml").write_text(f"# yaml-language-server: $schema={named}\n{SMALL}")
        assert main(capsys, "analyze", "c.yaml", "--quiet", "--output", "o.csv")[0] == 0
