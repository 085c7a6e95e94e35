"""What a command reads and imports before it does its work: only what it uses."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

from gradflow.cli import COMMANDS, app_for

_WATCHED = """
import atexit, gc, json, os, sys
opened = []
def heard(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".yaml"):
        opened.append(os.path.basename(str(arguments[0])))
sys.addaudithook(heard)
from gradflow import __main__
sys.argv = ["gradflow", *sys.argv[1:]]
@atexit.register
def end():
    print(json.dumps([opened, sorted(sys.modules), len(gc.get_objects())]), file=sys.stderr)
__main__.main()
"""


def ended(folder, *arguments):
    """The YAML files that a command opens, the modules that it imports, and how many objects the
    interpreter's end will look through for garbage."""
    command = [sys.executable, "-c", _WATCHED, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    opened, modules, left = json.loads(done.stderr.splitlines()[-1])
    return opened, set(modules), left


def watched(folder, *arguments):
    """The YAML files that a command opens, and the modules that it imports."""
    return ended(folder, *arguments)[:2]


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


def room(modules, name):
    """The modules of a room of gradflow, by their own names."""
    return {
        m.removeprefix(f"gradflow.{name}.") for m in modules if m.startswith(f"gradflow.{name}.")
    }


def test_an_ordinary_run_imports_what_it_uses(tmp_path):
    (tmp_path / "c.yaml").write_text("cell: lstm\nsequence_length: 2\n", encoding="utf-8")
    _, modules = watched(tmp_path, "analyze", "c.yaml", "--format", "csv")
    assert not modules & {"numpy.ma", "matplotlib", "rich", "asyncio", "concurrent.futures"}
    assert room(modules, "formats") == {"columns", "csv", "lags", "look", "parts"}
    always = {"batch", "contract", "flows", "gradient", "measured", "share", "terms"}
    of_a_single_run = {"drawn", "factors", "slopes", "steps"}
    assert room(modules, "measures") == always | of_a_single_run
    unused = {"checks", "weights", "saved", "inspection", "verification", "criticality"}
    assert not any(room(modules, name) or f"gradflow.{name}" in modules for name in unused)
    unused = {"expect", "expectation", "schema", "documented", "starter", "trained", "names"}
    assert not room(modules, "config") & {*unused, "named_weights"}
    assert not room(modules, "files") - {"opening"}
    assert room(modules, "cli") == {"analyze", "base", "options", "outputs"}
    assert not modules & {"gradflow.invariance", "gradflow.engine.basis", "gradflow.api"}
    assert sum(m.startswith("gradflow") for m in modules) <= 138  # today 133, 0.2 ms each


def test_nothing_is_looked_through_for_garbage_at_the_end(tmp_path):
    (tmp_path / "c.yaml").write_text("cell: rnn\nsequence_length: 2\n", encoding="utf-8")
    _, modules, left = ended(tmp_path, "analyze", "c.yaml", "--format", "csv")
    assert "numpy" in modules
    assert left < 1000


def test_typer_is_given_annotations_that_need_no_evaluation():
    commands = [inspect.unwrap(command.callback) for command in app_for().registered_commands]
    assert len(commands) > 10
    texts = [
        c.__name__ for c in commands if any(isinstance(a, str) for a in c.__annotations__.values())
    ]
    assert texts == []


def test_commands_are_in_their_order_whichever_was_asked_for_first():
    code = (
        "from gradflow.cli import COMMANDS, app_for; app_for(['init']); app_for(['check']);"
        "found = [one.callback.__name__ for one in app_for().registered_commands];"
        "assert found == list(COMMANDS), found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_command_is_in_the_module_that_it_is_looked_up_in():
    callbacks = [command.callback for command in app_for().registered_commands]
    found = {one.__name__: one.__module__.removeprefix("gradflow.cli.") for one in callbacks}
    assert list(found.items()) == list(COMMANDS.items())
