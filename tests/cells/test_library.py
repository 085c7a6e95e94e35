"""Cells that packages offer: the entry point group `gradflow.cells`, as installers write it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PACKAGE = """\
DECAY = {
    "name": "decay",
    "state": {"h": "H"},
    "parameters": {"W": ["H", "I"]},
    "options": {"a": 0.5},
    "step": "h[t] = a * h[t-1] + W @ x[t]",
}
WRONG = {**DECAY, "name": "wrong", "step": "h[t] = q"}
TAKEN = {**DECAY, "name": "lstm"}
NUMBER = 3
"""
OFFERED = {
    "decay": "offering:DECAY",
    "wrong": "offering:WRONG",
    "taken": "offering:TAKEN",
    "number": "offering:NUMBER",
    "gone": "offering:NOTHING",
    "broken": "offering.inner:CELL",
    "lstm": "offering:DECAY",
}


@pytest.fixture
def gradflow(tmp_path):
    """Runs gradflow where a package is installed that offers cells: (code, out, err)."""
    site = tmp_path / "site"
    info = site / "offering-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "offering.py").write_text(PACKAGE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    lines = [f"{name} = {value}\n" for name, value in OFFERED.items()]
    (info / "entry_points.txt").write_text("".join(["[gradflow.cells]\n", *lines]))

    def run(*arguments, config="cell: decay"):
        (tmp_path / "c.yaml").write_text(f"{config}\nsequence_length: 3\nhidden_size: 2\n")
        start = f"import sys; sys.path.append({str(site)!r})\nfrom gradflow.__main__ import main\n"
        command = [sys.executable, "-c", f"{start}sys.argv[0] = 'gradflow'\nmain()", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_config_names_a_cell_that_a_package_offers(gradflow):
    config = "cell: [{type: decay, a: [0.5, 0.9]}, rnn]"
    code, out, err = gradflow("verify", "c.yaml", config=config)
    assert (code, err) == (0, "")
    assert "decay[a=0.9]" in out
    assert gradflow("analyze", "c.yaml", "--set", "cell.a=0.9", "--jobs", "2")[0] == 0
    assert "slot" not in gradflow("cells", "decay")[1]
    assert gradflow("cells", "decay", "--numpy")[1].startswith("def step(")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wrong", "(offering:WRONG) cannot be loaded: EquationsError: "),
        ("taken", "(offering:TAKEN) cannot be loaded: ValueError: lstm is a cell of gradflow"),
        (
            "number",
            "(offering:NUMBER) cannot be loaded: TypeError: expected a mapping of equations",
        ),
        ("gone", "(offering:NOTHING) cannot be loaded: AttributeError: "),
        ("broken", "(offering.inner:CELL) cannot be loaded: ModuleNotFoundError: "),
    ],
)
def test_one_that_is_broken_is_told_in_one_line(gradflow, name, why):
    code, out, err = gradflow("analyze", "c.yaml", config=f"cell: {name}")
    assert (code, out) == (2, "")
    assert err.startswith(f"c.yaml:1:7: error: cell: the cell {name} of the package offering {why}")
    assert len(err.splitlines()) == 1


def test_broken_ones_are_in_the_way_of_nothing_else(gradflow):
    code, out, err = gradflow("analyze", "c.yaml", config="cell: lstm")
    assert (code, err) == (0, "")
    code, out, err = gradflow("cells")
    assert code == 0
    assert "decay" in out
    assert len(err.splitlines()) == 5
    code, _, err = gradflow("cells", "wrong")
    assert (code, len(err.splitlines())) == (2, 1)
    code, _, err = gradflow("analyze", "c.yaml", config="cell: dekay")
    assert code == 2
    assert "expected rnn, lstm" in err
