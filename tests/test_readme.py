"""The pages name every key, command, config and column that there is."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from command import run
from generated import PARTS, parts
from gradflow.formats.csv import header
from pages import PAGES, ROOT


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_generated_parts_are_as_they_are_now(path):
    for name, shown in parts(path.read_text(encoding="utf-8")).items():
        assert shown == PARTS[name](), f"python tests/write_pages.py {path.relative_to(ROOT)}"


def test_every_generated_part_is_on_one_page():
    found = Counter(name for path in PAGES for name in parts(path.read_text(encoding="utf-8")))
    assert found == Counter(PARTS.keys())


def test_the_columns_are_those_of_the_csv():
    rows = parts(page("docs/outputs.md"))["csv columns"].splitlines()
    assert re.findall(r"`(\w+)`", "".join(row.split(" | ")[0] for row in rows)) == [*header()]


def test_every_key_of_a_mapping_says_what_it_is():
    reference = parts(page("docs/config.md"))
    for name in ("config reference", "config mappings"):
        for row in reference[name].splitlines():
            assert "|  |" not in row


def test_the_speeds_shown_are_those_measured():
    shown = page("docs/speed.md").split("<!-- from benchmarks/RESULTS.md -->\n")[1]
    rows = shown.split("<!-- end of")[0].splitlines()
    assert len(rows) > 3
    assert set(rows) <= set(page("benchmarks/RESULTS.md").splitlines())


def test_every_command_is_named():
    commands = re.findall(
        r"^  ([a-z]+)  ", run("--help").stdout.split("Commands:")[1], re.MULTILINE
    )
    assert len(commands) >= 7
    for command in commands:
        assert f"\ngradflow {command}" in page("docs/commands.md")


def test_every_config_has_its_place_in_the_gallery():
    gallery = page("docs/gallery.md")
    configs = {config.stem for config in (ROOT / "configs").glob("*.yaml")}
    assert set(re.findall(r"^## `([\w-]+)\.yaml`$", gallery, re.MULTILINE)) == configs
    for name in configs:
        assert f"configs/{name}.yaml --quiet --output docs/figures/{name}.svg" in gallery
        assert f"](figures/{name}.svg)" in gallery
        assert f"| [`{name}.yaml`](#{name}yaml) | " in gallery


def test_every_figure_is_shown():
    shown = {name for path in PAGES for name in re.findall(r"figures/([\w-]+\.svg)\)",
             path.read_text(encoding="utf-8"))}  # fmt: skip
    assert {path.name for path in (ROOT / "docs" / "figures").iterdir()} == shown
