"""The current directory holds configs, and no code of ours."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from command import GRADFLOW, SMALL, run

MODULES = [
    "numpy", "pickle", "signal", "socket", "yaml", "subprocess", "queue", "threading", "json",
    "h5py", "logging", "typer", "random", "secrets", "tempfile", "typing", "re", "enum",
]  # fmt: skip


@pytest.fixture
def trapped(tmp_path, monkeypatch):
    """Modules next to a config that say so when they are run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(SMALL)
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text("open('executed', 'a').write(__name__)\n1 / 0\n")
    yield tmp_path
    assert not (tmp_path / "executed").exists()


SCRIPT = Path(sysconfig.get_path("scripts")) / "gradflow"


@pytest.mark.parametrize(
    "command", [GRADFLOW, [str(SCRIPT)]], ids=["python -m gradflow", "gradflow"]
)
def test_modules_in_the_current_directory_are_not_run(trapped, command):
    if command == [str(SCRIPT)] and not SCRIPT.exists():
        pytest.skip("not installed as a script")
    sweep = ["analyze", "c.yaml", "--set", "seed=[0, 1, 2]", "--format", "csv"]
    texts = []
    for jobs in ("1", "2"):
        ended = subprocess.run(
            [*command, *sweep, "--jobs", jobs], capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        texts.append(ended.stdout)
    assert texts[0] == texts[1]


def test_nor_are_they_where_hdf5_is_read(trapped):
    h5py = pytest.importorskip("h5py")
    with h5py.File(trapped / "net.h5", "w") as file:
        file["weight_ih_l0"], file["weight_hh_l0"] = np.zeros((4, 1)), np.zeros((4, 1))
    ended = run("inspect", "net.h5")
    assert ended.returncode in (0, 2)
    assert "ZeroDivisionError" not in ended.stderr
