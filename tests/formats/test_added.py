"""A format is one file and one line: two that somebody might add, one of text and one of bytes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gradflow.formats import for_files, for_screen

HORIZONS = '''"""The horizons alone."""


def results(results, look):
    for result in results:
        yield f"{result.axes['cell']} {result.diagnosis.horizon}\\n"


def tracking(results, look):
    yield from (f"{result.axes['checkpoint']}\\n" for result in results)
'''

PIXELS = '''"""The curve as bytes."""


def results(results, look):
    for result in results:
        yield b"\\x00\\xff" + bytes([len(result.flow.state)])
'''

START = """
import sys
import gradflow.formats
from gradflow.formats import FORMATS, Format

gradflow.formats.__path__.append(sys.argv.pop(1))
for one in (
    Format("horizons", (".hor",), {"results": "horizons:results", "tracking": "horizons:tracking"}),
    Format("pixels", (".pix",), {"results": "pixels:results"}, is_text=False),
):
    FORMATS[one.name] = one

from gradflow.__main__ import main

main()
"""


@pytest.fixture
def gradflow(tmp_path):
    formats = tmp_path / "formats"
    formats.mkdir()
    (formats / "horizons.py").write_text(HORIZONS)
    (formats / "pixels.py").write_text(PIXELS)
    (tmp_path / "c.yaml").write_text("cell: [rnn, lstm]\nsequence_length: 5\n")

    def run(*arguments):
        command = [sys.executable, "-c", START, formats, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
        return done.returncode, done.stdout, done.stderr

    return run


def test_analyze_shows_and_writes_both(gradflow, tmp_path):
    outputs = ["--output", "a.hor", "--output", "b.PIX"]
    code, out, err = gradflow("analyze", "c.yaml", "--format", "horizons", *outputs)
    assert (code, out, err) == (0, "rnn None\nlstm None\n", "")
    assert (tmp_path / "a.hor").read_text() == out
    assert (tmp_path / "b.PIX").read_bytes() == b"\x00\xff\x06" * 2


def test_help_names_what_can_be_printed_and_every_suffix(gradflow):
    for command, report, added in (
        ("analyze", "results", {".hor", ".pix"}),
        ("track", "tracking", {".hor"}),
    ):
        _, out, _ = gradflow(command, "--help")
        assert f"--format <{'|'.join([*for_screen(report), 'horizons'])}>" in out
        assert f"{' '.join(sorted({*for_files(report), *added}))}." in " ".join(out.split())


def test_track_takes_the_text_and_says_why_not_the_bytes(gradflow, tmp_path):
    shapes = {"weight_ih_l0": (4, 3), "weight_hh_l0": (4, 4)}
    np.savez(tmp_path / "w.npz", **{key: np.full(shape, 0.1) for key, shape in shapes.items()})
    (tmp_path / "t.yaml").write_text(
        "cell: {activation: tanh}\nsequence_length: 5\nweights: w.npz\n"
    )
    assert gradflow("track", "t.yaml", "w.npz", "--format", "horizons")[:2] == (0, "w.npz\n")
    code, out, err = gradflow("track", "t.yaml", "w.npz", "--output", "x.pix")
    assert (code, out) == (2, "")
    assert err == (
        "x.pix: error: --output: pixels cannot show the checkpoints of a training: expected a name "
        f"that ends in one of {', '.join([*for_files('tracking'), '.hor'])}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["analyze", "c.yaml", "--format", "pixels"],
            "pixels is no text: write it to a file, --output NAME.pix",
        ),
        (["verify", "c.yaml", "--format", "horizons"], "horizons cannot show a verification: 'tab"),
        (
            ["cells", "--format", "csv"],
            "csv cannot show the cells: 'table', 'json', 'markdown' can",
        ),
        (["analyze", "c.yaml", "--format", "x"], "'x' is not one of 'table', 'csv', 'json', 'mark"),
    ],
)
def test_what_a_format_cannot_show(gradflow, arguments, message):
    code, out, err = gradflow(*arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
