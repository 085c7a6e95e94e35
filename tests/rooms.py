"""The rooms of the house in their order, and what in a file walks backward through them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gradflow

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
    "engine.uses", "engine.block", "engine.gauges", "engine.backward", "engine.lengths",
    "engine.flow", "engine.network", "engine.basis", "engine",
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
    "files",
    "weights",
    "runs.initializers", "runs.experiment", "runs.sampling", "runs.losses", "runs.readings",
    "runs.reach", "runs.measuring", "runs.bundle", "runs.memory", "runs.scheduling", "runs.runner",
    "runs",
    "invariance", "verification", "criticality", "explanation", "checks", "config",
    "inspection", "tracking", "formats", "saved", "output", "api", "testing", "", "pytest_plugin",
    "cli", "__main__",
]
"""A room may use those before it; `""` is the library's front door, `gradflow` itself."""
FOLDERS = {"engine", "files", "measures", "runs"}
"""Each of their files is a room, and their front is the last."""

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
        "own_cells", "names", "cells", "recurrent", "expansion", "measures", "trained",
        "named_weights", "schema", "load",
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
        "keras_h5", "onnx_head", "onnx", "onnx_constants", "pickle_names", "pickle_opcodes",
        "pickle_machine", "pickle_tensors", "pickles", "torch_zip", "",
    ],
    "weights.conventions": [
        "activations", "chains", "reparametrized", "keras_config", "keras_traits", "onnx_traits",
        "pytorch", "modules", "flax", "keras", "onnx", "lru", "mamba", "mingru", "mlstm", "slstm",
        "s5", "",
    ],
    "api": [
        "sources", "engine", "frames", "dataset", "saving", "equality", "joining", "choosing",
        "answers", "results", "calls", "",
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

OPEN = {
    "measures": "measures.flows",
    "formats": "the end",
    "weights.readers": "",
    "weights.conventions": "",
}
"""The folders that grow: a file that is not listed may use what is before this, or all of the
folder, and only a front, which loads it by its name, may use it."""

PACKAGES = {
    "numpy": {"*"},
    "threadpoolctl": {"machine"},
    "yaml": {"cells.library", "config"},
    "pydantic": {"config"},
    "pydantic_core": {"config"},
    "distributed": {"runs.scheduling"},
    "matplotlib": {"formats", "api"},
    "jinja2": {"formats.page"},
    "markupsafe": {"formats.page"},
    "rich": {"output", "formats"},
    "IPython": {"output"},
    "typer": {"cli"},
    "pandas": {"api"},
    "polars": {"api", "numerics.arraylike"},
    "xarray": {"api"},
    "pytest": {"pytest_plugin"},
}
"""What is not Python's own, and the rooms that may use it; `*` is all of them."""

_LEAVING = {"exit", "print", "quit"}
_STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


@cache
def syntax(module: str) -> ast.Module:
    """A module's."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> set[str]:
    """The modules that a file names in its imports, wherever they are, and in `import_module`; of
    what the library's front door offers, that is the door."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else str(node.module) for name in inner
                         if name != "gradflow.__version__")  # fmt: skip
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            found.update(_constant(node.args[:1]))
    return found


def _name(function: ast.expr) -> str:
    """`exit` of `exit`, and of `sys.exit`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constant(arguments: list[ast.expr]) -> Iterator[str]:
    """The text that is an argument, or of a formatted one its beginning."""
    for argument in arguments:
        first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value.rstrip(".")


def room(module: str) -> str:
    """`gradflow.engine.flow` is the room `engine.flow`, `gradflow.cells.rnn` the room `cells`."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] and parts[0] in FOLDERS else 1])


def shelf(module: str, folder: str) -> str | None:
    """`gradflow.weights.readers.onnx` is `readers` in `weights`, `onnx` in `weights.readers`; the
    folder itself is `""`."""
    above, parts = folder.split("."), module.split(".")[1:]
    return "".join(parts[len(above) : len(above) + 1]) if parts[: len(above)] == above else None


def misplaced(module: str, tree: ast.Module) -> list[str]:
    """The modules that a file uses though they come after it, among the rooms or in its own."""
    used = [name for name in imports(tree) if name.split(".")[0] == "gradflow"]
    here = _rank(room(module), ROOMS, "measures")
    found = [name for name in used if room(name) != room(module)
             and _rank(room(name), ROOMS, "measures") >= here]  # fmt: skip
    for folder, order in INSIDE.items():
        mine = shelf(module, folder)
        for name in used if mine is not None else ():
            other = shelf(name, folder)
            if other not in (None, mine) and (
                _rank(str(other), order, folder) >= _rank(str(mine), order, folder)
            ):
                found.append(name)
    return sorted(set(found))


def _rank(name: str, order: list[str], folder: str) -> float:
    """How far down a list of rooms, or of files of a folder, a name is."""
    if name in order:
        return order.index(name)
    assert folder in OPEN, f"{name!r} is not in the list of {folder}"
    before = OPEN[folder]
    return order.index(before) - 0.5 if before in order else len(order)


def strangers(module: str, tree: ast.Module) -> set[str]:
    """The packages that a file uses though they are not Python's own, nor its room's."""
    packages = {name.split(".")[0] for name in imports(tree)} - sys.stdlib_module_names
    return {one for one in packages - {"gradflow"} if not _may_use(module, one)}


def _may_use(module: str, package: str) -> bool:
    places = PACKAGES.get(package, set())
    parts = module.split(".")
    return "*" in places or any(
        ".".join(parts[1:end]) in places for end in range(2, len(parts) + 1)
    )


def outward(tree: ast.Module) -> list[str]:
    """How a file prints, or ends the process: for the command alone."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in _LEAVING:
            found.append(_name(node.func))
        elif isinstance(node, ast.Attribute) and _name(node.value) == "sys":
            found += [node.attr] * (node.attr in _STREAMS)
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            found += [one.name for one in node.names if one.name in {*_LEAVING, *_STREAMS}]
        elif isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found += [_name(error)] * (_name(error) in ("SystemExit", "Exit"))
    return found
