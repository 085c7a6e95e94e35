"""The rooms of the house, and that nobody walks backward through them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import gradflow
from gradflow.cells import CELLS

ROOT = Path(gradflow.__file__).parent
MODULES = {
    ".".join(("gradflow", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}

# fmt: off
CORE = [
    "errors", "counts", "axes", "machine", "numerics", "equations", "cells",
    "engine.outer", "engine.running", "engine.stretches", "engine.terms", "engine.multiples",
    "engine.uses", "engine.block", "engine.gauges", "engine.backward", "engine.flow",
    "engine.network", "engine.basis",
    "measures.measured", "results", "measures.drawn", "measures.contract", "measures.batch",
    "measures.distribution",
    "measures.steps", "measures.singular", "measures.orthonormal",
    "measures.meanfield", "measures.leaky", "measures.transfer", "measures.gradient",
    "measures.terms",
    "measures.share", "measures.gates", "measures.slopes", "measures.factors", "measures.paths",
    "measures.theory",
    "measures.reach", "measures.jacobian", "measures.lyapunov", "measures.flows", "measures",
    "measures.documented",
    "diagnosis", "provenance",
]
ROOMS = [
    *CORE, "files.opening", "files.zips", "files.npfiles", "files.csvfiles", "files.series",
    "weights",
    "runs.initializers", "runs.experiment", "runs.sampling", "runs.losses", "runs.readings",
    "runs.reach", "runs.measuring", "runs.bundle", "runs.memory", "runs.scheduling", "runs.runner",
    "invariance", "verification", "criticality", "explanation", "checks", "config",
    "inspection", "tracking", "formats", "saved", "output", "api", "testing", "pytest_plugin",
    "cli", "__main__",
]
"""A room may use those before it."""
FOLDERS = {"engine", "files", "measures", "runs"}
"""Each of their files is a room."""

INSIDE = {
    "equations": [
        "mistakes", "declaration", "bounds", "sizes", "functions", "graph", "parse", "step",
        "names", "operations", "initial", "effects", "roles", "infer", "reduce", "differentiate",
        "arrange", "layout", "transposes", "writing", "weights", "forward", "linearize",
        "backward", "emit", "compile", "surroundings", "traits", "samples", "",
    ],
    "machine": ["interrupts", "memory", "blas", "helpers", "threads", ""],
    "numerics": ["arrays", "products", "arraylike", "decimals", "calculation", "magnitudes", ""],
    "cells": ["contract", "cuts", "sized", "cell", "fused", "library", ""],
    "verification": ["limits", "tangents", ""],
    "inspection": ["offers", ""],
    "output": ["whole", "plain", "terminal", ""],
    "diagnosis": ["rate", "figures", "diagnose", ""],
    "config": [
        "pairs", "tree", "bare", "numbers", "forms", "bases", "model", "faults", "elsewhere",
        "messages", "losses", "arrays", "overrides", "ranges",
        "own_cells", "cells", "recurrent", "expansion", "measures", "trained", "named_weights",
        "schema", "load",
        "expectation", "expect", "starter", "documented", "",
    ],
    "formats": [
        "look", "", "charts", "layout", "parts", "lags", "columns", "figures", "flat", "merging",
        "words", "totals", "glossary", "sparklines",
        "csv", "json", "markdown", "table", "runs", "schema",
        "cells", "inspection", "tracking", "verification", "critical", "explanation", "checks",
        "comparison", "junit", "github", "plots", "page",
    ],
    "criticality": ["settings", "search", ""],
    "explanation": ["factors", "advice", "expansion", ""],
    "runs.scheduling": [
        "fingerprint", "records", "journal", "pages", "cluster", "processes", "worker", "workforce",
        "",
    ],
    "weights.readers": [
        "in_time", "nested", "unread", "npz", "safetensors", "flax_head", "flax_msgpack",
        "keras_h5", "onnx_head", "onnx", "onnx_constants", "pickle_names", "pickle_machine",
        "pickle_tensors", "pickles", "torch_zip", "",
    ],
    "weights.conventions": [
        "activations", "chains", "reparametrized", "keras_config", "keras_traits", "onnx_traits",
        "pytorch", "modules", "flax", "keras", "onnx", "lru", "mamba", "mingru", "mlstm", "slstm",
        "s5", "",
    ],
    "api": [
        "sources", "engine", "frames", "dataset", "saving", "equality", "joining", "answers",
        "results", "calls", "",
    ],
    "formats.plots": [
        "layout", "style", "saving", "scales", "curves", "heat", "sheet", "comparison", "critical",
        "values", "measured", "runs", "given", "tracking", "",
    ],
    "formats.page": [
        "content", "sparklines", "common", "rendering", "tables", "answers", "drawing", "measured",
        "critical", "results", "checks", "explanation", "tracking", "",
    ],
    "checks": ["wanted", "figures", "foreseen", "judge", "deviations", "compare", "checked"],
    "saved": ["values", "curves", "measured", "diagnosed", "repeated", "runs", "file", ""],
    "weights": [
        "tensors", "given", "layers", "guess", "readers", "conventions", "selection", "named", "",
    ],
    "cli": [
        "completion", "options", "base",
        "outputs", "analyze", "saved", "why", "check", "nets", "about", "",
    ],
}
"""The files, or folders, of a room: each may use those before it; `""` is the room's front."""
# fmt: on


@cache
def nodes(path):
    """All of a file's syntax."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path):
    """The modules that a file names in its imports, wherever they are."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else str(node.module) for name in inner)
    return found


def room(module):
    """`gradflow.engine.flow` is the room `engine.flow`, `gradflow.cells.rnn` the room `cells`."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] and parts[0] in FOLDERS else 1])


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) not in {"", *FOLDERS}])
def test_imports_point_one_way(module):
    place = ROOMS.index(room(module))
    for imported in imports(MODULES[module]):
        if imported.startswith("gradflow."):
            assert ROOMS.index(room(imported)) <= place, imported


def shelf(module, folder):
    """`gradflow.weights.readers.onnx` is `readers` in `weights`, `onnx` in `weights.readers`; the
    folder itself is `""`."""
    above, parts = folder.split("."), module.split(".")[1:]
    return "".join(parts[len(above) : len(above) + 1]) if parts[: len(above)] == above else None


@pytest.mark.parametrize("folder", INSIDE)
def test_imports_point_one_way_inside_a_room(folder):
    order = INSIDE[folder]
    for module in MODULES:
        here = shelf(module, folder)
        if here is None:
            continue
        inner = [shelf(one, folder) for one in imports(MODULES[module])]
        for other in {one for one in inner if one is not None}:
            assert order.index(other) <= order.index(here), f"{module} uses {other or folder}"


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in CORE])
def test_the_core_knows_numpy_and_no_config_or_terminal(module):
    packages = {name.split(".")[0] for name in imports(MODULES[module])}
    if module == "gradflow.cells.library":  # it reads the files of the cells that are used
        packages.discard("yaml")
    assert not packages & {"yaml", "pydantic", "rich", "typer", "click"}


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("yaml", {"config", "cells"}),
        ("pydantic", {"config"}),
        ("pydantic_core", {"config"}),
        ("typer", {"cli"}),
        ("rich", {"output", "formats"}),
    ],
)
def test_a_heavy_package_has_its_room(package, rooms):
    users = {
        room(module)
        for module, path in MODULES.items()
        if package in {name.split(".")[0] for name in imports(path)}
    }
    assert users <= rooms


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_too_long_to_be_read_at_one_sitting(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) < 400


def test_only_the_command_prints_or_exits():
    for module, path in MODULES.items():
        if room(module) in ("output", "cli", "__main__"):
            continue
        calls = [n.func for n in nodes(path) if isinstance(n, ast.Call)]
        assert not any(isinstance(f, ast.Name) and f.id in ("print", "exit") for f in calls), path


def test_no_room_but_the_cells_lists_the_cells():
    """A cell is added by its own file and one line in CELLS."""
    for module, path in MODULES.items():
        if room(module) in ("cells", "weights", "formats", "config", ""):
            continue  # names there are formats, layouts and examples
        texts = {n.value for n in nodes(path) if isinstance(n, ast.Constant)}
        assert not set(CELLS) <= texts, path


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_what_is_around_it_can_be_read_too(folder):
    files = (Path(__file__).parent.parent / folder).rglob("*.py")
    long = {file.name for file in files if file.read_text(encoding="utf-8").count("\n") >= 400}
    assert not long
