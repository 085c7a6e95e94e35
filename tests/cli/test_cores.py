"""How many cores a command gives each run."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gradflow.cli import app_for
from gradflow.machine import threads
from tests.command import main, run


@pytest.mark.parametrize(
    ("arguments", "variable", "found"),
    [([], None, 8), ([], "2", 2), (["--cores=3"], "2", 3), (["--jobs=4"], None, 2)],
)
def test_the_command_gives_every_core(monkeypatch, tmp_path, arguments, variable, found):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(threads.VARIABLE, variable)
    given = []
    runner = "gradflow.runs.runner.execute"
    monkeypatch.setattr(runner, lambda *args, **named: given.append(args[-1]) or ())
    config = tmp_path / "c.yaml"
    config.write_text("{cell: rnn, seed: [0, 1, 2, 3], sequence_length: 3}")
    CliRunner().invoke(app_for(), ["analyze", str(config), "--format=csv", *arguments])
    assert given == [found]


RUNS_NETS = ("analyze", "check", "critical", "explain", "track", "verify")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Files to run; the words that go with a command, where they are not one config alone."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("{cell: rnn, sequence_length: 3, hidden_size: 2, input_size: 2}")
    shapes = {"weight_ih_l0": (2, 2), "weight_hh_l0": (2, 2), "bias_ih_l0": 2, "bias_hh_l0": 2}
    np.savez("w.npz", **{name: np.ones(shape) for name, shape in shapes.items()})
    Path("t.yaml").write_text("{cell: {type: rnn, activation: tanh}, sequence_length: 3}")
    return {
        "check": ["c.yaml", "--baseline", "b.json", "--update-baseline"],
        "track": ["t.yaml", "w.npz"],
        "explain": ["c.yaml", "--no-advice"],
    }


@pytest.mark.parametrize("command", RUNS_NETS)
def test_every_command_that_runs_nets_has_cores(monkeypatch, capsys, config, command):
    """As many as it says; what GRADFLOW_CORES cannot say is an error."""
    words = [command, *config.get(command, ["c.yaml"])]
    given = []

    @contextlib.contextmanager
    def noted(count):
        given.append(count)
        yield

    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr("gradflow.runs.runner.sharing", noted)
    monkeypatch.setattr("gradflow.verification.sharing", noted)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    assert main(capsys, *words, "--cores=3")[0] == 0
    assert set(given) == {3}
    given.clear()
    assert main(capsys, *words)[0] == 0
    assert set(given) == {8}
    monkeypatch.setenv(threads.VARIABLE, "two")
    code, _, said = main(capsys, *words)
    assert (code, said) == (
        2,
        "error: GRADFLOW_CORES: expected a whole number of at least 1, found 'two'\n",
    )
    monkeypatch.setenv(threads.VARIABLE, "9" * 20)
    given.clear()
    assert main(capsys, *words)[0] == 0
    assert set(given) == {8}


def test_cores_that_are_none():
    config = "cell: rnn\nsequence_length: 3\n"
    ended = run("analyze", "-", "--cores", "0", input=config)
    assert ended.returncode == 2
    assert "--cores" in ended.stderr
    ended = run("analyze", "-", "--cores=2", "--scheduler=tcp://127.0.0.1:1", input=config)
    assert ended.returncode == 2
    assert "--cores" in ended.stderr
