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


TWO = """
CONFIG = {"cell": "rnn", "sequence_length": 3, "hidden_size": 2}

def test_one(gradient_flow):
    gradient_flow(CONFIG)

def test_other(gradient_flow):
    gradient_flow(CONFIG)
    gradient_flow(CONFIG)
"""


@pytest.fixture
def two(tmp_path, monkeypatch, capfd):
    """Two tests, run in this process; what is run gives what is told of baselines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # edits within a second are seen
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_two.py").write_text(TWO)

    def run(*arguments):
        pytest.main(
            ["-q", "-p", "no:cacheprovider", *PLUGIN, "--import-mode=importlib", *arguments]
        )
        sys.modules.pop("test_two", None)
        out, _ = capfd.readouterr()
        told = out.partition(" gradient_flow ==")[2].partition("\n")[2]
        return re.split(r"\n=|\n[0-9]+ (?:passed|failed)", told)[0]

    return tmp_path, run


def edit(folder, before, after):
    text = (folder / "test_two.py").read_text()
    assert before in text
    (folder / "test_two.py").write_text(text.replace(before, after))


def kept(folder):
    return sorted(path.name for path in (folder / "gradient_flow" / "test_two").iterdir())


def test_what_was_written_and_what_is_unused_is_told_and_removed_on_an_update(two):
    folder, run = two
    here = os.path.join("gradient_flow", "test_two", "")
    assert run("--gradflow-update").splitlines()[:4] == [
        "3 baselines written:",
        *(f"  {here}{name}.json" for name in ("test_one", "test_other-2", "test_other")),
    ]
    assert run() == ""
    edit(folder, "test_one", "test_new")
    (folder / "gradient_flow" / "test_two" / "mine.json").write_text("{}")
    before = kept(folder)
    told = run()
    assert told.startswith("1 unused baseline (delete what is not wanted; --gradflow-update ")
    assert f"\n  {here}test_one.json" in told
    assert kept(folder) == before
    told = run("--gradflow-update")
    assert f"1 unused baseline removed:\n  {here}test_one.json" in told
    assert kept(folder) == ["mine.json", "test_new.json", "test_other-2.json", "test_other.json"]


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        (("-k", "test_one"), "", ""),
        (("test_two.py::test_one",), "", ""),
        (("-x",), "    gradient_flow(CONFIG)\n\n", "    raise OSError\n\n"),
        ((), "    gradient_flow(CONFIG)\n    gr", "    raise OSError\n    gr"),
        ((), "def test_other(gr", "import pytest\n@pytest.mark.skip\ndef test_other(gr"),
        ((), "CONFIG = ", "import none_such\nCONFIG = "),
        ((), "CONFIG = ", "import pytest\npytest.skip(allow_module_level=True)\nCONFIG = "),
        (("-p", "xdist", "-n2"), "    gradient_flow(CONFIG)\n    gr", "    raise OSError\n    gr"),
    ],
    ids=["-k", "id", "-x", "failed", "skipped", "import", "module skipped", "xdist"],
)  # fmt: skip
def test_what_was_not_run_is_not_unused(two, arguments, before, after):
    folder, run = two
    run("--gradflow-update")
    there = kept(folder)
    if before:
        edit(folder, before, after)
    told = run("--gradflow-update", *arguments)
    assert "unused" not in told
    assert kept(folder) == there


def test_workers_tell_what_they_used(two):
    folder, run = two
    run("--gradflow-update")
    edit(folder, "test_one", "test_new")
    told = run("--gradflow-update", "-p", "xdist", "-n", "2")
    assert told.startswith("3 baselines written:\n")
    assert "1 unused baseline removed:\n" in told
    assert kept(folder) == ["test_new.json", "test_other-2.json", "test_other.json"]


def test_baselines_that_may_be_of_tests_that_are_left_out_are_only_named(two):
    folder, run = two
    run("--gradflow-update")
    edit(folder, "test_one", "test_new")
    there = kept(folder)
    told = run("--gradflow-update", "-k", "test_new")
    assert "1 unused baseline (delete" in told
    assert kept(folder) == sorted([*there, "test_new.json"])
    (folder / "test_two.py").rename(folder / "test_three.py")
    told = run("--gradflow-update")
    assert "4 unused baselines (delete" in told
    assert kept(folder) == sorted([*there, "test_new.json"])


def test_the_summary_names_what_is_missed_and_a_wrong_config_shows_no_frames_of_ours(suite):
    folder, run = suite
    lines = ("gradient_flow(CONFIG, horizn=3)", "gradient_flow({'cell': 'lsmt'})")
    tests = "".join(f"def test_{i}(gradient_flow):\n    {line}\n" for i, line in enumerate(lines))
    held = "def test_2(gradient_flow):\n    gradient_flow(CONFIG, horizon=1000)\n"
    config = 'CONFIG = {"cell": "rnn", "sequence_length": 3, "hidden_size": 2, "ws_scale": 0.01}\n'
    (folder / "test_nets.py").write_text(config + tests + held)
    code, out = run("--gradflow-update")
    assert code == 1
    assert "gradflow/" not in out.replace("gradflow/pull", "")
    assert "error: horizn: unknown figure; did you mean horizon?" in out
    assert "test_2 - AssertionError: gradient flow: horizon at least" in out


def test_the_entry_point_is_the_plugin_and_loads_nothing():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (target,) = re.findall(r'entry-points.pytest11\]\ngradflow = "([\w.]+)"', text)
    assert hasattr(import_module(target), "gradient_flow")
    code = f"import sys, {target}; print(*{{'numpy', 'pydantic', 'yaml'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
