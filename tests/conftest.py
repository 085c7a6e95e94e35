"""What all tests share: the helpers next to them, a folder with a config, and how Hypothesis
draws."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from gradflow.machine.blas import use_one_thread

use_one_thread()  # as the command does, before anything imports NumPy

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes share what one has compiled

sys.path.insert(0, str(Path(__file__).parent))

# A deadline measures the machine's other work; drawing the same examples keeps a pass a pass.
settings.register_profile("gradflow", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("gradflow")


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is printed now into tests/golden, to be looked at before it is committed",
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with a small config in it: `c.yaml`."""
    from command import SMALL

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def _the_schema_says_what_the_loader_says():
    """Every config that any test loads in this process is held against the JSON Schema too."""
    from schema_agreement import watch

    with pytest.MonkeyPatch.context() as patch:
        watch(patch)
        yield
