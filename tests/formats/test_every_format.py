from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from gradflow.formats import FORMATS, Look, for_screen

HOSTILE = Look(title="\x1b[31mred\x1b[0m [bold]|`*_<b>\r\nnext\x07", config={"title": "\x1b[0m"})


def text(name, results, look):
    return "".join(FORMATS[name].show("results", results, look))


@pytest.mark.parametrize("name", for_screen("results"))
def test_no_control_character_without_colour(name, results):
    output = text(name, results, HOSTILE)
    assert not [c for c in output if c not in "\n\t" and not 32 <= ord(c) != 127]
    assert output.endswith("\n") or not (output or results)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", for_screen("results"))
def test_same_results_give_the_same_bytes_whatever_the_environment(
    name, colour, results, monkeypatch
):
    look = Look(title="t", colour=colour)
    before = text(name, results, look)
    environment = {"FORCE_COLOR": "1", "COLUMNS": "20", "TERM": "dumb", "GITHUB_ACTIONS": "true"}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert text(name, results, look) == before
    monkeypatch.setenv("NO_COLOR", "1")
    assert text(name, results, look) == before


@pytest.mark.parametrize("name", ["csv", "json", "markdown"])
def test_only_tables_load_rich(name):
    code = (
        "import sys; from gradflow.formats import FORMATS, Look;"
        f"list(FORMATS[{name!r}].show(\"results\", [], Look())); assert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FORMATS)
def test_every_function_that_the_list_names_is_there(name):
    for shown in FORMATS[name].shows.values():
        module, function = shown.split(":")
        assert callable(getattr(import_module(f"gradflow.formats.{module}"), function))


def test_no_suffix_asks_for_two_formats():
    suffixes = [suffix for one in FORMATS.values() for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))
