"""The README shows what the commands print, and every key, command and exit code there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command import run
from gradflow.config.reference import table
from gradflow.exporters.columns import reference
from gradflow.exporters.csv import header

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTPUTS = re.findall(r"<!-- output of: gradflow ([^\n]+) -->\n```text\n(.*?)```", README, re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]\d+)?")


@pytest.mark.parametrize(("arguments", "shown"), OUTPUTS, ids=[o[0] for o in OUTPUTS])
def test_shown_outputs_are_what_is_printed(arguments, shown):
    printed = run(*arguments.split(), cwd=ROOT).stdout
    # Another BLAS may round a last shown digit the other way.
    for ours, theirs in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=0.02, abs=2e-4)
    words = [
        re.sub(r"[\s▁▂▃▄▅▆▇█▏▎▍▌▋▊▉]+", " ", NUMBER.sub("#", t)).strip() for t in (shown, printed)
    ]
    assert words[0] == words[1]


def test_the_config_reference_is_that_of_the_model():
    between = README.split("<!-- config reference -->\n")[1].split("<!-- end -->")[0]
    assert between == table()


def test_the_speeds_shown_are_those_measured():
    shown = README.split("<!-- from benchmarks/RESULTS.md -->\n")[1].split("<!-- end of")[0]
    measured = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    assert len(shown.splitlines()) > 3
    assert set(shown.splitlines()) <= set(measured)


def test_every_command_is_named():
    commands = re.findall(
        r"^  ([a-z]+)  ", run("--help").stdout.split("Commands:")[1], re.MULTILINE
    )
    assert len(commands) >= 7
    for command in commands:
        assert f"\ngradflow {command}" in README


def test_every_shipped_config_is_named():
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"`{config.name}`" in README


def test_the_columns_are_those_of_the_csv():
    between = README.split("<!-- csv columns -->\n")[1].split("<!-- end -->")[0]
    assert between == reference()
    assert re.findall(r"`(\w+)`", "".join(row.split(" | ")[0] for row in between.splitlines())) == [
        *header()
    ]


@pytest.mark.skipif(shutil.which("mlr") is None, reason="Miller is not installed")
def test_the_pipeline_runs():
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    (pipeline,) = re.findall(r"```sh\n(gradflow .*?mlr.*?)```", README, re.DOTALL)
    done = subprocess.run(
        ["bash", "-c", pipeline],
        env={**os.environ, "PATH": here},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 10
    assert done.stderr == ""


def test_the_library_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(example, {})
    assert len(capsys.readouterr().out.splitlines()) == 4
