"""What a command reads and imports before it does its work: only what it uses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_WATCHED = """
import json, os, sys
opened = []
def heard(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".yaml"):
        opened.append(os.path.basename(str(arguments[0])))
sys.addaudithook(heard)
from gradflow import __main__
sys.argv = ["gradflow", *sys.argv[1:]]
try:
    __main__.main()
except SystemExit:
    pass
print(json.dumps([opened, sorted(sys.modules)]), file=sys.stderr)
"""


def watched(folder, *arguments):
    """The YAML files that a command opens, and the modules that it imports."""
    command = [sys.executable, "-c", _WATCHED, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    opened, modules = json.loads(done.stderr.splitlines()[-1])
    return opened, set(modules)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_read_no_cell(tmp_path, option):
    opened, modules = watched(tmp_path, option)
    assert opened == []
    assert not modules & {"yaml", "gradflow.cells", "gradflow.config", "gradflow.equations"}


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("rnn", ["rnn.yaml"]),
        ("[gru, {type: mgu}]", ["gru.yaml", "mgu.yaml"]),
        ("{type: equations, state: {h: H}, parameters: {W: [H, I]}, step: 'h[t] = W @ x[t]'}", []),
    ],
)
def test_a_run_reads_the_cells_that_it_uses(tmp_path, cell, read):
    (tmp_path / "c.yaml").write_text(f"cell: {cell}\nsequence_length: 2\n", encoding="utf-8")
    opened, _ = watched(tmp_path, "analyze", "c.yaml", "--format", "csv")
    assert sorted(set(opened) - {"c.yaml"}) == read


def test_a_fault_in_the_name_of_a_cell_reads_none(tmp_path):
    (tmp_path / "c.yaml").write_text("cell: [lstn, lstm, gru]\n", encoding="utf-8")
    opened, _ = watched(tmp_path, "analyze", "c.yaml")
    assert "rnn.yaml" not in opened


def test_an_ordinary_run_imports_no_readers_and_no_masked_arrays(tmp_path):
    (tmp_path / "c.yaml").write_text("cell: lstm\nsequence_length: 2\n", encoding="utf-8")
    _, modules = watched(tmp_path, "analyze", "c.yaml", "--format", "csv")
    unused = {"numpy.ma", "gradflow.files.series", "gradflow.weights", "matplotlib", "rich"}
    assert not modules & unused
