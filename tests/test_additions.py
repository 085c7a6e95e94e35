"""Each kind of addition is one file and at most one line: a copy of gradflow gets one of each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow

ROOT = Path(gradflow.__file__).parent

CELL = """\
name: coin
about: Half of the old state, half of what comes in.
cite: Made up for this test (2020).
state: {h: H}
parameters: {W_x: [H, I], W_s: [H, H], b: H}
step: |
  h[t] = 0.5 * h[t-1] + 0.5 * tanh(W_x @ x[t] + W_s @ h[t-1] + b)
"""

MEASURE = '''"""The largest entry of the last state."""

import numpy as np

from gradflow.measures.contract import Figure, Measure
from gradflow.measures.drawn import Row, Rows
from gradflow.measures.measured import Measured


def of(subject):
    largest = np.abs(subject.trajectory.last).max(axis=(1, 2))
    return [Measured(figures={"largest_entry": float(one)}) for one in largest]


MEASURE = Measure(
    "largest",
    "the largest entry of the last state",
    figures=(Figure("largest_entry", "number", "its size"),),
    scope="place",
    of=of,
    drawn=(Rows("the largest", "size", of=lambda found: [Row("h", found["largest_entry"])]),),
)
'''

FORMAT = '''"""One line a run."""


def results(results, look):
    for result in results:
        found = result.measures.get("largest")
        largest = "" if found is None else f" {found.figures['largest_entry']:.3f}"
        yield f"{result.axes['cell']}{largest}\\n"
'''

READER = '''"""Text: a line a tensor, its name, its shape and its numbers."""

import numpy as np

from gradflow.weights.tensors import Stored, Tensors


def read(file):
    stored = {}
    for line in bytes(file.read_at(0, file.size)).decode().splitlines():
        name, shape, numbers = line.split(";")
        shape = tuple(map(int, shape.split(",")))
        values = np.array(numbers.split(","), float).reshape(shape)
        stored[name] = Stored(shape, "float64", lambda values=values: values)
    return Tensors(file.source, stored, format="lines of text")
'''

ADDED = [
    ("cells/coin.yaml", CELL, None),
    ("measures/largest.py", MEASURE, ("measures/__init__.py", "OPTIONAL = [", '    "largest",')),
    (
        "formats/short.py",
        FORMAT,
        (
            "formats/__init__.py",
            "    for one in (",
            '        Format("short", (".short",), {"results": "short:results"}),',
        ),
    ),
    (
        "weights/readers/lines.py",
        READER,
        ("weights/readers/__init__.py", "READERS = (", '    Reader("lines", (".lines",)),'),
    ),
]


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """The command of a copy of gradflow with one more cell, measure, format and reader."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT, folder / "gradflow", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text, line in ADDED:
        path = folder / "gradflow" / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        if line is not None:
            home, after, added = line
            listed = (folder / "gradflow" / home).read_text(encoding="utf-8")
            assert listed.count(after) == 1
            listed = listed.replace(after, f"{after}\n{added}\n")
            (folder / "gradflow" / home).write_text(listed, encoding="utf-8")
    lines = [
        f"{name};4,{width};{','.join(map(str, np.linspace(-0.5, 0.5, 4 * width)))}\n"
        for name, width in (("weight_ih_l0", 3), ("weight_hh_l0", 4))
    ]
    (folder / "net.lines").write_text("".join(lines), encoding="utf-8")

    def run(*arguments, module="gradflow"):
        command = [sys.executable, "-m", module, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    (folder / "c.yaml").write_text(
        "cell: [coin, rnn]\nsequence_length: 5\nmeasure: largest\n", encoding="utf-8"
    )
    return run


def test_a_cell_a_measure_and_a_format_meet_in_one_command(extended):
    lines = extended("analyze", "c.yaml", "--format", "short").splitlines()
    assert [line.split()[0] for line in lines] == ["coin", "rnn"]
    assert all(0.1 < float(line.split()[1]) <= 1 for line in lines)
    assert "coin" in extended("verify", "c.yaml")


def test_what_others_see_of_them(extended):
    assert "Half of the old state" in extended("cells", "coin")
    assert "short|" in extended("analyze", "--help")
    schema = json.loads(extended("schema"))
    assert "coin" in json.dumps(schema["properties"]["cell"])
    assert "largest" in json.dumps(schema["properties"]["measure"])
    results = json.loads(extended("schema", "--of", "results"))
    figures = results["$defs"]["run"]["properties"]["largest"]["properties"]
    assert figures["largest_entry"]["description"] == "its size"


def test_a_reader(extended):
    text = extended("inspect", "net.lines")
    assert "lines of text" in text
    assert "W_s of layer 0" in text
    assert "file: net.lines" in text


ASKING = ["test_architecture.py", "config/test_names.py", "cells/test_contract.py",
          "formats/test_every_format.py", "formats/test_plots_measured.py"]  # fmt: skip
"""Tests that hold every cell, measure and format to something, one after the other."""


def test_what_is_asked_of_each_is_no_line_elsewhere(extended):
    names = [Path(name).stem for name, _, _ in ADDED]
    tests = [str(Path(__file__).parent / name) for name in ASKING]
    chosen = ["-k", " or ".join(names)]
    settings = ["-c", str(ROOT.parent / "pyproject.toml"), "-p", "no:cacheprovider", "-n", "0"]
    found = extended("-q", "-q", *settings, *chosen, *tests, module="pytest")
    assert found.count(".") > 20
