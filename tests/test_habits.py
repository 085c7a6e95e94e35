"""The files that other tools read agree with the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import gradflow

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_has_what_the_format_requires_and_is_of_this_version():
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == gradflow.__version__
    assert all(author.keys() <= {"name", "family-names", "given-names", "orcid"}
               for author in citation["authors"])  # fmt: skip
    assert f'license = "{citation["license"]}"' in PYPROJECT
    assert all(f'"{word}"' in PYPROJECT for word in citation["keywords"])


def test_hosted_ci_runs_our_own_script_on_every_python():
    jobs = read_yaml(".github/workflows/ci.yml")["jobs"]
    pythons = jobs["all"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert f'requires-python = ">={pythons[0]}.' in PYPROJECT
    for name in ("all", "coverage", "lowest"):
        assert jobs[name]["steps"][-1]["run"] == f".ci/run {name}"


def test_pre_commit_asks_what_ci_asks():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for repository in read_yaml(".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["name"] in script


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "gradflow"])
def test_nothing_says_to_install_another_project(page):
    path = ROOT / page
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        installs = re.findall(r"pip install [^\n]*", file.read_text(encoding="utf-8"))
        assert not any(re.search(r"install '?gradflow\b(?!-rnn)", line) for line in installs)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_path_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:gradflow|tests|configs)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by it, and stops where one is taken."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names))


def test_no_page_holds_what_a_merge_left_in_it():
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        lines = path.read_text(encoding="utf-8").splitlines()
        left = [at for at, line in enumerate(lines, 1) if re.match("(<{7}|>{7}|={7})( |$)", line)]
        assert not left, path


def test_versions_that_ci_takes_are_those_that_are_asked_for():
    lines = (ROOT / ".ci" / "versions.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    project = PYPROJECT.split("dependencies = [", 1)[1].split("[project.urls]")[0]
    lowest = dict(re.findall(r'"([A-Za-z][\w.-]*)>=([\d.]+)"', project))
    assert {"numpy", "pandas", "keras", "distributed"} <= lowest.keys()
    for name, low in lowest.items():
        assert _numbers(names[name.lower()]) >= _numbers(low), name


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)][:3]
