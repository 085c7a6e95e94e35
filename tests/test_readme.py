"""The README names every key, command, config and column that there is."""

from __future__ import annotations

import re
from pathlib import Path

from command import run
from gradflow.config.documented import table
from gradflow.formats.columns import reference
from gradflow.formats.csv import header

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_config_reference_is_that_of_the_model():
    between = README.split("<!-- config reference -->\n")[1].split("<!-- end -->")[0]
    assert between == table()


def test_the_speeds_shown_are_those_measured():
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    shown = page.split("<!-- from benchmarks/RESULTS.md -->\n")[1].split("<!-- end of")[0]
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
