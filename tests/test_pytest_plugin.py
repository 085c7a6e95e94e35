"""The pytest plugin, run as a test suite of somebody else runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import gradflow
from gradflow.pytest_plugin import GradientFlow

PLUGIN = ("-p", "gradflow.pytest_plugin")
ROOT = Path(gradflow.__file__).parent.parent
SUITE = """
import pytest

CONFIG = {"cell": "rnn", "sequence_length": 10, "hidden_size": 4}

def test_one(gradient_flow):
    gradient_flow(CONFIG)

@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_each(gradient_flow, cell):
    gradient_flow({**CONFIG, "cell": cell}, horizon=1)
    gradient_flow({**CONFIG, "cell": cell, "seed": 1})
    gradient_flow({**CONFIG, "cell": cell, "seed": 2}, name="a name / with signs")

class TestTwin:
    def test_one(self, gradient_flow):
        gradient_flow({**CONFIG, "ws_scale": 0.5})
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "test_nets.py").write_text(SUITE)

    def run(*arguments, plugin=PLUGIN):
        # `no:gradflow` passes over the installed entry point, which is the same module.
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:gradflow", *plugin,
                   "-p", "no:cacheprovider", *arguments]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1",
                       "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # fmt: skip
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True,
                              text=True, check=False)  # fmt: skip
        return done.returncode, done.stdout

    return tmp_path, run


def test_baselines_are_kept_beside_the_tests(suite):
    folder, run = suite
    code, out = run()
    assert code == 1
    assert "no baseline yet: pytest --gradflow-update writes it" in out
    assert not (folder / "gradient_flow").exists()
    assert run("--gradflow-update")[0] == 0
    names = [path.name for path in (folder / "gradient_flow" / "test_nets").iterdir()]
    assert sorted(re.sub("-[0-9a-f]{8}", "-8DIGITS", name) for name in names) == [
        "TestTwin.test_one-8DIGITS.json",
        "test_each[gru]-2.json",
        "test_each[gru].a_name_with_signs-8DIGITS.json",
        "test_each[gru].json",
        "test_each[lstm]-2.json",
        "test_each[lstm].a_name_with_signs-8DIGITS.json",
        "test_each[lstm].json",
        "test_one.json",
    ]
    code, out = run()
    assert (code, "4 passed" in out) == (0, True)
    assert "rnn" in json.dumps(
        json.loads((folder / "gradient_flow/test_nets/test_one.json").read_text())
    )


@pytest.mark.parametrize("loaded", [(), PLUGIN], ids=["by it alone", "installed too"])
def test_a_conftest_may_name_the_plugin(suite, loaded):
    folder, run = suite
    (folder / "conftest.py").write_text('pytest_plugins = ["gradflow.pytest_plugin"]\n')
    code, out = run("--gradflow-update", "-k", "test_one", plugin=loaded)
    assert (code, "2 passed" in out) == (0, True)


def test_no_two_baselines_share_a_file(tmp_path):
    ids = ("a/b", "a:b", "a b", "a_b", "x" * 150, "x" * 151, "lstm", "LSTM", "Lstm")
    tests = [f"test[{one}]" for one in ids]
    flows = [GradientFlow(tmp_path, test, False) for test in [*tests, "test"]]
    paths = [flow.path(name) for flow in flows for name in ("", "", "n", "n", "n-2", "n/m", "n m")]
    assert len({path.name.lower() for path in paths}) == len(paths)
    assert max(len(path.name) for path in paths) < 128
    assert [flow.path() for flow in (GradientFlow(tmp_path, test, False) for test in tests)] == [
        paths[7 * at] for at in range(len(tests))
    ]


def test_what_changes_fails_with_the_line_and_the_curve(suite):
    folder, run = suite
    assert run("--gradflow-update")[0] == 0
    text = (folder / "test_nets.py").read_text()
    (folder / "test_nets.py").write_text(
        text.replace('"hidden_size": 4', '"hidden_size": 4, "output_size": 2')
    )
    code, out = run("-k", "test_one and not Twin")
    assert code == 1
    assert ">       gradient_flow(CONFIG)" in re.sub(r">\s+gradient", ">       gradient", out)
    assert "within 0.05 decades" in out
    assert "    0  1.00" in out
    assert "gradflow/testing.py" not in out  # the traceback ends in the test
    assert "gradflow/pytest_plugin.py" not in out
    assert run("-k", "test_one and not Twin", "--gradflow-update")[0] == 0
    assert run("-k", "test_one and not Twin")[0] == 0


def test_expectations_hold_beside_the_baseline(suite):
    folder, run = suite
    text = (folder / "test_nets.py").read_text()
    (folder / "test_nets.py").write_text(
        text.replace("gradient_flow(CONFIG)", "gradient_flow(CONFIG, horizon={'max': 1})")
    )
    code, out = run("-k", "test_one and not Twin", "--gradflow-update")
    assert code == 1
    assert "horizon at most 1" in out


def test_the_entry_point_is_the_plugin_and_loads_nothing():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (target,) = re.findall(r'entry-points.pytest11\]\ngradflow = "([\w.]+)"', text)
    assert hasattr(import_module(target), "gradient_flow")
    code = f"import sys, {target}; print(*{{'numpy', 'pydantic', 'yaml'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
