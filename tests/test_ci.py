"""The recipes of docs/ci.md, the action and the hook: each is run as written, command by command.

A clone of this repository is used instead of the published address. What installs it is run in
its own environment in the marked suite; else the environment of the tests is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import gradflow
from page_runner import _environment
from pages import ROOT, snippets

PAGE = snippets((ROOT / "docs" / "ci.md").read_text(encoding="utf-8"))
RECIPES = [(f"{s.tags['recipe']}-{s.line}", s) for s in PAGE if "recipe" in s.tags]
NET = [s.text for s in PAGE if s.tags.get("file") == "net.yaml"][-1]  # the first is missed
ADDRESS = "https://github.com/gradflow/gradflow"
ACTION, HOOKS = ROOT / "action.yml", ROOT / ".pre-commit-hooks.yaml"
OTHERS = {"actions/checkout", "actions/setup-python"}
"""Actions of others, which the machine of the test replaces."""


def recipe(kind):
    return [pytest.param(s, id=name) for name, s in RECIPES if s.tags["recipe"] == kind]


def commands_of_github(text):
    """(command, variables) of every step, those of our own action too."""
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            name = step.get("uses", "").partition("@")[0]
            if "run" in step:
                yield step["run"], {}
            elif name == ADDRESS.removeprefix("https://github.com/"):
                yield from commands_of_action(step["with"])
            else:
                assert name in OTHERS, name


def commands_of_action(given):
    """What our action runs with these inputs."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    declared = action["inputs"]
    assert set(given) <= set(declared)
    required = {name for name, one in declared.items() if one.get("required")}
    assert required <= set(given)
    values = {name: given.get(name, one.get("default", "")) for name, one in declared.items()}
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]  # an input never becomes part of a script
        variables = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: str(values[m[1]]), value)
            for name, value in step.get("env", {}).items()
        }
        yield step["run"], variables


class Machine:
    """A folder with the net and its baseline, and a shell."""

    def __init__(self, folder, clone=None, python=None):
        self.folder, self.clone, self.python = folder, clone, python
        self.summary = folder / "summary.md"
        (folder / "net.yaml").write_text(NET)
        experiment = gradflow.load(folder / "net.yaml")
        from gradflow.testing import save

        save(folder / "net.json", gradflow.analyze(experiment), experiment)

    def run(self, command, variables=None):
        """The exit code and what was printed; an install is passed over without a clone."""
        if "pip install" in command and self.clone is None:
            assert ADDRESS in command or "$GITHUB_ACTION_PATH" in command
            return 0, ""
        environment = _environment()
        if self.python is not None:
            environment.pop("PYTHONPATH")
            environment["PATH"] = f"{self.python.parent}{os.pathsep}{environment['PATH']}"
        environment |= {"GITHUB_STEP_SUMMARY": str(self.summary), **(variables or {})}
        environment["GITHUB_ACTION_PATH"] = str(self.clone or ROOT)
        text = command.replace(f"git+{ADDRESS}", f"git+file://{self.clone}")
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]  # as GitHub has it
        done = subprocess.run(shell, cwd=self.folder, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="utf-8", check=False)  # fmt: skip
        return done.returncode, done.stdout

    def forget(self):
        """Let the net lose its memory."""
        text = (self.folder / "net.yaml").read_text()
        (self.folder / "net.yaml").write_text(text.replace("forget_bias: 3.0", "forget_bias: 0.0"))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def run_all(machine, commands):
    """The last exit code and output, once everything before it has passed."""
    code, out = 0, ""
    for command, variables in commands:
        assert code == 0, out
        code, out = machine.run(command, variables)
    return code, out


@pytest.mark.parametrize("snippet", recipe("github"))
def test_github_actions(machine, snippet):
    commands = list(commands_of_github(snippet.text))
    code, out = run_all(machine, commands)
    assert code == 0, out
    assert "7 figures: 7 held; 4 runs compared with net.json: 4 as before." in out
    assert "gradflow check: net.yaml: held" in machine.summary.read_text()
    machine.forget()
    code, out = run_all(machine, commands)
    assert code == 1
    assert "::error file=net.yaml,line=5,title=gradflow%3A horizon at least 50::missed" in out
    if "junit" in snippet.text:
        assert "<failure" in (machine.folder / "net.junit.xml").read_text()


@pytest.mark.parametrize("snippet", recipe("gitlab"))
def test_gitlab_ci(machine, snippet):
    (job,) = yaml.safe_load(snippet.text).values()
    commands = [(command, {}) for command in job["script"]]
    assert run_all(machine, commands)[0] == 0
    report = machine.folder / job["artifacts"]["reports"]["junit"]
    assert "<failure" not in report.read_text()
    machine.forget()
    assert run_all(machine, commands)[0] == 1
    assert "<failure" in report.read_text()


@pytest.mark.parametrize("snippet", recipe("make"))
def test_a_makefile(machine, snippet):
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    (machine.folder / "Makefile").write_text(snippet.text)
    (machine.folder / "net.json").unlink()
    for target in ("baseline", "check-gradient"):
        code, out = machine.run(f"make {target}")
        assert code == 0, out
    machine.forget()
    assert machine.run("make check-gradient")[0] == 2  # make's own, where a command fails
    assert machine.run("make baseline")[0] == 2  # written, but the expectations are not met
    code, out = machine.run("make check-gradient")
    assert "4 runs compared with net.json: 4 as before." in out


@pytest.mark.parametrize("snippet", recipe("pre-commit"))
def test_the_hook(machine, snippet):
    (repository,) = yaml.safe_load(snippet.text)["repos"]
    assert repository["repo"] == ADDRESS
    declared = {hook["id"]: hook for hook in yaml.safe_load(HOOKS.read_text(encoding="utf-8"))}
    for used in repository["hooks"]:
        hook = declared[used["id"]]
        assert hook["pass_filenames"] is False
        assert re.search(used["files"], "net.yaml")
        assert re.search(used["files"], "net.json")
        command = " ".join([hook["entry"], *used["args"]])
        assert machine.run(command)[0] == 0
        machine.forget()
        assert machine.run(command)[0] == 1


def test_an_input_of_the_action_is_never_run(machine):
    hostile = {"config": "net.yaml; touch hacked", "junit": "$(touch hacked).junit.xml"}
    code, _ = run_all(machine, commands_of_action(hostile))
    assert code == 2
    assert not (machine.folder / "hacked").exists()


def test_every_place_that_names_the_address_names_the_same():
    assert f'Source = "{ADDRESS}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert set(re.findall(r"https://github\.com/[\w./-]+", page)) == {ADDRESS}
    assert len(RECIPES) >= 5


# The marked suite: the installs too, in their own environments.


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with what is checked in, and its own Python."""
    folder = tmp_path_factory.mktemp("ci")
    subprocess.run(["git", "clone", "-q", ROOT, folder / "clone"], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    upgrade = [python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
    subprocess.run(upgrade, check=True)  # that of Python 3.11 knows no git+file:///
    return folder / "clone", python


@pytest.mark.fuzz
@pytest.mark.parametrize("snippet", [*recipe("github"), *recipe("gitlab")])
def test_the_installs_too(tmp_path, clone, snippet):
    machine = Machine(tmp_path, *clone)
    if snippet.tags["recipe"] == "github":
        commands = list(commands_of_github(snippet.text))
    else:
        commands = [
            (command, {}) for command in yaml.safe_load(snippet.text)["gradient-flow"]["script"]
        ]
    code, out = run_all(machine, commands)
    assert code == 0, out
    where = machine.run("command -v gradflow")[1]
    assert Path(where.strip()).parent == clone[1].parent


@pytest.mark.fuzz
@pytest.mark.parametrize("snippet", recipe("pre-commit"))
def test_pre_commit_runs_the_hook(tmp_path, clone, snippet):
    if shutil.which("pre-commit", path=_environment()["PATH"]) is None:
        pytest.skip("there is no pre-commit")
    machine = Machine(tmp_path, *clone)
    machine.python = None
    text = snippet.text.replace(ADDRESS, str(clone[0]))
    head = subprocess.run(["git", "-C", clone[0], "rev-parse", "HEAD"], capture_output=True,
                          text=True, check=True).stdout.strip()  # fmt: skip
    (tmp_path / ".pre-commit-config.yaml").write_text(text.replace("rev: main", f"rev: {head}"))
    assert machine.run("git init -q . && git add -A")[0] == 0
    code, out = machine.run(f"PRE_COMMIT_HOME={tmp_path}/.cache pre-commit run --all-files")
    assert code == 0, out
    assert "gradflow check" in out
    machine.forget()
    code, out = machine.run(f"PRE_COMMIT_HOME={tmp_path}/.cache pre-commit run --all-files")
    assert code == 1
    assert "missed" in out
