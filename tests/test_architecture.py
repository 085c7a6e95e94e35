"""The rooms of the house, and that nobody walks backward through them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gradflow.cells import CELLS
from rooms import CORE, INSIDE, MODULES, misplaced, outward, room, shelf, strangers, syntax

_COMMAND = ("output", "cli", "__main__")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    assert misplaced(module, syntax(module)) == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("engine", "from gradflow.measures.gradient import MEASURE"),
        ("engine", "from gradflow.cli.base import app"),
        ("engine", "from gradflow.engine.flow import Trajectory\nimport gradflow.measures"),
        ("engine.block", "from gradflow import analyze"),
        ("engine.block", "import gradflow"),
        ("engine.block", "import_module('gradflow.measures.gradient')"),
        ("engine.block", "import_module(f'gradflow.measures.{name}')"),
        ("engine.block", "def late():\n    from gradflow.engine.flow import Trajectory"),
        ("files", "from gradflow.weights import read"),
        ("runs", "from gradflow.cli.base import app"),
        ("measures", "from gradflow.formats import FORMATS"),
        ("measures.added", "from gradflow.measures.flows import flows"),
        ("measures.jacobian", "from gradflow.measures.added import added"),
        ("formats.csv", "from gradflow.formats.added import added"),
        ("weights.readers.npz", "from gradflow.weights.readers import READERS"),
        ("weights.readers.npz", "from gradflow.weights.readers.added import added"),
        ("equations.parse", "from gradflow.equations.infer import infer"),
        ("", "from gradflow.cli.base import app"),
    ],
)  # fmt: skip
def test_an_import_that_points_back_is_found(module, planted):
    module = f"gradflow.{module}".removesuffix(".")
    found = misplaced(module, ast.parse(f"from importlib import import_module\n{planted}"))
    assert len(found) == 1
    assert found[0] in planted


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("measures.added", "from gradflow.measures.jacobian import jacobian"),
        ("formats.added", "from gradflow.formats.csv import record"),
        ("weights.readers.added", "from gradflow.weights.readers.unread import unread"),
        ("engine.block", "from gradflow import __version__"),
    ],
)
def test_a_file_that_is_added_may_use_those_that_are_there(module, text):
    assert misplaced(f"gradflow.{module}", ast.parse(text)) == []


@pytest.mark.parametrize("folder", INSIDE)
def test_every_file_of_a_list_is_there(folder):
    assert set(INSIDE[folder]) <= {shelf(module, folder) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_package_has_its_rooms(module):
    assert strangers(module, syntax(module)) == set()


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("engine.block", "matplotlib"),
        ("engine.block", "scipy"),
        ("measures.added", "pandas"),
        ("cells.sized", "yaml"),
        ("formats.plots.sheet", "jinja2"),
    ],
)
def test_a_package_in_another_room_is_found(module, package):
    planted = ast.parse(f"import numpy\ndef late():\n    from {package}.inner import one")
    assert strangers(f"gradflow.{module}", planted) == {package}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in CORE])
def test_the_core_knows_no_config_or_terminal(module):
    used = strangers("gradflow.numerics", syntax(module))
    assert not used - {"threadpoolctl", "polars", "yaml"}


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_too_long_to_be_read_at_one_sitting(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) not in _COMMAND])
def test_only_the_command_prints_or_exits(module):
    assert outward(syntax(module)) == []


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("print(1)", "print"),
        ("exit()", "exit"),
        ("sys.exit(3)", "exit"),
        ("from sys import exit as leave", "exit"),
        ("sys.stdout.write('a')", "stdout"),
        ("out = sys.stderr", "stderr"),
        ("raise SystemExit", "SystemExit"),
        ("raise SystemExit(3) from None", "SystemExit"),
    ],
)
def test_what_prints_or_exits_is_found(planted, what):
    assert outward(ast.parse(f"import sys\ndef late():\n    {planted}")) == [what]


def test_no_room_but_the_cells_lists_the_cells():
    """A cell is added by its own file alone."""
    for module, path in MODULES.items():
        if room(module) in ("cells", "weights", "formats", "config", ""):
            continue  # names there are formats, layouts and examples
        nodes = ast.walk(syntax(module))
        texts = {n.value for n in nodes if isinstance(n, ast.Constant)}
        assert not set(CELLS) <= texts, path


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_what_is_around_it_can_be_read_too(folder):
    files = (Path(__file__).parent.parent / folder).rglob("*.py")
    long = {file.name for file in files if file.read_text(encoding="utf-8").count("\n") >= 400}
    assert not long
